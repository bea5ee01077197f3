//! What connector authors type: `trunnion connector new`, `describe`, `check`, `run` and `test`, on a new crate and on the
//! connectors of this repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tokio::process::Command;
use trunnion_tests::{component, host};

/// `trunnion connector …` in a folder, with guests compiled where all the others are.
pub(super) async fn author(folder: &Path, arguments: &[&str]) -> Output {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let mut command = Command::new(binary);
    command.arg("connector").args(arguments).current_dir(folder);
    command
        .env("CARGO_TARGET_DIR", host::target_dir())
        .env("TRUNNION_CONNECTION_API_KEY", "key-of-the-author");
    command.output().await.unwrap()
}

/// The same, gone well: standard output.
pub(super) async fn does(folder: &Path, arguments: &[&str]) -> String {
    let output = author(folder, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The same, refused: standard error.
pub(super) async fn is_refused(folder: &Path, arguments: &[&str]) -> String {
    let output = author(folder, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A new connector's crate.
pub(super) struct New {
    pub(super) folder: tempfile::TempDir,
    pub(super) path: PathBuf,
}

impl New {
    pub(super) async fn made(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        does(folder.path(), &["new", name]).await;
        let path = folder.path().join(name);
        Self { folder, path }
    }

    pub(super) fn replace(&self, from: &str, to: &str) {
        let lib = self.path.join("src/lib.rs");
        let text = fs::read_to_string(&lib).unwrap();
        assert!(text.contains(from), "the template has no `{from}`");
        fs::write(lib, text.replacen(from, to, 1)).unwrap();
    }
}

#[tokio::test]
async fn a_new_connector_passes_every_judgement_as_it_is() {
    let new = New::made("acme").await;
    let folder = new.folder.path();
    let checked: Value = serde_json::from_str(&does(folder, &["check", "acme", "--json"]).await).unwrap();
    assert_eq!(checked["findings"], serde_json::json!([]), "{checked}");
    assert_eq!(checked["app"], "acme");
    assert!(checked["bytes"].as_u64().unwrap() < 400 * 1024, "{checked}");

    let described = does(folder, &["describe", "acme"]).await;
    for part in ["Acme (acme) 0.1.0", "hosts: api.acme.example", "create_item  key", "credential api_key"] {
        assert!(described.contains(part), "{described}");
    }
    let manifest: Value = serde_json::from_str(&does(folder, &["describe", "acme", "--json"]).await).unwrap();
    assert_eq!(manifest["actions"][0]["id"], "create_item");

    let tested: Value = serde_json::from_str(&does(folder, &["test", "acme", "--json"]).await).unwrap();
    let verdicts = tested["verdicts"].as_array().unwrap();
    let fine = |verdict: &Value| {
        verdict["outcome"] == "passed"
            || (verdict["outcome"] == "untried" && verdict["rule"] == "its cassettes replay")
    };
    assert!(verdicts.iter().all(fine), "{tested:#}");
    assert!(verdicts.len() >= 10, "{tested:#}");

    let said = is_refused(folder, &["new", "acme"]).await;
    assert!(said.contains("exists already"), "{said}");
    let said = is_refused(folder, &["new", "Ac me"]).await;
    assert!(said.contains("`Ac me` is not an app's id"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_a_connector_is_said_with_its_remedy() {
    let new = New::made("wrong").await;
    // A sample that its schema refuses; no help; a 429 that reads as a refusal; a key that is not sent.
    new.replace(r##"{"id":7}"#, r"##, r##"{"id":"seven"}"#, r"##);
    new.replace(".help(\"Makes one item.\")", "");
    new.replace(
        "    request.header(\"Idempotency-Key\", ctx.idempotency_key()).json(&item)?.send()?.json()",
        "    let answer = request.json(&item)?.send_raw()?;\n    \
         if answer.is_success() { answer.json() } else { Err(Error::rejected(answer.status, \"no\")) }",
    );
    let folder = new.folder.path();
    let output = author(folder, &["check", "wrong"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("fault") && said.contains("/actions/1/sample_input/id"), "{said}");
    assert!(said.contains("warning") && said.contains("action `create_item` has no help text"), "{said}");
    assert!(text(&output.stderr).contains("the connector has 1 fault"), "{}", text(&output.stderr));

    let output = author(folder, &["test", "wrong"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    for part in [
        "BROKEN   action create_item: the vendor's failures become the right errors",
        "401: ended as `rejected`",
        "answer `auth-expired`",
        "429 with Retry-After: ended as `rejected`",
        "BROKEN   action create_item: the idempotency key goes to the vendor",
        "BROKEN   action get_item: it takes its sample, and refuses what its schema refuses",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("BROKEN   connection check"), "{said}");
}

#[tokio::test]
async fn the_connectors_of_this_repository_are_sound_by_their_manifests() {
    for path in [component::bigcommerce().await.unwrap(), component::shopify().await.unwrap()] {
        let folder = tempfile::tempdir().unwrap();
        let said = does(folder.path(), &["check", path.to_str().unwrap()]).await;
        println!("{said}");
        assert!(said.contains("0 faults"), "{said}");
    }
}

#[tokio::test]
async fn a_trap_names_the_line_of_the_authors_source() {
    let new = New::made("trapped").await;
    new.replace(
        "    let id = input.id;\n",
        "    let few = [1_u64, 2];\n    \
         let id = if input.id > 100 { deep(input.id) } else { few[usize::try_from(input.id).unwrap_or(0)] };\n",
    );
    new.replace(
        "fn get_item(",
        "fn deep(n: u64) -> u64 {\n    if n == 0 { 0 } else { std::hint::black_box(deep(n + 1)) + n }\n}\n\nfn get_item(",
    );
    let lib = fs::read_to_string(new.path.join("src/lib.rs")).unwrap();
    let line = |part: &str| lib.lines().position(|line| line.contains(part)).unwrap() + 1;
    let folder = new.folder.path();

    let said = is_refused(folder, &["run", "trapped", "get_item", "--input", r#"{"id":101}"#]).await;
    let place = format!("src/lib.rs:{}", line("black_box"));
    assert!(
        said.contains("call stack exhausted") && said.contains(&place) && said.contains("deep"),
        "{said}"
    );
    let said = is_refused(folder, &["run", "trapped", "get_item", "--input", r#"{"id":7}"#]).await;
    let place = format!("src/lib.rs:{}", line("few[usize"));
    assert!(said.contains("index out of bounds") && said.contains(&place), "{said}");
}

#[tokio::test]
async fn a_call_from_the_command_line_says_what_is_missing() {
    let component = component::bigcommerce().await.unwrap();
    let component = component.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let said = is_refused(folder.path(), &["run", component, "get_order"]).await;
    for part in ["`store_hash`", "TRUNNION_CONNECTION_ACCESS_TOKEN", "--connection"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let connection =
        r#"{"parameters": {"store_hash": "storeada"}, "secrets": {"access_token": "t-1234567890"}}"#;
    fs::write(folder.path().join("ada.json"), connection).unwrap();
    let said = is_refused(folder.path(), &["run", component, "ship_order", "--connection", "ada.json"]).await;
    assert!(said.contains("no action or trigger `ship_order`") && said.contains("`get_order`"), "{said}");
    let said = is_refused(
        folder.path(),
        &["run", component, "get_order", "--connection", "ada.json", "--input", "{"],
    )
    .await;
    assert!(said.contains("the input is not JSON"), "{said}");
}
