//! A loaded component: the guest behind a connector.
//!
//! A call is admitted, gets an instance, runs within its limits, and ends in an [`Answer`] or a [`Failed`]
//! that both tell what the guest did. An instance is used again only after a call that ended well and for
//! its own connection.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use trunnion_core::{call::CallError, records::Digest};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};

use super::{Answering, Guest};
use crate::{
    admission,
    answer::{Answer, Failed},
    bindings::{
        exports::trunnion::connector::{actions, connection, lookups, triggers},
        trunnion::connector::types,
    },
    broker::Subject,
    call::{
        Account, Call, Choices, Delivery, Health, LookupQuery, Occurrence, Outcome, Page, Poll, Polled,
        Reconciled, Reply, Target,
    },
    convert,
    exports::{Answered, Exports},
    sandbox::Inner,
    state::{OnBehalf, State},
    warm::{Load, Owner, Running},
};

/// A component that passed every check, ready to be entered.
pub(crate) struct Loaded {
    sandbox: Arc<Inner>,
    pre: InstancePre<State>,
    exports: Exports,
    subject: Arc<Subject>,
    name: String,
    digest: Digest,
    load: Load,
    admission: Arc<Semaphore>,
}

impl Loaded {
    pub(crate) fn new(
        sandbox: Arc<Inner>,
        pre: InstancePre<State>,
        exports: Exports,
        subject: Subject,
        digest: Digest,
    ) -> Self {
        let limit = usize::try_from(sandbox.shared.options.max_calls_per_connector).unwrap_or(usize::MAX);
        let name = subject.name();
        let admission = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        let subject = Arc::new(subject);
        let load = sandbox.warm.load();
        Self { sandbox, pre, exports, subject, name, digest, load, admission }
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
        let sandbox = &self.sandbox;
        let options = &sandbox.shared.options;
        let wall = self.wall_time(&call).map_err(Failed::before)?;
        let wait = options.admission_wait().min(wall);
        let _admitted = admission::admit(&self.admission, &sandbox.pool, wait, &self.name)
            .await
            .map_err(Failed::before)?;
        let _ticked = sandbox.ticker.tick();

        let owner = Owner::of(&call, &self.digest, self.load);
        let parameters = parameters(convert::call(&call));
        let mut running = self.instance(owner.as_ref(), wall).await.map_err(Failed::before)?;
        running.calls += 1;
        running
            .store
            .data_mut()
            .begin(Some(OnBehalf { subject: Arc::clone(&self.subject), call: Arc::new(call) }));

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
        let sandbox = &self.sandbox;
        if let Some(kept) = owner.and_then(|owner| sandbox.warm.take(owner, sandbox.shared.clock.now())) {
            return Ok(kept);
        }
        let fresh = Box::pin(sandbox.instantiate(&self.pre));
        match tokio::time::timeout(wall, fresh).await {
            Ok(fresh) => fresh.map_err(|message| CallError::Trapped { message }),
            Err(_) => Err(CallError::Trapped {
                message: format!("it did not start within {} ms", wall.as_millis()),
            }),
        }
    }

    /// What is left of the caller's time and the sandbox's own.
    fn wall_time(&self, call: &Call) -> Result<Duration, CallError> {
        let shared = &self.sandbox.shared;
        let own = shared.options.wall_time();
        let Some(deadline) = call.deadline else { return Ok(own) };
        let left = deadline.since(shared.clock.now());
        if left.is_zero() {
            return Err(CallError::Unavailable {
                message: format!("the deadline of this call to `{}` had passed before it began", self.name),
            });
        }
        Ok(left.min(own))
    }
}

impl Guest for Loaded {
    fn run<'a>(&'a self, call: Call, input: &'a str) -> Answering<'a, Outcome> {
        Box::pin(self.invoke(
            call,
            &self.exports.run,
            move |call| (call, input),
            |(answer,): Answered<types::Outcome>| answer.map(convert::outcome).map_err(convert::error),
        ))
    }

