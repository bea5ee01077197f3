//! Looks through the guest's own linear memory, which is all a guest can ever see.

/// How often the masked text stands in memory. The unmasked text is never put together here.
pub(crate) fn count(masked: &str) -> usize {
    let masked: Vec<u8> = masked
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    if masked.is_empty() {
        return 0;
    }
    let end = size();
    (0..end.saturating_sub(masked.len()))
        .filter(|start| masked.iter().enumerate().all(|(offset, byte)| read(start + offset) == byte ^ 0x5a))
        .count()
}

#[cfg(target_arch = "wasm32")]
fn size() -> usize {
    core::arch::wasm32::memory_size(0) * 65_536
}

#[cfg(target_arch = "wasm32")]
#[expect(
    unsafe_code,
    reason = "every address below the memory's size can be read in WebAssembly; that is the test"
)]
fn read(address: usize) -> u8 {
    // SAFETY: `address` lies below `memory_size`, so the load cannot trap, and a byte has no invalid value.
    unsafe { core::ptr::read_volatile(core::ptr::without_provenance(address)) }
}

/// Natively there is no linear memory to look through.
#[cfg(not(target_arch = "wasm32"))]
const fn size() -> usize {
    0
}

#[cfg(not(target_arch = "wasm32"))]
const fn read(_: usize) -> u8 {
    0
}
