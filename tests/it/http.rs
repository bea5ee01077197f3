//! The connector for any HTTP API, in the real host: it reaches the hosts that its connection names, and no others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunnion_tests::{
    component,
    host::{Client, HostOptions, RunView, TestHost},
    wait,
};

const EVENT: &str = "Call Ready";
const KEY: &str = "canary-key-anything-93be0712c6f44d1a";

/// What an API received: the path, and the headers that tests look at.
type Seen = Arc<Mutex<Vec<(String, Option<String>, Option<String>)>>>;

fn note(seen: &Seen, what: String, headers: &HeaderMap) {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    seen.lock().unwrap().push((what, header("x-api-key"), header("idempotency-key")));
}

/// An API with a list of seven orders in pages of three, which takes orders by key.
async fn api() -> (String, Seen) {
    let seen = Seen::default();
    let list = async move |State(seen): State<Seen>,
                           Query(query): Query<BTreeMap<String, u64>>,
                           headers: HeaderMap| {
        let after = query.get("after").copied().unwrap_or_default();
        note(&seen, format!("list {after}"), &headers);
        let orders: Vec<_> = (after + 1..=(after + 3).min(7)).map(|id| json!({ "id": id })).collect();
        let next = (after + 3 < 7).then_some(after + 3);
        Json(json!({ "data": orders, "after": next }))
    };
    let take = async move |State(seen): State<Seen>, headers: HeaderMap, Json(order): Json<Value>| {
        note(&seen, format!("take {}", order["id"]), &headers);
        (StatusCode::CREATED, Json(json!({ "taken": order["id"] })))
    };
    let router =
        Router::new().route("/orders", get(list)).route("/taken", post(take)).with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, seen)
}

struct Calling {
    host: TestHost,
    client: Client,
    workflow: String,
    user: String,
}

/// A host with one workflow of these steps, for a user whose connection names these hosts.
async fn calling(base: &str, hosts: &str, steps: Value) -> Calling {
    let options = HostOptions {
        rewrites: vec![format!("*.anything.example={base}")],
        components: vec![component::http().await.unwrap()],
        ..HostOptions::default()
    };
    let host = TestHost::start(options).await.unwrap();
    let client = host.client().unwrap();
    client.define_event(EVENT, "Something is to be called.", &json!({ "id": 1 })).await.unwrap();
    let integration = client.create_integration("http").await.unwrap();
    let definition =
        json!({ "name": "Call", "trigger": { "type": "event", "event": EVENT }, "steps": steps });
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    let user = client.create_user("ada", "Merchant Ada").await.unwrap();
    let data = json!({ "hosts": hosts, "key": KEY });
    let credential = client.create_credential(&user, "http", &data).await.unwrap();
    client.install(&user, &integration, &credential, &[]).await.unwrap();
    Calling { host, client, workflow, user }
}

impl Calling {
    async fn run(&self) -> RunView {
        self.client.run_event(EVENT, &self.user, &json!({ "id": 1 })).await.unwrap().ok().unwrap();
        self.client.runs_ended(&self.workflow, &self.user, 1).await.unwrap().remove(0)
    }
}

#[tokio::test]
async fn a_list_is_read_by_pages_and_each_item_sent_with_key_and_credential() {
    let (base, seen) = api().await;
    let auth = json!({ "header": "X-Api-Key" });
    let listing = json!({
        "url": "https://api.anything.example/orders", "auth": auth, "items": "/data",
        "paging": { "by": "cursor", "at": "/after", "parameter": "after" },
    });
    let steps = json!([{
        "id": "each", "type": "for_each", "from": { "app": "http", "action": "list", "input": listing },
        "steps": [{ "id": "take", "type": "action", "app": "http", "action": "request_once", "input": {
            "method": "POST", "url": "https://api.anything.example/taken", "auth": auth, "body": { "json": "{{ item }}" },
        } }],
    }]);
    let calling = calling(&base, "api.anything.example", steps).await;
    let run = calling.run().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("each").unwrap()["output"]["succeeded"], 7, "{}", run.text());
    let seen = seen.lock().unwrap().clone();
    let lines: Vec<_> = seen.iter().map(|(line, ..)| line.as_str()).collect();
    let expected =
        ["list 0", "take 1", "take 2", "take 3", "list 3", "take 4", "take 5", "take 6", "list 6", "take 7"];
    assert_eq!(lines, expected);
    assert!(seen.iter().all(|(_, key, _)| key.as_deref() == Some(KEY)), "{seen:?}");
    let keys: std::collections::BTreeSet<_> = seen.iter().filter_map(|(_, _, key)| key.clone()).collect();
    assert_eq!(keys.len(), 7, "each item has a key of its own");
    assert!(!run.text().contains(KEY));
}

