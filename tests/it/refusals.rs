//! What the host cannot do, it says: a clear error that names the thing.

use reqwest::Method;
use serde_json::json;
use trunnion_tests::{
    host::Answer,
    scenario::{FULFILMENT_EVENT, Scenario},
};

/// A 4xx of this status whose message names every one of `names`.
fn assert_refused(answer: &Answer, status: u16, names: &[&str]) {
    assert_eq!(answer.status, status, "{}: {}", answer.call, answer.text);
    let message = answer.message();
    assert!(!message.is_empty(), "{} has no message: {}", answer.call, answer.text);
    for name in names {
        assert!(message.contains(name), "{}: `{message}` does not name `{name}`", answer.call);
    }
}

#[tokio::test]
async fn run_event_names_what_is_wrong() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let client = &scenario.client;
    let data = json!({ "orderId": "1", "status": "FULFILLED" });

    let answer = client.run_event("No Such Event", &merchant.user, &data).await.unwrap();
    assert_refused(&answer, 404, &["No Such Event"]);
    let answer = client.run_event(FULFILMENT_EVENT, "nobody-here", &data).await.unwrap();
    assert_refused(&answer, 404, &["nobody-here"]);
    client.create_user("carol", "Carol").await.unwrap();
    let answer = client.run_event(FULFILMENT_EVENT, "carol", &data).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.text);
    assert!(
        answer.message().contains("carol") && answer.message().contains(FULFILMENT_EVENT),
        "{}",
        answer.text
    );
    let answer = client.run_event(FULFILMENT_EVENT, &merchant.user, &json!("not an object")).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.text);
    assert!(answer.message().contains("data"), "{}", answer.text);

    let path = "/2023-12/run/event";
    let answer = client.send(Method::POST, path, Some(br#"{"event": "x", "#.to_vec())).await.unwrap();
    assert_refused(&answer, 400, &["JSON"]);
    let answer = client.post(path, &json!({ "userId": "ada", "data": {} })).await.unwrap();
    assert!((400..500).contains(&answer.status) && answer.message().contains("event"), "{}", answer.text);

    let huge = json!({ "event": FULFILMENT_EVENT, "userId": merchant.user, "data": { "filler": "x".repeat(10_000_000) } });
    let answer = client.post(path, &huge).await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert!(
        answer.message().chars().any(|letter| letter.is_ascii_digit()),
        "names the limit: {}",
        answer.text
    );

    let runs = client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    assert!(runs.is_empty(), "nothing of this started a run: {runs:?}");
}

#[tokio::test]
async fn a_webhook_body_has_a_limit() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let hook = scenario.bigcommerce.hooks(&merchant.store).remove(0);
    let url = hook.destination.replace(scenario.host.public_url(), scenario.host.base_url());
    let mut request = reqwest::Client::new().post(url);
    for (name, value) in &hook.headers {
        request = request.header(name, value);
    }
    let answer = request.body(vec![b'x'; 10_000_000]).send().await.unwrap();
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn keys_open_only_their_own_environment() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let data = json!({ "orderId": "1", "status": "FULFILLED" });
    for wrong in ["", "trn_dev_0000000000000000000000000000000000000000"] {
        let stranger = scenario.host.client_with(wrong).unwrap();
        let answer = stranger.run_event(FULFILMENT_EVENT, &merchant.user, &data).await.unwrap();
        assert_refused(&answer, 401, &[]);
    }
    let production = scenario.host.client_with(&scenario.host.keys().production).unwrap();
    let answer = production.run_event(FULFILMENT_EVENT, &merchant.user, &data).await.unwrap();
    assert!(
        (400..500).contains(&answer.status),
        "a development user is unknown in production: {}",
        answer.text
    );
    let twin = production.create_user("ada", "Ada in production").await.unwrap();
    assert_ne!(twin, merchant.user, "usernames are unique in their own environment only");
}

#[tokio::test]
async fn a_release_says_everything_that_is_wrong_at_once() {
    let scenario = Scenario::start().await.unwrap();
    let definition = json!({
        "name": "Wrong",
        "trigger": { "type": "event", "event": FULFILMENT_EVENT },
        "steps": [
            { "id": "one", "type": "action", "app": "bigcommerce", "action": "no_such_action", "input": {} },
            { "id": "two", "type": "action", "app": "bigcommerce", "action": "update_order_status",
              "input": { "order_id": "{{ trigger.noSuchField }}" } },
        ],
    });
    let body = json!({ "integration_id": scenario.catalogue.integration, "definition": definition });
    let made = scenario.client.post("/v1/workflows", &body).await.unwrap().ok().unwrap();
    let path = format!("/v1/workflows/{}/releases", made["id"].as_str().unwrap());
    let answer = scenario.client.post(&path, &json!({})).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.text);
    for name in ["no_such_action", "noSuchField", "status_id"] {
        assert!(answer.text.contains(name), "`{name}` is not named: {}", answer.text);
    }
}

#[tokio::test]
async fn a_credential_is_tried_before_it_is_kept() {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.add_store("real", "right-token");
    let user = scenario.client.create_user("dave", "Dave").await.unwrap();
    let body = json!({ "userId": user, "credential": { "type": "bigcommerce",
        "data": { "store_hash": "real", "access_token": "wrong-token-8c1f" } } });
    let answer = scenario.client.post("/2023-12/headless/credentials", &body).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.text);
    assert!(!answer.text.contains("wrong-token-8c1f"), "an error never repeats a secret: {}", answer.text);
    let body =
        json!({ "userId": user, "credential": { "type": "bigcommerce", "data": { "store_hash": "real" } } });
    let answer = scenario.client.post("/2023-12/headless/credentials", &body).await.unwrap();
    assert!(
        (400..500).contains(&answer.status) && answer.message().contains("access_token"),
        "{}",
        answer.text
    );
}
