//! Calls of the native API that carried an Idempotency-Key, and what they were answered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, id::UserId};

/// A call that is carried out once, however often it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCall {
    /// Whose data the answer shows, where that is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// A keyed hash of what was sent, as hex: tells a repetition from another call.
    pub fingerprint: String,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// What it was answered; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<KeptAnswer>,
}

/// What a call was answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// The headers that tell of the answer.
    pub headers: Vec<(String, String)>,
    /// The body, which is text.
    pub body: String,
}

impl fmt::Debug for KeptAnswer {
    /// Leaves the body out, which may be a new key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}