    fn run_batch<'a>(
        &'a self,
        call: Call,
        items: &'a [String],
    ) -> Answering<'a, Vec<Result<String, CallError>>> {
        let expected = items.len();
        type Items = Answered<Vec<Result<types::Outcome, types::Error>>>;
        Box::pin(self.invoke(call, &self.exports.run_batch, move |call| (call, items), move |(answer,): Items| {
            let answers = answer.map_err(convert::error)?;
            if answers.len() != expected {
                return Err(CallError::Uncertain {
                    message: format!("`run-batch` gave {} answers to {expected} items; which ones were done is not known", answers.len()),
                });
            }
            Ok(answers.into_iter().map(|item| item.map(|done| done.output).map_err(convert::error)).collect())
        }))
    }

    fn page<'a>(&'a self, call: Call, input: &'a str, cursor: Option<&'a str>) -> Answering<'a, Page> {
        Box::pin(self.invoke(
            call,
            &self.exports.page,
            move |call| (call, input, cursor),
            |(answer,): Answered<actions::Listing>| answer.map(convert::page).map_err(convert::error),
        ))
    }

    fn reconcile<'a>(&'a self, call: Call, input: &'a str, key: &'a str) -> Answering<'a, Reconciled> {
        Box::pin(self.invoke(
            call,
            &self.exports.reconcile,
            move |call| (call, input, key),
            |(answer,): Answered<actions::Reconciled>| {
                answer.map(convert::reconciled).map_err(convert::error)
            },
        ))
    }

    fn subscribe<'a>(&'a self, call: Call, target: &'a Target) -> Answering<'a, String> {
        let target = convert::target(target);
        Box::pin(self.invoke(
            call,
            &self.exports.subscribe,
            |call| (call, target),
            |(answer,): Answered<String>| answer.map_err(convert::error),
        ))
    }

    fn unsubscribe<'a>(&'a self, call: Call, state: &'a str) -> Answering<'a, ()> {
        Box::pin(self.invoke(
            call,
            &self.exports.unsubscribe,
            move |call| (call, state),
            |(answer,): Answered<()>| answer.map_err(convert::error),
        ))
    }

    fn check_subscription<'a>(
        &'a self,
        call: Call,
        target: &'a Target,
        state: &'a str,
    ) -> Answering<'a, (Health, String)> {
        let target = convert::target(target);
        Box::pin(self.invoke(
            call,
            &self.exports.check_subscription,
            move |call| (call, target, state),
            |(answer,): Answered<(triggers::Health, String)>| {
                answer.map(convert::health).map_err(convert::error)
            },
        ))
    }

    fn parse(&self, call: Call, delivery: Delivery) -> Answering<'_, Vec<Occurrence>> {
        let delivery = convert::delivery(delivery);
        Box::pin(self.invoke(
            call,
            &self.exports.parse,
            |call| (call, delivery),
            |(answer,): Answered<Vec<types::Occurrence>>| {
                Ok(answer.map_err(convert::error)?.into_iter().map(convert::occurrence).collect())
            },
        ))
    }

    fn handshake(&self, call: Call, delivery: Delivery) -> Answering<'_, Option<Reply>> {
        let delivery = convert::delivery(delivery);
        Box::pin(self.invoke(
            call,
            &self.exports.handshake,
            |call| (call, delivery),
            |(answer,): Answered<Option<triggers::Reply>>| {
                Ok(answer.map_err(convert::error)?.map(convert::reply))
            },
        ))
    }

    fn poll<'a>(&'a self, call: Call, poll: Poll<'a>) -> Answering<'a, Polled> {
        Box::pin(self.invoke(
            call,
            &self.exports.poll,
            move |call| (types::Call { ext: convert::poll(&poll), ..call }, poll.cursor),
            |(answer,): Answered<triggers::Page>| answer.map(convert::polled).map_err(convert::error),
        ))
    }

    fn check_connection(&self, call: Call) -> Answering<'_, Account> {
        Box::pin(self.invoke(
            call,
            &self.exports.check_connection,
            |call| (call,),
            |(answer,): Answered<connection::Account>| convert::account(answer.map_err(convert::error)?),
        ))
    }

    fn options<'a>(&'a self, call: Call, query: &'a LookupQuery) -> Answering<'a, Choices> {
        let query = convert::query(query);
        Box::pin(self.invoke(
            call,
            &self.exports.options,
            |call| (call, query),
            |(answer,): Answered<lookups::Choices>| answer.map(convert::choices).map_err(convert::error),
        ))
    }

    fn schema<'a>(&'a self, call: Call, action: &'a str, values: &'a str) -> Answering<'a, String> {
        Box::pin(self.invoke(
            call,
            &self.exports.schema,
            move |call| (call, action, values),
            |(answer,): Answered<String>| answer.map_err(convert::error),
        ))
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Failed {
    /// Failed before the guest was entered.
    const fn before(error: CallError) -> Self {
        Self { error, log: Vec::new(), exchanges: Vec::new(), observations: Vec::new(), cpu: Duration::ZERO }
    }
}
