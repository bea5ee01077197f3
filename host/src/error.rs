//! What a service refuses or fails with: one vocabulary for all of them, without any HTTP in it.
//!
//! `api::error` alone turns these into a status and a body. Each case carries a stable code, whose page is
//! `host/docs/errors/<code>.md`.

use std::time::Duration;

use trunnion_core::{call::CallError, problem::Problem};
use trunnion_store::{CommitError, ReadError, keys::KeyError};

/// A refusal or failure of a service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing named does not exist in this scope.
    #[error("{message}")]
    NotFound {
        /// Stable code.
        code: &'static str,
        /// Names the thing and the remedy.
        message: String,
    },
    /// The request contradicts a rule.
    #[error("{message}")]
    Invalid {
        /// Stable code.
        code: &'static str,
        /// Names the thing and the remedy.
        message: String,
        /// Every problem, where a document was checked.
        problems: Vec<Problem>,
    },
    /// The request contradicts what exists.
    #[error("{message}")]
    Conflict {
        /// Stable code.
        code: &'static str,
        /// Names the thing and the remedy.
        message: String,
    },
    /// A component that does not become a connector.
    #[error("{message}")]
    ConnectorRefused {
        /// The stage that refused it: `check`, `compile` or `probe`.
        stage: &'static str,
        /// Names what is wrong and the remedy.
        message: String,
    },
    /// A component that lacks or changed what is in use.
    #[error("{message}")]
    ConnectorInUse {
        /// Names the candidate and the remedy.
        message: String,
        /// Everything that stands on the present version, and whose it is.
        uses: Vec<Problem>,
    },
    /// The thing is not what the request says that it must be.
    #[error("{message}")]
    Unmet {
        /// Names the thing and the remedy.
        message: String,
    },
    /// The same Idempotency-Key came with another body.
    #[error("{message}")]
    KeyReused {
        /// Names the key and the remedy.
        message: String,
    },
    /// More work is waiting than the host may hold.
    #[error("the host has more work waiting than it may hold; try again in {} s", retry_after.as_secs())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// As much of the user's work is waiting as may.
    #[error(
        "this user has as much work waiting as may; other users' work is still accepted: send it again in {} s, slower, \
         or have the operator raise `max_waiting_per_user`", retry_after.as_secs()
    )]
    UserBusy {
        /// When to try again.
        retry_after: Duration,
    },
    /// A connector call on behalf of the request failed.
    #[error("{message}")]
    Vendor {
        /// Names the app and the remedy.
        message: String,
        /// What the connector said.
        #[source]
        error: CallError,
    },
    /// The store could not be written.
    #[error("the store could not be written; nothing was accepted")]
    Commit(#[source] CommitError),
    /// The store could not be read.
    #[error("the store could not be read")]
    Read(#[from] ReadError),
    /// A user's data key could not be made or read.
    #[error("the user's data key could not be made or read")]
    Key(#[from] KeyError),
    /// Something that should hold does not.
    #[error("{0}")]
    Internal(String),
}

/// What a service answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was read; nothing where its owner was erased: nobody can read that any more, and what is left of it goes with the
/// next sweep (`retention::left`).
pub(crate) fn present<T>(read: Result<Option<T>, ReadError>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(found),
        Err(ReadError::Erased { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Error {
    /// The thing named does not exist.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::NotFound { code, message: message.into() }
    }

    /// The request contradicts a rule.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into(), problems: Vec::new() }
    }

    /// The request contradicts what exists.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { code, .. } | Self::Invalid { code, .. } | Self::Conflict { code, .. } => code,
            Self::ConnectorRefused { .. } => "connector-refused",
            Self::ConnectorInUse { .. } => "connector-in-use",
            Self::Unmet { .. } => "precondition-failed",
            Self::KeyReused { .. } => "idempotency-key-reused",
            Self::Busy { .. } => "busy",
            Self::UserBusy { .. } => "user-busy",
            Self::Vendor { .. } => "vendor-call-failed",
            Self::Commit(CommitError::Full { .. }) | Self::Key(KeyError::Full { .. }) => "store-full",
            Self::Commit(_) => "store-not-writable",
            Self::Read(_) => "store-not-readable",
            Self::Key(_) => "data-key-unusable",
            Self::Internal(_) => "internal",
        }
    }
}
