//! A manifest as the build has packed it (`packed` of the connector build says how), as text again.

/// The text; none where `packed` is something else.
#[must_use]
pub fn unpacked(mut packed: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    while !packed.is_empty() {
        let length = number(&mut packed)?;
        let (said, rest) = packed.split_at_checked(length)?;
        text.extend_from_slice(said);
        packed = rest;
        let from = text.len().checked_sub(number(&mut packed)?)?;
        let repeated = from..from.checked_add(number(&mut packed)?)?;
        text.get(repeated.clone())?;
        text.extend_from_within(repeated);
    }
    String::from_utf8(text).ok()
}

fn number(packed: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (first, rest) = packed.split_first()?;
        *packed = rest;
        number |= usize::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
