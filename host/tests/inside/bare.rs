//! A host without connectors over a store in memory, for tests that look inside it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::json;
use trunnion::{
    context::{Capabilities, Context},
    limits::RateLimits,
    registry::{Registry, Swaps},
};
use trunnion_core::{
    clock::{ManualClock, SeededRandom, Timestamp},
    id::{Id, IdSource, InstallationId, RunId, UserId, WorkflowId, WorkspaceId},
    machine::RunState,
    records::{Digest, EventSource, LiveRun},
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Connector, LoadError, Loader, Outbound, Stage,
    broker::{Post, Posted, SendError},
};
use trunnion_store::{
    Store, Table, Version,
    backend::{Backend, BackendError, RawBatch, RawEntry, RawRecord, RawScan},
    memory::Memory,
};

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

/// What becomes of the first read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstRead {
    Answered,
    Panics,
}

/// A store in memory that counts how often single records of one table are read, and how many are at once.
#[derive(Debug)]
pub(crate) struct Counted {
    memory: Memory,
    table: u8,
    first: FirstRead,
    reads: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Counted {
    pub(crate) fn of<T: Table>(first: FirstRead) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::default(),
            table: T::ID,
            first,
            reads: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        })
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// The most records that one listing has read.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

impl Backend for Counted {
    fn commit(&self, batch: RawBatch) -> BoxFuture<'_, Result<Version, BackendError>> {
        self.memory.commit(batch)
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<RawRecord>, BackendError>> {
        Box::pin(async move {
            if key.first() == Some(&self.table) {
                let first = self.reads.fetch_add(1, Ordering::SeqCst) == 0;
                assert!(!first || self.first == FirstRead::Answered, "the first read panics");
            }
            self.memory.get(key).await
        })
    }

    fn scan(&self, scan: RawScan) -> BoxFuture<'_, Result<Vec<RawEntry>, BackendError>> {
        Box::pin(async move {
            let listed = scan.from.first() == Some(&self.table);
            let found = self.memory.scan(scan).await?;
            if listed {
                self.most_at_once.fetch_max(found.len(), Ordering::SeqCst);
            }
            Ok(found)
        })
    }

    fn exclusive(&self) -> bool {
        self.memory.exclusive()
    }

    fn writable(&self) -> Result<(), BackendError> {
        self.memory.writable()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        self.memory.close()
    }
}

/// Nothing is sent here.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Outbound for Nowhere {
    fn post(&self, _: Post) -> BoxFuture<'_, Result<Posted, SendError>> {
        Box::pin(async { panic!("nothing is to be sent") })
    }
}

pub(crate) const fn id(byte: u8) -> Id {
    Id::from_bytes([byte; 12])
}

pub(crate) fn scope() -> Scope {
    Scope::new(WorkspaceId(id(1)), Environment::Development)
}

/// A run of user 2 and workflow 4.
pub(crate) fn run(number: u8, state: RunState) -> LiveRun {
    LiveRun {
        id: RunId(id(number)),
        event: id(number).into(),
        source: EventSource::Custom { event: "test".to_owned() },
        trigger: json!({}).into(),
        user: UserId(id(2)),
        installation: InstallationId(id(3)),
        workflow: WorkflowId(id(4)),
        release: 1,
        digests: BTreeMap::new(),
        connections: BTreeMap::new(),
        config: BTreeMap::new(),
        accepted_at: Timestamp::ZERO,
        state,
        line: None,
        replay_of: None,
        replays: Vec::new(),
        log: Vec::new(),
    }
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
