//! Requests that wait: a prompt answer, a slow one, a killed host, a repeated request, and what is refused.

use std::{fs, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{
    host::{HostOptions, RunView},
    isv::{Isv, Post},
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// A scenario with a workflow that requests start, installed by one merchant.
struct Asking {
    scenario: Scenario,
    merchant: Merchant,
    workflow: String,
    path: String,
    http: reqwest::Client,
}

/// What a caller was answered.
#[derive(Debug)]
struct Told {
    status: u16,
    run: String,
    kind: String,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

async fn asking(steps: Value) -> Asking {
    asking_with(steps, |_| {}).await
}

async fn asking_with(steps: Value, change: impl FnOnce(&mut HostOptions)) -> Asking {
    let scenario = Scenario::start_with(change).await.unwrap();
    let definition = json!({ "name": "Asked", "trigger": { "type": "request" }, "steps": steps });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let path = path_of(&scenario, &merchant, &workflow).await;
    let http = reqwest::Client::builder().timeout(wait::PATIENCE).build().unwrap();
    Asking { scenario, merchant, workflow, path, http }
}

/// The path of an installation's address.
async fn path_of(scenario: &Scenario, merchant: &Merchant, workflow: &str) -> String {
    let (url, _) = scenario.client.entrance(&merchant.user, workflow).await.unwrap();
    url.strip_prefix(scenario.host.public_url()).unwrap().to_owned()
}

/// Answers at once, then works on.
fn prompt() -> Value {
    json!([
        { "id": "told", "type": "respond", "status": 201, "headers": { "x-sku": "{{ trigger.body.sku }}" },
          "body": { "sku": "{{ trigger.body.sku }}", "page": "{{ trigger.query.page | default('1') }}", "by": "{{ user.username }}" } },
        { "id": "send", "type": "stream", "destination": STREAM, "body": { "id": "{{ trigger.body.order }}" } },
    ])
}

/// Streams, which a test can hold up, then answers.
fn slow() -> Value {
    json!([
        { "id": "send", "type": "stream", "destination": STREAM, "body": { "id": "{{ trigger.body.order }}" } },
        { "id": "told", "type": "respond", "body": { "order": "{{ trigger.body.order }}" } },
    ])
}

impl Asking {
    async fn ask(&self, body: &Value, headers: &[(&str, &str)]) -> Told {
        self.send(reqwest::Method::POST, &self.path, Some(body.to_string()), headers).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Told {
        let url = format!("{}{path}", self.scenario.host.base_url());
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let header = |name: &str| {
            answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        Told {
            status: answer.status().as_u16(),
            run: header("trunnion-run"),
            kind: header("content-type"),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        }
    }

    /// GET of the address that a 202 named, at the present host.
    async fn look(&self, told: &Told) -> Told {
        let url = told.json()["url"].as_str().unwrap().to_owned();
        let path = url.strip_prefix(self.scenario.host.public_url()).unwrap();
        self.send(reqwest::Method::GET, path, None, &[]).await
    }

    /// The answer at that address, once it is there.
    async fn answer(&self, told: &Told) -> Told {
        wait::until("the answer at its address", || async {
            let looked = self.look(told).await;
            (looked.status != 202).then_some(looked)
        })
        .await
        .unwrap()
    }

    async fn ended(&self, count: usize) -> Vec<RunView> {
        self.scenario.client.runs_ended(&self.workflow, &self.merchant.user, count).await.unwrap()
    }
}

#[tokio::test]
async fn a_prompt_answer_comes_while_the_run_goes_on() {
    let asking = asking(prompt()).await;
    let held = asking.scenario.isv.hold_next();
    asking.path.strip_prefix("/requests/").filter(|token| token.len() == 32).unwrap();
    let path = format!("{}?page=2", asking.path);
    let body = json!({ "sku": "A-1", "order": 11 }).to_string();
    let told = asking.send(reqwest::Method::POST, &path, Some(body), &[]).await;
    assert_eq!((told.status, told.kind.as_str()), (201, "application/json"), "{told:?}");
    assert_eq!(told.json(), json!({ "sku": "A-1", "page": "2", "by": "ada" }));
    assert_eq!(told.headers["x-sku"], "A-1");
    assert_eq!(told.headers["content-security-policy"], "sandbox; default-src 'none'");
    held.arrived().await;
    let run = asking.scenario.client.run(&told.run).await.unwrap();
    assert!(!run.ended(), "it was answered before its end: {}", run.text());
    held.release();
    let runs = asking.ended(1).await;
    assert_eq!((runs[0].id(), runs[0].status()), (told.run.as_str(), "succeeded"));
    asking.scenario.isv.wait_for_order(11).await.unwrap();
}

#[tokio::test]
async fn a_run_without_respond_answers_with_what_its_last_step_gave() {
    let asking = asking(json!([
        { "id": "some", "type": "filter", "condition": "trigger.body.count > 0" },
        { "id": "each", "type": "for_each", "items": "{{ trigger.body.items }}", "steps": [{ "id": "one", "type": "set", "value": 1 }] },
        { "id": "sum", "type": "set", "value": { "count": "{{ steps.each.succeeded }}" } },
    ]))
    .await;
    let told = asking.ask(&json!({ "count": 2, "items": [1, 2] }), &[]).await;
    assert_eq!((told.status, told.json()), (200, json!({ "count": 2 })), "{told:?}");
    let told = asking.ask(&json!({ "count": 0 }), &[]).await;
    assert_eq!((told.status, told.text.as_str()), (204, ""), "a filter ended it");
    let told = asking.ask(&json!({ "count": 1, "items": "none" }), &[]).await;
    assert_eq!(told.status, 500, "{told:?}");
    assert!(told.text.contains("step `each` failed"), "{told:?}");
}

#[tokio::test]
async fn a_slow_request_gets_202_and_its_answer_at_an_address() {
    let directory = tempfile::tempdir().unwrap();
    // The configured limit itself, not the caller's wish.
    let path = directory.path().join("trunnion.toml");
    fs::write(&path, "request_wait_secs = 1\n").unwrap();
    let asking = asking_with(slow(), |options| {
        options.arguments = vec!["--config".to_owned(), path.to_str().unwrap().to_owned()];
    })
    .await;
    let held = asking.scenario.isv.hold_next();
    let told = asking.ask(&json!({ "order": 12 }), &[]).await;
    assert_eq!(told.status, 202, "{told:?}");
    assert_eq!(
        (told.json()["status"].as_str(), told.json()["run_id"].as_str()),
        (Some("running"), Some(told.run.as_str()))
    );
    assert_eq!(told.headers["location"].to_str().unwrap(), told.json()["url"].as_str().unwrap());
    assert_eq!(asking.look(&told).await.status, 202);
    held.arrived().await;
    held.release();
    let answer = asking.answer(&told).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "order": 12 })));
    assert_eq!(answer.run, told.run);
}

#[tokio::test]
async fn killed_while_a_caller_waits_the_run_goes_on_and_its_address_answers() {
    let mut asking = asking(slow()).await;
    let held = asking.scenario.isv.hold_next();
    let told =
        asking.ask(&json!({ "order": 13 }), &[("prefer", "respond-async"), ("idempotency-key", "k13")]).await;
    assert_eq!(told.status, 202, "{told:?}");
    held.arrived().await;
    asking.scenario.crash().await.unwrap();
    held.release();
    let answer = asking.answer(&told).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "order": 13 })));
    asking.scenario.crash().await.unwrap();
    assert_eq!(asking.look(&told).await.json(), json!({ "order": 13 }), "also long after");
    let again = asking.ask(&json!({ "order": 13 }), &[("idempotency-key", "k13")]).await;
    assert_eq!((again.run.as_str(), again.status), (told.run.as_str(), 200), "and a repeated request");
    assert_eq!(asking.ended(1).await.len(), 1);
}

