//! A frame: the batches of one commit group as one checksummed run of bytes.
//!
//! `"TRF1"`, sequence (8), length of the rest (4), CRC-32 of sequence and rest (4), then per batch: version (8),
//! number of changes (4), and per change: 1 for a value or 0 for a deletion, key length (4), key, value length
//! (4), value. Numbers are big-endian. The layout is stored: a new one gets a new magic.

use bytes::Bytes;

use crate::{
    backend::{RawBatch, Version},
    key::Key,
};

const MAGIC: &[u8; 4] = b"TRF1";
/// Bytes before the batches.
pub(crate) const HEAD: usize = 20;

/// A frame being written.
#[derive(Debug)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEAD] }
    }

    /// Adds a batch.
    pub(crate) fn push(&mut self, version: Version, batch: &RawBatch) {
        version.0.encode(&mut self.bytes);
        length(batch.ops.len()).encode(&mut self.bytes);
        for op in &batch.ops {
            self.bytes.push(u8::from(op.value.is_some()));
            length(op.key.len()).encode(&mut self.bytes);
            self.bytes.extend_from_slice(&op.key);
            if let Some(value) = &op.value {
                length(value.len()).encode(&mut self.bytes);
                self.bytes.extend_from_slice(value);
            }
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The finished frame.
    pub(crate) fn finish(mut self, sequence: u64) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        sequence.encode(&mut head);
        let (_, body) = self.bytes.split_at(HEAD);
        length(body.len()).encode(&mut head);
        checksum(sequence, body).encode(&mut head);
        for (to, from) in self.bytes.iter_mut().zip(head) {
            *to = from;
        }
        self.bytes
    }
}

/// A change as it was framed.
pub(crate) type Change = (Bytes, Option<Bytes>);

/// Sequence, and the length of the rest, of a frame that begins so; `None` where none does.
pub(crate) fn head(mut front: &[u8]) -> Option<(u64, usize)> {
    let magic: [u8; 4] = Key::decode(&mut front)?;
    let sequence = u64::decode(&mut front)?;
    let length = usize::try_from(u32::decode(&mut front)?).ok()?;
    (magic == *MAGIC).then_some((sequence, length))
}

/// The batches of a frame; `None` where it is torn or damaged.
pub(crate) fn read(sequence: u64, frame: &Bytes) -> Option<Vec<(Version, Vec<Change>)>> {
    let mut input: &[u8] = frame;
    let magic: [u8; 4] = Key::decode(&mut input)?;
    let found = u64::decode(&mut input)?;
    let length = u32::decode(&mut input)?;
    let crc = u32::decode(&mut input)?;
    let whole = magic == *MAGIC && found == sequence && usize::try_from(length) == Ok(input.len());
    if !whole || checksum(sequence, input) != crc {
        return None;
    }
    let mut batches = Vec::new();
    while !input.is_empty() {
        let version = Version(u64::decode(&mut input)?);
        let count = u32::decode(&mut input)?;
        let mut changes = Vec::new();
        for _ in 0..count {
            let [has_value] = <[u8; 1]>::decode(&mut input)?;
            let key = run(frame, &mut input)?;
            let value = if has_value == 1 { Some(run(frame, &mut input)?) } else { None };
            changes.push((key, value));
        }
        batches.push((version, changes));
    }
    Some(batches)
}

fn run(frame: &Bytes, input: &mut &[u8]) -> Option<Bytes> {
    let length = usize::try_from(u32::decode(input)?).ok()?;
    let (run, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(frame.slice_ref(run))
}

fn checksum(sequence: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_be_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Lengths fit: no batch is above `MAX_BATCH_BYTES`, far below 4 GB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Expect, RawOp};

    fn frame() -> Bytes {
        let op = |key: &'static str, value: Option<&'static str>| RawOp {
            key: Bytes::from(key),
            value: value.map(Bytes::from),
            expect: Expect::Anything,
        };
        let mut builder = Builder::new();
        let first = RawBatch { ops: vec![op("a", Some("one")), op("b", None)] };
        builder.push(Version(7), &first);
        builder.push(Version(8), &RawBatch { ops: vec![op("", Some(""))] });
        Bytes::from(builder.finish(42))
    }

    #[test]
    fn a_frame_comes_back() {
        let batches = read(42, &frame()).unwrap();
        assert_eq!(batches[0], (Version(7), vec![("a".into(), Some("one".into())), ("b".into(), None)]));
        assert_eq!(batches[1], (Version(8), vec![("".into(), Some("".into()))]));
    }

    #[test]
    fn every_damage_is_noticed() {
        let whole = frame();
        assert!(read(41, &whole).is_none(), "another place in the sequence");
        for length in 0..whole.len() {
            assert!(read(42, &whole.slice(..length)).is_none(), "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut hit = whole.to_vec();
            hit[at] ^= 1;
            assert!(read(42, &Bytes::from(hit)).is_none(), "byte {at}");
        }
    }
}
