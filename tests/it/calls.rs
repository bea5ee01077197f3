//! Workflows that call workflows: results, failures, kills, circles and cancellation.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunnion_tests::{
    host::RunView,
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// The custom event that starts the caller.
const EVENT: &str = "Batch Ready";

/// A caller and what it calls, installed by one merchant.
struct Calling {
    scenario: Scenario,
    merchant: Merchant,
    callee: String,
    caller: String,
}

/// `steps` of the caller are given the callee's id.
async fn calling(callee: Value, steps: impl FnOnce(&str) -> Value) -> Calling {
    calling_a(callable(callee), steps).await
}

async fn calling_a(callee: Value, steps: impl FnOnce(&str) -> Value) -> Calling {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    scenario.client.define_event(EVENT, "", &json!({ "ids": [1], "id": 1 })).await.unwrap();
    let callee = release(&scenario, &callee).await;
    let trigger = json!({ "type": "event", "event": EVENT });
    let definition = json!({ "name": "Caller", "trigger": trigger, "steps": steps(&callee) });
    let caller = release(&scenario, &definition).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    Calling { scenario, merchant, callee, caller }
}

fn callable(steps: Value) -> Value {
    json!({ "name": "Callee", "trigger": { "type": "call", "sample": { "id": 1 } }, "steps": steps })
}

async fn release(scenario: &Scenario, definition: &Value) -> String {
    scenario.client.release_workflow(&scenario.catalogue.integration, definition).await.unwrap()
}

/// Sends, which a test can hold up, then says what it was given.
fn sending() -> Value {
    json!([
        { "id": "send", "type": "stream", "destination": STREAM, "body": { "id": "{{ trigger.id }}" } },
        { "id": "out", "type": "set", "value": { "id": "{{ trigger.id }}", "by": "{{ user.username }}" } },
    ])
}

impl Calling {
    async fn fire(&self, data: &Value) {
        self.scenario.client.run_event(EVENT, &self.merchant.user, data).await.unwrap().ok().unwrap();
    }

    async fn ended(&self, workflow: &str, count: usize) -> Vec<RunView> {
        self.scenario.client.runs_ended(workflow, &self.merchant.user, count).await.unwrap()
    }

    /// The caller's only run, once it has ended.
    async fn caller_ended(&self) -> RunView {
        self.ended(&self.caller, 1).await.remove(0)
    }

    async fn runs(&self, workflow: &str) -> Vec<RunView> {
        self.scenario.client.runs(workflow, &self.merchant.user).await.unwrap()
    }

    /// Waits until the caller rests.
    async fn rests(&self) -> RunView {
        wait::until("the caller to rest", || async {
            self.runs(&self.caller).await.into_iter().find(|run| run.status() == "queued")
        })
        .await
        .unwrap()
    }
}

fn call(callee: &str) -> Value {
    json!({ "id": "sub", "type": "call", "workflow": callee, "input": { "id": "{{ trigger.id }}" } })
}

#[tokio::test]
async fn a_called_run_that_ends_as_it_is_accepted_leaves_no_caller_waiting() {
    let mut callee = callable(sending());
    callee["concurrency"] = json!({ "type": "ordered", "by": "{{ trigger.key }}" });
    let calling = calling_a(callee, |callee| json!([call(callee)])).await;
    calling.fire(&json!({ "id": 1 })).await;
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    assert!(run.text().contains("/concurrency/by"), "the caller says why: {}", run.text());
}

#[tokio::test]
async fn a_call_gives_what_the_called_workflow_came_to() {
    let calling = calling(sending(), |callee| {
        json!([call(callee), { "id": "after", "type": "set", "value": "{{ steps.sub.by }} {{ steps.sub.id }}" }])
    })
    .await;
    let held = calling.scenario.isv.hold_next();
    calling.fire(&json!({ "id": 7 })).await;
    held.arrived().await;
    let resting = calling.rests().await;
    assert_eq!(resting.0["next_attempt_at"], Value::Null, "it waits for no time: {}", resting.text());
    held.release();
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("after").unwrap()["output"], "ada 7");
    let called = calling.ended(&calling.callee, 1).await;
    assert_eq!(called[0].0["event"]["source"]["run"], run.id(), "the called run says who called");
    assert_eq!(called[0].0["event"]["data"], json!({ "id": 7 }));
}

