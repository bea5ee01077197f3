//! `Idempotency-Key` on POSTs of the native API: one call, however often it comes.

use std::time::Duration;

use serde_json::{Value, json};
use trunnion_store::{Batch, Select, tables::KeptCalls};

use crate::{
    bare::scope,
    edge::{Answer, Edge},
};

async fn post(edge: &Edge, by: &str, path: &str, key: &str, body: &Value) -> Answer {
    edge.as_key(by, "POST", path, &[("idempotency-key", key)], body.clone()).await
}

async fn make(edge: &Edge, key: &str, name: &str) -> Answer {
    post(edge, &edge.development, "/v1/keys", key, &json!({ "name": name })).await
}

async fn keys(edge: &Edge) -> usize {
    edge.call("GET", "/v1/keys", Value::Null).await.ok()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_call_that_comes_again_is_answered_the_same() {
    let edge = Edge::start().await;
    let first = make(&edge, "one", "job").await;
    assert!(first.headers.get("idempotent-replayed").is_none());
    let again = make(&edge, "one", "job").await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    for header in ["content-type", "cache-control"] {
        assert_eq!(again.headers[header], first.headers[header]);
    }
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(keys(&edge).await, 2, "the first one and this one");

    let other = make(&edge, "one", "another job").await;
    assert_eq!(
        (other.status, other.body["code"].as_str()),
        (422, Some("idempotency-key-reused")),
        "{other:?}"
    );
    let elsewhere = post(&edge, &edge.production, "/v1/keys", "one", &json!({ "name": "job" })).await;
    assert_eq!(elsewhere.body["environment"], "production", "another caller's key is another key");
    make(&edge, "two", "job").await.ok();
    assert_eq!(keys(&edge).await, 3);

    edge.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(make(&edge, "one", "job").await.body, first.body);
    edge.clock.advance(Duration::from_secs(1));
    assert_ne!(make(&edge, "one", "job").await.ok()["id"], first.body["id"], "after a day it is a new call");
}

#[tokio::test]
async fn a_refusal_keeps_nothing() {
    let edge = Edge::start().await;
    let refused = make(&edge, "one", "").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    make(&edge, "one", "job").await.ok();
    for key in ["", &"k".repeat(256)] {
        let answer = make(&edge, key, "job").await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("idempotency-key-invalid")));
    }
    let nobody = edge.as_key("none", "POST", "/v1/keys", &[("idempotency-key", "one")], json!({})).await;
    assert_eq!(nobody.status, 401, "{nobody:?}");
}

#[tokio::test]
async fn of_two_at_once_one_is_carried_out() {
    let edge = Edge::start().await;
    let (one, other) = tokio::join!(make(&edge, "one", "job"), make(&edge, "one", "job"));
    let statuses = [one.status, other.status];
    assert!(
        statuses.contains(&200) && (statuses.contains(&409) || one.body == other.body),
        "{one:?} {other:?}"
    );
    assert_eq!(keys(&edge).await, 2);
}

#[tokio::test]
async fn what_nobody_knows_the_end_of_is_not_carried_out_again() {
    let edge = Edge::start().await;
    make(&edge, "one", "job").await.ok();
    // As a process leaves it that dies between the change and its answer.
    let mut kept = edge.store.list::<KeptCalls>(&scope(), Select::all()).await.unwrap();
    let mut entry = kept.remove(0);
    entry.record.answer = None;
    let mut batch = Batch::new();
    batch.put::<KeptCalls>(&scope(), &entry.key, &entry.record);
    edge.store.commit(batch).await.unwrap();
    let again = make(&edge, "one", "job").await;
    assert_eq!(
        (again.status, again.body["code"].as_str()),
        (409, Some("idempotency-outcome-unknown")),
        "{again:?}"
    );
    assert_eq!(keys(&edge).await, 2);
    edge.clock.advance(Duration::from_secs(24 * 3600));
    make(&edge, "one", "job").await.ok();
}
