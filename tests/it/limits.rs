//! A vendor that asks to slow down: only what it asks of waits, without a worker, for as long as it says, and all of
//! it is done afterwards.

use std::time::Duration;

use serde_json::json;
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::{HostOptions, RunView},
    scenario::{Merchant, Scenario},
    wait,
};

/// So many runs of a merchant.
const RUNS: usize = 12;

/// A host that works on two pieces at once.
async fn two_workers() -> (Scenario, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("trunnion.toml");
    std::fs::write(&config, "workers = 2\n").unwrap();
    let arguments = vec!["--config".to_owned(), config.to_string_lossy().into_owned()];
    let change = |options: &mut HostOptions| options.arguments = arguments;
    (Scenario::start_with(change).await.unwrap(), dir)
}

/// Fulfils a new order of the merchant.
async fn fulfil(scenario: &Scenario, merchant: &Merchant) -> u64 {
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    order
}

/// The statuses that the vendor answered this merchant's fulfilments with, in order.
fn answers(scenario: &Scenario, merchant: &Merchant) -> Vec<u16> {
    let path = format!("/stores/{}/v2/orders/", merchant.store);
    let requests = scenario.bigcommerce.requests();
    let puts =
        requests.iter().filter(|request| request.method == "PUT" && request.uri.path().starts_with(&path));
    puts.map(|request| request.status.as_u16()).collect()
}

async fn runs_of(scenario: &Scenario, merchant: &Merchant) -> Vec<RunView> {
    scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap()
}

/// So many runs of a merchant, of which the vendor refuses the first for so long before the others begin.
async fn limited(scenario: &Scenario, merchant: &Merchant, reset: Duration) {
    let theirs = Match::call("PUT", &format!("/stores/{}/", merchant.store));
    scenario.bigcommerce.fail_next(1, theirs, Fault::RateLimited { reset });
    fulfil(scenario, merchant).await;
    wait::until("the vendor's 429", || async { answers(scenario, merchant).contains(&429).then_some(()) })
        .await
        .unwrap();
    for _ in 1..RUNS {
        fulfil(scenario, merchant).await;
    }
}

#[tokio::test]
async fn a_429_keeps_no_worker_and_no_other_connection_waiting() {
    let (scenario, _config) = two_workers().await;
    scenario.bigcommerce.pause_deliveries(true);
    let (ada, bob) = (scenario.merchant("ada").await.unwrap(), scenario.merchant("bob").await.unwrap());
    limited(&scenario, &ada, Duration::from_secs(3600)).await;
    // Many more than there are workers wait, and say for what.
    let waiting = wait::until("all of them to wait", || async {
        let runs = runs_of(&scenario, &ada).await;
        (runs.len() == RUNS && runs.iter().all(|run| run.status() == "waiting")).then_some(runs)
    });
    for run in waiting.await.unwrap() {
        assert_eq!(run.0["waiting_for"]["what"], "its turn at the rate limit", "{}", run.text());
    }
    for _ in 0..RUNS {
        fulfil(&scenario, &bob).await;
    }
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, &bob.user, RUNS).await.unwrap();
    assert_eq!(answers(&scenario, &ada), [429], "the vendor is left alone for as long as it asked");
    assert_eq!(answers(&scenario, &bob), [200; RUNS]);
}

#[tokio::test]
async fn everything_that_waited_for_a_limit_completes_once_it_opens() {
    let (scenario, _config) = two_workers().await;
    scenario.bigcommerce.pause_deliveries(true);
    let ada = scenario.merchant("ada").await.unwrap();
    limited(&scenario, &ada, Duration::from_secs(4)).await;
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &ada.user, RUNS).await.unwrap();
    for run in &runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
        assert_eq!(run.step("update").unwrap()["attempts"], 1, "waiting is no attempt: {}", run.text());
    }
    assert_eq!(answers(&scenario, &ada).len(), RUNS + 1, "nobody came before its turn");
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_ends_when_it_is_cancelled_and_survives_a_kill() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let merchant = scenario.merchant("ada").await.unwrap();
    let reset = Duration::from_secs(3600);
    scenario.bigcommerce.fail_next(1, Match::call("PUT", "/v2/orders/"), Fault::RateLimited { reset });
    fulfil(&scenario, &merchant).await;
    let waiting = wait::until("the run to wait", || async {
        runs_of(&scenario, &merchant).await.into_iter().find(|run| run.status() == "waiting")
    });
    let id = waiting.await.unwrap().id().to_owned();
    scenario.crash().await.unwrap();
    assert_eq!(scenario.client.run(&id).await.unwrap().status(), "waiting");
    let cancelled = scenario.client.post(&format!("/v1/runs/{id}/cancel"), &json!({})).await.unwrap();
    assert_eq!(cancelled.ok().unwrap()["status"], "cancelled", "at once, since nobody works on it");
    assert_eq!(answers(&scenario, &merchant), [429]);
}

#[tokio::test]
async fn items_of_a_loop_wait_together_and_none_is_done_twice() {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let event = "Batch Ready";
    scenario.client.define_event(event, "A batch.", &json!({ "orders": [1] })).await.unwrap();
    let definition = json!({
        "name": "Batch", "trigger": { "type": "event", "event": event },
        "steps": [{ "id": "each", "type": "for_each", "items": "{{ trigger.orders }}", "concurrency": 2, "steps": [{
            "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
            "input": { "order_id": "{{ item }}", "status_id": 2 },
        }] }],
    });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let orders: Vec<_> =
        (0..6).map(|_| scenario.bigcommerce.create_order(&merchant.store, 11).unwrap()).collect();
    let reset = Duration::from_secs(1);
    scenario.bigcommerce.fail_next(2, Match::call("PUT", "/v2/orders/"), Fault::RateLimited { reset });
    scenario
        .client
        .run_event(event, &merchant.user, &json!({ "orders": orders }))
        .await
        .unwrap()
        .ok()
        .unwrap();
    let runs = scenario.client.runs_ended(&workflow, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    let answers = answers(&scenario, &merchant);
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), orders.len(), "{answers:?}");
    assert_eq!(answers.len(), orders.len() + 2, "{answers:?}");
}
