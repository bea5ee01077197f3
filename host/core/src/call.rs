//! What a connector call can fail with: the host's side of the contract's `error`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a call failed. The run machine chooses what happens next from the case alone.
///
/// The same cases as `error` in `wit/connector/v1/types.wit`, and `Trapped`, `Denied` and `Disabled`,
/// which only the host says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallError {
    /// The input is wrong; trying again cannot help.
    #[error("{}{message}", if field.is_empty() { String::new() } else { format!("`{field}`: ") })]
    InvalidInput {
        /// JSON pointer to the input field; empty for the whole input.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// The vendor no longer accepts the credential.
    #[error("the credential is no longer accepted: {message}; reconnect the account")]
    AuthExpired {
        /// What the vendor said.
        message: String,
    },
    /// The vendor asks to slow down.
    #[error("rate limited by the vendor{}", retry_after_ms.map(|ms| format!("; asked to wait {ms} ms")).unwrap_or_default())]
    RateLimited {
        /// Milliseconds to wait, where the vendor said so.
        retry_after_ms: Option<u64>,
    },
    /// What the call names does not exist at the vendor.
    #[error("not found: {message}")]
    NotFound {
        /// What was not found.
        message: String,
    },
    /// The vendor holds a state that contradicts the call.
    #[error("conflict: {message}")]
    Conflict {
        /// What contradicts.
        message: String,
    },
    /// The vendor refuses this request; trying again cannot help.
    #[error("rejected by the vendor (HTTP {status}): {message}")]
    Rejected {
        /// The vendor's HTTP status; 0 where there was none.
        status: u16,
        /// What the vendor said.
        message: String,
    },
    /// The vendor cannot be reached or is failing; nothing was done.
    #[error("unavailable: {message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// The request may or may not have been carried out.
    #[error("outcome uncertain: {message}")]
    Uncertain {
        /// What happened.
        message: String,
    },
    /// The host refused something the connector asked for (egress, size); says what to do.
    #[error("denied by the host: {message}")]
    Denied {
        /// What was refused and the remedy.
        message: String,
    },
    /// The destination was switched off, since nothing there took anything; the work is kept until it is on again.
    #[error("{message}")]
    Disabled {
        /// What was switched off, why, and the remedy.
        message: String,
    },
    /// The connector broke: a trap, a limit passed, an answer that is not what the contract says.
    #[error("the connector failed: {message}")]
    Trapped {
        /// What happened, with the guest's own words where it left any.
        message: String,
    },
    /// Anything else a connector reports.
    #[error("{code}: {message}")]
    Other {
        /// The connector's own code.
        code: String,
        /// What happened.
        message: String,
    },
}

impl CallError {
    /// The case's name, as it stands in logs and records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidInput { .. } => "invalid_input",
            Self::AuthExpired { .. } => "auth_expired",
            Self::RateLimited { .. } => "rate_limited",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Rejected { .. } => "rejected",
            Self::Unavailable { .. } => "unavailable",
            Self::Uncertain { .. } => "uncertain",
            Self::Denied { .. } => "denied",
            Self::Disabled { .. } => "disabled",
            Self::Trapped { .. } => "trapped",
            Self::Other { .. } => "other",
        }
    }

    /// How long the vendor asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after_ms: Some(ms) } => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }
}
