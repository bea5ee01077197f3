//! Steps beyond actions and streams: branches, loops, delays, values, and going on after an error; over stops and
//! kills as well.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::RunView,
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// The custom event that starts the workflow under test.
const EVENT: &str = "Batch Ready";

/// A scenario with one more workflow of these steps, installed by one merchant.
struct Testing {
    scenario: Scenario,
    merchant: Merchant,
    workflow: String,
}

async fn testing(steps: Value) -> Testing {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let sample = json!({ "orders": [{ "id": 1, "status": 2 }], "seconds": 1, "kind": "small" });
    scenario.client.define_event(EVENT, "AcmeCo has a batch.", &sample).await.unwrap();
    let definition = json!({
        "name": "Batch", "trigger": { "type": "event", "event": EVENT }, "steps": steps,
    });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    Testing { scenario, merchant, workflow }
}

impl Testing {
    async fn fire(&self, data: &Value) {
        self.scenario.client.run_event(EVENT, &self.merchant.user, data).await.unwrap().ok().unwrap();
    }

    /// The only run, once it has ended.
    async fn ended(&self) -> RunView {
        let runs = self.scenario.client.runs_ended(&self.workflow, &self.merchant.user, 1).await.unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().unwrap()
    }

    fn orders(&self, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| self.scenario.bigcommerce.create_order(&self.merchant.store, 11).unwrap())
            .collect()
    }

    fn status_of(&self, order: u64) -> u64 {
        self.scenario.bigcommerce.status_of(&self.merchant.store, order).unwrap()
    }

    /// How often each order was set.
    fn sets(&self, order: u64) -> usize {
        let path = format!("/stores/{}/v2/orders/{order}", self.merchant.store);
        let requests = self.scenario.bigcommerce.requests();
        requests.iter().filter(|request| request.method == "PUT" && request.uri.path() == path).count()
    }
}

/// Sets every order of the event to its status.
fn each(concurrency: u32) -> Value {
    json!({
        "id": "each", "type": "for_each", "items": "{{ trigger.orders }}", "concurrency": concurrency,
        "steps": [{
            "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
            "input": { "order_id": "{{ item.id }}", "status_id": "{{ item.status }}" },
        }],
    })
}

fn batch(orders: &[u64]) -> Value {
    let orders: Vec<_> = orders.iter().map(|id| json!({ "id": id, "status": 2 })).collect();
    json!({ "orders": orders, "seconds": 1, "kind": "small" })
}

#[tokio::test]
async fn a_loop_acts_for_each_item_and_says_what_became_of_each() {
    let testing = testing(json!([
        each(4),
        { "id": "sum", "type": "set", "value": {
            "done": "{{ steps.each.succeeded }}", "last": "{{ steps.each.results[-1].steps.update.status_id }}" } },
    ]))
    .await;
    let orders = testing.orders(20);
    testing.fire(&batch(&orders)).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("sum").unwrap()["output"], json!({ "done": 20, "last": 2 }));
    for order in orders {
        assert_eq!((testing.status_of(order), testing.sets(order)), (2, 1), "order {order}");
    }
}

#[tokio::test]
async fn one_item_that_fails_does_not_keep_the_others_from_being_done() {
    let testing = testing(json!([each(1)])).await;
    let mut orders = testing.orders(3);
    orders.insert(1, 999_999);
    testing.fire(&batch(&orders)).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    let step = run.step("each").unwrap();
    assert!(step["error"]["message"].as_str().unwrap().contains("1 of 4 items failed"), "{step}");
    assert!(step["error"]["message"].as_str().unwrap().contains("item 1"), "{step}");
    let statuses: Vec<_> =
        step["input"]["results"].as_array().unwrap().iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded", "failed", "succeeded", "succeeded"]);
    for order in [orders[0], orders[2], orders[3]] {
        assert_eq!(testing.status_of(order), 2);
    }
}

