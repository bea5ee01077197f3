//! Secrets are planted, the servers echo them back in every usual encoding, and then they are looked for:
//! in the guest's own memory, in what it returned and logged, in every API answer, log and file.

use serde_json::{Value, json};
use trunnion_tests::{
    host::{Client, TestHost},
    mirror::MARKER,
    scan::Canary,
    scenario::Scenario,
};

use crate::hostile::Hostile;

/// Characters that JSON, URLs and base64 each write differently.
const KEY: &str = "cnry-\"x/+&%=-7f3a9c51e2d84b06";

fn assert_absent(canary: &Canary, place: &str, text: &str) {
    let found = canary.found_in(text.as_bytes());
    assert!(found.is_empty(), "{place} holds a secret ({found:?}): {text}");
}

async fn assert_absent_in_answers(canary: &Canary, client: &Client, paths: &[String]) {
    for path in paths {
        let answer = client.get(path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_absent(canary, path, &format!("{:?} {}", answer.headers, answer.text));
    }
}

fn assert_absent_in_files(canary: &Canary, host: &TestHost) {
    let found = canary.in_files(host.data_dir()).unwrap();
    assert!(found.is_empty(), "files hold a secret: {found:?}");
    assert_absent(canary, "the host's log", &host.log());
}

#[tokio::test]
async fn a_guest_never_gets_to_see_a_secret() {
    let canary = Canary::new(KEY);
    let mut hostile = Hostile::start(KEY).await;
    let sample = json!({ "masked": ["00"] });
    let workflow = hostile.workflow("leak", &json!({ "masked": "{{ trigger.masked }}" }), &sample).await;
    let mut masked = vec![Canary::masked(MARKER)];
    masked.extend(canary.masked_forms());
    let run = hostile.run(&workflow, "leak", &json!({ "masked": masked }), 0).await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());

    let heard: String = hostile.mirror.requests().iter().map(|request| format!("{request:?}")).collect();
    let told = canary.found_in(heard.as_bytes());
    assert!(told.contains(&"percent-encoded"), "the vendor did get the secret: {told:?} in {heard}");
    let by_header =
        hostile.mirror.requests().iter().filter(|request| request.header("x-api-key") == KEY).count();
    assert_eq!(by_header, 1, "the auth scheme's placement, on the one request that asked for it");

    let output = &run.step("act").unwrap()["output"];
    let found: Vec<u64> =
        output["found"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    assert!(found[0] > 0, "the look through memory finds what the mirror answered: {found:?}");
    assert!(found[1..].iter().all(|count| *count == 0), "the secret stands in guest memory: {found:?}");
    assert!(output["seen"].to_string().contains("marker"), "the guest saw the answers: {output}");

    assert_absent(&canary, "the run", &run.text());
    let paths = [
        format!("/v1/runs?workflow_id={workflow}&user_id={}", hostile.user),
        format!("/2023-12/workflows/{workflow}/logs?userId={}", hostile.user),
        format!("/2023-12/workflows/{workflow}/errors?userId={}", hostile.user),
        format!("/2023-12/integrations?userId={}", hostile.user),
        "/v1/connectors".to_owned(),
        "/v1/dead-letters".to_owned(),
    ];
    assert_absent_in_answers(&canary, &hostile.client, &paths).await;
    assert_absent_in_files(&canary, &hostile.host);
    hostile.host.stop().await.unwrap();
    assert_absent_in_files(&canary, &hostile.host);
}

#[tokio::test]
async fn an_echoing_vendor_leaks_nothing_through_both_workflows() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.set_echo(true);
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let post = scenario.isv.wait_for_order(order).await.unwrap();
    assert!(post.json()["echo"].is_array(), "the echo went all the way through: {}", post.json());
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.fulfil(&merchant, 987_654, "FULFILLED").await.unwrap().ok().unwrap();
    let fulfilled =
        scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    let streamed =
        scenario.client.runs_ended(&scenario.catalogue.order_created, &merchant.user, 1).await.unwrap();

    let hook = scenario.bigcommerce.hooks(&merchant.store).remove(0);
    let subscription =
        hook.headers.values().next().expect("the hook carries the subscription's secret").clone();
    for secret in [merchant.token.as_str(), subscription.as_str()] {
        let canary = Canary::new(secret);
        assert_absent(&canary, "AcmeCo's post", &format!("{:?}", post.request));
        for run in fulfilled.iter().chain(&streamed) {
            assert_absent(&canary, "a run", &run.text());
        }
        let mut paths =
            vec!["/v1/connectors".to_owned(), "/v1/dead-letters".to_owned(), "/v1/runs".to_owned()];
        for workflow in [&scenario.catalogue.fulfilment, &scenario.catalogue.order_created] {
            for page in ["logs", "errors"] {
                paths.push(format!("/2023-12/workflows/{workflow}/{page}?userId={}", merchant.user));
            }
            paths.push(format!("/v1/workflows/{workflow}"));
        }
        assert_absent_in_answers(&canary, &scenario.client, &paths).await;
        assert_absent_in_files(&canary, &scenario.host);
    }
    // Payloads are sealed too: the shopper's address stands in no file.
    let address = Canary::new("wilhelmina.q@example.net");
    let body: Value = post.json();
    assert_eq!(body["billing_address"]["email"], "wilhelmina.q@example.net");
    scenario.host.stop().await.unwrap();
    assert_absent_in_files(&address, &scenario.host);
    assert_absent_in_files(&Canary::new(&merchant.token), &scenario.host);
    assert_absent_in_files(&Canary::new(&subscription), &scenario.host);
}
