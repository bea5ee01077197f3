//! The worker: takes work from the queue, a bounded number of pieces at once, and hands it to whoever does it.
//!
//! A piece that fails because the host itself could not work comes back after a pause, also after a panic, which ends
//! one piece, never the worker. How many pieces there are at once, and whose, is the queue's to say. At start,
//! everything that an earlier process left is taken up.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trunnion_core::{
    machine::{Status, UNTIL_WOKEN, Waits},
    records::{EventSource, LineKey},
    scope::Scope,
};
use trunnion_store::{
    Entry,
    tables::{Callbacks as CallbacksTable, Deliveries, HeldKeys, LiveRuns, Notices, StreamDestinations},
};

use super::{
    execute::Executor,
    queue::{CALLBACKS, Lane, NOTICES, Queue, Turn, Work, likely_lane},
};
use crate::{
    context::Context,
    error::Result,
    guard::unless_it_panics,
    outbox::{self, Postman},
    streams::batches::{self, Batches},
    triggers::{parse::Parser, request::Callbacks},
};

/// How long a piece rests after the host itself could not work on it.
const REST: Duration = Duration::from_secs(5);

/// Does the work.
#[derive(Clone, Debug)]
pub struct Worker {
    context: Context,
    queue: Arc<Queue>,
    hands: Hands,
}

/// Those who do the work.
#[derive(Clone, Debug)]
pub struct Hands {
    /// Drives runs.
    pub executor: Executor,
    /// Parses deliveries.
    pub parser: Parser,
    /// Sends answers that nobody waited for.
    pub callbacks: Callbacks,
    /// Tells the ISV of what happened.
    pub postman: Postman,
    /// Sends what several runs gave.
    pub batches: Batches,
}

impl Worker {
    /// Works on what `queue` gives.
    #[must_use]
    pub const fn new(context: Context, queue: Arc<Queue>, hands: Hands) -> Self {
        Self { context, queue, hands }
    }

    /// Takes up what earlier processes left; before the host says that it is ready.
    pub async fn recover(&self) -> Result<usize> {
        let mut found = 0;
        let (now, exclusive) = (self.context.now(), self.context.store.exclusive());
        let deliveries = |scope: Option<Scope>, entry: Entry<Deliveries>| {
            let Some(scope) = scope else { return };
            let delivery = entry.record;
            // A store that only one process has open holds no living lease of anybody else.
            let due = if exclusive { now } else { delivery.not_before };
            self.queue.push_at(due, Work::DeliveryDue { scope, id: delivery.id, user: delivery.user });
            found += 1;
        };
        self.context.store.each::<Deliveries>(deliveries).await?;
        let held = |scope: Option<Scope>, entry: Entry<HeldKeys>| {
            let Some(scope) = scope else { return };
            let (installation, key, order) = entry.key;
            self.queue.hold_line(scope, (installation, LineKey(key), order), entry.record.run);
        };
        self.context.store.each::<HeldKeys>(held).await?;
        let mut called = Vec::new();
        let mut waiting = Vec::new();
        let live = |scope: Option<Scope>, entry: Entry<LiveRuns>| {
            let Some(scope) = scope else { return };
            let run = entry.record;
            if let EventSource::Call { run: caller, .. } = run.source {
                called.push((scope, run.id, caller));
            }
            let leased = matches!(run.state.status, Status::Leased { .. });
            let due = match run.state.due() {
                // What it waits for may have come while nobody was there to wake it.
                Some(due) if due == UNTIL_WOKEN => now,
                Some(due) if !leased || !exclusive => due,
                _ => now,
            };
            self.queue.restore(scope, &run, due);
            if let Some(waits @ Waits::Connection { .. }) = run.state.waits {
                waiting.push((scope, (run.id, run.user), waits));
            }
            found += 1;
        };
        self.context.store.each::<LiveRuns>(live).await?;
        for (scope, run, waits) in waiting {
            self.hands.executor.wait_for_mending(scope, run, Some(waits)).await?;
        }
        // Only now is it known who stands before whom.
        self.queue.advance();
        let owed = |scope: Option<Scope>, entry: Entry<CallbacksTable>| {
            let Some(scope) = scope else { return };
            let work = Work::CallbackDue { scope, run: entry.key, user: entry.record.user };
            self.queue.push_at_to(entry.record.not_before, CALLBACKS, work);
            found += 1;
        };
        self.context.store.each::<CallbacksTable>(owed).await?;
        let untold = |scope: Option<Scope>, entry: Entry<Notices>| {
            let Some(scope) = scope else { return };
            let work = outbox::due(scope, entry.key, &entry.record);
            self.queue.push_at_to(entry.record.not_before, NOTICES, work);
            found += 1;
        };
        self.context.store.each::<Notices>(untold).await?;
        // Whatever waits there, or is under way: there are few destinations.
        let gathering = |scope: Option<Scope>, entry: Entry<StreamDestinations>| {
            let Some(scope) = scope else { return };
            self.queue.push(batches::due(scope, Arc::from(entry.key)));
        };
        self.context.store.each::<StreamDestinations>(gathering).await?;
        for (scope, id, caller) in called {
            self.hands.executor.cancel_abandoned(&scope, id, caller).await?;
        }
        Ok(found)
    }