#[tokio::test]
async fn no_other_host_is_reached() {
    let (base, seen) = api().await;
    let once = json!({ "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 });
    let steps = json!([{ "id": "get", "type": "action", "app": "http", "action": "get", "retry": once,
        "input": { "url": "https://other.anything.example/orders" } }]);
    let calling = calling(&base, "api.anything.example,api.example.com", steps).await;
    let run = calling.run().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    assert!(run.text().contains("host `other.anything.example` is not allowed"), "{}", run.text());
    assert!(seen.lock().unwrap().is_empty());

    let refused = json!({ "hosts": "10.0.0.1", "key": KEY });
    let body = json!({ "userId": calling.user, "credential": { "type": "http", "data": refused } });
    let answer = calling.client.post("/2023-12/headless/credentials", &body).await.unwrap();
    assert!(
        (400..500).contains(&answer.status) && answer.message().contains("whole host names"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn what_is_posted_is_verified_as_the_workflow_says_and_starts_it() {
    let (base, _) = api().await;
    let calling =
        calling(&base, "api.anything.example", json!([{ "id": "a", "type": "set", "value": 1 }])).await;
    let (client, user) = (&calling.client, &calling.user);
    let integration = client.create_integration("http").await.unwrap();
    let trigger = |secret: &str| {
        let verify = json!({ "method": "hmac", "algorithm": "sha256", "header": "X-Signature", "encoding": "hex", "prefix": "sha256=",
            "parts": [{ "header": "X-Sent" }, { "literal": "." }, "body"], "secret": secret,
            "timestamp": { "header": "X-Sent", "unit": "seconds", "tolerance_ms": 300_000 } });
        let options = json!({ "verify": verify, "dedup": { "from": "header", "name": "X-Delivery" } });
        json!({ "type": "app", "app": "http", "trigger": "webhook", "options": options })
    };
    let definition = |trigger: Value| {
        let steps = json!([{ "id": "a", "type": "set", "value": "{{ trigger.body.id }}" }]);
        json!({ "name": "Posted", "trigger": trigger, "steps": steps })
    };
    // What verifies is looked at before anything is released.
    let mut unsigned = trigger("subscription");
    unsigned["options"]["verify"]["parts"] = json!(["method"]);
    let mut open = trigger("subscription");
    open["options"]["verify"] = json!({ "method": "none" });
    for (wrong, at) in [
        (unsigned, "/trigger/options/verify/parts"),
        (open, "/trigger/options/verify"),
        (trigger("no_such_secret"), "/trigger/options/verify/secret"),
    ] {
        let refused = client.release_workflow(&integration, &definition(wrong)).await.unwrap_err();
        assert!(format!("{refused:#}").contains(at), "{refused:#}");
    }

    let own = client.release_workflow(&integration, &definition(trigger("subscription"))).await.unwrap();
    let theirs = client.release_workflow(&integration, &definition(trigger("signing_secret"))).await.unwrap();
    let given = json!({ "hosts": "api.anything.example", "signing_secret": "canary-signing-5d02" });
    let credential = client.create_credential(user, "http", &given).await.unwrap();
    client.install(user, &integration, &credential, &[]).await.unwrap();
    let listed = client.get(&format!("/v1/installations?user_id={user}")).await.unwrap().ok().unwrap();
    let webhook = |workflow: &str| {
        let every = listed["data"].as_array().unwrap();
        every.iter().find(|one| one["workflow_id"] == workflow).unwrap()["webhook"].clone()
    };
    for (workflow, name, key) in [
        (&own, "subscription", webhook(&own)["secret"].as_str().unwrap().to_owned()),
        (&theirs, "signing_secret", "canary-signing-5d02".to_owned()),
    ] {
        let shown = webhook(workflow);
        assert_eq!(shown["secret_name"], name, "{shown}");
        let path = shown["url"].as_str().unwrap().strip_prefix(calling.host.public_url()).unwrap();
        let url = format!("{}{path}", calling.host.base_url());
        let post = async |body: &str, signed: &str, delivery: &str| {
            let sent = (wait::wall_clock().as_millis() / 1_000).to_string();
            let signature = hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
                format!("{sent}.{signed}").as_bytes(),
            );
            let signature = hex::encode(signature);
            let request = reqwest::Client::new().post(&url).body(body.to_owned());
            let request = request.header("X-Sent", sent).header("X-Signature", format!("sha256={signature}"));
            request.header("X-Delivery", delivery).send().await.unwrap().status().as_u16()
        };
        assert_eq!(post(r#"{"id":8}"#, r#"{"id":7}"#, "0").await, 401, "a forged body");
        assert_eq!(post(r#"{"id":7}"#, r#"{"id":7}"#, "1").await, 200);
        assert_eq!(post(r#"{"id":7}"#, r#"{"id":7}"#, "1").await, 200, "repeated");
        assert_eq!(post(r#"{"id":7}"#, r#"{"id":7}"#, "2").await, 200, "the same again is something new");
        let runs = client.runs_ended(workflow, user, 2).await.unwrap();
        assert_eq!(runs.len(), 2);
        assert!(runs.iter().all(|run| run.step("a").unwrap()["output"] == 7), "{}", runs[0].text());
    }
}
