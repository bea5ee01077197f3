//! `schemathesis`, somebody else's reader of OpenAPI documents, calls every operation as the document allows and as it does
//! not, over real records: the host never fails, and never answers what the document does not have.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use trunnion_tests::{
    host::workspace,
    python,
    scenario::{FULFILMENT_EVENT, STREAM, Scenario},
};

const PACKAGES: [&str; 1] = ["schemathesis==4.32.5"];

/// What it has to hold: no failure of the host, no status, type, header or body that the document does not have.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// Calls of each operation beyond those that its parameters' borders give.
const EXAMPLES: &str = "5";

/// Where its chance begins: the same calls at every run.
const SEED: &str = "7";

/// At most so many seconds of calls.
const MAX_SECONDS: &str = "60";

/// Names of things that are there, for `hooks.py`.
async fn real_names(scenario: &Scenario) -> Value {
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let client = &scenario.client;
    let runs = client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    let installed = format!("/v1/installations?user_id={}", merchant.user);
    let installed = client.get(&installed).await.unwrap().ok().unwrap();
    json!({
        "user": merchant.user, "userId": merchant.user, "user_id": merchant.user,
        "connection": merchant.credential, "credential": merchant.credential,
        "integration": scenario.catalogue.integration,
        "workflow": scenario.catalogue.fulfilment, "workflow_id": scenario.catalogue.fulfilment,
        "installation": installed["data"][0]["id"],
        "run": runs[0].id(), "execution": runs[0].id(),
        "app": "bigcommerce", "lookup": "order_statuses", "action": "update_order_status",
        "name": [FULFILMENT_EVENT, STREAM],
    })
}

#[tokio::test]
async fn the_host_answers_as_its_document_says() {
    if !python::is_there().await {
        println!("skipped: there is no Python 3 with venv");
        return;
    }
    let scenario = Scenario::start().await.unwrap();
    let names = real_names(&scenario).await;
    let dir = python::installed("schemathesis", &PACKAGES, None).await.unwrap();
    fs::write(dir.join("names.json"), names.to_string()).unwrap();
    let base = scenario.host.base_url();
    let log = fs::File::create(dir.join("calls.log")).unwrap();
    let status = python::command(&dir, "schemathesis")
        .arg("run")
        .arg(format!("{base}/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {}", scenario.host.keys().development)])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES])
        .args(["--seed", SEED, "--generation-database", "none", "--max-time", MAX_SECONDS])
        .args(["--suppress-health-check", "all", "--warnings", "off", "--no-color"])
        // The host has to be there for the whole of it, and the user.
        .args(["--exclude-operation-id", "deleteUser"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", workspace().join("tests/schemathesis"))
        .env("TRUNNION_NAMES", dir.join("names.json"))
        .stdout(Stdio::from(log.try_clone().unwrap()))
        .stderr(Stdio::from(log))
        .status()
        .await
        .unwrap();
    let told = fs::read_to_string(dir.join("calls.log")).unwrap();
    assert!(status.success(), "{told}\nlog of the host:\n{}", scenario.host.log());
    let tested = told.lines().find_map(|line| line.trim().strip_prefix("Tested:"));
    let tested: usize = tested.and_then(|count| count.trim().parse().ok()).unwrap_or_default();
    assert!(tested > 100, "only {tested} operations were called:\n{told}");
    scenario.client.get("/readyz").await.unwrap().ok().unwrap();
}
