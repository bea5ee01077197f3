//! What waits for a batch is read a few items at a time, however many wait and whoever of theirs was erased.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trunnion::{config::Config, runs::Work, server::wire};
use trunnion_core::{
    clock::{ManualClock, Timestamp},
    id::{Id, UserId},
    records::{BatchItem, BatchRule, Signature, StreamDestination},
};
use trunnion_sandbox::{
    Outbound,
    broker::{Post, Posted, SendError},
};
use trunnion_store::{
    Batch, KeyOwner, KeyRing, Store,
    tables::{BatchItems, StreamDestinations},
};

use crate::bare::{Counted, FirstRead, context, id, scope, swaps, until};

const STAYS: UserId = UserId(id(2));
const GOES: UserId = UserId(id(3));

/// Takes everything and keeps the numbers of the items that it was sent, request by request.
#[derive(Debug, Default)]
struct Taker(Mutex<Vec<Vec<u64>>>);

impl Outbound for Taker {
    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted, SendError>> {
        let items: Vec<Value> = serde_json::from_slice(&post.body).unwrap();
        self.0.lock().unwrap().push(items.iter().map(|item| item["number"].as_u64().unwrap()).collect());
        let headers = http::HeaderMap::new();
        let answer = Posted { status: 200, headers, body: Bytes::new(), duration: Duration::ZERO };
        Box::pin(async { Ok(answer) })
    }
}

#[tokio::test]
async fn a_look_at_what_waits_reads_a_few_items_at_a_time() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let counted = Counted::of::<BatchItems>(FirstRead::Answered);
    let store = Store::new(Arc::<Counted>::clone(&counted), Arc::new(KeyRing::in_memory().unwrap()));
    for user in [STAYS, GOES] {
        store.keys().create(KeyOwner::User(scope(), user)).await.unwrap();
    }
    let at = Timestamp::ZERO;
    let mut batch = Batch::new();
    let destination = StreamDestination {
        name: "orders".to_owned(),
        url: "https://isv.example/orders".to_owned(),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        former: None,
        signatures: Signature::usual(),
        failing_since: None,
        disabled: None,
        batch: Some(BatchRule { max_items: 1_000, max_bytes: 20_000, max_wait_ms: 3_600_000 }),
        created_at: at,
        updated_at: at,
    };
    batch.insert::<StreamDestinations>(&scope(), &destination.name, &destination);
    let line = store.keyed_hash(&scope(), "stream-batch", b"orders");
    // Two whole pages of the erased user's in front, and some between.
    for number in 0..600_u64 {
        let user = if number < 100 || number % 5 == 0 { GOES } else { STAYS };
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&number.to_be_bytes());
        let item = BatchItem { user, body: json!({ "number": number }), bytes: 1_000, at };
        batch.insert::<BatchItems>(&scope(), &(line, Id::from_bytes(bytes)), &item);
    }
    store.commit(batch).await.unwrap();
    store.keys().destroy(KeyOwner::User(scope(), GOES)).await.unwrap();

    let taker = Arc::new(Taker::default());
    let context = context(store, Arc::<ManualClock>::clone(&clock), Arc::<Taker>::clone(&taker));
    let (services, worker) = wire(&Config::default(), context.clone(), swaps(&context));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker.run(stop.clone()));
    let queue = &services.queue;
    queue.push(Work::BatchDue { scope: scope(), stream: Arc::from("orders") });
    until("every batch", async || taker.0.lock().unwrap().len() == 20 && queue.busy() == 0).await;
    stop.cancel();
    worker.await.unwrap();

    let taken = taker.0.lock().unwrap();
    let expected: Vec<u64> = (100..600).filter(|number| number % 5 != 0).collect();
    assert_eq!(taken.concat(), expected, "each once, in order");
    assert!(taken.iter().all(|batch| batch.len() == 20), "as many as may go together: {taken:?}");
    assert!(counted.most_at_once() <= 32, "{} items were in memory at once", counted.most_at_once());
}
