//! Removing known secrets from what comes back.
//!
//! A secret is found as it is, JSON-escaped, percent-encoded (any choice of characters, either case) and
//! base64-encoded at each of the three alignments in either alphabet, and base64 that is itself JSON-escaped
//! or percent-encoded. Other transformations are outside the promise. Secrets shorter than
//! [`MIN_SECRET_BYTES`] are not looked for: they would be found in everything.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use zeroize::Zeroizing;

/// Shorter texts are no secrets.
pub(crate) const MIN_SECRET_BYTES: usize = 4;
const MASK: &[u8] = b"[redacted]";

/// Finds one set of secrets.
pub(crate) struct Redactor {
    needles: Vec<Needle>,
    /// What a byte may be in the front of a secret.
    fronts: [Front; 256],
}

/// What a byte may be in the front of a secret, whichever it is: what most bytes of a text are ruled out by.
#[derive(Clone, Copy, Debug, Default)]
struct Front {
    /// A secret's first byte as it is.
    first: bool,
    /// Its second, or the beginning of how that may be written.
    second: bool,
}

struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    base64: bool,
}

impl Redactor {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= MIN_SECRET_BYTES) {
            needles.push(Needle { bytes: Zeroizing::new(secret.as_bytes().to_vec()), base64: false });
            needles.extend((0..3).filter_map(|alignment| base64(secret.as_bytes(), alignment)));
        }
        let mut fronts = [Front::default(); 256];
        for (byte, front) in (0..=u8::MAX).zip(&mut fronts) {
            let stands_for = |at: usize| {
                needles.iter().any(|needle| needle.bytes.get(at).is_some_and(|own| needle.is(*own, byte)))
            };
            *front = Front { first: stands_for(0), second: is_written(byte) || stands_for(1) };
        }
        Self { needles, fronts }
    }

    /// Whether a secret is in there.
    pub(crate) fn finds(&self, text: &[u8]) -> bool {
        (0..text.len()).any(|at| self.longest_at(text, at).is_some())
    }

    /// `text` without secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        let bytes = self.bytes(text.as_bytes().to_vec());
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// `bytes` without secrets.
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.needles.is_empty() {
            return bytes;
        }
        // Overlapping finds become one: what is left of a longer secret beside a shorter one must go too.
        let mut found: Vec<(usize, usize)> = Vec::new();
        for at in 0..bytes.len() {
            if let Some(end) = self.longest_at(&bytes, at) {
                match found.last_mut() {
                    Some(last) if at <= last.1 => last.1 = last.1.max(end),
                    _ => found.push((at, end)),
                }
            }
        }
        if found.is_empty() {
            return bytes;
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for (start, end) in found {
            clean.extend_from_slice(bytes.get(done..start).unwrap_or_default());
            clean.extend_from_slice(MASK);
            done = end;
        }
        clean.extend_from_slice(bytes.get(done..).unwrap_or_default());
        clean
    }

    /// Whether the first byte of a secret may be written at `at`, and its second behind it.
    fn may_begin(&self, text: &[u8], at: usize) -> Option<bool> {
        let front = |byte: u8| self.fronts.get(usize::from(byte)).copied().unwrap_or_default();
        let byte = *text.get(at)?;
        if front(byte).first && text.get(at + 1).is_none_or(|next| front(*next).second) {
            return Some(true);
        }
        Some(match byte {
            b'\\' => json_escape(text.get(at..)?).is_some_and(|(unit, _)| {
                let mut buffer = [0; 4];
                unit.encode_utf8(&mut buffer).bytes().next().is_some_and(|byte| front(byte).first)
            }),
            b'%' => text
                .get(at + 1..at + 3)
                .and_then(hex)
                .is_some_and(|byte| u8::try_from(byte).is_ok_and(|byte| front(byte).first)),
            b'+' => front(b' ').first,
            _ => false,
        })
    }

    /// Where the longest secret that begins at `at` ends.
    fn longest_at(&self, text: &[u8], at: usize) -> Option<usize> {
        if self.may_begin(text, at)? { self.longest_of_all(text, at) } else { None }
    }

    /// The same by trying every secret.
    fn longest_of_all(&self, text: &[u8], at: usize) -> Option<usize> {
        self.needles
            .iter()
            .flat_map(|needle| {
                [Written::Plainly, Written::AsJson, Written::AsPercent].map(|how| needle.ends(text, at, how))
            })
            .flatten()
            .max()
    }
}

/// Whether `byte` begins a byte of a secret that is not written as it is.
const fn is_written(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'+')
}

/// How a needle's bytes may be written.
#[derive(Clone, Copy)]
enum Written {
    Plainly,
    AsJson,
    AsPercent,
}

impl Needle {
    /// Whether `byte` stands for `own`; base64 has two alphabets.
    fn is(&self, own: u8, byte: u8) -> bool {
        own == byte
            || (self.base64 && matches!((own, byte), (b'+' | b'-', b'+' | b'-') | (b'/' | b'_', b'/' | b'_')))
    }

    /// Where this needle ends if it begins at `at`.
    fn ends(&self, text: &[u8], at: usize, how: Written) -> Option<usize> {
        let mut at = at;
        let mut rest: &[u8] = &self.bytes;
        while let Some(own) = rest.first() {
            let byte = *text.get(at)?;
            let (length, taken) = match (how, byte) {
                (Written::AsJson, b'\\') => {
                    let (unit, length) = json_escape(text.get(at..)?)?;
                    let mut buffer = [0; 4];
                    let unit = unit.encode_utf8(&mut buffer).as_bytes();
                    let same = match (unit, self.base64) {
                        ([one], true) => self.is(*own, *one),
                        _ => rest.starts_with(unit),
                    };
                    if !same {
                        return None;
                    }
                    (length, unit.len())
                }
                (Written::AsPercent, b'%') => {
                    let byte = hex(text.get(at + 1..at + 3)?)?;
                    if !self.is(*own, u8::try_from(byte).ok()?) {
                        return None;
                    }
                    (3, 1)
                }
                (Written::AsPercent, b'+') if *own == b' ' => (1, 1),
                _ if self.is(*own, byte) => (1, 1),
                _ => return None,
            };
            at += length;
            rest = rest.get(taken..)?;
        }
        Some(at)
    }
}

/// The character of a JSON escape at the start of `text`, and its length.
fn json_escape(text: &[u8]) -> Option<(char, usize)> {
    let simple = match *text.get(1)? {
        b'u' => {
            let high = hex(text.get(2..6)?)?;
            if let Some(unit) = char::from_u32(high) {
                return Some((unit, 6));
            }
            let low = text
                .get(6..12)
                .filter(|next| next.starts_with(b"\\u"))
                .and_then(|next| hex(next.get(2..)?))?;
            let units = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
            return char::decode_utf16(units).next()?.ok().map(|unit| (unit, 12));
        }
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other @ (b'"' | b'\\' | b'/') => char::from(other),
        _ => return None,
    };
    Some((simple, 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

/// What of a secret's base64 does not depend on the bytes around it, when `alignment` bytes of a group of
/// three stand before it.
fn base64(secret: &[u8], alignment: usize) -> Option<Needle> {
    let padded = Zeroizing::new([vec![0; alignment].as_slice(), secret].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(padded.as_slice()).into_bytes());
    let first = (alignment * 8).div_ceil(6);
    let whole = padded.len() * 8 / 6;
    let inner = encoded.get(first..whole)?.to_vec();
    Some(Needle { bytes: Zeroizing::new(inner), base64: true })
}

#[cfg(test)]
mod tests;
