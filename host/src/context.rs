//! What every service is handed: the store, time and chance, the connectors, the way out.

use std::{ops::Deref, sync::Arc};

use trunnion_core::{
    clock::{Clock, Timestamp},
    id::IdSource,
};
use trunnion_sandbox::Outbound;
use trunnion_store::Store;

use crate::{limits::RateLimits, registry::Registry};

/// Shared capabilities: one allocation, however many services hold it.
#[derive(Clone, Debug)]
pub struct Context(Arc<Capabilities>);

/// What a [`Context`] gives.
#[derive(Debug)]
pub struct Capabilities {
    /// Everything durable.
    pub store: Store,
    /// Ids and random bytes.
    pub ids: IdSource,
    /// The connectors.
    pub registry: Arc<Registry>,
    /// Guarded traffic of the host itself: streams.
    pub broker: Arc<dyn Outbound>,
    /// Vendors' rate limits.
    pub limits: RateLimits,
    /// The URL vendors and users reach this host by, without a trailing slash.
    pub public_url: Arc<str>,
}

impl From<Capabilities> for Context {
    fn from(capabilities: Capabilities) -> Self {
        Self(Arc::new(capabilities))
    }
}

impl Deref for Context {
    type Target = Capabilities;

    fn deref(&self) -> &Capabilities {
        &self.0
    }
}

impl Capabilities {
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
