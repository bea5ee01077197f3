//! What an environment sets for itself.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What an environment sets for itself, over what the host does otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentSettings {
    /// Days that ended runs with their logs, and dead letters, are kept; as long as the host says where absent.
    #[serde(default)]
    pub log_days: Option<u32>,
    /// When it was last set.
    pub updated_at: Timestamp,
}