#[tokio::test]
async fn a_called_workflow_answers_with_its_respond_step() {
    let callee = json!([
        { "id": "told", "type": "respond", "status": 404, "body": { "told": "{{ trigger.id }}" } },
        { "id": "more", "type": "set", "value": "more" },
    ]);
    let calling = calling(callee, |callee| json!([call(callee)])).await;
    calling.fire(&json!({ "id": 8 })).await;
    let run = calling.caller_ended().await;
    assert_eq!(run.step("sub").unwrap()["output"], json!({ "told": 8 }), "{}", run.text());
}

#[tokio::test]
async fn a_called_workflow_that_fails_fails_the_step() {
    let callee = json!([{ "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
        "input": { "order_id": 999_999, "status_id": 2 } }]);
    let calling = calling(callee, |callee| {
        let mut lenient = call(callee);
        lenient["id"] = json!("first");
        lenient["on_error"] = json!("continue");
        json!([lenient, { "id": "why", "type": "set", "value": "{{ steps.first.error.message }}" }, call(callee)])
    })
    .await;
    calling.fire(&json!({ "id": 9 })).await;
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    let called = calling.ended(&calling.callee, 2).await;
    let why = run.step("why").unwrap()["output"].as_str().unwrap().to_owned();
    assert!(why.contains("failed in step `update`") && why.contains("not found"), "{why}");
    assert!(called.iter().any(|called| why.contains(called.id())), "it names the run: {why}");
    assert!(run.step("sub").unwrap()["error"]["message"].as_str().unwrap().contains("called_run_failed"));
}

#[tokio::test]
async fn killed_while_it_waits_a_caller_goes_on_with_the_one_run_it_called() {
    let mut calling = calling(sending(), |callee| json!([call(callee)])).await;
    let held = calling.scenario.isv.hold_next();
    calling.fire(&json!({ "id": 10 })).await;
    held.arrived().await;
    calling.rests().await;
    calling.scenario.crash().await.unwrap();
    held.release();
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(calling.ended(&calling.callee, 1).await.len(), 1, "one run was called");
    let keys = calling.scenario.isv.arrivals();
    assert!(keys.len() == 2 && keys[0] == keys[1], "what was under way is repeated with its key: {keys:?}");
}

#[tokio::test]
async fn a_loop_has_no_more_calls_under_way_than_it_says() {
    let mut calling = calling(sending(), |callee| {
        json!([{ "id": "each", "type": "for_each", "items": "{{ trigger.ids }}", "steps": [
            { "id": "sub", "type": "call", "workflow": callee, "input": { "id": "{{ item }}" } },
        ] }])
    })
    .await;
    let (first, second) = (calling.scenario.isv.hold_next(), calling.scenario.isv.hold_next());
    calling.fire(&json!({ "ids": [21, 22, 23] })).await;
    first.arrived().await;
    calling.rests().await;
    assert_eq!(calling.runs(&calling.callee).await.len(), 1, "one after the other");
    first.release();
    second.arrived().await;
    calling.scenario.crash().await.unwrap();
    second.release();
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let results = run.step("each").unwrap()["output"]["results"].as_array().unwrap().clone();
    let ids: Vec<_> = results.iter().map(|item| item["steps"]["sub"]["id"].clone()).collect();
    assert_eq!(ids, [21, 22, 23]);
    let called = calling.ended(&calling.callee, 3).await;
    assert_eq!(called.len(), 3, "each item called once");
    let keys = calling.scenario.isv.arrivals();
    assert_eq!(keys.len(), 4, "only what was under way is sent again: {keys:?}");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3, "{keys:?}");
}

