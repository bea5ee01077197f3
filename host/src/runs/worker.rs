//! The worker: takes work from the queue, a bounded number of pieces at once, and hands it to whoever does it.
//!
//! A piece that fails because the host itself could not work comes back after a pause; a panic ends one piece,
//! never the worker. At start, everything that an earlier process left is taken up.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trunnion_core::{id::UserId, scope::Scope};
use trunnion_store::{
    Select,
    tables::{Deliveries, LiveRuns},
};

use super::{
    execute::Executor,
    queue::{Queue, Work},
};
use crate::{context::Context, error::Result, triggers::parse::Parser};

/// How long a piece rests after the host itself could not work on it.
const REST: Duration = Duration::from_secs(5);

/// Does the work.
#[derive(Clone, Debug)]
pub struct Worker {
    context: Context,
    queue: Arc<Queue>,
    executor: Executor,
    parser: Parser,
    concurrency: usize,
}

impl Worker {
    /// Works on at most `concurrency` pieces at once.
    #[must_use]
    pub const fn new(
        context: Context,
        queue: Arc<Queue>,
        executor: Executor,
        parser: Parser,
        concurrency: usize,
    ) -> Self {
        Self { context, queue, executor, parser, concurrency }
    }

    /// Takes up what earlier processes left; before the host says that it is ready.
    pub async fn recover(&self) -> Result<usize> {
        let mut found = 0;
        let now = self.context.now();
        for (scope, entry) in self.context.store.all::<Deliveries>(Select::all()).await? {
            let Some(scope) = scope else { continue };
            let delivery = entry.record;
            // A store that only one process has open holds no living lease of anybody else.
            let due = if self.context.store.exclusive() { now } else { delivery.not_before };
            self.queue.push_at(due, Work::DeliveryDue { scope, id: delivery.id, user: delivery.user });
            found += 1;
        }
        for (scope, entry) in self.context.store.all::<LiveRuns>(Select::all()).await? {
            let Some(scope) = scope else { continue };
            let run = entry.record;
            let leased = matches!(run.state.status, trunnion_core::machine::Status::Leased { .. });
            let due = match run.state.due() {
                Some(due) if !leased || !self.context.store.exclusive() => due,
                _ => now,
            };
            self.queue.push_at(due, Work::RunDue { scope, id: run.id, user: run.user });
            found += 1;
        }
        Ok(found)
    }

    /// Works until `shutdown`, then lets what is under way end.
    pub async fn run(self, shutdown: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let worker = Arc::new(self);
        let tasks = TaskTracker::new();
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&permits).acquire_owned() => permit,
                () = shutdown.cancelled() => break,
            };
            let Ok(permit) = permit else { break };
            let work = tokio::select! {
                work = worker.queue.next() => work,
                () = shutdown.cancelled() => break,
            };
            let worker = Arc::clone(&worker);
            tasks.spawn(async move {
                worker.work(work).await;
                drop(permit);
            });
        }
        tasks.close();
        tasks.wait().await;
        for work in worker.queue.drain() {
            let Work::Held(held) = work else { continue };
            if let Err(error) = Box::pin(worker.executor.release(*held)).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a lease could not be given back; the next start takes the run up"
                );
            }
        }
    }

    async fn work(&self, work: Work) {
        let (again, result) = match work {
            Work::Held(held) => {
                let again = Work::RunDue { scope: held.scope, id: held.run.id, user: held.run.user };
                (again, Box::pin(self.executor.drive(*held)).await)
            }
            Work::RunDue { scope, id, user } => {
                (Work::RunDue { scope, id, user }, Box::pin(self.executor.resume(scope, id)).await)
            }
            Work::Delivery { scope, delivery, version } => {
                let again = due_delivery(scope, &delivery.id, delivery.user);
                (again, Box::pin(self.parser.parse(scope, *delivery, version)).await)
            }
            Work::DeliveryDue { scope, id, user } => {
                (due_delivery(scope, &id, user), Box::pin(self.parser.resume(scope, id)).await)
            }
        };
        if let Err(error) = result {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a piece of work could not go on; it will be taken up again"
            );
            self.queue.push_at(self.context.now() + REST, again);
        }
    }
}

const fn due_delivery(scope: Scope, id: &trunnion_core::id::DeliveryId, user: UserId) -> Work {
    Work::DeliveryDue { scope, id: *id, user }
}
