//! API keys: made, seen and revoked by whom they concern, and by nobody else.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    bare::scope,
    edge::{Answer, Edge},
};

async fn make(edge: &Edge, by: &str, body: Value) -> Answer {
    edge.as_key(by, "POST", "/v1/keys", &[], body).await
}

async fn list(edge: &Edge, by: &str, query: &str) -> Value {
    edge.as_key(by, "GET", &format!("/v1/keys{query}"), &[], Value::Null).await.ok()
}

async fn revoke(edge: &Edge, by: &str, id: &Value) -> Answer {
    edge.as_key(by, "DELETE", &format!("/v1/keys/{}", id.as_str().unwrap()), &[], Value::Null).await
}

async fn holds(edge: &Edge, key: &str) -> bool {
    let answer = edge.as_key(key, "GET", "/2024-03/users", &[], Value::Null).await;
    assert!([200, 401].contains(&answer.status), "{answer:?}");
    answer.status == 200
}

fn names(listed: &Value) -> Vec<&str> {
    listed["data"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_at_once() {
    let edge = Edge::start().await;
    let made = make(&edge, &edge.development, json!({ "name": "nightly job" })).await;
    assert_eq!(made.headers["cache-control"], "no-store");
    let made = made.ok();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("trn_dev_") && key.ends_with(made["ends_in"].as_str().unwrap()), "{made}");
    assert_eq!((&made["environment"], &made["last_used_on"]), (&json!("development"), &Value::Null));
    assert!(holds(&edge, key).await);

    let listed = list(&edge, &edge.development, "").await;
    assert_eq!(names(&listed), ["test", "nightly job"]);
    assert_eq!(listed["data"][1]["last_used_on"], "2030-03-17", "{listed}");
    assert!(!listed.to_string().contains(key) && listed["data"][1].get("key").is_none(), "{listed}");
    edge.clock.advance(Duration::from_secs(36 * 3600));
    assert!(holds(&edge, key).await);
    let listed = list(&edge, &edge.development, "").await;
    assert_eq!(listed["data"][1]["last_used_on"], "2030-03-19", "{listed}");

    let revoked = revoke(&edge, &edge.development, &made["id"]).await.ok();
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
    assert!(!holds(&edge, key).await);
    assert_eq!(revoke(&edge, &edge.development, &made["id"]).await.ok(), revoked, "again changes nothing");
}

#[tokio::test]
async fn nobody_sees_or_revokes_the_keys_of_others() {
    let edge = Edge::start().await;
    let production = list(&edge, &edge.production, "").await;
    assert_eq!(names(&production), ["test"]);
    let answer = revoke(&edge, &edge.development, &production["data"][0]["id"]).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (404, Some("api-key-unknown")), "{answer:?}");
    let workspace = scope().workspace;
    for body in [
        json!({ "name": "a", "authority": "operator" }),
        json!({ "name": "a", "environment": "production" }),
        json!({ "name": "a", "workspace_id": "00000000000000000000000f" }),
    ] {
        let answer = make(&edge, &edge.development, body).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (403, Some("wrong-authority")),
            "{answer:?}"
        );
    }

    for (body, status, code) in [
        (json!({ "name": "a" }), 400, "api-key-environment-missing"),
        (json!({ "name": "a", "workspace_id": workspace }), 400, "api-key-environment-missing"),
        (json!({ "name": " ", "authority": "operator" }), 400, "api-key-name-invalid"),
        (
            json!({ "name": "a", "workspace_id": "00000000000000000000000f", "environment": "production" }),
            404,
            "workspace-unknown",
        ),
    ] {
        let answer = make(&edge, &edge.operator, body).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{answer:?}");
    }
    // Ids of the same moment have no order.
    edge.clock.advance(Duration::from_secs(1));
    let wanted = json!({ "name": "given", "workspace_id": workspace, "environment": "production" });
    let given = make(&edge, &edge.operator, wanted).await.ok();
    assert!(holds(&edge, given["key"].as_str().unwrap()).await);
    let all = list(&edge, &edge.operator, "?limit=3").await;
    assert_eq!(all["data"].as_array().unwrap().len(), 3, "{all}");
    let cursor = all["next_cursor"].as_str().unwrap();
    let rest = list(&edge, &edge.operator, &format!("?cursor={cursor}")).await;
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec!["given"], &Value::Null));
    let narrowed =
        list(&edge, &edge.operator, &format!("?workspace_id={workspace}&environment=production")).await;
    assert_eq!(names(&narrowed), ["test", "given"]);
}

#[tokio::test]
async fn nobody_locks_themselves_out() {
    let edge = Edge::start().await;
    let own = list(&edge, &edge.development, "").await["data"][0]["id"].clone();
    let answer = revoke(&edge, &edge.development, &own).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some("api-key-last")), "{answer:?}");
    assert!(answer.message().contains("development") && holds(&edge, &edge.development).await, "{answer:?}");

    let second = make(&edge, &edge.development, json!({ "name": "second" })).await.ok();
    let second_key = second["key"].as_str().unwrap();
    // Two who revoke each other's at the same moment: one of them stays.
    let (one, other) =
        tokio::join!(revoke(&edge, &edge.development, &second["id"]), revoke(&edge, second_key, &own));
    let stays = (holds(&edge, &edge.development).await, holds(&edge, second_key).await);
    assert!(stays == (true, false) || stays == (false, true), "{one:?} {other:?}");

    // The operator may take the last one, and give another.
    let left = if stays.0 { &own } else { &second["id"] };
    revoke(&edge, &edge.operator, left).await.ok();
    assert!(!holds(&edge, &edge.development).await && !holds(&edge, second_key).await);
    let operators = list(&edge, &edge.operator, "").await;
    let operators = operators["data"].as_array().unwrap();
    let operator = &operators.iter().find(|key| key["authority"] == "operator").unwrap()["id"];
    let answer = revoke(&edge, &edge.operator, operator).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some("api-key-last")), "{answer:?}");
}
