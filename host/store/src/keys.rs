//! The key ring: master key → one data key per owner → records.
//!
//! Owns data keys: making them durably, handing them out for sealing and opening, destroying them (which erases
//! their owner) and re-wrapping them all under a new master key. Wrapped data keys live in a file of their own
//! (`keys/file.rs`), never in the journal, the index or a data backup.
//!
//! Invariants: a key is on disk, power-safe, before anything is sealed under it; a destroyed key is overwritten
//! in place and never comes back, its owner stays known as erased; unwrapped keys are cached within a bound.

mod copy;
mod file;
mod held;
mod ring;
mod seal;
mod slot;

#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

use trunnion_core::{
    id::{UserId, WorkspaceId},
    scope::Scope,
};

use crate::backend::Source;

pub use self::ring::KeyRing;
pub(crate) use self::seal::DataKey;

/// Whose a data key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOwner {
    /// The deployment's.
    Deployment,
    /// A workspace's.
    Workspace(WorkspaceId),
    /// One environment's.
    Environment(Scope),
    /// A user's.
    User(Scope, UserId),
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment => f.write_str("the deployment"),
            Self::Workspace(workspace) => write!(f, "workspace {workspace}"),
            Self::Environment(scope) => write!(f, "environment {scope}"),
            Self::User(scope, user) => write!(f, "user {user} of {scope}"),
        }
    }
}

/// The key that wraps every data key: 32 bytes that the operator keeps apart from the data.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for MasterKey {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Why a key could not be made, read or destroyed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its owner was erased.
    #[error("{owner} was erased")]
    Erased {
        /// Who.
        owner: KeyOwner,
    },
    /// It was never made, or the `keys` file is not the one that belongs to the data.
    #[error(
        "there is no data key for {owner}; create it first, or put back the `keys` file that belongs to this data"
    )]
    Missing {
        /// Who.
        owner: KeyOwner,
    },
    /// The master key is not the one that wrapped the data keys.
    #[error("the master key does not open {path}; start with the master key it was last wrapped under")]
    WrongMaster {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that process, or use another data directory")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is not a key file, or not one of this release.
    #[error(
        "{path} is not a key file that this release reads ({why}); put back the file that belongs to this data"
    )]
    NotKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A slot does not unwrap.
    #[error("the data key of {owner} is damaged; put back the `keys` file that belongs to this data")]
    Damaged {
        /// Whose.
        owner: KeyOwner,
    },
    /// The disk has no room.
    #[error("{message}")]
    Full {
        /// What to do.
        message: String,
    },
    /// The file could not be read or written.
    #[error("cannot {action} {path}; check the disk and the file's permissions")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An earlier sync failed, so what the disk holds is unknown.
    #[error("an earlier write to {path} failed, so what it holds is unknown; check the disk and start again")]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// Cryptography or the worker thread failed.
    #[error("{message}")]
    Internal {
        /// What happened.
        message: &'static str,
        /// Why, where known.
        #[source]
        source: Option<Source>,
    },
}
