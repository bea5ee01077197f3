//! What every service is handed: the store, time and chance, the connectors, the way out.

use std::sync::Arc;

use trunnion_core::{
    clock::{Clock, Timestamp},
    id::IdSource,
};
use trunnion_sandbox::Broker;
use trunnion_store::Store;

use crate::registry::Registry;

/// Shared capabilities; cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Everything durable.
    pub store: Store,
    /// Ids and random bytes.
    pub ids: IdSource,
    /// The connectors.
    pub registry: Arc<Registry>,
    /// Guarded traffic of the host itself: streams.
    pub broker: Arc<Broker>,
    /// The URL vendors and users reach this host by, without a trailing slash.
    pub public_url: Arc<str>,
}

impl Context {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ids.clock().now()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.ids.clock()
    }
}
