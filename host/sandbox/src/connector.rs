//! A loaded connector: one function per export of the contract.
//!
//! A call is admitted, gets an instance, runs within its limits, and ends in an [`Answer`] or a [`Failed`]
//! that both tell what the guest did. An instance is used again only after a call that ended well and for
//! its own connection.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use trunnion_core::{call::CallError, manifest::Manifest, records::Digest};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};

use crate::{
    admission,
    answer::{Answer, Failed},
    bindings::{
        exports::trunnion::connector::{actions, connection, lookups, triggers},
        trunnion::connector::types,
    },
    broker::Subject,
    call::{
        Account, Call, Choices, Delivery, Freshness, Health, LookupQuery, Occurrence, Outcome, Page, Polled,
        Reconciled, Reply, Target,
    },
    convert,
    exports::{Answered, Exports},
    sandbox::Inner,
    state::{OnBehalf, State},
    warm::{Load, Owner, Running},
};

/// A connector that passed every check. Cheap to clone; calls in flight keep it alive.
#[derive(Clone)]
pub struct Connector {
    loaded: Arc<Loaded>,
}

struct Loaded {
    sandbox: Arc<Inner>,
    pre: InstancePre<State>,
    exports: Exports,
    subject: Arc<Subject>,
    name: String,
    digest: Digest,
    load: Load,
    imports: Vec<String>,
    admission: Arc<Semaphore>,
}

impl Connector {
    pub(crate) fn new(
        sandbox: Arc<Inner>,
        pre: InstancePre<State>,
        exports: Exports,
        subject: Subject,
        digest: Digest,
        imports: Vec<String>,
    ) -> Self {
        let limit = usize::try_from(sandbox.shared.options.max_calls_per_connector).unwrap_or(usize::MAX);
        let name = subject.name();
        let admission = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        let subject = Arc::new(subject);
        let load = sandbox.warm.load();
        let loaded = Loaded { sandbox, pre, exports, subject, name, digest, load, imports, admission };
        Self { loaded: Arc::new(loaded) }
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        self.loaded.subject.manifest()
    }

