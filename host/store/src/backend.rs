//! What a database must do for the store: bytes under versions, one atomic commit, ordered reads.
//!
//! Owns the contract that every backend keeps and the conformance suite checks:
//! - a commit is judged and applied as a whole, against everything committed before it;
//! - it is durable, power-safe, when it returns, and no reader sees it earlier;
//! - versions are unique per committed batch and increase in commit order, also over restarts;
//! - a scan is one consistent view.
//!
//! Keys and values are opaque here: their meaning, sealing and scoping belong to the layers above.

use std::{error::Error as StdError, fmt, fs::File, future::Future, pin::Pin};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::select::Direction;

/// Counts committed batches: unique, increasing, never 0 for a record that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// Before the first commit; also what an empty batch commits as.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What must hold of a key for its batch to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// There is no record.
    Absent,
    /// There is a record, of this version.
    Version(Version),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOp {
    /// The whole key.
    pub key: Bytes,
    /// The new value; `None` deletes.
    pub value: Option<Bytes>,
    /// The precondition.
    pub expect: Expect,
}

/// Changes that commit together. No key occurs twice: the store has checked it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawBatch {
    /// The changes.
    pub ops: Vec<RawOp>,
}

/// Keys and values of one batch, in bytes, at most. The store refuses more, so that no backend meets it.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A stored value and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// The commit that wrote it.
    pub version: Version,
    /// The value.
    pub value: Bytes,
}

/// A range of keys to read: `from` inclusive, `to` exclusive (`None`: to the end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawScan {
    /// First key that belongs.
    pub from: Bytes,
    /// First key that no longer belongs.
    pub to: Option<Bytes>,
    /// At most this many.
    pub limit: Option<usize>,
    /// In which order.
    pub direction: Direction,
}

/// A source error of any type.
pub type Source = Box<dyn StdError + Send + Sync + 'static>;

/// Why a backend did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A precondition does not hold; nothing was changed.
    #[error("the precondition of change {op} does not hold")]
    Conflict {
        /// Which change of the batch, counted from 0.
        op: usize,
    },
    /// There is no room; nothing was changed, and commits work again when there is room.
    #[error("{message}")]
    Full {
        /// How much is free and how much is needed.
        message: String,
    },
    /// The database failed; the message says what and what to do.
    #[error("{message}")]
    Storage {
        /// What happened, to what, and what to do.
        message: String,
        /// The database's own error.
        #[source]
        source: Option<Source>,
    },
    /// The store was closed.
    #[error("the store is closed; open it again")]
    Closed,
}

impl BackendError {
    /// A failure of the database.
    pub fn storage(message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Storage { message: message.into(), source: Some(source.into()) }
    }

    /// A failure that no other error explains.
    pub fn broken(message: impl Into<String>) -> Self {
        Self::Storage { message: message.into(), source: None }
    }
}

/// A future of a dyn-safe trait.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A key, and what is stored under it.
pub type RawEntry = (Bytes, RawRecord);

/// A database that keeps the contract above.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Commits all of it or nothing; durable on return.
    fn commit(&self, batch: RawBatch) -> BoxFuture<'_, Result<Version, BackendError>>;

    /// The record under `key`.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<RawRecord>, BackendError>>;

    /// The records of a range, in order, as one consistent view.
    fn scan(&self, scan: RawScan) -> BoxFuture<'_, Result<Vec<RawEntry>, BackendError>>;

    /// Whether this process alone owns the data while it is open, so that leases of earlier holders are void.
    fn exclusive(&self) -> bool;

    /// Whether a small commit would be taken now: there is room for it, and no write failed for good.
    fn writable(&self) -> Result<(), BackendError>;

    /// From its return on, every commit is written to the file `to` as well, in order, as frames of the journal, until
    /// this is called again; gives the file that was written to until now. Only one is written to at a time.
    ///
    /// A commit that is visible to a scan before the return is not in the file, each later one is.
    fn follow(&self, to: Option<File>) -> BoxFuture<'_, Result<Option<File>, BackendError>> {
        drop(to);
        Box::pin(async {
            Err(BackendError::broken(
                "this store cannot be backed up while it is open; use the embedded store on disk",
            ))
        })
    }

    /// Stops cleanly: everything committed is in its final place, so that the next start is quick. Later calls
    /// answer [`BackendError::Closed`].
    fn close(&self) -> BoxFuture<'_, Result<(), BackendError>>;
}