#[tokio::test]
async fn a_repeated_request_is_answered_by_the_same_run() {
    let asking = asking(slow()).await;
    let held = asking.scenario.isv.hold_next();
    let key = [("idempotency-key", "order-14")];
    let body = json!({ "order": 14 });
    let (first, second, ()) = tokio::join!(asking.ask(&body, &key), asking.ask(&body, &key), async {
        held.arrived().await;
        held.release();
    });
    assert_eq!((first.status, first.json()), (200, json!({ "order": 14 })));
    assert_eq!((second.status, &second.run, second.json()), (200, &first.run, first.json()));
    let later = asking.ask(&body, &key).await;
    assert_eq!((&later.run, later.json()), (&first.run, first.json()));
    let other = asking.ask(&json!({ "order": 15 }), &key).await;
    assert_eq!(other.status, 422, "the key was used with another body: {other:?}");
    let another = asking.ask(&body, &[("idempotency-key", "order-14b")]).await;
    assert_ne!(another.run, first.run);
    assert_eq!(asking.ended(2).await.len(), 2);
    assert_eq!(asking.scenario.isv.orders(14).len(), 2);
}

#[tokio::test]
async fn an_address_is_kept_over_upgrades_and_ends_with_the_installation() {
    let asking = asking(prompt()).await;
    let Asking { scenario, merchant, workflow, .. } = &asking;
    let told = asking.ask(&json!({ "sku": "A", "order": 1 }), &[]).await;
    assert_eq!(told.status, 201);
    let definition = json!({ "name": "Asked", "trigger": { "type": "request" },
        "steps": [{ "id": "told", "type": "respond", "body": "second" }] });
    scenario
        .client
        .put(&format!("/v1/workflows/{workflow}"), &json!({ "definition": definition }))
        .await
        .unwrap()
        .ok()
        .unwrap();
    scenario
        .client
        .post(&format!("/v1/workflows/{workflow}/releases"), &json!({}))
        .await
        .unwrap()
        .ok()
        .unwrap();
    let integration = &scenario.catalogue.integration;
    scenario.client.install(&merchant.user, integration, &merchant.credential, &[workflow]).await.unwrap();
    assert_eq!(path_of(scenario, merchant, workflow).await, asking.path, "callers need not be told anew");
    assert_eq!(asking.ask(&json!({}), &[]).await.json(), "second");

    let other = scenario.merchant("bob").await.unwrap();
    let foreign = format!("{}/runs/{}", path_of(scenario, &other, workflow).await, told.run);
    assert_eq!(asking.send(reqwest::Method::GET, &foreign, None, &[]).await.status, 404, "another's run");

    let path = format!("/2023-12/workflows/{workflow}?userId={}", merchant.user);
    scenario.client.send(reqwest::Method::DELETE, &path, None).await.unwrap().ok().unwrap();
    let gone = asking.ask(&json!({}), &[]).await;
    assert_eq!(gone.status, 404, "{gone:?}");
    let looked =
        asking.send(reqwest::Method::GET, &format!("{}/runs/{}", asking.path, told.run), None, &[]).await;
    assert_eq!(looked.status, 404);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let asking = asking(prompt()).await;
    let unknown = format!("/requests/{}", "0".repeat(32));
    let told = asking.send(reqwest::Method::POST, &unknown, None, &[]).await;
    assert_eq!(told.status, 404);
    assert!(told.text.contains("no workflow at this address"), "{told:?}");
    let huge = format!("\"{}\"", "x".repeat(10_000_000));
    assert_eq!(asking.send(reqwest::Method::POST, &asking.path, Some(huge), &[]).await.status, 413);
    let broken = asking.send(reqwest::Method::POST, &asking.path, Some("{".to_owned()), &[]).await;
    assert_eq!(broken.status, 400, "{broken:?}");
    assert_eq!(asking.send(reqwest::Method::OPTIONS, &asking.path, None, &[]).await.status, 405);
    let runs = asking.scenario.client.runs(&asking.workflow, &asking.merchant.user).await.unwrap();
    assert!(runs.is_empty(), "nothing of this started a run: {runs:?}");
}

