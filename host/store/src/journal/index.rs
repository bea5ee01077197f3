//! The index: every record in its final place, one sled tree, written by checkpoints only.
//!
//! A value is `0, version(8), bytes`, or `1, version(8), chunks(4)` where the bytes are in the tree of chunks
//! under key, version and number. Invariant: no sled value exceeds [`CHUNK`]: a leaf holds up to twenty values,
//! and a page above 128 KB would go to a side file that sled never syncs. A crash inside a checkpoint can leave
//! the chunks of a value that was then superseded; they are sealed and unreachable, and cost only room.

use bytes::Bytes;

use super::disk::Disk;
use crate::{
    backend::{BackendError, RawRecord, Version},
    key::Key,
};

/// Bytes in a sled value, at most.
const CHUNK: usize = 6 * 1024;
const INLINE: u8 = 0;
const CHUNKED: u8 = 1;

/// Where replay begins, and the versions that are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The first frame that the index does not contain.
    pub(crate) replay_from: u64,
    /// The newest version that the index may contain.
    pub(crate) last_version: u64,
}

const MARKER: &[u8] = b"checkpoint";
/// The name of the tree of records.
const RECORDS: &str = "records";

/// The trees.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) disk: Disk,
    records: sled::Tree,
    chunks: sled::Tree,
    meta: sled::Tree,
}

/// A stored value, before its chunks are gathered.
#[derive(Debug)]
enum Stored {
    Inline(RawRecord),
    Chunked { version: Version, chunks: u32 },
}

impl Index {
    pub(crate) fn open(disk: Disk) -> Result<Self, BackendError> {
        let tree = |name: &str| disk.db.open_tree(name).map_err(|error| disk.failed("open", error));
        let (records, chunks, meta) = (tree(RECORDS)?, tree("chunks")?, tree("meta")?);
        Ok(Self { disk, records, chunks, meta })
    }

    /// Whether the database has an index, however empty: every database that was opened whole has.
    pub(crate) fn is_in(disk: &Disk) -> bool {
        disk.db.tree_names().iter().any(|name| *name == RECORDS.as_bytes())
    }

    pub(crate) fn marker(&self) -> Result<Marker, BackendError> {
        let found = self.meta.get(MARKER).map_err(|error| self.disk.failed("read", error))?;
        let Some(found) = found else { return Ok(Marker::default()) };
        let (replay_from, last_version) =
            <(u64, u64)>::decode(&mut &*found).ok_or_else(|| self.damaged("its checkpoint marker"))?;
        Ok(Marker { replay_from, last_version })
    }

    pub(crate) fn set_marker(&self, marker: Marker) -> Result<(), BackendError> {
        let mut value = Vec::new();
        (marker.replay_from, marker.last_version).encode(&mut value);
        self.meta.insert(MARKER, value).map_err(|error| self.disk.failed("write to", error))?;
        Ok(())
    }

    /// The record under `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<RawRecord>, BackendError> {
        // A checkpoint may replace the record and drop its chunks between the two reads; then there is another.
        for _ in 0..3 {
            let Some(value) = self.read(key)? else { return Ok(None) };
            if let Some(record) = self.gather(key, &value)? {
                return Ok(Some(record));
            }
        }
        Err(self.damaged(&format!("the record {}: a chunk is missing", hex::encode(key))))
    }

    /// The version of the record under `key`.
    pub(crate) fn version(&self, key: &[u8]) -> Result<Option<Version>, BackendError> {
        let Some(value) = self.read(key)? else { return Ok(None) };
        match self.parse(key, &value)? {
            Stored::Inline(RawRecord { version, .. }) | Stored::Chunked { version, .. } => Ok(Some(version)),
        }
    }

    /// Keys and unread values of a range, either end first.
    pub(crate) fn range(&self, from: &[u8], to: Option<&[u8]>) -> sled::Iter {
        match to {
            Some(to) => self.records.range(from..to),
            None => self.records.range(from..),
        }
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> Result<u64, BackendError> {
        let mut count = 0;
        for entry in &self.records {
            entry.map_err(|error| self.disk.failed("read", error))?;
            count += 1;
        }
        Ok(count)
    }

    /// Makes a record of a value of [`range`](Self::range); `None` where its chunks were dropped meanwhile.
    pub(crate) fn gather(&self, key: &[u8], value: &sled::IVec) -> Result<Option<RawRecord>, BackendError> {
        let (version, chunks) = match self.parse(key, value)? {
            Stored::Inline(record) => return Ok(Some(record)),
            Stored::Chunked { version, chunks } => (version, chunks),
        };
        let mut bytes = Vec::new();
        for number in 0..chunks {
            let name = chunk_key(key, version, number);
            match self.chunks.get(name).map_err(|error| self.disk.failed("read", error))? {
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
        Ok(Some(RawRecord { version, value: Bytes::from(bytes) }))
    }

    /// Puts a record into its final place, or takes it out. Doing it again changes nothing.
    pub(crate) fn apply(&self, key: &[u8], record: Option<&(Version, Bytes)>) -> Result<(), BackendError> {
        let failed = |error| self.disk.failed("write to", error);
        let (old, kept) = match record {
            Some((version, value)) => {
                let stored = if value.len() <= CHUNK {
                    let mut stored = head(INLINE, *version, value.len());
                    stored.extend_from_slice(value);
                    stored
                } else {
                    let mut count = 0_u32;
                    for chunk in value.chunks(CHUNK) {
                        self.chunks.insert(chunk_key(key, *version, count), chunk).map_err(failed)?;
                        count += 1;
                    }
                    let mut stored = head(CHUNKED, *version, 4);
                    count.encode(&mut stored);
                    stored
                };
                (self.records.insert(key, stored).map_err(failed)?, Some(*version))
            }
            None => (self.records.remove(key).map_err(failed)?, None),
        };
        if let Some(old) = old
            && let Stored::Chunked { version, chunks } = self.parse(key, &old)?
            && kept != Some(version)
        {
            for number in 0..chunks {
                self.chunks.remove(chunk_key(key, version, number)).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn read(&self, key: &[u8]) -> Result<Option<sled::IVec>, BackendError> {
        self.records.get(key).map_err(|error| self.disk.failed("read", error))
    }

    fn parse(&self, key: &[u8], value: &[u8]) -> Result<Stored, BackendError> {
        let mut input = value;
        let parsed = (|| {
            let [tag] = <[u8; 1]>::decode(&mut input)?;
            let version = Version(u64::decode(&mut input)?);
            match tag {
                INLINE => Some(Stored::Inline(RawRecord { version, value: Bytes::copy_from_slice(input) })),
                CHUNKED => Some(Stored::Chunked { version, chunks: u32::decode(&mut input)? }),
                _ => None,
            }
        })();
        parsed.ok_or_else(|| self.damaged(&format!("the record {}", hex::encode(key))))
    }

    pub(crate) fn damaged(&self, what: &str) -> BackendError {
        BackendError::broken(format!(
            "the database {} is damaged ({what}); restore the data directory from a backup",
            self.disk.path().display()
        ))
    }
}

/// The front of a stored value.
fn head(tag: u8, version: Version, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity + 16);
    out.push(tag);
    version.0.encode(&mut out);
    out
}

fn chunk_key(key: &[u8], version: Version, number: u32) -> Vec<u8> {
    let mut out = key.to_vec();
    (version.0, number).encode(&mut out);
    out
}
