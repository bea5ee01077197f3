//! Workflows whose runs wait for each other: throttled, and ordered by key; over failures, skips and kills.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::RunView,
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// The custom event that starts the workflow under test.
const EVENT: &str = "Stock Changed";

/// A scenario with one more workflow, of this concurrency, installed by one merchant.
struct Testing {
    scenario: Scenario,
    merchant: Merchant,
    workflow: String,
}

async fn testing(concurrency: Value, steps: Value) -> Testing {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let sample = json!({ "sku": "a", "number": 1, "order": 1 });
    scenario.client.define_event(EVENT, "AcmeCo's stock changed.", &sample).await.unwrap();
    let definition = json!({
        "name": "Stock", "trigger": { "type": "event", "event": EVENT }, "concurrency": concurrency, "steps": steps,
    });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    Testing { scenario, merchant, workflow }
}

fn ordered() -> Value {
    json!({ "type": "ordered", "by": "{{ trigger.sku }}" })
}

fn stream() -> Value {
    json!([{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }])
}

/// Sets an order's status: an order that is not there fails at once.
fn update() -> Value {
    json!([
        { "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
          "input": { "order_id": "{{ trigger.order }}", "status_id": 2 } },
        { "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" },
    ])
}

impl Testing {
    async fn fire(&self, sku: &str, number: u64, order: u64) {
        let data = json!({ "sku": sku, "number": number, "order": order });
        self.scenario.client.run_event(EVENT, &self.merchant.user, &data).await.unwrap().ok().unwrap();
    }

    /// What came to AcmeCo of one key, in order.
    fn numbers(&self, sku: &str) -> Vec<u64> {
        let posts = self.scenario.isv.posts().into_iter().filter(trunnion_tests::isv::Post::accepted);
        let bodies = posts.map(|post| post.json()).filter(|body| body["sku"] == sku);
        bodies.map(|body| body["number"].as_u64().unwrap()).collect()
    }

    async fn runs(&self) -> Vec<RunView> {
        self.scenario.client.runs(&self.workflow, &self.merchant.user).await.unwrap()
    }

    async fn ended(&self, count: usize) -> Vec<RunView> {
        self.scenario.client.runs_ended(&self.workflow, &self.merchant.user, count).await.unwrap()
    }

    async fn until_numbers(&self, sku: &str, numbers: &[u64]) {
        let what = format!("{numbers:?} of {sku} at AcmeCo, where {:?} are", self.numbers(sku));
        wait::until(&what, || async { (self.numbers(sku) == numbers).then_some(()) }).await.unwrap();
    }

    async fn keys(&self) -> Vec<Value> {
        let runs = self.runs().await;
        let installation = runs[0].0["installation_id"].as_str().unwrap();
        let listed =
            self.scenario.client.get(&format!("/v1/installations/{installation}/keys")).await.unwrap();
        listed.ok().unwrap()["data"].as_array().unwrap().clone()
    }

    /// The only key that a failed run holds.
    async fn held_key(&self) -> Value {
        wait::until("one key that a failed run holds", || async {
            let keys = self.keys().await;
            let failed = |key: &&Value| key["held_by"][0]["status"] == "failed";
            let mut held = keys.iter().filter(failed);
            match (held.next(), held.next()) {
                (Some(key), None) => Some(key.clone()),
                _ => None,
            }
        })
        .await
        .unwrap()
    }

    async fn skip(&self, key: &Value) -> trunnion_tests::host::Answer {
        let runs = self.runs().await;
        let installation = runs[0].0["installation_id"].as_str().unwrap();
        let path = format!("/v1/installations/{installation}/keys/{}/skip", key["key"].as_str().unwrap());
        self.scenario.client.post(&path, &json!({})).await.unwrap()
    }
}

