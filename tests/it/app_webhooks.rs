//! An app's own webhook: one URL for all accounts, keys of the ISV's, and every occurrence at its own users' workflows;
//! and webhooks that a person registers.

use aws_lc_rs::hmac;
use axum::{Json, Router, http::HeaderMap, routing::get};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunnion_tests::{
    component,
    host::{Answer, Client, HostOptions, TestHost},
    wait,
};

const PATH: &str = "/v1/apps/hooked/webhook";

struct Hooked {
    host: TestHost,
    client: Client,
    integration: String,
}

/// A vendor that knows whose key is whose: the key is the account.
async fn vendor() -> String {
    let me = |headers: HeaderMap| async move {
        let key = headers.get("x-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        Json(json!({ "id": key }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/me", get(me))).await });
    base
}

impl Hooked {
    async fn start() -> Self {
        let options = HostOptions {
            components: vec![component::guest("hooked").await.unwrap()],
            rewrites: vec![format!("api.hooked.example={}", vendor().await)],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        let integration = client.create_integration("hooked").await.unwrap();
        Self { host, client, integration }
    }

    async fn workflow(&self, trigger: &str) -> String {
        let definition = json!({
            "name": trigger,
            "trigger": { "type": "app", "app": "hooked", "trigger": trigger },
            "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger.id }}" }],
        });
        self.client.release_workflow(&self.integration, &definition).await.unwrap()
    }

    async fn user(&self, name: &str, account: &str) -> (String, String) {
        let user = self.client.create_user(name, name).await.unwrap();
        let data = json!({ "api_key": account });
        let credential = self.client.create_credential(&user, "hooked", &data).await.unwrap();
        (user, credential)
    }

    /// Sends events to the app's URL, as the vendor does; `key` signs.
    async fn deliver(&self, url: &str, key: &str, age_ms: u64, events: &Value) -> Answer {
        let body = events.to_string();
        let time = (wait::wall_clock().as_millis() - age_ms).to_string();
        let decoded = url.replace("%3A", ":").replace("%2F", "/");
        let signed = format!("POST{decoded}{body}{time}");
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed.as_bytes());
        let headers = [("x-signature", BASE64_STANDARD.encode(signature)), ("x-time", time)];
        self.post(url, &headers, body).await
    }

    async fn post(&self, url: &str, headers: &[(&str, String)], body: String) -> Answer {
        let path = url.strip_prefix(self.host.public_url()).unwrap();
        let mut request = reqwest::Client::new().post(format!("{}{path}", self.host.base_url())).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { call: format!("POST {path}"), status, headers, text: answer.text().await.unwrap() }
    }

    async fn since_start(&self) -> Value {
        self.client.get(PATH).await.unwrap().ok().unwrap()["since_start"].clone()
    }
}

fn event(account: &str, kind: &str, id: u64) -> Value {
    json!({ "account": account, "kind": kind, "id": id })
}