#[tokio::test]
async fn an_item_that_must_wait_is_tried_again_while_the_others_are_done() {
    let testing = testing(json!([each(2)])).await;
    let orders = testing.orders(5);
    let first = format!("/v2/orders/{}", orders[0]);
    testing.scenario.bigcommerce.fail_next(1, Match::call("PUT", &first), Fault::Unavailable);
    testing.fire(&batch(&orders)).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(
        orders.iter().map(|order| testing.status_of(*order)).collect::<BTreeSet<_>>(),
        BTreeSet::from([2])
    );
    assert_eq!(orders.iter().map(|order| testing.sets(*order)).collect::<Vec<_>>(), [2, 1, 1, 1, 1]);
}

#[tokio::test]
async fn killed_in_the_middle_of_a_loop_only_what_was_under_way_is_repeated() {
    let mut testing = testing(json!([each(1)])).await;
    let orders = testing.orders(6);
    let middle = format!("/v2/orders/{}", orders[3]);
    let held = testing.scenario.bigcommerce.hold_next(Match::call("PUT", &middle));
    testing.fire(&batch(&orders)).await;
    held.arrived().await;
    testing.scenario.crash().await.unwrap();
    held.release();
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(orders.iter().map(|order| testing.sets(*order)).collect::<Vec<_>>(), [1, 1, 1, 2, 1, 1]);
}

#[tokio::test]
async fn what_a_killed_loop_sends_again_has_the_key_of_its_item() {
    let mut testing = testing(json!([{
        "id": "each", "type": "for_each", "items": "{{ trigger.orders }}", "steps": [
            { "id": "send", "type": "stream", "destination": STREAM, "body": "{{ item }}" },
        ],
    }]))
    .await;
    let first = testing.scenario.isv.hold_next();
    testing.fire(&batch(&[1, 2, 3])).await;
    first.arrived().await;
    testing.scenario.crash().await.unwrap();
    first.release();
    assert_eq!(testing.ended().await.status(), "succeeded");
    let keys = testing.scenario.isv.arrivals();
    assert_eq!(keys.len(), 4, "only what was under way is sent again: {keys:?}");
    assert_eq!(keys[0], keys[1], "the same item, the same key");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3, "each item its own: {keys:?}");
}

#[tokio::test]
async fn cancelling_a_loop_begins_no_further_item() {
    let testing = testing(json!([each(1)])).await;
    let orders = testing.orders(4);
    let second = format!("/v2/orders/{}", orders[1]);
    let held = testing.scenario.bigcommerce.hold_next(Match::call("PUT", &second));
    testing.fire(&batch(&orders)).await;
    held.arrived().await;
    let runs = testing.scenario.client.runs(&testing.workflow, &testing.merchant.user).await.unwrap();
    testing
        .scenario
        .client
        .post(&format!("/v1/runs/{}/cancel", runs[0].id()), &json!({}))
        .await
        .unwrap()
        .ok()
        .unwrap();
    held.release();
    let run = testing.ended().await;
    assert_eq!(run.status(), "cancelled", "{}", run.text());
    assert_eq!(orders.iter().map(|order| testing.sets(*order)).collect::<Vec<_>>(), [1, 1, 0, 0]);
}

#[tokio::test]
async fn a_loop_in_a_loop_sees_its_own_item_and_what_is_around_it() {
    let testing = testing(json!([{
        "id": "outer", "type": "for_each", "items": "{{ trigger.orders }}", "concurrency": 2, "steps": [
            { "id": "order", "type": "set", "value": "{{ item.id }}" },
            { "id": "inner", "type": "for_each", "items": ["a", "b"], "steps": [
                { "id": "pause", "type": "delay", "seconds": 0 },
                { "id": "both", "type": "set", "value": "{{ steps.order }}{{ item }}{{ index }}" },
            ] },
        ],
    }]))
    .await;
    testing.fire(&batch(&[7, 8])).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let results = &run.step("outer").unwrap()["output"]["results"];
    let both = |outer: usize, inner: usize| {
        results[outer]["steps"]["inner"]["results"][inner]["steps"]["both"].clone()
    };
    assert_eq!([both(0, 0), both(0, 1), both(1, 0), both(1, 1)], ["7a0", "7b1", "8a0", "8b1"]);
}

