//! Frames in sled: short-lived trees ("buckets") of frame parts, dropped whole.
//!
//! Invariant: no bucket holds more than [`BUCKET`] bytes. sled keeps the values of a leaf in one page, rewrites
//! the page every ten changes, and writes a page above 128 KB to a side file that it never syncs. Small buckets
//! keep every page below that and bound how often a frame is rewritten.

use std::collections::VecDeque;

use bytes::Bytes;

use super::disk::Disk;
use crate::{backend::BackendError, key::Key};

/// Bytes in a bucket, at most; 128 KB less room for sled's own.
const BUCKET: usize = 112 * 1024;
/// Bytes in a part of a frame, at most.
pub(crate) const PART: usize = 96 * 1024;
/// What sled adds to a part.
const OVERHEAD: usize = 32;
/// First byte of a bucket's name; what follows is the first part's key.
const BUCKET_NAME: u8 = b'j';

/// Names a part: its frame's sequence, its number in the frame.
type PartKey = (u64, u32);

/// The journal's tail.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Disk,
    /// Names of the buckets since the last checkpoint but the open one, oldest first.
    closed: Vec<Vec<u8>>,
    open: Option<Bucket>,
    next: u64,
}

#[derive(Debug)]
struct Bucket {
    name: Vec<u8>,
    tree: sled::Tree,
    bytes: usize,
}

impl Log {
    /// A log whose next frame is `next`, with the buckets that recovery found.
    pub(crate) const fn new(disk: Disk, closed: Vec<Vec<u8>>, next: u64) -> Self {
        Self { disk, closed, open: None, next }
    }

    /// The next frame's sequence.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Writes a frame; durable after the next flush.
    pub(crate) fn append(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        for (number, part) in (0_u32..).zip(frame.chunks(PART)) {
            self.write((self.next, number), part)?;
        }
        self.next += 1;
        Ok(())
    }

    /// Hands over every bucket so far; the next frame begins a new one.
    pub(crate) fn cut(&mut self) -> Vec<Vec<u8>> {
        let mut buckets = std::mem::take(&mut self.closed);
        buckets.extend(self.open.take().map(|bucket| bucket.name));
        buckets
    }

    fn write(&mut self, part_key: PartKey, part: &[u8]) -> Result<(), BackendError> {
        let mut key = Vec::with_capacity(12);
        part_key.encode(&mut key);
        let size = part.len() + OVERHEAD;
        let bucket = match self.open.take() {
            Some(bucket) if bucket.bytes + size <= BUCKET => self.open.insert(bucket),
            full => {
                self.closed.extend(full.map(|bucket| bucket.name));
                let name = [[BUCKET_NAME].as_slice(), &key].concat();
                let tree =
                    self.disk.db.open_tree(&name).map_err(|error| self.disk.failed("write to", error))?;
                self.open.insert(Bucket { name, tree, bytes: 0 })
            }
        };
        bucket.tree.insert(key, part).map_err(|error| self.disk.failed("write to", error))?;
        bucket.bytes += size;
        Ok(())
    }
}

/// What is in the journal when the database is opened.
#[derive(Debug)]
pub(crate) struct Found {
    /// Frames by sequence, not yet checked; the last may be torn.
    pub(crate) frames: VecDeque<(u64, Bytes)>,
    /// The buckets they are in, oldest first.
    pub(crate) buckets: Vec<Vec<u8>>,
}

/// Reads every frame from `from` on, and drops buckets that hold older ones only.
pub(crate) fn read(disk: &Disk, from: u64) -> Result<Found, BackendError> {
    let mut names: Vec<Vec<u8>> = disk.db.tree_names().iter().map(|name| name.to_vec()).collect();
    names.retain(|name| name.first() == Some(&BUCKET_NAME));
    names.sort_unstable();
    let mut frames: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
    let mut buckets = Vec::new();
    for name in names {
        let tree = disk.db.open_tree(&name).map_err(|error| disk.failed("read", error))?;
        let mut needed = false;
        for part in &tree {
            let (key, part) = part.map_err(|error| disk.failed("read the journal of", error))?;
            let Some((sequence, number)) = PartKey::decode(&mut &*key) else {
                return Err(BackendError::broken(format!(
                    "the journal of {} holds a key that is no frame's; restore the data directory from a backup",
                    disk.path().display()
                )));
            };
            if sequence < from {
                continue;
            }
            needed = true;
            match frames.back_mut() {
                Some((last, bytes)) if *last == sequence && number > 0 => bytes.extend_from_slice(&part),
                _ => frames.push_back((sequence, part.to_vec())),
            }
        }
        if needed {
            buckets.push(name);
        } else {
            drop_bucket(disk, &name)?;
        }
    }
    let frames = frames.into_iter().map(|(sequence, bytes)| (sequence, Bytes::from(bytes))).collect();
    Ok(Found { frames, buckets })
}

/// Takes a torn frame out, so that the frame that gets its number does not meet its parts.
pub(crate) fn remove_torn(disk: &Disk, sequence: u64, buckets: &[Vec<u8>]) -> Result<(), BackendError> {
    let mut from = Vec::new();
    sequence.encode(&mut from);
    for name in buckets {
        let tree = disk.db.open_tree(name).map_err(|error| disk.failed("read", error))?;
        for part in tree.range(from.as_slice()..) {
            let (key, _) = part.map_err(|error| disk.failed("read the journal of", error))?;
            tree.remove(key).map_err(|error| disk.failed("write to", error))?;
        }
    }
    disk.flush()
}

/// Drops a bucket whose frames nothing needs any more.
pub(crate) fn drop_bucket(disk: &Disk, name: &[u8]) -> Result<(), BackendError> {
    disk.db.drop_tree(name).map_err(|error| disk.failed("drop old frames of", error))?;
    Ok(())
}
