//! Blobs: bytes the host keeps for a guest, within one budget per call.

/// One blob.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside their private module")]
#[derive(Debug, Default)]
pub struct Blob {
    bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn append(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// Up to `length` bytes from `offset`; fewer at the end.
    pub(crate) fn read(&self, offset: u64, length: u32) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let end = start.saturating_add(length).min(self.bytes.len());
        self.bytes.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_past_the_end_gives_less() {
        let mut blob = Blob::default();
        blob.append(b"hello");
        for (offset, length, expected) in
            [(0, 5, "hello"), (1, 2, "el"), (4, 10, "o"), (5, 1, ""), (u64::MAX, u32::MAX, "")]
        {
            assert_eq!(blob.read(offset, length), expected.as_bytes(), "{offset} {length}");
        }
    }
}