#[tokio::test]
async fn cancelling_a_caller_cancels_what_it_called_at_any_depth() {
    let scenario = Scenario::start().await.unwrap();
    scenario.client.define_event(EVENT, "", &json!({ "id": 1 })).await.unwrap();
    let last =
        release(&scenario, &callable(json!([{ "id": "pause", "type": "delay", "seconds": 86_400 }]))).await;
    let middle = release(&scenario, &callable(json!([call(&last)]))).await;
    let trigger = json!({ "type": "event", "event": EVENT });
    let definition = json!({ "name": "Caller", "trigger": trigger, "steps": [call(&middle)] });
    let caller = release(&scenario, &definition).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    let calling = Calling { scenario, merchant, callee: last, caller };
    calling.fire(&json!({ "id": 1 })).await;
    wait::until("the last run to wait", || async {
        calling.runs(&calling.callee).await.into_iter().find(|run| run.status() == "queued")
    })
    .await
    .unwrap();
    let run = calling.rests().await;
    let path = format!("/v1/runs/{}/cancel", run.id());
    let cancelled = calling.scenario.client.post(&path, &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(cancelled["status"], "cancelled");
    for workflow in [&calling.caller, &middle, &calling.callee] {
        assert_eq!(calling.ended(workflow, 1).await[0].status(), "cancelled");
    }
}

#[tokio::test]
async fn workflows_that_call_each_other_for_ever_are_stopped() {
    let scenario = Scenario::start().await.unwrap();
    scenario.client.define_event(EVENT, "", &json!({ "id": 1 })).await.unwrap();
    let one = release(&scenario, &callable(json!([{ "id": "sub", "type": "set", "value": 1 }]))).await;
    let other = release(&scenario, &callable(json!([call(&one)]))).await;
    let circle = json!({ "definition": callable(json!([call(&other)])) });
    let client = &scenario.client;
    client.put(&format!("/v1/workflows/{one}"), &circle).await.unwrap().ok().unwrap();
    client.post(&format!("/v1/workflows/{one}/releases"), &json!({})).await.unwrap().ok().unwrap();
    let trigger = json!({ "type": "event", "event": EVENT });
    let definition = json!({ "name": "Caller", "trigger": trigger, "steps": [call(&one)] });
    let caller = release(&scenario, &definition).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    let calling = Calling { scenario, merchant, callee: one, caller };
    calling.fire(&json!({ "id": 1 })).await;
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "failed");
    assert!(run.text().contains("more than 10 deep"), "{}", run.text());
    assert_eq!(calling.runs(&calling.callee).await.len() + calling.runs(&other).await.len(), 10);
}

#[tokio::test]
async fn only_what_can_be_called_is_called() {
    let calling = calling(sending(), |callee| json!([call(callee)])).await;
    let Calling { scenario, merchant, callee, caller } = &calling;
    let body = json!({ "userId": merchant.user, "workflowId": callee });
    scenario.client.put("/2023-12/workflows/deactivate", &body).await.unwrap().ok().unwrap();
    calling.fire(&json!({ "id": 1 })).await;
    let run = calling.caller_ended().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    assert!(run.text().contains("no active copy of workflow"), "{}", run.text());

    for (workflow, words) in [
        (caller.as_str(), "cannot call itself"),
        (scenario.catalogue.fulfilment.as_str(), "not started by calls"),
        ("000000000000000000000000", "there is no workflow"),
        ("fulfilment", "not an id"),
    ] {
        let trigger = json!({ "type": "event", "event": EVENT });
        let definition = json!({ "name": "Caller", "trigger": trigger, "steps": [call(workflow)] });
        let path = format!("/v1/workflows/{caller}");
        scenario.client.put(&path, &json!({ "definition": definition })).await.unwrap().ok().unwrap();
        let refused = scenario.client.post(&format!("{path}/releases"), &json!({})).await.unwrap();
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.message().contains(words), "{words}: {}", refused.message());
    }
}
