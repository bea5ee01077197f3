//! Outlets: where an environment's operational events and errors go.
//!
//! An outlet names a stream of the environment, so that URL, secret, signatures and their rotation have one owner; or it
//! is an event bus at AWS, whose key is sealed under the environment's.

use std::collections::BTreeSet;

use trunnion_core::{
    records::{EventBridge, EventType, Outlet},
    scope::Scope,
};
use trunnion_store::{
    Batch, Select,
    tables::{Outlets as Table, StreamDestinations},
};
use url::Url;

use crate::{
    context::Context,
    error::{Error, Result},
};

/// The outlet of operational events.
pub const EVENTS: &str = "events";
/// The outlet of runs' errors, as Alloy streams them.
pub const ERRORS: &str = "errors";
/// The event bus that runs' errors are put on.
pub const EVENT_BRIDGE: &str = "event-bridge";

/// Sets and shows outlets.
#[derive(Clone, Debug)]
pub struct Outlets {
    context: Context,
}

/// An environment's outlets.
#[derive(Clone, Debug, Default)]
pub struct All {
    /// The stream of events, and of which types; of all where none is named.
    pub events: Option<(String, BTreeSet<EventType>)>,
    /// The stream of errors.
    pub errors: Option<String>,
    /// The event bus of errors.
    pub event_bridge: Option<EventBridge>,
}

impl Outlets {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Has events of these types, or of all where none is named, go to a stream.
    pub async fn events_to(&self, scope: &Scope, stream: String, types: BTreeSet<EventType>) -> Result<()> {
        self.known(scope, &stream).await?;
        self.keep(scope, EVENTS, &Outlet::Stream { stream, types }).await
    }

    /// Has runs' errors go to a stream.
    pub async fn errors_to(&self, scope: &Scope, stream: String) -> Result<()> {
        self.known(scope, &stream).await?;
        self.keep(scope, ERRORS, &Outlet::Stream { stream, types: BTreeSet::new() }).await
    }

    /// Has runs' errors go to an event bus.
    pub async fn event_bridge_to(&self, scope: &Scope, bridge: EventBridge) -> Result<()> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let region = &bridge.region;
        if region.is_empty() || region.len() > 32 || !region.chars().all(fits) {
            let message = format!("`region` is one of AWS, such as `eu-central-1`, not `{region}`");
            return Err(Error::invalid("outlet-invalid", message));
        }
        let texts = [
            ("event_bus", &bridge.event_bus),
            ("source", &bridge.source),
            ("access_key_id", &bridge.access_key_id),
            ("secret_access_key", &bridge.secret_access_key),
        ];
        if let Some((name, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
            let message = format!("`{name}` is empty; give what AWS shows");
            return Err(Error::invalid("outlet-invalid", message));
        }
        if let Some(endpoint) = &bridge.endpoint {
            let parsed = Url::parse(endpoint).ok().filter(|url| {
                matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.query().is_none()
            });
            if parsed.is_none() {
                let message =
                    format!("`endpoint` is an absolute https URL without user or query, not `{endpoint}`");
                return Err(Error::invalid("outlet-invalid", message));
            }
        }
        self.keep(scope, EVENT_BRIDGE, &Outlet::EventBridge(bridge)).await
    }

    /// Closes an outlet. What is on its way already still goes.
    pub async fn close(&self, scope: &Scope, name: &str) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete::<Table>(scope, &name.to_owned());
        self.context.store.commit(batch).await.map(drop).map_err(Error::Commit)
    }

    /// All of them.
    pub async fn all(&self, scope: &Scope) -> Result<All> {
        let mut all = All::default();
        for entry in self.context.store.list::<Table>(scope, Select::all()).await? {
            match entry.record {
                Outlet::Stream { stream, types } if entry.key == EVENTS => all.events = Some((stream, types)),
                Outlet::Stream { stream, .. } => all.errors = Some(stream),
                Outlet::EventBridge(bridge) => all.event_bridge = Some(bridge),
            }
        }
        Ok(all)
    }

    async fn known(&self, scope: &Scope, stream: &String) -> Result<()> {
        if self.context.store.recall::<StreamDestinations>(scope, stream).await?.is_some() {
            return Ok(());
        }
        let message = format!("there is no stream `{stream}` here; make it with PUT /v1/streams/{stream}");
        Err(Error::not_found("stream-unknown", message))
    }

    async fn keep(&self, scope: &Scope, name: &str, outlet: &Outlet) -> Result<()> {
        let mut batch = Batch::new();
        batch.put::<Table>(scope, &name.to_owned(), outlet);
        self.context.store.commit(batch).await.map(drop).map_err(Error::Commit)
    }
}