#[tokio::test]
async fn runs_of_one_key_are_done_in_the_order_of_their_events_and_other_keys_go_on() {
    let testing = testing(ordered(), stream()).await;
    let held = testing.scenario.isv.hold_next();
    testing.fire("a", 0, 1).await;
    held.arrived().await;
    for number in 1..10 {
        testing.fire("a", number, 1).await;
    }
    testing.fire("b", 0, 1).await;
    testing.until_numbers("b", &[0]).await;
    assert_eq!(testing.scenario.isv.arrivals().len(), 2, "the others of the held key wait");
    let keys = wait::until("the other key's run to end", || async {
        Some(testing.keys().await).filter(|keys| keys.len() == 1)
    })
    .await
    .unwrap();
    assert_eq!(keys[0]["waiting"], 9, "{keys:?}");
    held.release();
    testing.until_numbers("a", &(0..10).collect::<Vec<_>>()).await;
    let runs = testing.ended(11).await;
    assert!(runs.iter().all(|run| run.status() == "succeeded"));
    assert!(testing.keys().await.is_empty());
}

#[tokio::test]
async fn a_failed_run_holds_its_key_until_it_is_skipped() {
    let mut testing = testing(ordered(), update()).await;
    let good = testing.scenario.bigcommerce.create_order(&testing.merchant.store, 11).unwrap();
    testing.fire("a", 0, 999_999).await;
    testing.fire("a", 1, good).await;
    testing.fire("b", 0, good).await;
    testing.until_numbers("b", &[0]).await;
    let key = testing.held_key().await;
    assert_eq!(key["waiting"], 1, "{key}");
    // A kill changes nothing about who holds and who waits.
    testing.scenario.crash().await.unwrap();
    let key = testing.held_key().await;
    assert_eq!(key["waiting"], 1, "{key}");
    assert_eq!(testing.numbers("a"), [0; 0]);
    testing.skip(&key).await.ok().unwrap();
    testing.until_numbers("a", &[1]).await;
    let again = testing.skip(&key).await;
    assert_eq!((again.status, again.json()["code"].as_str()), (404, Some("key-unknown")), "{}", again.text);
    testing.scenario.crash().await.unwrap();
    assert!(testing.keys().await.is_empty(), "a skip is durable");
}

