//! A panic ends one attempt at one piece of work: nothing stays under way because of it, and everything is tried again.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use trunnion::{config::Config, runs::Work, server::wire};
use trunnion_core::{
    clock::{ManualClock, Timestamp},
    id::{InstallationId, RunId, UserId},
};
use trunnion_store::{
    KeyRing, Store, Table,
    tables::{LiveRuns, Pollers, ScheduleMarks},
};

use crate::bare::{Counted, FirstRead, Nowhere, context, id, scope, swaps, until};

/// Has a host look at something of `T`, of which the first look panics; returns once it was looked at again.
async fn looked_at_again<T: Table>() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let counted = Counted::of::<T>(FirstRead::Panics);
    let store = Store::new(Arc::<Counted>::clone(&counted), Arc::new(KeyRing::in_memory().unwrap()));
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
    until("the look that panics", async || counted.reads() > 0).await;
    // Whoever rests after it does so by the clock.
    until("the next look", async || {
        clock.advance(Duration::from_secs(1));
        counted.reads() > 1
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
