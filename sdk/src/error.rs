//! Why a call failed, in the contract's own cases. The host chooses what happens next (retry, pause,
//! dead letter, reconnect) from the case alone, so choosing the right one is most of a connector's
//! correctness.
//!
//! ```
//! use trunnion_sdk::error::Error;
//!
//! let error = Error::invalid_input("/order_id", "must be digits, as in `123`");
//! assert_eq!(error.to_string(), "invalid input `/order_id`: must be digits, as in `123`");
//! ```

use std::{fmt, time::Duration};

/// What connector functions answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The input is wrong; trying again cannot help.
    InvalidInput {
        /// The input field at fault, as a JSON pointer; empty for the whole input.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The vendor no longer accepts the credential; the user has to reconnect.
    AuthExpired(String),
    /// The vendor asks to slow down.
    RateLimited {
        /// How long to wait, where the vendor said so.
        retry_after: Option<Duration>,
    },
    /// The thing the call names does not exist at the vendor.
    NotFound(String),
    /// The vendor holds a state that contradicts the call.
    Conflict(String),
    /// The vendor refuses this request; trying again cannot help.
    Rejected {
        /// The vendor's HTTP status, 0 where there was none.
        status: u16,
        /// What the vendor said.
        message: String,
    },
    /// The vendor cannot be reached or is failing, and nothing was done: safe to try again.
    Unavailable(String),
    /// The request may or may not have been carried out.
    Uncertain(String),
    /// Anything else.
    Other {
        /// A stable code in lower case with hyphens.
        code: String,
        /// What happened and what to do.
        message: String,
    },
}

impl Error {
    /// The input field `field` (a JSON pointer) is wrong.
    #[must_use]
    pub fn invalid_input(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidInput { field: field.into(), message: message.into() }
    }

    /// The vendor refuses the request.
    #[must_use]
    pub fn rejected(status: u16, message: impl Into<String>) -> Self {
        Self::Rejected { status, message: message.into() }
    }

    /// Anything the other cases do not say.
    #[must_use]
    pub fn other(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Other { code: code.into(), message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput { field, message } if field.is_empty() => {
                write!(f, "invalid input: {message}")
            }
            Self::InvalidInput { field, message } => write!(f, "invalid input `{field}`: {message}"),
            Self::AuthExpired(message) => write!(f, "the credential is not accepted: {message}"),
            Self::RateLimited { retry_after: Some(wait) } => {
                write!(f, "rate limited; asked to wait {} ms", wait.as_millis())
            }
            Self::RateLimited { retry_after: None } => f.write_str("rate limited"),
            Self::NotFound(message) => write!(f, "not found: {message}"),
            Self::Conflict(message) => write!(f, "conflict: {message}"),
            Self::Rejected { status, message } => write!(f, "rejected (HTTP {status}): {message}"),
            Self::Unavailable(message) => write!(f, "unavailable: {message}"),
            Self::Uncertain(message) => write!(f, "outcome uncertain: {message}"),
            Self::Other { code, message } => write!(f, "{code}: {message}"),
        }
    }
}

impl std::error::Error for Error {}
