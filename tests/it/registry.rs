//! The registry over its API: pushing, activating, going back; who may; what a restart keeps; what refuses a swap.

use std::{collections::BTreeSet, fs};

use reqwest::Method;
use serde_json::{Value, json};
use trunnion_core::records::Digest;
use trunnion_tests::{
    bigcommerce::Match,
    component::{self, patched, variant},
    host::{Answer, Client, HostOptions, TestHost},
    scenario::Scenario,
    wait,
};

const APP: &str = "bigcommerce";
const VERSIONS: &str = "/v1/connectors/bigcommerce/versions";
const ACTIVATE: &str = "/v1/connectors/bigcommerce/activate";
const ROLLBACK: &str = "/v1/connectors/bigcommerce/rollback";
const HISTORY: &str = "/v1/connectors/bigcommerce/history";

async fn component() -> Vec<u8> {
    fs::read(component::bigcommerce().await.unwrap()).unwrap()
}

fn digest(component: &[u8]) -> String {
    let Digest(digest) = trunnion_sandbox::digest_of(component);
    digest
}

async fn host() -> TestHost {
    let components = vec![component::bigcommerce().await.unwrap()];
    TestHost::start(HostOptions { components, ..HostOptions::default() }).await.unwrap()
}

fn operator(host: &TestHost) -> Client {
    host.client_with(&host.keys().operator).unwrap()
}

async fn pushed(operator: &Client, component: Vec<u8>) -> Value {
    operator.push_connector(APP, component).await.unwrap().ok().unwrap()
}

fn assert_code(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}: {}", answer.call, answer.text);
    assert_eq!(answer.json()["code"], code, "{}", answer.text);
}

async fn history(operator: &Client) -> Vec<Value> {
    operator.get(HISTORY).await.unwrap().ok().unwrap()["data"].as_array().unwrap().clone()
}

fn kept_file(host: &TestHost, digest: &str) -> std::path::PathBuf {
    host.data_dir().join("components").join(format!("{digest}.wasm"))
}

