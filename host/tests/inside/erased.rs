//! What an erased user left is not tried again and again.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use trunnion::{config::Config, runs::Work, server::wire};
use trunnion_core::{
    clock::{ManualClock, Timestamp},
    id::{RunId, UserId},
    machine::RunState,
};
use trunnion_store::{Batch, KeyOwner, KeyRing, Store, tables::LiveRuns};

use crate::bare::{Counted, FirstRead, Nowhere, context, id, run, scope, swaps, until};

#[tokio::test]
async fn a_run_of_an_erased_user_is_looked_at_once() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let counted = Counted::of::<LiveRuns>(FirstRead::Answered);
    let store = Store::new(Arc::<Counted>::clone(&counted), Arc::new(KeyRing::in_memory().unwrap()));
    let user = UserId(id(2));
    store.keys().create(KeyOwner::User(scope(), user)).await.unwrap();
    let mut batch = Batch::new();
    let left = run(10, RunState::queued(Timestamp::ZERO));
    batch.insert::<LiveRuns>(&scope(), &left.id, &left);
    store.commit(batch).await.unwrap();
    store.keys().destroy(KeyOwner::User(scope(), user)).await.unwrap();

    let context = context(store, Arc::<ManualClock>::clone(&clock), Arc::new(Nowhere));
    let (services, worker) = wire(&Config::default(), context.clone(), swaps(&context));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker.run(stop.clone()));
    let queue = &services.queue;
    let idle = async || queue.waiting().count == 0 && queue.busy() == 0;
    queue.push(Work::RunDue { scope: scope(), id: left.id, user });
    until("the look", async || counted.reads() == 1 && idle().await).await;
    clock.advance(Duration::from_secs(3_600));
    // Whatever was put off comes no later than this one, which is of nobody.
    queue.push(Work::RunDue { scope: scope(), id: RunId(id(11)), user });
    until("the other look", async || counted.reads() >= 2 && idle().await).await;
    assert_eq!(counted.reads(), 2);
    stop.cancel();
    worker.await.unwrap();
}
