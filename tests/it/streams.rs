//! Streams to receivers that share no code with the host: the `standardwebhooks` packages of npm and PyPI, and Node's
//! crypto as Alloy's documents show it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trunnion_tests::{
    host::workspace,
    isv::Post,
    node::Script,
    python,
    record::Recorded,
    scenario::{Merchant, Scenario},
};

/// The custom event that starts the workflow under test, and the stream it goes to.
const EVENT: &str = "Größe ready";
const STREAM: &str = "sizes";

struct Streaming {
    scenario: Scenario,
    merchant: Merchant,
    workflow: String,
    /// As the API shows the stream.
    stream: Value,
    receiver: Script,
}

/// A workflow that streams what it is given, whole, to a stream that is signed so.
async fn streaming(signatures: &[&str]) -> Streaming {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let client = &scenario.client;
    let wanted = json!({ "url": scenario.isv.url("/sizes?of=all"), "signatures": signatures });
    let stream = client.put(&format!("/v1/streams/{STREAM}"), &wanted).await.unwrap().ok().unwrap();
    scenario.isv.trust(stream["secret"].as_str().unwrap());
    client.define_event(EVENT, "AcmeCo has measured.", &json!({ "any": 1 })).await.unwrap();
    let definition = json!({
        "name": "Sizes", "trigger": { "type": "event", "event": EVENT },
        "steps": [{ "id": "tell", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }],
    });
    let workflow = client.release_workflow(&scenario.catalogue.integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let receiver = Script::start("node", &workspace().join("tests/node"), "streams.mjs").await.unwrap();
    Streaming { scenario, merchant, workflow, stream, receiver }
}

impl Streaming {
    /// What reaches the receiver of an event with this payload.
    async fn post(&self, number: u64, payload: &str) -> Post {
        let data: Value =
            serde_json::from_str(&format!(r#"{{"any":{number},"payload":{payload}}}"#)).unwrap();
        let client = &self.scenario.client;
        client.run_event(EVENT, &self.merchant.user, &data).await.unwrap().ok().unwrap();
        let isv = &self.scenario.isv;
        isv.wait_for("the stream", |post| post.json().get("any") == Some(&json!(number))).await.unwrap()
    }

    /// Where anybody gets Alloy's public key, at the address that is reached from here.
    fn key_url(&self) -> String {
        let host = &self.scenario.host;
        let shown = self.stream["alloy_public_key_url"].as_str().unwrap();
        let path = shown.strip_prefix(host.public_url()).unwrap_or_else(|| panic!("{shown}"));
        format!("{}{path}", host.base_url())
    }

    async fn ask(&mut self, question: &str, post: &Post, more: Value) -> Value {
        let (headers, body) = received(post);
        let url = self.scenario.isv.url(&post.request.uri.to_string());
        let mut asked = json!({
            "do": question, "headers": headers, "body": body, "method": post.request.method.as_str(), "url": url,
        });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.receiver.ask(&asked).await.unwrap()
    }
}

/// A stream as any receiver's framework hands it over.
fn received(post: &Post) -> (BTreeMap<&str, String>, &str) {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers =
        post.request.headers.iter().map(|(name, value)| (name.as_str(), text(value.as_bytes()))).collect();
    (headers, std::str::from_utf8(&post.request.body).unwrap())
}

#[tokio::test]
async fn a_receiver_that_reads_and_writes_bodies_again_believes_alloys_signature() {
    let mut streaming = streaming(&["alloy"]).await;
    let key_url = streaming.key_url();
    let payloads = [
        r#"{"price":1.0,"small":0.1,"large":1e21,"tiny":0.0000001,"zero":-0.0}"#,
        r#"{"name":"Zoë \u0001 \" \\ \/ 😀 \u2028 </script>","é":"\u00e9"}"#,
        r#"{"b":1,"10":2,"2":3,"01":4,"-1":5,"nested":[{"1":0,"0":[{}, []]}]}"#,
        r#"{"id":9007199254740993,"larger":18446744073709551615,"negative":-9007199254740993}"#,
    ];
    for (number, payload) in (0..).zip(payloads) {
        let post = streaming.post(number, payload).await;
        let told = streaming.ask("alloy", &post, json!({ "key_url": key_url })).await;
        assert_eq!(told["valid"], true, "{payload}: {told}");
        assert!(post.request.headers.get("webhook-signature").is_none(), "it asked for Alloy's alone");
    }

    // Whoever verifies the very bytes is right as well, where JavaScript loses nothing.
    let post = streaming.post(10, payloads[2]).await;
    let told = streaming.ask("alloy", &post, json!({ "key_url": key_url })).await;
    assert_eq!(told["rewritten"].as_str().unwrap().as_bytes(), post.request.body);
    let tampered = Post {
        request: Recorded {
            body: String::from_utf8_lossy(&post.request.body).replace("\"b\":1", "\"b\":2").into(),
            ..post.request.clone()
        },
        ..post.clone()
    };
    let told = streaming.ask("alloy", &tampered, json!({ "key_url": key_url })).await;
    assert_eq!(told["valid"], false, "a receiver must be able to tell: {told}");

    let runs = streaming.scenario.client.runs_ended(&streaming.workflow, &streaming.merchant.user, 5).await;
    let runs = runs.unwrap();
    let header = |name: &str| {
        let value = post.request.headers.get(name).unwrap_or_else(|| panic!("{name}: {post:?}"));
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    };
    assert_eq!(header("x-alloy-workflowid"), streaming.workflow);
    assert_eq!(header("x-alloy-userid"), streaming.merchant.user);
    assert_eq!(header("x-alloy-blockname"), EVENT);
    assert_eq!(header("x-alloy-blocktype"), "customEvent");
    let execution = header("x-alloy-executionuuid");
    assert!(runs.iter().any(|run| run.id() == execution), "{execution}: {runs:?}");
}

#[tokio::test]
async fn the_standard_library_believes_both_signatures_and_those_of_a_secret_that_is_being_replaced() {
    let mut streaming = streaming(&["standard", "standard_asymmetric"]).await;
    let first = streaming.stream["secret"].clone();
    let key = streaming.stream["public_key"].clone();
    let post = streaming.post(0, r#"{"id":9007199254740993,"price":1.0}"#).await;
    let told = streaming.ask("standard", &post, json!({ "secret": first })).await;
    assert_eq!(told["valid"], true, "{told}");
    let told = streaming.ask("asymmetric", &post, json!({ "key": key })).await;
    assert_eq!(told["valid"], true, "{told}");

    let path = format!("/v1/streams/{STREAM}/rotate-secret");
    let client = streaming.scenario.client.clone();
    let rotated = client.post(&path, &json!({})).await.unwrap().ok().unwrap();
    let second = rotated["secret"].clone();
    assert_ne!(first, second);
    assert!(rotated["former_secret_signs_until"].is_string(), "{rotated}");
    let post = streaming.post(1, "null").await;
    for secret in [&first, &second] {
        let told = streaming.ask("standard", &post, json!({ "secret": secret })).await;
        assert_eq!(told["valid"], true, "{secret}: {told}");
    }

    // The second goes at once: whoever leaked it signs nothing more.
    let rotated = client.post(&path, &json!({ "overlap_hours": 0 })).await.unwrap().ok().unwrap();
    assert!(rotated.get("former_secret_signs_until").is_none(), "{rotated}");
    let post = streaming.post(2, "null").await;
    for secret in [&first, &second] {
        let told = streaming.ask("standard", &post, json!({ "secret": secret })).await;
        assert_eq!(told["valid"], false, "{secret}: {told}");
    }
    let told = streaming.ask("standard", &post, json!({ "secret": rotated["secret"] })).await;
    assert_eq!(told["valid"], true, "{told}");
}

#[tokio::test]
async fn pythons_standard_library_believes_streams_and_finds_what_was_tampered_with() {
    let streaming = streaming(&["standard", "standard_asymmetric"]).await;
    let dir = python::installed("standardwebhooks-python", &["standardwebhooks==1.1.0"], None).await.unwrap();
    let mut command = python::command(&dir, "python");
    command.arg(workspace().join("tests/python/streams.py"));
    let mut receiver = Script::of(command).unwrap();

    let payloads = [
        r#"{"price":1.0,"large":1e21,"zero":-0.0}"#,
        r#"{"name":"Zoë \u0001 \" \\ 😀 \u2028 </script>"}"#,
        r#"{"id":9007199254740993,"b":1,"10":2,"2":3}"#,
    ];
    let first = &streaming.stream["secret"];
    for (number, payload) in (0..).zip(payloads) {
        let post = streaming.post(number, payload).await;
        let (headers, body) = received(&post);
        let question = json!({ "secret": first, "headers": headers, "body": body });
        let told = receiver.ask(&question).await.unwrap();
        let sent: Value = serde_json::from_str(payload).unwrap();
        assert_eq!((&told["valid"], &told["payload"]["payload"]), (&json!(true), &sent), "{payload}: {told}");

        let mut tampered = question.clone();
        tampered["body"] = body.replacen("\"any\":", "\"any\":1", 1).into();
        assert_eq!(receiver.ask(&tampered).await.unwrap()["valid"], false, "the body: {payload}");
        let mut tampered = question;
        tampered["headers"]["webhook-id"] = "another".into();
        assert_eq!(receiver.ask(&tampered).await.unwrap()["valid"], false, "the id: {payload}");
    }

    // While a secret is being replaced, a receiver with either one is right; then only with the new one.
    let path = format!("/v1/streams/{STREAM}/rotate-secret");
    let client = &streaming.scenario.client;
    let second = client.post(&path, &json!({})).await.unwrap().ok().unwrap()["secret"].clone();
    let post = streaming.post(10, "null").await;
    let (headers, body) = received(&post);
    for secret in [first, &second] {
        let question = json!({ "secret": secret, "headers": headers, "body": body });
        assert_eq!(receiver.ask(&question).await.unwrap()["valid"], true, "{secret}");
    }
    client.post(&path, &json!({ "overlap_hours": 0 })).await.unwrap().ok().unwrap();
    let post = streaming.post(11, "null").await;
    let (headers, body) = received(&post);
    for secret in [first, &second] {
        let question = json!({ "secret": secret, "headers": headers, "body": body });
        assert_eq!(receiver.ask(&question).await.unwrap()["valid"], false, "{secret}");
    }
}

#[tokio::test]
async fn an_environments_key_is_its_own_and_secrets_are_shown_once() {
    let scenario = Scenario::start().await.unwrap();
    let wanted = json!({ "url": "https://acmeco.example/x", "signatures": ["alloy", "standard_asymmetric"] });
    let production = scenario.host.client_with(&scenario.host.keys().production).unwrap();
    let mut keys = Vec::new();
    for client in [&scenario.client, &production] {
        let one = client.put("/v1/streams/one", &wanted).await.unwrap().ok().unwrap();
        let other = client.put("/v1/streams/other", &wanted).await.unwrap().ok().unwrap();
        for key in ["public_key", "alloy_public_key", "alloy_public_key_url"] {
            assert_eq!(one[key], other[key], "{key} is the environment's");
            keys.push(one[key].as_str().unwrap().to_owned());
        }
        let shown = client.get("/v1/streams/one").await.unwrap().ok().unwrap();
        assert!(shown.get("secret").is_none(), "{shown}");
        let again =
            client.put("/v1/streams/one", &json!({ "url": "https://acmeco.example/y" })).await.unwrap();
        assert_eq!(again.ok().unwrap()["signatures"], json!(["standard_asymmetric", "alloy"]), "as before");
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 6, "development and production have keys of their own: {keys:?}");
}

#[tokio::test]
async fn what_cannot_be_a_stream_is_refused_with_the_remedy() {
    let scenario = Scenario::start().await.unwrap();
    let client = &scenario.client;
    for (body, says) in [
        (json!({ "url": "https://acmeco.example", "signatures": [] }), "would not be signed at all"),
        (json!({ "url": "ftp://acmeco.example" }), "give an absolute https URL"),
        (json!({ "url": "https://acmeco.example", "signatures": ["md5"] }), "unknown variant `md5`"),
    ] {
        let answer = client.put("/v1/streams/x", &body).await.unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.message().contains(says), "{body}: {}", answer.message());
    }
    let answer = client.post("/v1/streams/none/rotate-secret", &json!({})).await.unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.message().contains("PUT /v1/streams/none"), "{}", answer.message());
    client.put("/v1/streams/x", &json!({ "url": "https://acmeco.example" })).await.unwrap().ok().unwrap();
    let answer =
        client.post("/v1/streams/x/rotate-secret", &json!({ "overlap_hours": 9_000 })).await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("at most 720 more hours"), "{}", answer.message());
}