fn compiled(host: &TestHost) -> BTreeSet<String> {
    let entries = fs::read_dir(host.data_dir().join("compiled")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn versions_come_take_over_and_go_back() {
    let host = host().await;
    let operator = operator(&host);
    let first = component().await;
    let second = variant(&first, 2);
    let (one, two) = (digest(&first), digest(&second));

    let swap = pushed(&operator, second.clone()).await;
    assert_eq!(swap["digest"], two);
    assert_eq!((&swap["active"], &swap["changed"]), (&json!(true), &json!(true)), "{swap}");
    assert_eq!((&swap["app"], &swap["previous"]), (&json!(APP), &json!(one)), "{swap}");
    assert_eq!(swap["size"], second.len(), "{swap}");
    for stage in ["check", "compile", "probe", "survey", "switch"] {
        assert!(swap["stages_ms"][stage].as_f64().unwrap() > 0.0, "{stage}: {swap}");
    }
    assert!(swap["total_ms"].as_f64().unwrap() >= swap["stages_ms"]["compile"].as_f64().unwrap(), "{swap}");
    assert_eq!(operator.active_digest(APP).await.unwrap(), two);
    assert_eq!(fs::read(kept_file(&host, &two)).unwrap(), second);

    let again = pushed(&operator, second).await;
    assert_eq!((&again["changed"], &again["active"]), (&json!(false), &json!(true)), "{again}");

    let third = variant(&first, 3);
    let kept = operator
        .send(Method::PUT, &format!("{VERSIONS}?activate=false"), Some(third.clone()))
        .await
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!((&kept["active"], &kept["changed"]), (&json!(false), &json!(true)), "{kept}");
    assert_eq!(operator.active_digest(APP).await.unwrap(), two, "it was only to be kept");

    let back = operator.roll_back(APP).await.unwrap().ok().unwrap();
    assert_eq!((&back["digest"], &back["previous"]), (&json!(one), &json!(two)), "{back}");
    let three = digest(&third);
    let prefix = three.get(..8).unwrap();
    operator.post(ACTIVATE, &json!({ "digest": prefix })).await.unwrap().ok().unwrap();
    assert_eq!(operator.active_digest(APP).await.unwrap(), three);

    let listed = operator.get(VERSIONS).await.unwrap().ok().unwrap();
    let rows: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["digest"].as_str().unwrap(), row["active"] == true, row["previous"] == true))
        .collect();
    assert_eq!(
        rows,
        [(three.as_str(), true, false), (two.as_str(), false, false), (one.as_str(), false, true)],
        "newest first"
    );
    let version = &listed["data"][0]["version"];
    operator.post(ACTIVATE, &json!({ "version": version })).await.unwrap().ok().unwrap();
    assert_eq!(operator.active_digest(APP).await.unwrap(), three, "the newest of this version");

    let told: Vec<_> = history(&operator)
        .await
        .iter()
        .map(|line| {
            (line["change"].as_str().unwrap().to_owned(), line["digest"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ("activated", &three),
        ("rolled_back", &one),
        ("added", &three),
        ("activated", &two),
        ("activated", &one),
    ];
    assert_eq!(told, expected.map(|(change, digest)| (change.to_owned(), digest.clone())));
    let lines = history(&operator).await;
    assert_eq!(lines[0]["by"]["name"], "first operator key", "{}", lines[0]);
    assert_eq!(lines[0]["by"]["id"].as_str().unwrap().len(), 24, "{}", lines[0]);
    assert_eq!(lines[4]["by"], Value::Null, "{}", lines[4]);
    assert_eq!(lines[4]["reason"], "connectors/bigcommerce.wasm", "{}", lines[4]);
    let newest = operator.get(&format!("{HISTORY}?limit=1")).await.unwrap().ok().unwrap();
    assert_eq!(newest["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let host = host().await;
    let operator = operator(&host);
    let first = component().await;
    let before = compiled(&host);

    assert_code(&operator.roll_back(APP).await.unwrap(), 409, "connector-no-previous");
    assert_code(&operator.roll_back("nobody").await.unwrap(), 404, "connector-unknown");
    assert_code(&operator.get("/v1/connectors/nobody/versions").await.unwrap(), 404, "connector-unknown");
    assert_code(&operator.get("/v1/connectors/nobody/history").await.unwrap(), 404, "connector-unknown");
    for which in
        [json!({ "digest": "0123456789abcdef" }), json!({ "digest": "0" }), json!({ "version": "9.9.9" })]
    {
        assert_code(&operator.post(ACTIVATE, &which).await.unwrap(), 404, "connector-version-unknown");
    }
    for wrong in [json!({}), json!({ "digest": "0123456789", "version": "1.0.0" }), json!({ "version": "x" })]
    {
        assert_code(&operator.post(ACTIVATE, &wrong).await.unwrap(), 400, "body-malformed");
    }

    let refused = operator.push_connector(APP, b"PK no component".to_vec()).await.unwrap();
    assert_code(&refused, 400, "connector-refused");
    assert_eq!(refused.json()["stage"], "check", "{}", refused.text);
    let cut = first.get(..first.len() / 2).unwrap().to_vec();
    let refused = operator.push_connector(APP, cut.clone()).await.unwrap();
    assert_code(&refused, 400, "connector-refused");
    assert_eq!(refused.json()["stage"], "compile", "{}", refused.text);
    let other = operator.push_connector("another", variant(&first, 7)).await.unwrap();
    assert_code(&other, 400, "connector-app-mismatch");
    assert!(other.message().contains(APP) && other.message().contains("another"), "{}", other.text);

    assert_eq!(operator.active_digest(APP).await.unwrap(), digest(&first));
    let lines = history(&operator).await;
    assert_eq!(lines[0]["change"], "refused", "{}", lines[0]);
    assert_eq!(lines[0]["digest"], digest(&cut), "{}", lines[0]);
    assert!(lines[0]["reason"].as_str().unwrap().contains("does not compile"), "{}", lines[0]);
    assert_eq!(compiled(&host), before, "nothing of a refused candidate stays");
    assert!(!kept_file(&host, &digest(&cut)).exists());

    let huge = operator.push_connector(APP, vec![0; 50 << 20]).await.unwrap();
    assert_code(&huge, 413, "body-too-large");
    assert!(huge.message().contains("sandbox.max_component_bytes"), "{}", huge.text);
}

#[tokio::test]
async fn only_an_operator_changes_connectors() {
    let host = host().await;
    let before = operator(&host).active_digest(APP).await.unwrap();
    for key in [&host.keys().development, &host.keys().production] {
        let tenant = host.client_with(key).unwrap();
        for answer in [
            tenant.push_connector(APP, variant(&component().await, 4)).await.unwrap(),
            tenant.post(ACTIVATE, &json!({ "digest": before })).await.unwrap(),
            tenant.post(ROLLBACK, &json!({})).await.unwrap(),
            tenant.get(VERSIONS).await.unwrap(),
            tenant.get(HISTORY).await.unwrap(),
        ] {
            assert_code(&answer, 403, "wrong-authority");
        }
        assert_eq!(tenant.active_digest(APP).await.unwrap(), before, "everybody may know what is active");
    }
    let stranger = host.client_with("trn_op_0000").unwrap();
    assert_eq!(stranger.push_connector(APP, component().await).await.unwrap().status, 401);
}

#[tokio::test]
async fn what_is_in_use_stays_and_whose_it_is_is_said() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let operator = operator(&scenario.host);
    let first = component().await;
    let before = operator.active_digest(APP).await.unwrap();

    let without_action = patched(&first, "update_order_status", "update_order_statuz").unwrap();
    let refused = operator.push_connector(APP, without_action.clone()).await.unwrap();
    assert_code(&refused, 409, "connector-in-use");
    let errors = refused.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 1, "{}", refused.text);
    let told = errors[0]["message"].as_str().unwrap();
    for named in [
        "`dev`",
        "`Fulfilment`",
        &scenario.catalogue.fulfilment,
        "development",
        "`ada`",
        "update_order_status",
    ] {
        assert!(told.contains(named), "`{named}` is not named: {told}");
    }
    let without_trigger = patched(&first, "order_created", "order_createt").unwrap();
    let refused = operator.push_connector(APP, without_trigger).await.unwrap();
    assert_code(&refused, 409, "connector-in-use");
    for named in ["`Order created`", "webhooks", "`ada`"] {
        assert!(refused.json()["errors"].to_string().contains(named), "`{named}`: {}", refused.text);
    }

    assert_eq!(operator.active_digest(APP).await.unwrap(), before);
    let lines = history(&operator).await;
    assert_eq!(lines[0]["change"], "refused");
    assert!(lines[0]["reason"].as_str().unwrap().contains("Order created"), "{}", lines[0]);
    let text = Value::from(lines).to_string();
    assert!(!text.contains("`ada`"), "a history outlives users: {text}");
    assert!(!kept_file(&scenario.host, &digest(&without_action)).exists());

    // What nobody uses may go.
    pushed(&operator, patched(&first, "get_order", "got_order").unwrap()).await;
    // The installation goes on with it.
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
}

#[tokio::test]
async fn a_release_that_nobody_installed_is_in_use_as_well() {
    let scenario = Scenario::start().await.unwrap();
    let operator = operator(&scenario.host);
    let without = patched(&component().await, "update_order_status", "update_order_statuz").unwrap();
    let refused = operator.push_connector(APP, without.clone()).await.unwrap();
    assert_code(&refused, 409, "connector-in-use");
    assert!(refused.json()["errors"].to_string().contains("installed by nobody"), "{}", refused.text);

    // The next release no longer needs it, and nobody stands on the old one.
    let mut definition = trunnion_tests::scenario::fulfilment();
    definition["steps"] =
        json!([{ "id": "send", "type": "stream", "destination": "acmeco-orders", "body": "{{ trigger }}" }]);
    let path = format!("/v1/workflows/{}", scenario.catalogue.fulfilment);
    scenario.client.put(&path, &json!({ "definition": definition })).await.unwrap().ok().unwrap();
    scenario.client.post(&format!("{path}/releases"), &json!({})).await.unwrap().ok().unwrap();
    pushed(&operator, without).await;
}

#[tokio::test]
async fn a_swap_during_a_swap_is_refused_at_once() {
    let host = host().await;
    let operator = operator(&host);
    let first = component().await;
    // Both need compiling, which takes far longer than the second takes to arrive.
    let (one, other) = tokio::join!(
        operator.push_connector(APP, variant(&first, 11)),
        operator.push_connector(APP, variant(&first, 12)),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    let (done, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    let done = done.ok().unwrap();
    assert_code(&refused, 409, "connector-swap-under-way");
    assert_eq!(operator.active_digest(APP).await.unwrap(), done["digest"]);
    // It is over: the next one has its turn.
    pushed(&operator, variant(&first, 13)).await;
}

#[tokio::test]
async fn a_push_and_a_rollback_survive_restarts() {
    let mut host = host().await;
    let first = component().await;
    let second = variant(&first, 21);
    pushed(&operator(&host), second.clone()).await;
    host.kill9().await.unwrap();
    let orphan = kept_file(&host, &"ab".repeat(32));
    fs::write(&orphan, b"of a push that was killed").unwrap();
    fs::write(orphan.with_extension("part"), b"half of it").unwrap();
    host.start_again().await.unwrap();
    let operator = operator(&host);
    assert_eq!(
        operator.active_digest(APP).await.unwrap(),
        digest(&second),
        "the file in `connectors` is known"
    );
    assert!(!orphan.exists() && !orphan.with_extension("part").exists());

    operator.roll_back(APP).await.unwrap().ok().unwrap();
    host.stop().await.unwrap();
    host.start_again().await.unwrap();
    let operator = self::operator(&host);
    assert_eq!(operator.active_digest(APP).await.unwrap(), digest(&first));
    let back = operator.roll_back(APP).await.unwrap().ok().unwrap();
    assert_eq!(back["digest"], digest(&second), "{back}");
    assert_eq!(history(&operator).await.len(), 4);
}

#[tokio::test]
async fn a_new_file_takes_over_at_a_start_and_a_bad_one_does_not() {
    let mut host = host().await;
    let first = component().await;
    let second = variant(&first, 31);
    let file = host.data_dir().join("connectors/bigcommerce.wasm");
    let restarted_with = async |host: &mut TestHost, content: &[u8]| {
        host.stop().await.unwrap();
        fs::write(&file, content).unwrap();
        host.start_again().await.unwrap();
        operator(host)
    };
    let operator = restarted_with(&mut host, &second).await;
    assert_eq!(operator.active_digest(APP).await.unwrap(), digest(&second));
    let lines = history(&operator).await;
    assert_eq!(
        (&lines[0]["by"], &lines[0]["previous"]),
        (&Value::Null, &json!(digest(&first))),
        "{}",
        lines[0]
    );

    let operator = restarted_with(&mut host, b"not a component").await;
    assert_eq!(operator.active_digest(APP).await.unwrap(), digest(&second), "the running version stays");
    let lines = history(&operator).await;
    assert_eq!(lines[0]["change"], "refused", "{}", lines[0]);
    assert!(lines[0]["reason"].as_str().unwrap().starts_with("connectors/bigcommerce.wasm"), "{}", lines[0]);
    let log = host.log();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("bigcommerce.wasm")), "{log}");
}

#[tokio::test]
async fn a_lost_component_is_named_and_can_be_put_back() {
    let mut host = host().await;
    let second = variant(&component().await, 41);
    pushed(&operator(&host), second.clone()).await;
    let kept = kept_file(&host, &digest(&second));
    host.stop().await.unwrap();
    fs::write(&kept, b"damaged").unwrap();
    let error = host.start_again().await.unwrap_err().to_string();
    assert!(error.contains(APP) && error.contains(&digest(&second)) && error.contains("damaged"), "{error}");
    fs::remove_file(&kept).unwrap();
    let error = host.start_again().await.unwrap_err().to_string();
    assert!(error.contains(&digest(&second)) && error.contains("connectors directory"), "{error}");
    fs::write(host.data_dir().join("connectors/mended.wasm"), &second).unwrap();
    host.start_again().await.unwrap();
    assert_eq!(operator(&host).active_digest(APP).await.unwrap(), digest(&second));
}

#[tokio::test]
async fn a_run_whose_version_is_gone_says_so_and_uses_no_other() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let held = scenario.bigcommerce.hold_next(Match::call("PUT", "/v2/orders/"));
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    held.arrived().await;
    let first = component().await;
    pushed(&operator(&scenario.host), variant(&first, 61)).await;
    scenario.host.kill9().await.unwrap();
    fs::remove_file(kept_file(&scenario.host, &digest(&first))).unwrap();
    fs::remove_file(scenario.host.data_dir().join("connectors/bigcommerce.wasm")).unwrap();
    scenario.start_again().await.unwrap();
    let client = &scenario.client;
    let error = wait::until("the run to name what is gone", || async {
        let runs = client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.ok()?;
        let view = client.run(runs.first()?.id()).await.ok()?;
        let message = view.0["error"]["message"].as_str()?.to_owned();
        message.contains("is gone").then_some(message)
    })
    .await
    .unwrap();
    assert!(error.contains(&digest(&first)) && error.contains("restore"), "{error}");
    let puts = scenario.bigcommerce.requests().iter().filter(|request| request.method == "PUT").count();
    assert_eq!(puts, 1, "only the call that the kill cut off: no other version acted");
    held.release();
}

#[tokio::test]
async fn old_versions_go_when_there_are_too_many() {
    let host = host().await;
    let operator = operator(&host);
    let first = component().await;
    let kept = async |number| {
        let component = variant(&first, number);
        let path = format!("{VERSIONS}?activate=false");
        operator.send(Method::PUT, &path, Some(component.clone())).await.unwrap().ok().unwrap();
        digest(&component)
    };
    let oldest = kept(100).await;
    for number in 101..=119 {
        kept(number).await;
    }
    let listed = operator.get(VERSIONS).await.unwrap().ok().unwrap();
    let digests: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|row| row["digest"].clone()).collect();
    assert_eq!(digests.len(), 21, "twenty, and the active one that is older: {listed}");
    assert!(digests.contains(&json!(digest(&first))) && digests.contains(&json!(oldest)), "{listed}");
    kept(120).await;
    let listed = operator.get(VERSIONS).await.unwrap().ok().unwrap();
    assert!(!listed.to_string().contains(&oldest), "{listed}");
    assert!(!kept_file(&host, &oldest).exists());
    assert!(!compiled(&host).iter().any(|file| file.starts_with(&oldest)));
    assert_code(
        &operator.post(ACTIVATE, &json!({ "digest": oldest })).await.unwrap(),
        404,
        "connector-version-unknown",
    );
}
