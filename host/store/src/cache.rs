//! Records that are read again and again, opened and parsed once.
//!
//! A copy is kept under its stored key *and* the version it was read as. It is never an answer by itself: the
//! backend is asked for the record first, and the copy only spares opening and parsing what has this very version.
//! So there is nothing to invalidate, and no commit, by whomever, can leave a stale answer. The owner's data key is
//! asked for as well, so that an erased user's records are gone at once.

use std::{any::Any, sync::Arc};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::{backend::Version, keys::KeyOwner};

/// Copies kept, at most.
const ENTRIES: usize = 4_096;

/// Bytes of JSON of the records that are kept, at most; parsed they take a few times as many.
const BYTES: u64 = 4 << 20;

/// A parsed record of some table, which the key says.
type Parsed = Arc<dyn Any + Send + Sync>;

/// Parsed records by stored key.
#[derive(Debug)]
pub(crate) struct Records(Cache<Bytes, Copy, ByJsonBytes>);

#[derive(Clone, Debug)]
struct Copy {
    version: Version,
    /// Whose key sealed it; absent where it is stored plainly.
    owner: Option<KeyOwner>,
    record: Parsed,
    json_bytes: u64,
}

#[derive(Clone, Debug)]
struct ByJsonBytes;

impl Weighter<Bytes, Copy> for ByJsonBytes {
    fn weight(&self, _: &Bytes, copy: &Copy) -> u64 {
        copy.json_bytes
    }
}

/// What is known of a record of a certain version.
#[derive(Debug)]
pub(crate) struct Known<R> {
    /// Whose key sealed it; absent where it is stored plainly.
    pub(crate) owner: Option<KeyOwner>,
    /// The record.
    pub(crate) record: Arc<R>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(ENTRIES, BYTES, ByJsonBytes))
    }

    /// The copy of a record that has this version.
    pub(crate) fn get<R: Any + Send + Sync>(&self, key: &[u8], version: Version) -> Option<Known<R>> {
        let copy = self.0.get(key).filter(|copy| copy.version == version)?;
        Some(Known { owner: copy.owner, record: copy.record.downcast().ok()? })
    }

    /// Keeps a copy, in the place of an older one.
    pub(crate) fn keep<R: Any + Send + Sync>(
        &self,
        key: Vec<u8>,
        version: Version,
        known: &Known<R>,
        json_bytes: usize,
    ) {
        let record: Parsed = Arc::<R>::clone(&known.record);
        let json_bytes = u64::try_from(json_bytes).unwrap_or(u64::MAX).max(1);
        self.0.insert(key.into(), Copy { version, owner: known.owner, record, json_bytes });
    }

    /// Drops the copy of a record whose owner was erased.
    pub(crate) fn forget(&self, key: &[u8]) {
        self.0.remove(key);
    }
}
