//! Leases live as long as whoever holds them, whatever the clock says; what nobody holds is taken up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use trunnion::{config::Config, runs::Work, server::wire};
use trunnion_core::{
    clock::{ManualClock, Timestamp},
    definition::Definition,
    id::{RunId, UserId, WorkflowId},
    machine::{Begun, LEASE, Lease, Outcome, RunState, Status},
    records::{LiveRun, Signature, StoredRelease, StreamDestination, User},
};
use trunnion_sandbox::{
    Outbound,
    broker::{Post, Posted, SendError},
};
use trunnion_store::{
    Batch, KeyRing, Store,
    memory::Memory,
    tables::{EndedRuns, LiveRuns, Releases, StreamDestinations, Users},
};

use crate::bare::{context, id, run, scope, swaps, until};

/// A receiver that answers when it is let.
#[derive(Debug)]
struct Receiver {
    arrived: AtomicUsize,
    may_answer: Semaphore,
}

impl Outbound for Receiver {
    fn post(&self, _: Post) -> BoxFuture<'_, Result<Posted, SendError>> {
        Box::pin(async {
            self.arrived.fetch_add(1, Ordering::SeqCst);
            self.may_answer.acquire().await.unwrap().forget();
            Ok(Posted {
                status: 200,
                headers: http::HeaderMap::new(),
                body: Bytes::new(),
                duration: Duration::ZERO,
            })
        })
    }
}

/// A store with a user, a workflow that streams, and these runs.
async fn store(runs: &[LiveRun]) -> Store {
    let store = Store::new(Arc::new(Memory::default()), Arc::new(KeyRing::in_memory().unwrap()));
    let (at, mut batch) = (Timestamp::ZERO, Batch::new());
    let user = User {
        id: UserId(id(2)),
        username: "ada".to_owned(),
        full_name: None,
        created_at: at,
        updated_at: at,
    };
    store.keys().create(trunnion_store::keys::KeyOwner::User(scope(), user.id)).await.unwrap();
    batch.insert::<Users>(&scope(), &user.id, &user);
    let definition = json!({
        "name": "Test", "trigger": { "type": "event", "event": "test" },
        "steps": [{ "id": "send", "type": "stream", "destination": "orders", "body": {} }],
    });
    let release = StoredRelease {
        workflow: WorkflowId(id(4)),
        integration: id(5).into(),
        number: 1,
        definition: Definition::parse(&definition).unwrap(),
        released_at: at,
    };
    batch.insert::<Releases>(&scope(), &(release.workflow, 1), &release);
    let destination = StreamDestination {
        name: "orders".to_owned(),
        url: "https://isv.example/orders".to_owned(),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        former: None,
        signatures: Signature::usual(),
        failing_since: None,
        disabled: None,
        batch: None,
        created_at: at,
        updated_at: at,
    };
    batch.insert::<StreamDestinations>(&scope(), &destination.name, &destination);
    for run in runs {
        batch.insert::<LiveRuns>(&scope(), &run.id, run);
    }
    store.commit(batch).await.unwrap();
    store
}

#[tokio::test]
async fn a_step_that_outlasts_its_lease_is_not_taken_from_whoever_performs_it() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let queued = RunState::queued(Timestamp::ZERO);
    // An earlier process died with the lease of the second one: in this store, it is void at once.
    let lease = Lease { holder: "an earlier process".to_owned(), until: Timestamp::from_millis(u64::MAX) };
    let left = RunState {
        status: Status::Leased { lease, begun: Begun::Maybe },
        attempt: 1,
        ..RunState::queued(Timestamp::ZERO)
    };
    let store = store(&[run(10, queued), run(11, left)]).await;
    let receiver = Arc::new(Receiver { arrived: AtomicUsize::new(0), may_answer: Semaphore::new(0) });
    let context =
        context(store.clone(), Arc::<ManualClock>::clone(&clock), Arc::<Receiver>::clone(&receiver));
    let (services, worker) = wire(&Config::default(), context.clone(), swaps(&context));
    assert_eq!(worker.recover().await.unwrap(), 2);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker.run(stop.clone()));
    until("both calls", async || receiver.arrived.load(Ordering::SeqCst) == 2).await;

    clock.advance(LEASE * 3);
    for number in [10, 11] {
        let (id, user) = (RunId(id(number)), UserId(id(2)));
        services.queue.push(Work::RunDue { scope: scope(), id, user });
    }
    until("what is due to be looked at", async || {
        services.queue.waiting().count == 0 && services.queue.busy() == 2
    })
    .await;
    assert_eq!(receiver.arrived.load(Ordering::SeqCst), 2, "both are in somebody's hands");

    receiver.may_answer.add_permits(2);
    for (number, attempts, recoveries) in [(10, 1, 0), (11, 2, 1)] {
        let id = RunId(id(number));
        until("a run's end", async || store.get::<EndedRuns>(&scope(), &id).await.unwrap().is_some()).await;
        let ended = store.get::<EndedRuns>(&scope(), &id).await.unwrap().unwrap().record.state;
        assert!(matches!(ended.status, Status::Ended { outcome: Outcome::Succeeded, .. }), "{ended:?}");
        assert_eq!((ended.results[0].attempts, ended.recoveries), (attempts, recoveries), "{number}");
    }
    assert_eq!(receiver.arrived.load(Ordering::SeqCst), 2);
    stop.cancel();
    worker.await.unwrap();
}
