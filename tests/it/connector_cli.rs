//! `trunnion connector …` against a running host: what operators type, what they read, and with which end.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

use serde_json::Value;
use tokio::process::Command;
use trunnion_tests::{
    component,
    host::{self, HostOptions, TestHost},
};

/// A host with the BigCommerce connector, and components beside it.
struct Operator {
    host: TestHost,
    binary: PathBuf,
    folder: tempfile::TempDir,
    component: Vec<u8>,
}

impl Operator {
    async fn start() -> Self {
        let component = component::bigcommerce().await.unwrap();
        let options = HostOptions { components: vec![component.clone()], ..HostOptions::default() };
        let host = TestHost::start(options).await.unwrap();
        let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
        let component = fs::read(component).unwrap();
        Self { host, binary, folder: tempfile::tempdir().unwrap(), component }
    }

    /// A file in a folder of its own, so that its name can be an app's.
    fn file(&self, path: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Another version of the component, in a file that tells its app.
    fn variant(&self, number: u64) -> String {
        self.file(&format!("{number}/bigcommerce.wasm"), &component::variant(&self.component, number))
    }

    /// `trunnion connector …` with nothing but these arguments.
    async fn bare(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.arg("connector").args(arguments).args(["--host", self.host.base_url()]);
        command.env_remove("TRUNNION_KEY").env_remove("TRUNNION_URL").output().await.unwrap()
    }

    /// The same with the operator's key from the data directory: standard output.
    async fn does(&self, arguments: &[&str]) -> String {
        let output = self.with_key(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn with_key(&self, arguments: &[&str]) -> Output {
        let data_dir = self.host.data_dir().to_str().unwrap();
        self.bare(&[arguments, &["--data-dir", data_dir]].concat()).await
    }

    /// The same, refused: standard error.
    async fn is_refused(&self, arguments: &[&str]) -> String {
        let output = self.with_key(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", error(&output));
        assert!(output.stdout.is_empty(), "a refusal says nothing on standard output");
        error(&output)
    }

    async fn active(&self) -> String {
        let listed: Value = serde_json::from_str(&self.does(&["list", "--json"]).await).unwrap();
        listed["data"][0]["digest"].as_str().unwrap().to_owned()
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What tells components apart at a glance.
fn short(digest: &str) -> &str {
    digest.split_at(12).0
}

#[tokio::test]
async fn an_operator_pushes_goes_back_and_sees_who_did_what() {
    let operator = Operator::start().await;
    let first = operator.active().await;
    let listed = operator.does(&["list"]).await;
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("APP") && lines[1].starts_with("bigcommerce"), "{listed}");
    assert!(lines[1].contains(short(&first)), "{listed}");

    let said = operator.does(&["push", &operator.variant(1)]).await;
    let second = operator.active().await;
    assert_ne!(first, second);
    assert!(said.contains(&format!("({}) is active; before it {}", short(&second), short(&first))), "{said}");
    for stage in ["checked in", "compiled in", "probed in", "surveyed in", "switched in", "all in"] {
        assert!(said.contains(stage), "{said}");
    }
    let again = operator.does(&["push", &operator.variant(1)]).await;
    assert!(again.contains("was active already; nothing changed"), "{again}");

    let back = operator.does(&["rollback", "bigcommerce"]).await;
    assert!(back.contains(&format!("({}) is active", short(&first))), "{back}");
    operator.does(&["activate", "bigcommerce", short(&second)]).await;
    assert_eq!(operator.active().await, second);

    // Kept, not active: the newest component of its version, so the version names it.
    let kept = operator.does(&["push", &operator.variant(2), "--no-activate"]).await;
    assert!(kept.contains("is kept, not active"), "{kept}");
    assert_eq!(operator.active().await, second);
    let version = listed.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap();
    operator.does(&["activate", "bigcommerce", version]).await;
    let third = operator.active().await;
    assert!(third != second && third != first, "the newest of {version} is the third");

    let history = operator.does(&["history", "bigcommerce", "--limit", "3"]).await;
    let lines: Vec<_> = history.lines().collect();
    assert_eq!(lines.len(), 4, "a head and three lines: {history}");
    assert!(lines[1].contains("activated") && lines[1].contains(short(&third)), "newest first: {history}");
    assert!(lines[1].contains("first operator key"), "{history}");
}

#[tokio::test]
async fn what_is_refused_ends_with_1_the_reason_and_the_remedy() {
    let operator = Operator::start().await;
    let before = operator.active().await;

    let random = operator.file("junk/bigcommerce.wasm", b"these bytes are no component");
    let said = operator.is_refused(&["push", &random]).await;
    assert!(
        said.contains(&random) && said.contains("connector-refused") && said.contains("`check`"),
        "{said}"
    );

    let said = operator.is_refused(&["push", &operator.variant(1), "--app", "shopify"]).await;
    assert!(said.contains("connector-app-mismatch"), "{said}");
    let said = operator.is_refused(&["rollback", "bigcommerce"]).await;
    assert!(said.contains("connector-no-previous"), "{said}");
    let said = operator.is_refused(&["activate", "bigcommerce", "99.0.0"]).await;
    assert!(said.contains("connector-version-unknown") && said.contains("99.0.0"), "{said}");
    let said = operator.is_refused(&["history", "nonesuch"]).await;
    assert!(said.contains("connector-unknown") && said.contains("nonesuch"), "{said}");
    let said = operator.is_refused(&["push", "no/such/bigcommerce.wasm"]).await;
    assert!(said.contains("no/such/bigcommerce.wasm"), "{said}");

    assert_eq!(operator.active().await, before, "nothing of this touched the active version");
    let history = operator.does(&["history", "bigcommerce"]).await;
    assert!(history.contains("refused"), "{history}");
}

#[tokio::test]
async fn a_key_comes_from_a_file_or_the_environment_and_must_be_an_operators() {
    let operator = Operator::start().await;
    let keys = operator.host.keys();
    let rollback = ["rollback", "bigcommerce"];

    let none = operator.bare(&rollback).await;
    assert_eq!(none.status.code(), Some(1));
    for remedy in ["--key-file", "--data-dir", "TRUNNION_KEY"] {
        assert!(error(&none).contains(remedy), "{}", error(&none));
    }

    let file = operator.file("operator.key", format!("{}\n", keys.operator).as_bytes());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = operator.bare(&[&rollback[..], &["--key-file", &file]].concat()).await;
    assert!(error(&open).contains("chmod 600"), "{}", error(&open));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let known = operator.bare(&["list", "--key-file", &file]).await;
    assert!(known.status.success(), "{}", error(&known));

    let mut command = Command::new(&operator.binary);
    command.arg("connector").args(rollback);
    command.env("TRUNNION_URL", operator.host.base_url()).env("TRUNNION_KEY", &keys.development);
    let workspace = command.output().await.unwrap();
    assert_eq!(workspace.status.code(), Some(1));
    assert!(error(&workspace).contains("wrong-authority"), "{}", error(&workspace));
    for output in [&none, &open, &workspace] {
        assert!(!error(output).contains(&keys.operator) && !error(output).contains(&keys.development));
    }
}