    /// Works until `shutdown`, then lets what is under way end.
    pub async fn run(self, shutdown: CancellationToken) {
        let worker = Arc::new(self);
        let tasks = TaskTracker::new();
        loop {
            let (work, turn) = tokio::select! {
                // A stop comes first: what is ready then is given back, not begun.
                biased;
                () = shutdown.cancelled() => break,
                next = worker.queue.next() => next,
            };
            let worker = Arc::clone(&worker);
            tasks.spawn(async move { worker.work(work, turn).await });
        }
        tasks.close();
        tasks.wait().await;
        let left = worker.queue.drain().into_iter();
        let mut left: Vec<_> = left
            .filter_map(|work| match work {
                Work::Held(held) => Some(held),
                _ => None,
            })
            .collect();
        // The oldest first, should there not be time for all.
        left.sort_unstable_by_key(|held| held.run.id);
        for held in left {
            if let Err(error) = Box::pin(worker.hands.executor.release(*held)).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a lease could not be given back; the next start takes the run up"
                );
            }
        }
    }

    async fn work(&self, work: Work, mut turn: Turn) {
        let again = again(&work);
        match unless_it_panics(Box::pin(self.begin(work, &mut turn))).await {
            Some(Ok(())) => return,
            Some(Err(error)) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "a piece of work could not go on; it will be taken up again"
            ),
            None => tracing::error!("a piece of work panicked; it will be taken up again"),
        }
        let (lane, again) = again;
        self.queue.push_at_to(self.context.now() + REST, lane, again);
    }

    async fn begin(&self, work: Work, turn: &mut Turn) -> Result<()> {
        match work {
            Work::Held(held) => self.hands.executor.drive(*held, turn).await,
            Work::RunDue { scope, id, .. } => self.hands.executor.resume(scope, id, turn).await,
            Work::Delivery { scope, delivery, version } => {
                self.hands.parser.take_up(scope, *delivery, version).await
            }
            Work::DeliveryDue { scope, id, .. } => self.hands.parser.resume(scope, id).await,
            Work::CallbackDue { scope, run, .. } => self.hands.callbacks.deliver(scope, run).await,
            Work::NoticeDue { scope, id, .. } => self.hands.postman.deliver(scope, id).await,
            Work::BatchDue { scope, stream } => self.hands.batches.look_after(scope, stream).await,
        }
    }
}

/// The same work once more, should it not go on this time.
fn again(work: &Work) -> (Lane, Work) {
    match work {
        Work::Held(held) => {
            let due = Work::RunDue { scope: held.scope, id: held.run.id, user: held.run.user };
            (likely_lane(&held.run), due)
        }
        Work::RunDue { scope, id, user } => {
            (Lane::Open, Work::RunDue { scope: *scope, id: *id, user: *user })
        }
        Work::Delivery { scope, delivery, .. } => {
            (Lane::Open, Work::DeliveryDue { scope: *scope, id: delivery.id, user: delivery.user })
        }
        Work::DeliveryDue { scope, id, user } => {
            (Lane::Open, Work::DeliveryDue { scope: *scope, id: *id, user: *user })
        }
        Work::CallbackDue { scope, run, user } => {
            (CALLBACKS, Work::CallbackDue { scope: *scope, run: *run, user: *user })
        }
        Work::NoticeDue { scope, id, user } => {
            (NOTICES, Work::NoticeDue { scope: *scope, id: *id, user: *user })
        }
        Work::BatchDue { scope, stream } => (NOTICES, batches::due(*scope, Arc::clone(stream))),
    }
}