#[tokio::test]
async fn a_host_with_too_much_waiting_refuses_requests_before_it_accepts_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trunnion.toml");
    fs::write(&path, "max_waiting = 0\n").unwrap();
    let asking = asking_with(prompt(), |options| {
        options.arguments = vec!["--config".to_owned(), path.to_str().unwrap().to_owned()];
    })
    .await;
    let told = asking.ask(&json!({ "sku": "A", "order": 1 }), &[]).await;
    assert_eq!(told.status, 429, "{told:?}");
    let after: u64 = told.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(Duration::from_secs(after) >= Duration::from_secs(1));
    let runs = asking.scenario.client.runs(&asking.workflow, &asking.merchant.user).await.unwrap();
    assert!(runs.is_empty(), "{runs:?}");
}

#[tokio::test]
async fn a_stop_lets_callers_go_with_the_address_of_their_answer() {
    let mut asking = asking(json!([
        { "id": "pause", "type": "delay", "seconds": 2 },
        { "id": "told", "type": "respond", "body": "late" },
    ]))
    .await;
    let (http, url) = (asking.http.clone(), format!("{}{}", asking.scenario.host.base_url(), asking.path));
    let asked = tokio::spawn(async move { http.post(url).send().await });
    wait::until("the run to be there", || async {
        let runs = asking.scenario.client.runs(&asking.workflow, &asking.merchant.user).await.ok()?;
        runs.first().filter(|run| run.status() == "queued").map(drop)
    })
    .await
    .unwrap();
    asking.scenario.host.stop().await.unwrap();
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.status(), 202);
    let text = answer.text().await.unwrap();
    asking.scenario.start_again().await.unwrap();
    let told =
        Told { status: 202, run: String::new(), kind: String::new(), headers: Default::default(), text };
    assert_eq!(asking.answer(&told).await.json(), "late");
}