#[tokio::test]
async fn a_branch_goes_the_way_whose_condition_holds() {
    let testing = testing(json!([
        { "id": "route", "type": "branch", "branches": [
            { "when": "trigger.kind == 'big'", "steps": [{ "id": "way", "type": "set", "value": "big" }] },
            { "when": "trigger.kind == 'small'", "steps": [
                { "id": "way_two", "type": "set", "value": "small" },
                { "id": "send", "type": "stream", "destination": STREAM, "body": { "id": 4711, "way": "{{ steps.way_two }}" } },
            ] },
        ], "otherwise": [{ "id": "none", "type": "set", "value": "none" }] },
        { "id": "after", "type": "set", "value": "{{ steps.way_two | default('-') }}" },
    ]))
    .await;
    testing.fire(&batch(&[])).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(testing.scenario.isv.wait_for_order(4711).await.unwrap().json()["way"], "small");
    assert!(run.step("way").is_none() && run.step("none").is_none(), "{}", run.text());
    assert_eq!(run.step("after").unwrap()["output"], "small");
}

#[tokio::test]
async fn a_delay_goes_on_after_the_host_was_killed_and_started_again() {
    let mut testing = testing(json!([
        { "id": "pause", "type": "delay", "seconds": "{{ trigger.seconds }}" },
        { "id": "send", "type": "stream", "destination": STREAM, "body": { "id": 815 } },
    ]))
    .await;
    testing.fire(&json!({ "orders": [], "seconds": 3, "kind": "small" })).await;
    wait::until("the run to wait", || async {
        let runs = testing.scenario.client.runs(&testing.workflow, &testing.merchant.user).await.ok()?;
        runs.first().filter(|run| run.status() == "queued").map(|_| ())
    })
    .await
    .unwrap();
    assert!(testing.scenario.isv.orders(815).is_empty(), "it waits first");
    testing.scenario.crash().await.unwrap();
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(testing.scenario.isv.orders(815).len(), 1);
    let (accepted, ended) = (run.0["accepted_at"].as_str().unwrap(), run.0["ended_at"].as_str().unwrap());
    let (accepted, ended): (jiff::Timestamp, jiff::Timestamp) =
        (accepted.parse().unwrap(), ended.parse().unwrap());
    let waited = ended.duration_since(accepted).as_millis();
    assert!(waited >= 3_000, "it ended after {waited} ms");
}

#[tokio::test]
async fn a_run_goes_on_after_an_error_where_its_step_says_so() {
    let testing = testing(json!([
        { "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status", "on_error": "continue",
          "input": { "order_id": 999_999, "status_id": 2 } },
        { "id": "route", "type": "branch", "branches": [{ "when": "steps.update.error is defined", "steps": [
            { "id": "tell", "type": "stream", "destination": STREAM, "body": { "id": 1, "why": "{{ steps.update.error.kind }}" } },
        ] }] },
    ]))
    .await;
    testing.fire(&batch(&[])).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(testing.scenario.isv.wait_for_order(1).await.unwrap().json()["why"], "not_found");
}

#[tokio::test]
async fn what_a_loop_is_given_must_be_a_list() {
    let testing = testing(json!([
        { "id": "items", "type": "set", "value": "{{ trigger.kind }}" },
        { "id": "each", "type": "for_each", "items": "{{ steps.items }}", "steps": [{ "id": "one", "type": "set", "value": 1 }] },
    ]))
    .await;
    testing.fire(&batch(&[])).await;
    let run = testing.ended().await;
    assert_eq!(run.status(), "failed");
    assert!(run.text().contains("`each` takes a list; it was given a text"), "{}", run.text());
}
