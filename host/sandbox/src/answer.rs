//! What comes back from a call, whatever became of it: the value or the error, and what the guest did.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunnion_core::call::CallError;
pub use trunnion_core::records::LogLevel;

/// A call that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the connector answered.
    pub value: T,
    /// Lines the guest wrote, in order.
    pub log: Vec<LogLine>,
    /// What was exchanged with vendors, in order.
    pub exchanges: Vec<Exchange>,
    /// What the guest learnt about the vendor's rate limits, in order.
    pub observations: Vec<Observation>,
    /// CPU time inside the guest.
    pub cpu: Duration,
}

/// A call that did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// Why; what happens next follows from its case alone.
    pub error: CallError,
    /// Lines the guest wrote, in order.
    pub log: Vec<LogLine>,
    /// What was exchanged with vendors, in order.
    pub exchanges: Vec<Exchange>,
    /// What the guest learnt about the vendor's rate limits, in order.
    pub observations: Vec<Observation>,
    /// CPU time inside the guest.
    pub cpu: Duration,
}

impl<T> Answer<T> {
    /// The same account of the call with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: change(self.value),
            log: self.log,
            exchanges: self.exchanges,
            observations: self.observations,
            cpu: self.cpu,
        }
    }
}

/// A line the guest wrote. Known secrets are removed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The text.
    pub message: String,
}

/// One request to a vendor. Holds no query, header or body, and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// The host the connector named.
    pub host: String,
    /// The path as the connector wrote it, secrets as references.
    pub path: String,
    /// The vendor's status; absent where there was no answer.
    pub status: Option<u16>,
    /// Why there was none, and the remedy.
    pub problem: Option<String>,
    /// From authorisation to the whole answer, milliseconds.
    pub duration_ms: u64,
}

/// What a vendor said about one of its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The manifest's bucket.
    pub bucket: String,
    /// What is left in it.
    pub remaining: u64,
    /// Milliseconds until it is full again.
    pub reset_ms: u64,
}