/// A receiver of callbacks that knows the installation's key.
async fn receiver(asking: &Asking) -> Isv {
    let client = &asking.scenario.client;
    let (_, secret) = client.entrance(&asking.merchant.user, &asking.workflow).await.unwrap();
    let isv = Isv::start().await.unwrap();
    isv.trust(&secret);
    isv
}

async fn called_back(receiver: &Isv, run: &str) -> Post {
    receiver.wait_for("a callback", |post| post.json()["run_id"] == run).await.unwrap()
}

#[tokio::test]
async fn a_slow_synchronous_call_answers_later_by_callback() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trunnion.toml");
    fs::write(&path, "request_wait_secs = 2\n").unwrap();
    let asking = asking_with(slow(), |options| {
        options.arguments = vec!["--config".to_owned(), path.to_str().unwrap().to_owned()];
    })
    .await;
    let receiver = receiver(&asking).await;
    let url = receiver.url("/answers");
    let prompt = asking.ask(&json!({ "order": 30 }), &[("trunnion-callback", &url)]).await;
    let held = asking.scenario.isv.hold_next();
    let told = asking.ask(&json!({ "order": 31 }), &[("trunnion-callback", &url)]).await;
    assert_eq!(told.status, 202, "{told:?}");
    held.arrived().await;
    held.release();
    let post = called_back(&receiver, &told.run).await;
    assert_eq!(post.signature, Ok(()), "signed with the installation's key");
    let expected = json!({ "run_id": told.run, "status": 200, "headers": {}, "body": { "order": 31 } });
    assert_eq!(post.json(), expected);
    assert_eq!(asking.answer(&told).await.json(), json!({ "order": 31 }), "and at its address");
    if prompt.status == 200 {
        let others: Vec<_> = receiver
            .posts()
            .into_iter()
            .filter(|post| post.json()["run_id"] == prompt.run.as_str())
            .collect();
        assert!(others.is_empty(), "who had the answer is not called back: {others:?}");
    }
}

