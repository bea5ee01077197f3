//! A host without connectors over a store in memory, for tests that look inside it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use trunnion::{
    context::{Capabilities, Context},
    limits::RateLimits,
    registry::{Registry, Swaps},
};
use trunnion_core::{
    clock::{ManualClock, SeededRandom},
    id::{Id, IdSource, WorkspaceId},
    records::Digest,
    scope::{Environment, Scope},
};
use trunnion_sandbox::{Connector, LoadError, Loader, Outbound, Stage};
use trunnion_store::Store;

/// There are no connectors here.
#[derive(Debug)]
struct Nothing;

impl Loader for Nothing {
    fn load<'a>(
        &'a self,
        _: Bytes,
        _: &'a mut (dyn FnMut(Stage) + Send),
    ) -> BoxFuture<'a, Result<Connector, LoadError>> {
        Box::pin(async { Err(LoadError::NotWasm) })
    }

    fn retire(&self, _: &Digest) {}

    fn forget<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn max_component_bytes(&self) -> usize {
        0
    }
}

pub(crate) const fn id(byte: u8) -> Id {
    Id::from_bytes([byte; 12])
}

pub(crate) fn scope() -> Scope {
    Scope::new(WorkspaceId(id(1)), Environment::Development)
}

/// What the services of a host share.
pub(crate) fn context(store: Store, clock: Arc<ManualClock>, broker: Arc<dyn Outbound>) -> Context {
    Context::from(Capabilities {
        store,
        ids: IdSource::new(clock, Arc::new(SeededRandom::new(1))),
        registry: Arc::new(Registry::new(Arc::new(Nothing), PathBuf::new())),
        broker,
        limits: RateLimits::default(),
        public_url: Arc::from("https://trunnion.example"),
    })
}

pub(crate) fn swaps(context: &Context) -> Swaps {
    Swaps::new(Arc::clone(&context.registry), context.store.clone(), context.ids.clone())
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"));
}
