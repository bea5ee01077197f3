//! A panic ends one attempt at one piece of work: nothing stays under way because of it, and everything is tried again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use trunnion::{config::Config, runs::Work, server::wire};
use trunnion_core::{
    clock::{ManualClock, Timestamp},
    id::{InstallationId, RunId, UserId},
};
use trunnion_sandbox::{
    Outbound,
    broker::{Post, Posted, SendError},
};
use trunnion_store::{
    KeyRing, Store, Table, Version,
    backend::{Backend, BackendError, RawBatch, RawEntry, RawRecord, RawScan},
    memory::Memory,
    tables::{LiveRuns, Pollers, ScheduleMarks},
};

use crate::bare::{context, id, scope, swaps, until};

/// A store in memory whose first read of one table panics.
#[derive(Debug)]
struct Trapdoor {
    memory: Memory,
    table: u8,
    reads: AtomicUsize,
}

impl Backend for Trapdoor {
    fn commit(&self, batch: RawBatch) -> BoxFuture<'_, Result<Version, BackendError>> {
        self.memory.commit(batch)
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<RawRecord>, BackendError>> {
        Box::pin(async move {
            if key.first() == Some(&self.table) {
                assert!(self.reads.fetch_add(1, Ordering::SeqCst) > 0, "the first read panics");
            }
            self.memory.get(key).await
        })
    }

    fn scan(&self, scan: RawScan) -> BoxFuture<'_, Result<Vec<RawEntry>, BackendError>> {
        self.memory.scan(scan)
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
struct Nowhere;

impl Outbound for Nowhere {
    fn post(&self, _: Post) -> BoxFuture<'_, Result<Posted, SendError>> {
        Box::pin(async { panic!("nothing is to be sent") })
    }
}

/// Has a host look at something of `T`, of which the first look panics; returns once it was looked at again.
async fn looked_at_again<T: Table>() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let trapdoor = Arc::new(Trapdoor { memory: Memory::default(), table: T::ID, reads: AtomicUsize::new(0) });
    let store = Store::new(Arc::<Trapdoor>::clone(&trapdoor), Arc::new(KeyRing::in_memory().unwrap()));
    let context = context(store, Arc::<ManualClock>::clone(&clock), Arc::new(Nowhere));
    let (services, worker) = wire(&Config::default(), context.clone(), swaps(&context));
    let stop = CancellationToken::new();
    let running = [
        tokio::spawn(worker.run(stop.clone())),
        tokio::spawn(services.schedules.clone().run(stop.clone())),
        tokio::spawn(services.pollers.clone().run(stop.clone())),
    ];
    let (user, installation) = (UserId(id(2)), InstallationId(id(3)));
    services.schedules.changed(scope(), user, installation);
    services.pollers.changed(scope(), user, installation);
    services.queue.push(Work::RunDue { scope: scope(), id: RunId(id(4)), user });
    let reads = || trapdoor.reads.load(Ordering::SeqCst);
    until("the look that panics", async || reads() > 0).await;
    // Whoever rests after it does so by the clock.
    until("the next look", async || {
        clock.advance(Duration::from_secs(1));
        reads() > 1
    })
    .await;
    stop.cancel();
    for task in running {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_run_whose_step_panics_is_taken_up_again() {
    looked_at_again::<LiveRuns>().await;
}

#[tokio::test]
async fn a_schedule_that_panics_is_looked_at_again() {
    looked_at_again::<ScheduleMarks>().await;
}

#[tokio::test]
async fn a_poll_that_panics_is_tried_again() {
    looked_at_again::<Pollers>().await;
}
