//! A connector: one function per export of the contract.
//!
//! Owns the words in which the host calls a connector, and [`Guest`], which answers them: a loaded component
//! (`loaded`), or a stand-in where calls are simulated. Calls that come from outside the host always get a
//! fresh instance, whatever the caller asked for.

mod loaded;

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use trunnion_core::{call::CallError, manifest::Manifest, records::Digest};

pub(crate) use self::loaded::Loaded;
use crate::{
    answer::{Answer, Failed},
    call::{
        Account, Call, Choices, Delivery, Freshness, Health, LookupQuery, Occurrence, Outcome, Page, Poll,
        Polled, Reconciled, Reply, Target,
    },
};

/// A call that is under way.
pub type Answering<'a, T> = BoxFuture<'a, Result<Answer<T>, Failed>>;

/// What answers a connector's calls: one function per export of the contract, as [`Connector`] describes them.
pub trait Guest: fmt::Debug + Send + Sync + 'static {
    /// See [`Connector::run_outcome`].
    fn run<'a>(&'a self, call: Call, input: &'a str) -> Answering<'a, Outcome>;

    /// See [`Connector::run_batch`].
    fn run_batch<'a>(
        &'a self,
        call: Call,
        items: &'a [String],
    ) -> Answering<'a, Vec<Result<String, CallError>>>;

    /// See [`Connector::page`].
    fn page<'a>(&'a self, call: Call, input: &'a str, cursor: Option<&'a str>) -> Answering<'a, Page>;

    /// See [`Connector::reconcile`].
    fn reconcile<'a>(&'a self, call: Call, input: &'a str, key: &'a str) -> Answering<'a, Reconciled>;

    /// See [`Connector::subscribe`].
    fn subscribe<'a>(&'a self, call: Call, target: &'a Target) -> Answering<'a, String>;

    /// See [`Connector::unsubscribe`].
    fn unsubscribe<'a>(&'a self, call: Call, state: &'a str) -> Answering<'a, ()>;

    /// See [`Connector::check_subscription`].
    fn check_subscription<'a>(
        &'a self,
        call: Call,
        target: &'a Target,
        state: &'a str,
    ) -> Answering<'a, (Health, String)>;

    /// See [`Connector::parse`].
    fn parse(&self, call: Call, delivery: Delivery) -> Answering<'_, Vec<Occurrence>>;

    /// See [`Connector::handshake`].
    fn handshake(&self, call: Call, delivery: Delivery) -> Answering<'_, Option<Reply>>;

    /// See [`Connector::poll`].
    fn poll<'a>(&'a self, call: Call, poll: Poll<'a>) -> Answering<'a, Polled>;

    /// See [`Connector::check_connection`].
    fn check_connection(&self, call: Call) -> Answering<'_, Account>;

    /// See [`Connector::options`].
    fn options<'a>(&'a self, call: Call, query: &'a LookupQuery) -> Answering<'a, Choices>;

    /// See [`Connector::schema`].
    fn schema<'a>(&'a self, call: Call, action: &'a str, values: &'a str) -> Answering<'a, String>;
}

/// A connector that passed every check. Cheap to clone; calls in flight keep it alive.
#[derive(Clone)]
pub struct Connector {
    known: Arc<Known>,
}

struct Known {
    manifest: Arc<Manifest>,
    digest: Digest,
    imports: Vec<String>,
    guest: Box<dyn Guest>,
}

impl Connector {
    /// The connector whose calls `guest` answers.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>, digest: Digest, imports: Vec<String>, guest: impl Guest) -> Self {
        Self { known: Arc::new(Known { manifest, digest, imports, guest: Box::new(guest) }) }
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.known.manifest
    }

    /// The component's digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.known.digest
    }

    /// What it imports: interfaces of the contract and of WASI, with their version.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.known.imports
    }

    fn guest(&self) -> &dyn Guest {
        self.known.guest.as_ref()
    }

    /// Carries out the action `call.name`. The output is JSON text as the guest wrote it, not yet parsed.
    pub async fn run_action(&self, call: Call, input: &str) -> Result<Answer<String>, Failed> {
        self.run_outcome(call, input).await.map(|answer| answer.map(|outcome| outcome.output))
    }

    /// Carries out the action `call.name`; with the texts of later contract versions.
    pub async fn run_outcome(&self, call: Call, input: &str) -> Result<Answer<Outcome>, Failed> {
        self.guest().run(call, input).await
    }

    /// Carries out the action `call.name` for each item; answers in the order of the items.
    pub async fn run_batch(
        &self,
        call: Call,
        items: &[String],
    ) -> Result<Answer<Vec<Result<String, CallError>>>, Failed> {
        self.guest().run_batch(call, items).await
    }

    /// One page of the listing `call.name`, from `cursor` (absent: the first).
    pub async fn page(&self, call: Call, input: &str, cursor: Option<&str>) -> Result<Answer<Page>, Failed> {
        self.guest().page(call, input, cursor).await
    }

    /// What became of `call` with this input and idempotency key.
    pub async fn reconcile(&self, call: Call, input: &str, key: &str) -> Result<Answer<Reconciled>, Failed> {
        self.guest().reconcile(call, input, key).await
    }

    /// Registers at the vendor; answers the connector's own state of the subscription, JSON text.
    pub async fn subscribe(&self, call: Call, target: &Target) -> Result<Answer<String>, Failed> {
        self.guest().subscribe(call, target).await
    }

    /// Ends a subscription at the vendor.
    pub async fn unsubscribe(&self, call: Call, state: &str) -> Result<Answer<()>, Failed> {
        self.guest().unsubscribe(call, state).await
    }

    /// Looks after a subscription; answers its new state, JSON text.
    pub async fn check_subscription(
        &self,
        call: Call,
        target: &Target,
        state: &str,
    ) -> Result<Answer<(Health, String)>, Failed> {
        self.guest().check_subscription(call, target, state).await
    }

    /// Turns a verified delivery into occurrences. Always in a fresh instance: deliveries come from outside.
    pub async fn parse(&self, call: Call, delivery: Delivery) -> Result<Answer<Vec<Occurrence>>, Failed> {
        self.guest().parse(Call { instance: Freshness::Fresh, ..call }, delivery).await
    }

    /// Answers a delivery that the vendor wants answered at once. Always in a fresh instance.
    pub async fn handshake(&self, call: Call, delivery: Delivery) -> Result<Answer<Option<Reply>>, Failed> {
        self.guest().handshake(Call { instance: Freshness::Fresh, ..call }, delivery).await
    }

    /// One page of what there is from `poll.cursor` on (absent: from now on).
    pub async fn poll(&self, call: Call, poll: Poll<'_>) -> Result<Answer<Polled>, Failed> {
        self.guest().poll(call, poll).await
    }

    /// Whether the credential works, and whose it is.
    pub async fn check_connection(&self, call: Call) -> Result<Answer<Account>, Failed> {
        self.guest().check_connection(call).await
    }

    /// Choices for the field whose lookup is `call.name`.
    pub async fn options(&self, call: Call, query: &LookupQuery) -> Result<Answer<Choices>, Failed> {
        self.guest().options(call, query).await
    }

    /// The JSON Schema of an action's input in this account, given values already chosen.
    pub async fn schema(&self, call: Call, action: &str, values: &str) -> Result<Answer<String>, Failed> {
        self.guest().schema(call, action, values).await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("app", &self.known.manifest.id)
            .field("version", &self.known.manifest.version)
            .field("digest", &self.known.digest)
            .finish_non_exhaustive()
    }
}
