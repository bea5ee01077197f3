//! Why a commit or a read did not happen, with what to do about it.

use crate::{
    backend::BackendError,
    keys::{KeyError, KeyOwner},
};

/// Why a batch was not committed. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold: someone else changed the record. Read again and decide again.
    #[error(
        "the {table} record of change {op} was changed by someone else meanwhile; read it again and retry"
    )]
    Conflict {
        /// The table.
        table: &'static str,
        /// Which change of the batch, counted from 0.
        op: usize,
    },
    /// The owner was erased, so nothing of theirs can be stored any more.
    #[error("{owner} was erased, so the {table} record of change {op} cannot be stored; drop the work")]
    OwnerErased {
        /// The table.
        table: &'static str,
        /// Which change of the batch, counted from 0.
        op: usize,
        /// Who.
        owner: KeyOwner,
    },
    /// The disk has no room. Commits work again when it has.
    #[error("nothing was stored: {message}")]
    Full {
        /// How much is free, and how much is needed.
        message: String,
    },
    /// The batch is larger than one commit may be.
    #[error("a batch of {bytes} bytes is larger than one commit may be ({limit} bytes); split the payload")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record has no JSON form.
    #[error(
        "the {table} record of change {op} cannot be written as JSON; its type must not hold maps with other than text keys"
    )]
    Encode {
        /// The table.
        table: &'static str,
        /// Which change of the batch, counted from 0.
        op: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A batch changes one record twice; it must say once what shall be.
    #[error("change {op} of the batch names a {table} record that an earlier change names; merge the two")]
    Twice {
        /// The table.
        table: &'static str,
        /// Which change of the batch, counted from 0.
        op: usize,
    },
    /// A data key could not be made or read.
    #[error("the {table} record of change {op} could not be sealed")]
    Key {
        /// The table.
        table: &'static str,
        /// Which change of the batch, counted from 0.
        op: usize,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The database failed.
    #[error("the batch was not stored")]
    Storage(#[source] BackendError),
}

impl CommitError {
    /// Whether another writer was first.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its owner was erased; it is gone for good.
    #[error("this {table} record belonged to {owner}, who was erased")]
    Erased {
        /// The table.
        table: &'static str,
        /// Who.
        owner: KeyOwner,
    },
    /// Its data key could not be read.
    #[error("the data key of a {table} record could not be read")]
    Key {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// It was written by a newer release.
    #[error(
        "a {table} record has version {found}, and this release reads up to {known}; run the release that wrote it, or a newer one"
    )]
    Newer {
        /// The table.
        table: &'static str,
        /// Its version.
        found: u8,
        /// What this release reads.
        known: u8,
    },
    /// It is damaged, or sealed under another key.
    #[error(
        "the {table} record {key} cannot be opened ({why}); restore the data directory and its `keys` file from the same moment"
    )]
    Damaged {
        /// The table.
        table: &'static str,
        /// The stored key, as hex.
        key: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Its JSON is not what the table holds.
    #[error(
        "the {table} record {key} is not what this release expects; run the release that wrote it, or a newer one"
    )]
    Decode {
        /// The table.
        table: &'static str,
        /// The stored key, as hex.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The database failed.
    #[error("the {table} records could not be read")]
    Storage {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: BackendError,
    },
}