#[tokio::test]
async fn one_delivery_reaches_every_user_of_its_accounts_and_nobody_else() {
    let mut hooked = Hooked::start().await;
    let (made, gone) = (hooked.workflow("made").await, hooked.workflow("gone").await);
    let (ada, ada_credential) = hooked.user("ada", "a").await;
    let (eve, eve_credential) = hooked.user("eve", "a").await;
    let (bob, bob_credential) = hooked.user("bob", "b").await;

    // Without keys nothing could ever be believed, so nothing is installed that would wait in vain.
    let client = hooked.client.clone();
    let refused =
        client.install(&ada, &hooked.integration, &ada_credential, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("PUT /v1/apps/hooked/webhook"), "{refused}");
    let unset = client.get(PATH).await.unwrap();
    assert_eq!((unset.status, unset.json()["code"].clone()), (404, json!("app-webhook-unset")));
    let set =
        client.put(PATH, &json!({ "secrets": { "client_secret": "first" } })).await.unwrap().ok().unwrap();
    assert_eq!(set["triggers"], json!(["made", "gone"]));
    assert_eq!(set["secrets"], json!({ "client_secret": { "keys": 1 } }));
    let url = set["url"].as_str().unwrap().to_owned();

    client.install(&ada, &hooked.integration, &ada_credential, &[]).await.unwrap();
    client.install(&eve, &hooked.integration, &eve_credential, &[&made]).await.unwrap();
    client.install(&bob, &hooked.integration, &bob_credential, &[&made]).await.unwrap();
    let events = json!([
        event("a", "made", 1),
        event("b", "made", 2),
        event("a", "gone", 3),
        event("c", "made", 4),
        event("b", "gone", 5),
        event("a", "ignored", 6)
    ]);
    assert_eq!(hooked.deliver(&url, "first", 0, &events).await.status, 200);
    for (workflow, user, id) in [(&made, &ada, 1), (&made, &eve, 1), (&made, &bob, 2), (&gone, &ada, 3)] {
        let runs = client.runs_ended(workflow, user, 1).await.unwrap();
        assert_eq!(runs[0].0["event"]["data"]["id"], id, "{runs:?}");
        assert_eq!(runs.len(), 1);
    }
    wait::until("all to be counted", || async {
        (hooked.since_start().await["occurrences"] == 5).then_some(())
    })
    .await
    .unwrap();
    let since = hooked.since_start().await;
    assert_eq!((&since["unheard"], &since["repeated"]), (&json!(2), &json!(0)), "{since}");
    let accounts: Vec<_> =
        since["unheard_accounts"].as_array().unwrap().iter().map(|row| row["account"].clone()).collect();
    assert_eq!(accounts, ["b", "c"], "the latest first");

    // The same again, in another delivery with something new: only that begins.
    let again = json!([event("a", "made", 1), event("b", "made", 7)]);
    assert_eq!(hooked.deliver(&url, "first", 0, &again).await.status, 200);
    client.runs_ended(&made, &bob, 2).await.unwrap();
    assert_eq!(hooked.since_start().await["repeated"], 1);
    assert_eq!(client.runs(&made, &ada).await.unwrap().len(), 1);

    // After a removal and a restart, what is left still hears.
    client.uninstall(&ada, &made).await.unwrap();
    hooked.host.kill9().await.unwrap();
    hooked.host.start_again().await.unwrap();
    hooked.client = hooked.host.client().unwrap();
    assert_eq!(hooked.deliver(&url, "first", 0, &json!([event("a", "made", 8)])).await.status, 200);
    hooked.client.runs_ended(&made, &eve, 2).await.unwrap();
    assert_eq!(hooked.client.runs(&made, &ada).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_what_one_of_the_keys_signed_in_time_is_taken() {
    let hooked = Hooked::start().await;
    let client = &hooked.client;
    let put = |keys: Value| async move { client.put(PATH, &json!({ "secrets": keys })).await.unwrap() };
    let url = put(json!({ "client_secret": "old" })).await.ok().unwrap()["url"].as_str().unwrap().to_owned();
    let events = json!([event("a", "made", 1)]);
    let status = async |url: &str, key: &str, age: u64| hooked.deliver(url, key, age, &events).await.status;
    assert_eq!(status(&url, "old", 0).await, 200);
    assert_eq!(status(&url, "other", 0).await, 401);
    assert_eq!(status(&url, "old", 301_000).await, 401);
    // Listed characters of the URL are signed as they read.
    assert_eq!(status(&format!("{url}?next=https%3A%2F%2Fx"), "old", 0).await, 200);
    let unsigned = hooked.post(&url, &[], events.to_string()).await;
    assert_eq!(
        (unsigned.status, unsigned.message().contains("`x-time` is missing")),
        (401, true),
        "{}",
        unsigned.text
    );

    let again = put(json!({ "client_secret": ["new", "old"] })).await.ok().unwrap();
    assert_eq!(again["url"], url.as_str(), "the vendor knows the URL: it stays");
    assert!(!again.to_string().contains("new"), "{again}");
    assert_eq!((status(&url, "new", 0).await, status(&url, "old", 0).await), (200, 200));
    put(json!({ "client_secret": "new" })).await.ok().unwrap();
    assert_eq!((status(&url, "new", 0).await, status(&url, "old", 0).await), (200, 401));

    for (keys, phrase) in [
        (json!({}), "needs the key `client_secret`"),
        (json!({ "client_secret": [] }), "one to 5 keys"),
        (json!({ "client_secret": "" }), "one to 5 keys"),
        (json!({ "secret": "x", "client_secret": "y" }), "no key `secret`"),
    ] {
        let refused = put(keys).await;
        assert_eq!(refused.json()["code"], "app-webhook-key-invalid");
        assert!(refused.message().contains(phrase), "{}", refused.text);
    }
    let unknown = client.get("/v1/apps/nothing/webhook").await.unwrap();
    assert_eq!(unknown.json()["code"], "app-unknown");
}

#[tokio::test]
async fn a_delivery_that_cannot_be_parsed_is_kept_with_its_app() {
    let hooked = Hooked::start().await;
    let body = json!({ "secrets": { "client_secret": "k" } });
    let set = hooked.client.put(PATH, &body).await.unwrap().ok().unwrap();
    let url = set["url"].as_str().unwrap().to_owned();
    assert_eq!(hooked.deliver(&url, "k", 0, &json!([event("a", "refused", 1)])).await.status, 200);
    let letter = wait::until("the dead letter", || async {
        let listed = hooked.client.get("/v1/dead-letters?app=hooked").await.ok()?.ok().ok()?;
        listed["data"].get(0).cloned()
    })
    .await
    .unwrap();
    assert_eq!(letter["work"]["kind"], "delivery", "{letter}");
    assert_eq!(letter["work"]["user_id"], Value::Null, "{letter}");
    assert!(letter["reason"].as_str().unwrap().contains("is to be refused"), "{letter}");
    let path = format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap());
    hooked.client.post(&path, &json!({})).await.unwrap().ok().unwrap();
}

#[tokio::test]
async fn a_webhook_by_hand_is_shown_registered_by_nobody_and_works() {
    let hooked = Hooked::start().await;
    let told = hooked.workflow("told").await;
    let (ada, credential) = hooked.user("ada", "a").await;
    hooked.client.install(&ada, &hooked.integration, &credential, &[]).await.unwrap();
    let listed = hooked.client.get(&format!("/v1/installations?user_id={ada}")).await.unwrap().ok().unwrap();
    let webhook = &listed["data"][0]["webhook"];
    assert_eq!(webhook["secret_name"], "subscription", "{listed}");
    let (url, key) = (webhook["url"].as_str().unwrap(), webhook["secret"].as_str().unwrap().to_owned());
    let body = event("a", "told", 9).to_string();
    assert_eq!(hooked.post(url, &[("x-secret", "guessed".to_owned())], body.clone()).await.status, 401);
    assert_eq!(hooked.post(url, &[("x-secret", key.clone())], body.clone()).await.status, 200);
    let runs = hooked.client.runs_ended(&told, &ada, 1).await.unwrap();
    assert_eq!(runs[0].0["event"]["data"]["id"], 9);
    hooked.client.uninstall(&ada, &told).await.unwrap();
    assert_eq!(hooked.post(url, &[("x-secret", key)], body).await.status, 404);
}
