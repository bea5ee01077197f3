//! What the host has.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use trunnion_core::records::Signature;

use crate::client::{Client, Error};

/// Everything that files may speak of.
#[derive(Clone, Debug, Default)]
pub(super) struct Present {
    pub(super) integrations: Vec<Integration>,
    pub(super) events: Vec<Event>,
    pub(super) streams: Vec<Stream>,
    pub(super) workflows: Vec<Workflow>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Integration {
    pub(super) id: String,
    pub(super) app: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) sample: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) signatures: BTreeSet<Signature>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Workflow {
    pub(super) id: String,
    pub(super) integration_id: String,
    /// The draft.
    pub(super) definition: Value,
    pub(super) latest_release: u32,
    /// The newest release's definition.
    #[serde(skip)]
    pub(super) released: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Release {
    number: u32,
    definition: Value,
}

impl Present {
    pub(super) async fn of(client: &Client) -> Result<Self, Error> {
        let mut present = Self {
            integrations: client.list("/v1/integrations").await?,
            events: client.list("/v1/events").await?,
            streams: client.list("/v1/streams").await?,
            workflows: client.list("/v1/workflows").await?,
        };
        for workflow in present.workflows.iter_mut().filter(|workflow| workflow.latest_release > 0) {
            let releases: Vec<Release> =
                client.list(&format!("/v1/workflows/{}/releases", workflow.id)).await?;
            let newest = releases.into_iter().find(|release| release.number == workflow.latest_release);
            workflow.released = newest.map(|release| release.definition);
        }
        Ok(present)
    }
}