    /// The component's digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.loaded.digest
    }

    /// What it imports: interfaces of the contract, with their version.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.loaded.imports
    }

    /// Carries out the action `call.name`. The output is JSON text as the guest wrote it, not yet parsed.
    pub async fn run_action(&self, call: Call, input: &str) -> Result<Answer<String>, Failed> {
        self.run_outcome(call, input).await.map(|answer| answer.map(|outcome| outcome.output))
    }

    /// Carries out the action `call.name`; with the texts of later contract versions.
    pub async fn run_outcome(&self, call: Call, input: &str) -> Result<Answer<Outcome>, Failed> {
        let exports = &self.loaded.exports;
        self.invoke(
            call,
            &exports.run,
            |call| (call, input),
            |(answer,): Answered<types::Outcome>| answer.map(convert::outcome).map_err(convert::error),
        )
        .await
    }

    /// Carries out the action `call.name` for each item; answers in the order of the items.
    pub async fn run_batch(
        &self,
        call: Call,
        items: &[String],
    ) -> Result<Answer<Vec<Result<String, CallError>>>, Failed> {
        let expected = items.len();
        type Items = Answered<Vec<Result<types::Outcome, types::Error>>>;
        self.invoke(call, &self.loaded.exports.run_batch, |call| (call, items), |(answer,): Items| {
            let answers = answer.map_err(convert::error)?;
            if answers.len() != expected {
                return Err(CallError::Uncertain {
                    message: format!("`run-batch` gave {} answers to {expected} items; which ones were done is not known", answers.len()),
                });
            }
            Ok(answers.into_iter().map(|item| item.map(|done| done.output).map_err(convert::error)).collect())
        })
        .await
    }

    /// One page of the listing `call.name`, from `cursor` (absent: the first).
    pub async fn page(&self, call: Call, input: &str, cursor: Option<&str>) -> Result<Answer<Page>, Failed> {
        self.invoke(
            call,
            &self.loaded.exports.page,
            |call| (call, input, cursor),
            |(answer,): Answered<actions::Listing>| answer.map(convert::page).map_err(convert::error),
        )
        .await
    }

    /// What became of `call` with this input and idempotency key.
    pub async fn reconcile(&self, call: Call, input: &str, key: &str) -> Result<Answer<Reconciled>, Failed> {
        self.invoke(
            call,
            &self.loaded.exports.reconcile,
            |call| (call, input, key),
            |(answer,): Answered<actions::Reconciled>| {
                answer.map(convert::reconciled).map_err(convert::error)
            },
        )
        .await
    }

    /// Registers at the vendor; answers the connector's own state of the subscription, JSON text.
    pub async fn subscribe(&self, call: Call, target: &Target) -> Result<Answer<String>, Failed> {
        let target = convert::target(target);
        self.invoke(
            call,
            &self.loaded.exports.subscribe,
            |call| (call, target),
            |(answer,): Answered<String>| answer.map_err(convert::error),
        )
        .await
    }

    /// Ends a subscription at the vendor.
    pub async fn unsubscribe(&self, call: Call, state: &str) -> Result<Answer<()>, Failed> {
        self.invoke(
            call,
            &self.loaded.exports.unsubscribe,
            |call| (call, state),
            |(answer,): Answered<()>| answer.map_err(convert::error),
        )
        .await
    }

    /// Looks after a subscription; answers its new state, JSON text.
    pub async fn check_subscription(
        &self,
        call: Call,
        target: &Target,
        state: &str,
    ) -> Result<Answer<(Health, String)>, Failed> {
        let target = convert::target(target);
        self.invoke(
            call,
            &self.loaded.exports.check_subscription,
            |call| (call, target, state),
            |(answer,): Answered<(triggers::Health, String)>| {
                answer.map(convert::health).map_err(convert::error)
            },
        )
        .await
    }

    /// Turns a verified delivery into occurrences. Always in a fresh instance: deliveries come from outside.
    pub async fn parse(&self, call: Call, delivery: Delivery) -> Result<Answer<Vec<Occurrence>>, Failed> {
        let call = Call { instance: Freshness::Fresh, ..call };
        let delivery = convert::delivery(delivery);
        self.invoke(
            call,
            &self.loaded.exports.parse,
            |call| (call, delivery),
            |(answer,): Answered<Vec<types::Occurrence>>| {
                Ok(answer.map_err(convert::error)?.into_iter().map(convert::occurrence).collect())
            },
        )
        .await
    }

    /// Answers a delivery that the vendor wants answered at once. Always in a fresh instance.
    pub async fn handshake(&self, call: Call, delivery: Delivery) -> Result<Answer<Option<Reply>>, Failed> {
        let call = Call { instance: Freshness::Fresh, ..call };
        let delivery = convert::delivery(delivery);
        self.invoke(
            call,
            &self.loaded.exports.handshake,
            |call| (call, delivery),
            |(answer,): Answered<Option<triggers::Reply>>| {
                Ok(answer.map_err(convert::error)?.map(convert::reply))
            },
        )
        .await
    }

    /// New occurrences since `cursor` (absent: from now on).
    pub async fn poll(&self, call: Call, cursor: Option<&str>) -> Result<Answer<Polled>, Failed> {
        self.invoke(
            call,
            &self.loaded.exports.poll,
            |call| (call, cursor),
            |(answer,): Answered<triggers::Page>| answer.map(convert::polled).map_err(convert::error),
        )
        .await
    }

    /// Whether the credential works, and whose it is.
    pub async fn check_connection(&self, call: Call) -> Result<Answer<Account>, Failed> {
        self.invoke(
            call,
            &self.loaded.exports.check_connection,
            |call| (call,),
            |(answer,): Answered<connection::Account>| convert::account(answer.map_err(convert::error)?),
        )
        .await
    }

    /// Choices for the field whose lookup is `call.name`.
    pub async fn options(&self, call: Call, query: &LookupQuery) -> Result<Answer<Choices>, Failed> {
        let query = convert::query(query);
        self.invoke(
            call,
            &self.loaded.exports.options,
            |call| (call, query),
            |(answer,): Answered<lookups::Choices>| answer.map(convert::choices).map_err(convert::error),
        )
        .await
    }

    /// The JSON Schema of an action's input in this account, given values already chosen.
    pub async fn schema(&self, call: Call, action: &str, values: &str) -> Result<Answer<String>, Failed> {
        self.invoke(
            call,
            &self.loaded.exports.schema,
            |call| (call, action, values),
            |(answer,): Answered<String>| answer.map_err(convert::error),
        )
        .await
    }

    async fn invoke<P, R, T>(
        &self,
        call: Call,
        export: &ComponentExportIndex,
        parameters: impl FnOnce(types::Call) -> P,
        value: impl FnOnce(R) -> Result<T, CallError>,
    ) -> Result<Answer<T>, Failed>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let loaded = &*self.loaded;
        let sandbox = &loaded.sandbox;
        let options = &sandbox.shared.options;
        let wall = self.wall_time(&call).map_err(Failed::before)?;
        let wait = options.admission_wait().min(wall);
        let _admitted = admission::admit(&loaded.admission, &sandbox.pool, wait, &loaded.name)
            .await
            .map_err(Failed::before)?;
        let _ticked = sandbox.ticker.tick();

        let owner = Owner::of(&call, &loaded.digest, loaded.load);
        let parameters = parameters(convert::call(&call));
        let mut running = self.instance(owner.as_ref(), wall).await.map_err(Failed::before)?;
        running.calls += 1;
        running
            .store
            .data_mut()
            .begin(Some(OnBehalf { subject: Arc::clone(&loaded.subject), call: Arc::new(call) }));

        let served = Box::pin(async {
            let Running { store, instance, .. } = &mut running;
            store.set_epoch_deadline(1);
            let export = instance.get_typed_func::<P, R>(&mut *store, export)?;
            export.call_async(store, parameters).await
        });
        let served = tokio::time::timeout(wall, served).await;
        let state = running.store.data_mut();
        let (value, keep) = match served {
            Ok(Ok(result)) => (value(result), true),
            Ok(Err(error)) => (Err(state.without_answer(state.epitaph(&error))), false),
            Err(_) => {
                let message = format!(
                    "it took longer than {} ms (`wall_time_ms`, or the caller's deadline)",
                    wall.as_millis()
                );
                (Err(state.without_answer(message)), false)
            }
        };
        let cpu = state.meter.spent();
        let told = state.take_current();
        if let (true, Some(owner)) = (keep, owner) {
            sandbox.warm.put(owner, running, sandbox.shared.clock.now());
        }
        let (log, exchanges, observations) = (told.log, told.exchanges, told.observations);
        match value {
            Ok(value) => Ok(Answer { value, log, exchanges, observations, cpu }),
            Err(error) => Err(Failed { error, log, exchanges, observations, cpu }),
        }
    }

    /// A kept instance of this owner, or a fresh one.
    async fn instance(&self, owner: Option<&Owner>, wall: Duration) -> Result<Running, CallError> {
        let sandbox = &self.loaded.sandbox;
        if let Some(kept) = owner.and_then(|owner| sandbox.warm.take(owner, sandbox.shared.clock.now())) {
            return Ok(kept);
        }
        let fresh = Box::pin(sandbox.instantiate(&self.loaded.pre));
        match tokio::time::timeout(wall, fresh).await {
            Ok(fresh) => fresh.map_err(|message| CallError::Trapped { message }),
            Err(_) => Err(CallError::Trapped {
                message: format!("it did not start within {} ms", wall.as_millis()),
            }),
        }
    }

    /// What is left of the caller's time and the sandbox's own.
    fn wall_time(&self, call: &Call) -> Result<Duration, CallError> {
        let shared = &self.loaded.sandbox.shared;
        let own = shared.options.wall_time();
        let Some(deadline) = call.deadline else { return Ok(own) };
        let left = deadline.since(shared.clock.now());
        if left.is_zero() {
            return Err(CallError::Unavailable {
                message: format!(
                    "the deadline of this call to `{}` had passed before it began",
                    self.loaded.name
                ),
            });
        }
        Ok(left.min(own))
    }
}

impl Failed {
    /// Failed before the guest was entered.
    const fn before(error: CallError) -> Self {
        Self { error, log: Vec::new(), exchanges: Vec::new(), observations: Vec::new(), cpu: Duration::ZERO }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("name", &self.loaded.name)
            .field("digest", &self.loaded.digest)
            .finish_non_exhaustive()
    }
}