#[tokio::test]
async fn killed_before_the_answer_the_callback_still_comes() {
    let mut asking = asking(slow()).await;
    let receiver = receiver(&asking).await;
    let (held, url) = (asking.scenario.isv.hold_next(), receiver.url("/answers"));
    let headers = [("trunnion-callback", url.as_str()), ("prefer", "respond-async")];
    let told = asking.ask(&json!({ "order": 32 }), &headers).await;
    assert_eq!(told.status, 202, "{told:?}");
    held.arrived().await;
    asking.scenario.crash().await.unwrap();
    held.release();
    let post = called_back(&receiver, &told.run).await;
    assert_eq!((post.signature.clone(), &post.json()["body"]), (Ok(()), &json!({ "order": 32 })));
}

#[tokio::test]
async fn killed_while_it_calls_back_it_does_so_again_with_the_same_key() {
    let mut asking = asking(prompt()).await;
    let receiver = receiver(&asking).await;
    let (held, url) = (receiver.hold_next(), receiver.url("/answers"));
    let headers = [("trunnion-callback", url.as_str()), ("prefer", "respond-async")];
    let told = asking.ask(&json!({ "sku": "A", "order": 33 }), &headers).await;
    held.arrived().await;
    asking.scenario.crash().await.unwrap();
    held.release();
    called_back(&receiver, &told.run).await;
    let keys = receiver.arrivals();
    assert!(keys.len() == 2 && keys[0] == keys[1] && !keys[0].is_empty(), "{keys:?}");
}

#[tokio::test]
async fn a_callback_that_is_refused_is_tried_again() {
    let asking = asking(prompt()).await;
    let receiver = receiver(&asking).await;
    receiver.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
    let url = receiver.url("/answers");
    let headers = [("trunnion-callback", url.as_str()), ("prefer", "respond-async")];
    let told = asking.ask(&json!({ "sku": "A", "order": 34 }), &headers).await;
    let post = called_back(&receiver, &told.run).await;
    assert_eq!(post.json()["status"], 201);
    assert_eq!(receiver.arrivals(), [post.key(), post.key()], "the same key each time");
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_called_back() {
    let asking = asking(slow()).await;
    let receiver = receiver(&asking).await;
    let held = asking.scenario.isv.hold_next();
    let url = format!("{}{}", asking.scenario.host.base_url(), asking.path);
    let request = asking.http.post(url).header("trunnion-callback", receiver.url("/answers"));
    let asked =
        tokio::spawn(request.header("content-type", "application/json").body(r#"{"order":35}"#).send());
    held.arrived().await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    held.release();
    let post = receiver.wait_for("the answer", |post| post.json()["body"]["order"] == 35).await.unwrap();
    assert_eq!(post.signature, Ok(()));
}

#[tokio::test]
async fn a_callback_must_be_a_url_that_may_be_called() {
    let asking = asking(prompt()).await;
    for (url, words) in [("answers", "cannot be read"), ("ftp://acme.example/", "not one of the web")] {
        let told = asking.ask(&json!({ "sku": "A", "order": 1 }), &[("trunnion-callback", url)]).await;
        assert_eq!(told.status, 400, "{told:?}");
        assert!(told.text.contains(words), "{told:?}");
    }
    let runs = asking.scenario.client.runs(&asking.workflow, &asking.merchant.user).await.unwrap();
    assert!(runs.is_empty(), "{runs:?}");
    // Where the operator's rules forbid it, nothing is sent, and a person can see why.
    let headers = [("trunnion-callback", "https://169.254.169.254/latest"), ("prefer", "respond-async")];
    let told = asking.ask(&json!({ "sku": "A", "order": 36 }), &headers).await;
    let letter = wait::until("the dead letter", || async {
        let listed = asking.scenario.client.get("/v1/dead-letters").await.ok()?.ok().ok()?;
        let letters = listed["data"].as_array()?.clone();
        letters.into_iter().find(|letter| letter["work"]["run_id"] == told.run.as_str())
    })
    .await
    .unwrap();
    assert_eq!(letter["work"]["kind"], "callback");
    assert!(letter["reason"].as_str().unwrap().contains("169.254.169.254"), "{letter}");
    assert_eq!(letter["error"]["kind"], "denied", "{letter}");
}
