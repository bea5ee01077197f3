//! What leaves the host on its own account: where operational events and errors go, and what is on its way there. None
//! shows its secrets.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    call::CallError,
    clock::Timestamp,
    definition::EventBlock,
    id::{RunId, UserId, WorkflowId},
    machine::Lease,
};

/// An operational event: something that happened to what the ISV has in the host, told to the ISV.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// A user's connection works: it is new, or was mended.
    #[serde(rename = "connection.connected")]
    ConnectionConnected,
    /// A vendor no longer accepts a connection.
    #[serde(rename = "connection.needs_attention")]
    ConnectionNeedsAttention,
    /// A user's connection was removed.
    #[serde(rename = "connection.removed")]
    ConnectionRemoved,
    /// A user installed a workflow.
    #[serde(rename = "installation.installed")]
    InstallationInstalled,
    /// A user's copy of a workflow has other values or connections.
    #[serde(rename = "installation.updated")]
    InstallationUpdated,
    /// A user's copy of a workflow went to another release.
    #[serde(rename = "installation.upgraded")]
    InstallationUpgraded,
    /// A user's copy of a workflow was removed.
    #[serde(rename = "installation.removed")]
    InstallationRemoved,
    /// Work exhausted its retries.
    #[serde(rename = "dead_letter.created")]
    DeadLetterCreated,
    /// A stream's destination was switched off, since it took nothing.
    #[serde(rename = "stream.disabled")]
    StreamDisabled,
}

/// Where something of the host's own goes in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Outlet {
    /// A stream's destination.
    Stream {
        /// Its name.
        stream: String,
        /// Only events of these types; all, where it names none.
        #[serde(default)]
        types: BTreeSet<EventType>,
    },
    /// An event bus at AWS.
    EventBridge(EventBridge),
}

/// An event bus at AWS, and the key that may put events there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBridge {
    /// In which region, such as `eu-central-1`.
    pub region: String,
    /// The bus, by name or ARN.
    pub event_bus: String,
    /// Each event's `source`.
    pub source: String,
    /// Another endpoint than the region's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: String,
    /// Where the key is a temporary one.
    #[serde(default)]
    pub session_token: Option<String>,
}

impl fmt::Debug for EventBridge {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBridge")
            .field("region", &self.region)
            .field("event_bus", &self.event_bus)
            .finish_non_exhaustive()
    }
}

/// An event or error on its way to the ISV.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Whom it is about; none where it is about nobody.
    #[serde(default)]
    pub user: Option<UserId>,
    /// The stream it goes to; none where it goes to the environment's event bus.
    #[serde(default)]
    pub stream: Option<String>,
    /// What it says.
    pub body: Value,
    /// Where it is an error: what it comes from.
    #[serde(default)]
    pub origin: Option<NoticeOrigin>,
    /// When it happened.
    pub at: Timestamp,
    /// Attempts begun.
    #[serde(default)]
    pub attempts: u32,
    /// Who makes an attempt.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Not before this time.
    pub not_before: Timestamp,
    /// What the last attempt failed with.
    #[serde(default)]
    pub last_error: Option<CallError>,
}

/// What an error comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeOrigin {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The run.
    pub run: RunId,
    /// What starts the workflow.
    pub event: EventBlock,
}
