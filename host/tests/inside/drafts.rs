//! Two who edit the same thing do not overwrite each other.

use serde_json::{Value, json};

use crate::edge::{Answer, Edge};

async fn put(edge: &Edge, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    edge.as_key(&edge.development, "PUT", path, headers, body).await
}

fn tag(answer: &Answer) -> &str {
    answer.headers["etag"].to_str().unwrap()
}

#[tokio::test]
async fn a_change_names_what_its_editor_saw() {
    let edge = Edge::start().await;
    let path = "/v1/events/Order%20Placed";
    let body = json!({ "description": "one", "sample": { "id": 1 } });
    let missing = put(&edge, path, &[("if-match", "*")], body.clone()).await;
    assert_eq!((missing.status, missing.body["code"].as_str()), (412, Some("precondition-failed")));
    let made = put(&edge, path, &[("if-none-match", "*")], body.clone()).await;
    let first = tag(&made).to_owned();
    made.ok();
    let again = put(&edge, path, &[("if-none-match", "*")], body.clone()).await;
    assert_eq!(again.status, 412, "{again:?}");
    assert!(again.message().contains("`Order Placed` is there already"), "{again:?}");

    let read = edge.call("GET", path, Value::Null).await;
    assert_eq!(tag(&read), first);
    let two = json!({ "description": "two", "sample": { "id": 1 } });
    let changed = put(&edge, path, &[("if-match", &first)], two.clone()).await;
    let second = tag(&changed).to_owned();
    assert_ne!(first, second);
    changed.ok();
    let stale = put(&edge, path, &[("if-match", &first)], body.clone()).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    let read = edge.call("GET", path, Value::Null).await;
    assert_eq!(
        (tag(&read), &read.body["description"]),
        (second.as_str(), &json!("two")),
        "nothing was changed"
    );
    let either = format!("{first}, {second}");
    put(&edge, path, &[("if-match", &either)], two.clone()).await.ok();
    put(&edge, path, &[], two.clone()).await.ok();
    let weak = format!("W/{second}");
    assert_eq!(put(&edge, path, &[("if-match", &weak)], two.clone()).await.status, 412);
    for headers in [&[("if-none-match", "\"7\"")][..], &[("if-match", "*"), ("if-none-match", "*")]] {
        let answer = put(&edge, path, headers, two.clone()).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("condition-malformed")));
    }
}

#[tokio::test]
async fn an_environment_sets_how_long_its_logs_are_kept() {
    let edge = Edge::start().await;
    let path = "/v1/settings";
    let read = edge.call("GET", path, Value::Null).await.ok();
    assert_eq!(read, json!({ "log_days": 60, "host_log_days": 60, "updated_at": null }));
    for days in [0, 401] {
        let refused = put(&edge, path, &[], json!({ "log_days": days })).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (400, Some("settings-invalid")));
    }
    let set = put(&edge, path, &[("if-none-match", "*")], json!({ "log_days": 14 })).await;
    let first = tag(&set).to_owned();
    assert_eq!((set.body["log_days"].as_u64(), set.body["host_log_days"].as_u64()), (Some(14), Some(60)));
    assert_eq!(edge.call("GET", path, Value::Null).await.ok()["log_days"], 14);
    let other = edge.as_key(&edge.production, "GET", path, &[], Value::Null).await.ok();
    assert_eq!(other["log_days"], 60, "the other environment has its own");
    put(&edge, path, &[("if-match", &first)], json!({})).await.ok();
    assert_eq!(edge.call("GET", path, Value::Null).await.ok()["log_days"], 60);
    assert_eq!(put(&edge, path, &[("if-match", &first)], json!({ "log_days": 7 })).await.status, 412);
}
