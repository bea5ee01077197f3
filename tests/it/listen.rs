//! `trunnion listen`: streams on a developer's machine, in the place of a destination that nobody reaches.

use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};
use trunnion_tests::{
    host::{self, TestHost},
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

const EVENT: &str = "Order Packed";

struct Listening {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    errors: Lines<BufReader<ChildStderr>>,
}

impl Listening {
    async fn start(host: &TestHost, to: &str, more: &[&str]) -> Self {
        let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
        let mut command = Command::new(binary);
        command.args(["listen", "--forward-to", to, "--host", host.base_url()]).args(more);
        command.env("TRUNNION_KEY", &host.keys().development).kill_on_drop(true);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut this = Self { child, out, errors };
        let said = this.errors.next_line().await.unwrap().unwrap();
        assert!(said.starts_with("listening: "), "{said}");
        this
    }

    /// The next line about a delivery.
    async fn line(&mut self) -> String {
        tokio::time::timeout(wait::PATIENCE, self.out.next_line()).await.unwrap().unwrap().unwrap()
    }

    async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }
}

/// A workflow that streams to a destination where nobody is.
async fn streaming() -> (Scenario, Merchant, String) {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let client = &scenario.client;
    client
        .put(&format!("/v1/streams/{STREAM}"), &json!({ "url": "http://127.0.0.1:9/nobody" }))
        .await
        .unwrap();
    client.define_event(EVENT, "An order is packed.", &json!({ "order": 1 })).await.unwrap();
    let definition = json!({
        "name": "Packed", "trigger": { "type": "event", "event": EVENT },
        "steps": [{ "id": "tell", "type": "stream", "destination": STREAM, "body": "{{ trigger }}",
                    "retry": { "attempts": 3, "delay_ms": 50, "backoff": 1, "max_delay_ms": 50 } }],
    });
    let workflow = client.release_workflow(&scenario.catalogue.integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    (scenario, merchant, workflow)
}

async fn pack(scenario: &Scenario, merchant: &Merchant, order: u64) {
    let data = json!({ "order": order });
    scenario.client.run_event(EVENT, &merchant.user, &data).await.unwrap().ok().unwrap();
}

#[tokio::test]
async fn streams_come_to_the_developers_machine_and_its_answers_count() {
    let (scenario, merchant, workflow) = streaming().await;
    let Scenario { client, isv, host, .. } = &scenario;
    let ended = async |count| client.runs_ended(&workflow, &merchant.user, count).await.unwrap().remove(0);
    let mut listening = Listening::start(host, &isv.url("/local"), &["--stream", STREAM]).await;

    // As the destination would get it, signed with the stream's secret.
    pack(&scenario, &merchant, 1).await;
    let post = isv.wait_for("the stream", |post| post.json() == json!({ "order": 1 })).await.unwrap();
    assert_eq!((post.request.line(), post.signature), ("POST /local".to_owned(), Ok(())));
    let line = listening.line().await;
    assert!(
        line.starts_with(&format!("{STREAM} 200 in ")) && line.ends_with(post.request.header("webhook-id")),
        "{line}"
    );
    assert_eq!(ended(1).await.status(), "succeeded");

    // A failure is the run's: it is tried again, under the same id.
    isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
    pack(&scenario, &merchant, 2).await;
    let run = ended(2).await;
    assert_eq!(
        (run.status(), &run.step("tell").unwrap()["attempts"]),
        ("succeeded", &json!(2)),
        "{}",
        run.text()
    );
    assert!(listening.line().await.contains(" 503 in ") && listening.line().await.contains(" 200 in "));
    let ids: Vec<_> = isv.posts().iter().skip(1).map(|post| post.key().to_owned()).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));

    // Streams that were not asked for go where they go, and so does everything once nobody listens.
    listening.stop().await;
    let other = Listening::start(host, &isv.url("/other"), &["--stream", "another"]).await;
    pack(&scenario, &merchant, 3).await;
    assert_eq!(ended(3).await.status(), "failed", "the destination is not there");
    other.stop().await;
    assert_eq!(isv.posts().len(), 3);
}

#[tokio::test]
async fn nobody_listens_to_production_and_a_receiver_that_is_down_is_said() {
    let (scenario, merchant, workflow) = streaming().await;
    let Scenario { client, host, .. } = &scenario;
    let production = host.client_with(&host.keys().production).unwrap();
    let refused = production.post("/v1/listeners", &json!({})).await.unwrap();
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (400, &json!("listener-production")),
        "{}",
        refused.text
    );
    let nothing: Value = client.post("/v1/listeners", &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(nothing["deliveries"], json!([]), "whoever asks without waiting is answered at once");
    let left = json!({ "listener": nothing["listener"], "leave": true });
    client.post("/v1/listeners", &left).await.unwrap().ok().unwrap();

    let mut listening = Listening::start(host, "http://127.0.0.1:9/", &[]).await;
    pack(&scenario, &merchant, 1).await;
    let line = listening.line().await;
    assert!(line.starts_with(&format!("{STREAM} no answer (nothing listens there)")), "{line}");
    let run = client.runs_ended(&workflow, &merchant.user, 1).await.unwrap().remove(0);
    assert!(run.status() == "failed" && run.text().contains("receiver did not answer"), "{}", run.text());
    listening.stop().await;
}
