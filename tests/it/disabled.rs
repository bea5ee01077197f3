//! Streams whose destination takes nothing for days: they are switched off, say so, and come back with all that was kept.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{host::RunView, isv::Isv, wait};

use crate::inside::Inside;

const HOUR: Duration = Duration::from_secs(3_600);
const EVENT: &str = "Order Packed";
const STREAM: &str = "orders";
const OPS: &str = "ops";

struct Streaming {
    inside: Inside,
    orders: Isv,
    ops: Isv,
    user: String,
    workflow: String,
}

/// A workflow that streams, with one attempt to each event, and AcmeCo's two receivers.
async fn streaming() -> Streaming {
    let inside = Inside::start("2026-11-02T08:00:00Z").await;
    let (orders, ops) = (Isv::start().await.unwrap(), Isv::start().await.unwrap());
    let client = &inside.client;
    for (name, isv) in [(STREAM, &orders), (OPS, &ops)] {
        let secret = client.put_stream(name, &isv.url("/")).await.unwrap();
        isv.trust(&secret);
    }
    client.put("/v1/outlets/events", &json!({ "stream": OPS })).await.unwrap().ok().unwrap();
    client.define_event(EVENT, "An order is packed.", &json!({ "id": 1 })).await.unwrap();
    let definition = json!({
        "name": "Packed", "trigger": { "type": "event", "event": EVENT },
        "steps": [{
            "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}",
            "retry": { "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 },
        }],
    });
    let integration = client.create_integration("bigcommerce").await.unwrap();
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    let user = client.create_user("ada", "Ada").await.unwrap();
    client.install(&user, &integration, "", &[]).await.unwrap();
    Streaming { inside, orders, ops, user, workflow }
}

impl Streaming {
    /// The run of the event of this number, ended.
    async fn send(&self, number: usize) -> RunView {
        let client = &self.inside.client;
        client.run_event(EVENT, &self.user, &json!({ "id": number })).await.unwrap().ok().unwrap();
        let runs = client.runs_ended(&self.workflow, &self.user, number).await.unwrap();
        let of_it = |run: &RunView| run.step("send").is_some_and(|step| step["input"]["id"] == number);
        runs.into_iter().find(of_it).unwrap()
    }

    async fn shown(&self) -> Value {
        self.inside.client.get(&format!("/v1/streams/{STREAM}")).await.unwrap().ok().unwrap()
    }

    async fn letters(&self) -> Vec<Value> {
        let listed = self.inside.client.get("/v1/dead-letters?kind=run").await.unwrap().ok().unwrap();
        listed["data"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn five_days_of_nothing_but_failures_disable_a_stream_and_enabling_it_brings_everything_back() {
    let mut streaming = streaming().await;
    let down = [StatusCode::SERVICE_UNAVAILABLE; 1];
    for number in 1..=4 {
        streaming.orders.answer_next(&down);
        assert_eq!(streaming.send(number).await.status(), "failed");
        streaming.inside.pass(30 * HOUR);
    }
    // Something it took: the days are counted anew.
    assert_eq!(streaming.send(5).await.status(), "succeeded");
    assert_eq!(streaming.shown().await["failing_since"], Value::Null);

    for number in 6..=9 {
        streaming.orders.answer_next(&down);
        assert_eq!(streaming.send(number).await.status(), "failed");
        let shown = streaming.shown().await;
        assert!(shown["failing_since"].is_string() && shown["disabled"].is_null(), "{shown}");
        streaming.inside.pass(30 * HOUR);
    }
    // A restart does not begin the days anew.
    streaming.inside.down_for(HOUR).await;
    streaming.orders.answer_next(&down);
    let last = streaming.send(10).await;
    assert!(last.text().contains("is disabled since"), "{}", last.text());
    assert!(streaming.shown().await["disabled"]["reason"].as_str().unwrap().contains("nothing but failures"));
    let told = streaming.ops.wait_for("the event", |post| post.json()["type"] == "stream.disabled").await;
    let told = told.unwrap().json();
    assert_eq!(told["data"]["stream"], STREAM, "{told}");

    let before = streaming.orders.arrivals().len();
    let kept = streaming.send(11).await;
    assert!(kept.text().contains("POST /v1/streams/orders/enable"), "{}", kept.text());
    assert_eq!(streaming.orders.arrivals().len(), before, "nothing is sent there");
    assert_eq!(streaming.letters().await.len(), 10, "everything that failed is kept");

    let client = &streaming.inside.client;
    let enabled =
        client.post(&format!("/v1/streams/{STREAM}/enable"), &json!({})).await.unwrap().ok().unwrap();
    assert!(enabled["disabled"].is_null() && enabled["failing_since"].is_null(), "{enabled}");
    let redriven = client.post("/v1/dead-letters/redrive", &json!({ "kind": "run" })).await.unwrap();
    assert_eq!(redriven.ok().unwrap()["redriven"].as_array().unwrap().len(), 10);
    wait::until("every order to come", || async {
        let orders: std::collections::BTreeSet<_> = streaming
            .orders
            .posts()
            .iter()
            .filter(|post| post.accepted())
            .filter_map(|post| post.json()["id"].as_u64())
            .collect();
        (orders.len() == 11).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_stream_at_once_until_another_is_set() {
    let streaming = streaming().await;
    streaming.orders.answer_next(&[StatusCode::GONE]);
    let run = streaming.send(1).await;
    assert_eq!(run.status(), "failed");
    let shown = streaming.shown().await;
    assert!(shown["disabled"]["reason"].as_str().unwrap().contains("HTTP 410"), "{shown}");
    assert_eq!(streaming.letters().await[0]["error"]["kind"], "disabled");
    let put = format!("/v1/streams/{STREAM}");
    let same = streaming.inside.client.put(&put, &json!({ "url": streaming.orders.url("/") })).await.unwrap();
    assert!(same.ok().unwrap()["disabled"].is_object(), "the same URL is as gone as before");
    let other =
        streaming.inside.client.put(&put, &json!({ "url": streaming.orders.url("/new") })).await.unwrap();
    assert!(other.ok().unwrap()["disabled"].is_null());
    assert_eq!(streaming.send(2).await.status(), "succeeded");
}

#[tokio::test]
async fn errors_go_with_the_logs_that_they_are_of() {
    let streaming = streaming().await;
    let client = &streaming.inside.client;
    streaming
        .ops
        .wait_for("the event", |post| post.json()["type"] == "installation.installed")
        .await
        .unwrap();
    client.delete("/v1/outlets/events").await.unwrap().ok().unwrap();
    client.put("/v1/outlets/errors", &json!({ "stream": OPS })).await.unwrap().ok().unwrap();
    let given_up = async || {
        let listed = client.get("/v1/dead-letters?kind=notice").await.unwrap().ok().unwrap();
        listed["data"].as_array().unwrap().len()
    };
    let down = [StatusCode::SERVICE_UNAVAILABLE; 1];
    // One error is given up, since nobody is there; the next one waits for another attempt.
    streaming.ops.answer_next(&[StatusCode::GONE]);
    streaming.orders.answer_next(&down);
    assert_eq!(streaming.send(1).await.status(), "failed");
    wait::until("the first error to be given up", || async { (given_up().await == 1).then_some(()) })
        .await
        .unwrap();
    client.post(&format!("/v1/streams/{OPS}/enable"), &json!({})).await.unwrap().ok().unwrap();
    streaming.ops.answer_next(&down);
    streaming.orders.answer_next(&down);
    assert_eq!(streaming.send(2).await.status(), "failed");
    wait::until("an attempt at the second", || async {
        (streaming.ops.posts().iter().filter(|post| !post.accepted()).count() == 2).then_some(())
    })
    .await
    .unwrap();

    let logs = format!("/2024-03/users/{}/logs", streaming.user);
    client.delete(&logs).await.unwrap().ok().unwrap();
    assert_eq!(given_up().await, 0);
    streaming.inside.pass(12 * HOUR);
    streaming.orders.answer_next(&down);
    let failed = streaming.send(1).await;
    let told =
        streaming.ops.wait_for("an error", |post| post.json()["executionId"].is_string()).await.unwrap();
    assert_eq!(told.json()["executionId"], *failed.id(), "of those before nothing comes");
}