#[tokio::test]
async fn a_redriven_run_still_has_its_place_and_what_waits_behind_it_follows() {
    let mut steps = update();
    steps[0]["retry"] = json!({ "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 });
    let mut testing = testing(ordered(), steps).await;
    let good = testing.scenario.bigcommerce.create_order(&testing.merchant.store, 11).unwrap();
    let setting = Match::call("PUT", "/v2/orders/");
    testing.scenario.bigcommerce.fail_next(1, setting, Fault::Unavailable);
    testing.fire("a", 0, good).await;
    let failed = testing.ended(1).await.remove(0);
    testing.fire("a", 1, good).await;
    testing.held_key().await;
    testing.scenario.crash().await.unwrap();
    assert_eq!(testing.numbers("a"), [0; 0]);
    let redrive = format!("/v1/dead-letters/{}/redrive", failed.id());
    testing.scenario.client.post(&redrive, &json!({})).await.unwrap().ok().unwrap();
    testing.until_numbers("a", &[0, 1]).await;
    testing.ended(2).await;
    assert!(testing.keys().await.is_empty());
}

#[tokio::test]
async fn an_uninstalled_workflow_holds_no_key_and_what_waited_goes_on() {
    let mut testing = testing(ordered(), update()).await;
    let good = testing.scenario.bigcommerce.create_order(&testing.merchant.store, 11).unwrap();
    testing.fire("a", 0, 999_999).await;
    testing.fire("a", 1, good).await;
    testing.held_key().await;
    testing.scenario.client.uninstall(&testing.merchant.user, &testing.workflow).await.unwrap();
    testing.until_numbers("a", &[1]).await;
    testing.scenario.crash().await.unwrap();
    assert!(testing.keys().await.is_empty(), "it is let go of durably");
}

#[tokio::test]
async fn a_run_that_waits_for_a_retry_holds_its_key_until_it_is_cancelled() {
    let mut steps = update();
    let hour = 3_600_000;
    steps[0]["retry"] = json!({ "attempts": 2, "delay_ms": hour, "backoff": 1, "max_delay_ms": hour });
    let testing = testing(ordered(), steps).await;
    let good = testing.scenario.bigcommerce.create_order(&testing.merchant.store, 11).unwrap();
    let setting = Match::call("PUT", "/v2/orders/");
    testing.scenario.bigcommerce.fail_next(1, setting, Fault::Unavailable);
    testing.fire("a", 0, good).await;
    testing.fire("a", 1, good).await;
    let waiting = wait::until("the first run to wait for its retry", || async {
        let runs = testing.runs().await;
        let parked = |run: &&RunView| !run.0["error"].is_null();
        runs.iter().find(parked).map(|run| run.id().to_owned())
    });
    let first = waiting.await.unwrap();
    assert_eq!(testing.numbers("a"), [0; 0]);
    let cancel = testing.scenario.client.post(&format!("/v1/runs/{first}/cancel"), &json!({})).await.unwrap();
    cancel.ok().unwrap();
    testing.until_numbers("a", &[1]).await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_rate_limit_holds_its_key_until_it_is_skipped() {
    let testing = testing(ordered(), update()).await;
    let good = testing.scenario.bigcommerce.create_order(&testing.merchant.store, 11).unwrap();
    let fault = Fault::RateLimited { reset: std::time::Duration::from_secs(3_600) };
    testing.scenario.bigcommerce.fail_next(1, Match::call("PUT", "/v2/orders/"), fault);
    testing.fire("a", 0, good).await;
    testing.fire("a", 1, good).await;
    let waiting = |count: usize| {
        let testing = &testing;
        wait::until("runs that wait for the limit", move || async move {
            let runs = testing.runs().await;
            (runs.iter().filter(|run| run.status() == "waiting").count() == count).then_some(())
        })
    };
    waiting(1).await.unwrap();
    let keys = testing.keys().await;
    assert_eq!((keys.len(), &keys[0]["waiting"]), (1, &json!(1)), "the other waits behind it: {keys:?}");
    testing.skip(&keys[0]).await.ok().unwrap();
    // Now the other one has begun, and waits for the limit itself.
    waiting(2).await.unwrap();
}

#[tokio::test]
async fn order_holds_over_kills_in_the_middle() {
    let mut testing = testing(ordered(), stream()).await;
    for round in 0..3_u64 {
        let held = testing.scenario.isv.hold_next();
        for number in 0..5 {
            testing.fire("a", round * 5 + number, 1).await;
        }
        held.arrived().await;
        testing.scenario.host.kill9().await.unwrap();
        held.release();
        testing.scenario.start_again().await.unwrap();
        let expected = (0..(round + 1) * 5).collect::<Vec<_>>();
        wait::until("everything to have come", || async {
            let mut numbers = testing.numbers("a");
            // The held call was carried out as well: it may have come twice, with one key.
            numbers.dedup();
            (numbers == expected).then_some(())
        })
        .await
        .unwrap();
    }
    assert!(testing.ended(15).await.iter().all(|run| run.status() == "succeeded"));
}

#[tokio::test]
async fn a_throttled_workflow_has_so_many_runs_under_way_and_a_failure_holds_nothing_up() {
    let mut steps = stream();
    steps[0]["retry"] = json!({ "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 });
    let testing = testing(json!({ "type": "throttled", "limit": 2 }), steps).await;
    testing.scenario.isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
    let holds = [testing.scenario.isv.hold_next(), testing.scenario.isv.hold_next()];
    for number in 0..6 {
        testing.fire("a", number, 1).await;
    }
    for held in &holds {
        held.arrived().await;
    }
    let runs = testing.runs().await;
    let of = |status: &str| runs.iter().filter(|run| run.status() == status).count();
    assert_eq!((of("running"), of("queued")), (2, 4), "{runs:?}");
    assert_eq!(testing.scenario.isv.arrivals().len(), 2);
    for held in holds {
        held.release();
    }
    let runs = testing.ended(6).await;
    let failed = runs.iter().filter(|run| run.status() == "failed").count();
    assert_eq!((runs.len(), failed), (6, 1), "{runs:?}");
}

#[tokio::test]
async fn an_event_without_a_key_is_accepted_and_its_run_says_why_it_failed() {
    let testing = testing(ordered(), stream()).await;
    let data = json!({ "number": 1 });
    let answer = testing.scenario.client.run_event(EVENT, &testing.merchant.user, &data).await.unwrap();
    answer.ok().unwrap();
    let runs = testing.ended(1).await;
    assert_eq!(runs[0].status(), "failed");
    assert_eq!(runs[0].0["failed_step"], "concurrency");
    assert!(runs[0].text().contains("/concurrency/by"), "{}", runs[0].text());
    assert!(testing.keys().await.is_empty());
}
