//! A connector in JavaScript, built with npm and called in the real sandbox against a courier on this machine; and
//! `fetch`, which is `wasi:http`.
//!
//! Without Node.js and npm these tests say that they are skipped.

use std::{path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;
use trunnion_core::{call::CallError, clock::Timestamp, records::LogLevel};
use trunnion_sandbox::{CompileOptions, Connector, Options, Poll, Polled, Sandbox};
use trunnion_tests::{
    component,
    host::{target_dir, workspace},
    mirror::Mirror,
    parcels::{Fault, KEY, Parcels},
    scan::Canary,
};

use crate::foreign::{call, sandbox};

const EXAMPLE: &str = "connectors/examples/parcels-js";

/// Whether the tests can run; says so where they cannot.
pub(crate) async fn node() -> bool {
    for program in ["node", "npm"] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().await;
        if !found.is_ok_and(|status| status.success()) {
            println!("SKIPPED: `{program}` is missing; install Node.js 20 or newer (Debian: nodejs npm)");
            return false;
        }
    }
    true
}

pub(crate) async fn built() -> PathBuf {
    component::built(workspace().join(EXAMPLE), "components").await.unwrap()
}

/// A debug build compiles 13 MB of WebAssembly in a minute: what it made is kept for the next test.
fn options() -> Options {
    let compile = CompileOptions {
        cache_dir: Some(target_dir().join("compiled-javascript")),
        cache_key: b"only what tests made themselves".to_vec(),
        ..CompileOptions::default()
    };
    Options { compile, ..Options::default() }
}

async fn load(sandbox: &Sandbox, path: PathBuf) -> Connector {
    sandbox.load(std::fs::read(path).unwrap().into()).await.unwrap()
}

fn booking() -> Value {
    let to =
        json!({ "name": "Ada Lovelace", "street": "Herengracht 1", "city": "Amsterdam", "country": "NL" });
    json!({ "reference": "order-1001", "to": to, "grams": 750 })
}

async fn poll(connector: &Connector, cursor: Option<&str>) -> Polled {
    let poll =
        Poll { cursor, since: Timestamp::from_millis(1_700_000_000_000), look_back: None, options: None };
    connector.poll(call("parcel_changed", KEY), poll).await.unwrap().value
}

#[tokio::test]
async fn a_connector_in_javascript_does_what_those_in_rust_do() {
    if !node().await {
        return;
    }
    let courier = Parcels::start().await.unwrap();
    let sandbox = sandbox(options(), "api.parcels.example", courier.base_url());
    let connector = load(&sandbox, built().await).await;
    assert_eq!(
        (connector.manifest().id.as_str(), connector.manifest().version.to_string()),
        ("parcels", "0.1.0".into())
    );

    let account = connector.check_connection(call("", KEY)).await.unwrap().value;
    assert_eq!((account.id.as_str(), account.title.as_str()), ("77", "Parcels of Ada"));

    let start = poll(&connector, None).await;
    assert!(start.occurrences.is_empty() && !start.more, "from now on: {start:?}");

    let answer = connector.run_action(call("book_parcel", KEY), &booking().to_string()).await.unwrap();
    let booked: Value = serde_json::from_str(&answer.value).unwrap();
    assert_eq!((&booked["reference"], &booked["status"]), (&json!("order-1001"), &json!("created")));
    let again = connector.run_action(call("book_parcel", KEY), &booking().to_string()).await.unwrap();
    assert_eq!(again.value, answer.value, "the same piece of work books once");
    let request =
        courier.requests().into_iter().find(|request| request.line() == "POST /v1/parcels").unwrap();
    assert_eq!(request.header("idempotency-key"), call("", KEY).idempotency_key);
    assert_eq!(request.json(), booking());
    let observed = &answer.observations[0];
    assert_eq!((observed.bucket.as_str(), observed.remaining, observed.reset_ms), ("requests", 59, 1_500));
    let printed = &answer.log[0];
    assert_eq!((printed.level, printed.message.as_str()), (LogLevel::Info, "booked parcel pcl_1"));
    assert!(Canary::new(KEY).found_in(format!("{answer:?}").as_bytes()).is_empty(), "{answer:?}");

    courier.change(230);
    let (mut cursor, mut seen, mut more) = (start.cursor, Vec::new(), true);
    while more {
        let page = poll(&connector, Some(&cursor)).await;
        seen.extend(page.occurrences.into_iter().map(|occurrence| occurrence.occurrence_id));
        (cursor, more) = (page.cursor, page.more);
    }
    let expected: Vec<_> = (1..=231).map(|number| format!("parcel/pcl_{number}@{number}")).collect();
    assert_eq!(seen, expected, "all of them, once");
    assert!(poll(&connector, Some(&cursor)).await.occurrences.is_empty());

    for (input, field) in [
        (json!({}), "/reference"),
        (json!({ "reference": "x", "to": { "name": "Ada" }, "grams": 1 }), "/to/street"),
        (json!({ "reference": "x", "to": booking()["to"], "grams": 0.5 }), "/grams"),
    ] {
        let failed = connector.run_action(call("book_parcel", KEY), &input.to_string()).await.unwrap_err();
        assert!(
            matches!(&failed.error, CallError::InvalidInput { field: at, .. } if at == field),
            "{failed:?}"
        );
    }
    every_answer_has_its_error(&courier, &connector).await;
}

