//! Two who edit the same thing do not overwrite each other.

use serde_json::{Value, json};
use trunnion_core::{
    clock::Clock,
    records::{Connection, OwnConnection},
};
use trunnion_store::{
    Batch,
    tables::{Connections, OwnConnections},
};

use crate::{
    bare::{id, scope},
    edge::{Answer, Edge},
};

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
async fn who_has_seen_a_thing_as_it_is_is_not_sent_it_again() {
    let edge = Edge::start().await;
    let path = "/v1/streams/orders";
    let body = json!({ "url": "https://isv.example/orders" });
    let made = put(&edge, path, &[("if-none-match", "*")], body.clone()).await;
    let first = tag(&made).to_owned();
    made.ok();
    let get = async |path: &str, seen: &str| {
        edge.as_key(&edge.development, "GET", path, &[("if-none-match", seen)], Value::Null).await
    };
    for seen in [first.clone(), format!("\"77\", W/{first}"), "*".to_owned()] {
        let same = get(path, &seen).await;
        assert_eq!((same.status, tag(&same), &same.body), (304, first.as_str(), &Value::Null), "{seen}");
        assert!(same.headers.get("content-type").is_none(), "{same:?}");
    }
    assert_eq!(get(path, "\"77\"").await.status, 200);
    let stale = put(&edge, path, &[("if-match", "\"77\"")], body.clone()).await;
    assert_eq!((stale.status, stale.body["code"].as_str()), (412, Some("precondition-failed")));
    let there = put(&edge, path, &[("if-none-match", "*")], body.clone()).await;
    assert_eq!(there.status, 412, "{there:?}");
    let changed = put(&edge, path, &[("if-match", &first)], body).await;
    let second = tag(&changed).to_owned();
    assert_ne!(first, second);
    let anew = get(path, &first).await;
    assert_eq!((anew.status, tag(&anew)), (200, second.as_str()));
    // What is not there is not "as it was", and a change is no reading.
    assert_eq!(get("/v1/streams/others", "*").await.status, 404);
    let rotated =
        edge.as_key(&edge.development, "POST", "/v1/streams/orders/rotate-secret", &[], json!({})).await;
    assert_ne!(tag(&rotated), second);
    let settings = edge.call("GET", "/v1/settings", Value::Null).await;
    if let Some(known) = settings.headers.get("etag") {
        assert_eq!(get("/v1/settings", known.to_str().unwrap()).await.status, 304);
    }
}

#[tokio::test]
async fn an_environments_own_connection_is_put_where_it_is_as_its_editor_saw_it() {
    let edge = Edge::start().await;
    let path = "/v1/connections/warehouse";
    assert_eq!(edge.call("GET", path, Value::Null).await.status, 404);
    let at = edge.clock.now();
    let connection = json!({
        "id": id(8), "user": Connection::OWN, "app": "acme", "account": "a", "scheme": "key",
        "parameters": {}, "secrets": {}, "created_at": at, "updated_at": at,
    });
    let connection: Connection = serde_json::from_value(connection).unwrap();
    let own = OwnConnection {
        name: "warehouse".to_owned(),
        app: "acme".to_owned(),
        connection: connection.id,
        created_at: at,
    };
    let mut batch = Batch::new();
    batch.insert::<Connections>(&scope(), &(Connection::OWN, connection.id), &connection);
    batch.insert::<OwnConnections>(&scope(), &own.name, &own);
    edge.store.commit(batch).await.unwrap();

    let read = edge.call("GET", path, Value::Null).await;
    let seen = tag(&read).to_owned();
    assert_eq!(read.ok()["name"], "warehouse");
    let same = edge.as_key(&edge.development, "GET", path, &[("if-none-match", &seen)], Value::Null).await;
    assert_eq!(same.status, 304, "{same:?}");
    let body = json!({ "app": "acme", "data": {} });
    for headers in [("if-match", "\"77\""), ("if-none-match", "*")] {
        // Refused before the vendor is asked: there is none here.
        let refused = put(&edge, path, &[headers], body.clone()).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (412, Some("precondition-failed")));
    }
    let held = put(&edge, path, &[("if-match", &seen)], body).await;
    assert_ne!(held.status, 412, "what was seen is what there is: {held:?}");
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