async fn every_answer_has_its_error(courier: &Parcels, connector: &Connector) {
    let answer = |status, headers: &[(&'static str, &str)], body: &str| {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Some(Fault::Answer { status, headers, body: body.to_owned() })
    };
    let said = r#"{"message":"because"}"#;
    for (fault, kind) in [
        (answer(401, &[], said), "auth_expired"),
        (answer(403, &[], said), "rejected"),
        (answer(404, &[], said), "not_found"),
        (answer(409, &[], said), "conflict"),
        (answer(422, &[], said), "rejected"),
        (answer(429, &[("retry-after", "2")], said), "rate_limited"),
        (answer(500, &[], "<html>"), "unavailable"),
        (answer(503, &[], ""), "unavailable"),
        (answer(200, &[], "no JSON"), "unavailable"),
        (Some(Fault::Cut), "unavailable"),
    ] {
        courier.set_fault(fault.clone());
        let failed =
            connector.run_action(call("book_parcel", KEY), &booking().to_string()).await.unwrap_err();
        let error = serde_json::to_value(&failed.error).unwrap();
        assert_eq!(error["kind"], kind, "{fault:?}: {error}");
        if kind == "rate_limited" {
            assert_eq!(error["retry_after_ms"], 2_000, "{error}");
        }
        if kind == "rejected" {
            assert!(error["message"].as_str().unwrap().contains("because"), "{error}");
        }
    }
    courier.set_fault(None);
    let failed = connector.check_connection(call("", "another key")).await.unwrap_err();
    assert!(matches!(failed.error, CallError::AuthExpired { .. }), "{failed:?}");
}

/// A connector whose only action is a `fetch`.
const FETCHING: &str = r#"
const manifest_ = JSON.stringify({
  manifest_version: 1, id: 'fetching', version: '1.0.0', title: 'Fetching', hosts: ['api.fetching.example'],
  connection: { schemes: [{ id: 'key', title: 'Key', type: 'fields', fields: [{ name: 'api_key', title: 'Key' }],
    place: [{ in: 'header', name: 'x-api-key', value: '{{secret:api_key}}' }] }] },
  actions: [{ id: 'fetch', title: 'Fetch', input: {}, output: {}, sample_input: {}, sample_output: {}, repeat: 'safe' }],
});
const no = () => { throw { payload: { tag: 'other', val: { code: 'none', message: 'none', ext: [] } } }; };
export const manifest = { describe: () => manifest_ };
export const actions = { runBatch: no, page: no, reconcile: no, async run(call, input) {
  const { url, options } = JSON.parse(input);
  let output;
  try {
    const answer = await fetch(url, options);
    output = { status: answer.status, body: await answer.text() };
  } catch (error) {
    output = { error: String(error) };
  }
  return { output: JSON.stringify(output), ext: [] };
} };
export const triggers = { subscribe: no, unsubscribe: no, check: no, parse: no, handshake: no, poll: no };
export const connection = { check: no };
export const lookups = { options: no, schema: no };
"#;

/// The fetching connector, made with the packages of the example.
async fn fetching() -> PathBuf {
    built().await;
    let dir = workspace().join(EXAMPLE);
    let script = dir.join("generated/fetching.mjs");
    let out = target_dir().join("guests/fetching.wasm");
    std::fs::create_dir_all(out.parent().unwrap()).unwrap();
    let text = format!(
        "import {{ componentize }} from '@bytecodealliance/componentize-js';
         import {{ writeFile }} from 'node:fs/promises';
         const made = await componentize({}, {{ witPath: {}, worldName: 'connector', disableFeatures: ['fetch-event'] }});
         await writeFile({}, made.component);",
        json!(FETCHING),
        json!(dir.join(".trunnion/wit")),
        json!(out),
    );
    std::fs::write(&script, text).unwrap();
    let status =
        Command::new("node").arg(&script).current_dir(&dir).stdin(Stdio::null()).status().await.unwrap();
    assert!(status.success(), "`node {}` failed", script.display());
    out
}

#[tokio::test]
async fn fetch_goes_through_the_broker() {
    if !node().await {
        return;
    }
    let mirror = Mirror::start().await.unwrap();
    let sandbox = sandbox(options(), "api.fetching.example", mirror.base_url());
    let connector = load(&sandbox, fetching().await).await;
    let fetch = async |input: Value| {
        let answer = connector.run_action(call("fetch", KEY), &input.to_string()).await.unwrap();
        (serde_json::from_str::<Value>(&answer.value).unwrap(), answer)
    };
    let headers = json!({ "x-trunnion-auth": "connection", "content-type": "application/json" });
    let options = json!({ "method": "POST", "headers": headers, "body": "{\"a\":1}" });
    let (told, answer) =
        fetch(json!({ "url": "https://api.fetching.example/things?page=2", "options": options })).await;
    assert_eq!(told["status"], 200, "{told} {answer:?}");
    let request = mirror.requests().remove(0);
    assert_eq!((request.header("x-api-key"), request.header("x-trunnion-auth")), (KEY, ""));
    assert_eq!((request.uri.to_string().as_str(), request.json()), ("/things?page=2", json!({ "a": 1 })));
    assert!(Canary::new(KEY).found_in(format!("{told} {answer:?}").as_bytes()).is_empty(), "{answer:?}");

    let (told, answer) = fetch(json!({ "url": "https://api.elsewhere.example/" })).await;
    assert!(told["error"].is_string(), "{told}");
    let log: String = answer.log.iter().map(|line| line.message.as_str()).collect();
    assert!(log.contains("host `api.elsewhere.example` is not allowed"), "{log}");
    assert_eq!(mirror.requests().len(), 1, "nothing else was reached");
}
