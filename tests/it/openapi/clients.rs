//! The typed clients below `sdk`, made from the document as they are for publishing, and used against a host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokio::process::Command;
use trunnion_tests::{host::workspace, node, python, scenario::Scenario};

const PYTHON: [&str; 5] =
    ["openapi-python-client==0.29.1", "hatchling==1.27.0", "attrs", "httpx==0.28.1", "python-dateutil"];

/// What a program says with its last line.
async fn told(command: &mut Command, scenario: &Scenario) -> Value {
    command.env("TRUNNION_URL", scenario.host.base_url());
    command.env("TRUNNION_KEY", &scenario.host.keys().development);
    let words = succeeded(command).await;
    serde_json::from_str(words.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{words}"))
}

async fn succeeded(command: &mut Command) -> String {
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = command.output().await.unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n{complaints}");
    words
}

fn copied(from: &Path, to: &Path, files: &[&str]) {
    fs::create_dir_all(to).unwrap();
    for file in files {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

fn document() -> PathBuf {
    workspace().join("sdk/openapi.json")
}

/// What both programs do, and what has to come of it.
fn check(told: &Value) {
    let user = &told["user"];
    assert_eq!((&user["username"], &user["fullName"]), (&json!("typed"), &json!("Typed")));
    assert_eq!(told["release"], 1);
    assert_eq!(told["refused"], json!([404, "run-unknown"]));
    assert_eq!(told["runs"], 0);
    assert_eq!(told["seen"], json!(["Order created", "Fulfilment", "Typed"]));
}

#[tokio::test]
async fn the_typescript_client_compiles_and_works() {
    let scenario = Scenario::start().await.unwrap();
    let from = workspace().join("tests/typescript");
    let dir = node::installed("typescript-client", &from).await.unwrap();
    copied(&from, &dir, &["use.ts", "tsconfig.json"]);
    let package = dir.join("trunnion-api");
    copied(&workspace().join("sdk/typescript"), &package, &["index.js", "index.d.ts", "package.json"]);
    let generator = dir.join("node_modules/openapi-typescript/bin/cli.js");
    let mut generate = node::command(&dir, &generator);
    succeeded(generate.arg(document()).arg("-o").arg(package.join("schema.d.ts"))).await;
    succeeded(&mut node::command(&dir, &dir.join("node_modules/typescript/bin/tsc"))).await;
    copied(&package, &dir.join("out/trunnion-api"), &["index.js", "package.json"]);
    check(&told(&mut node::command(&dir, &dir.join("out/use.js")), &scenario).await);
}

#[tokio::test]
async fn the_python_client_is_whole_and_works() {
    if !python::is_there().await {
        println!("skipped: there is no Python 3 with venv");
        return;
    }
    let scenario = Scenario::start().await.unwrap();
    let dir = python::installed("python-client", &PYTHON, None).await.unwrap();
    let package = dir.join("package");
    let files = ["pyproject.toml", "config.yaml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];
    copied(&workspace().join("sdk/python"), &package, &files);
    let mut generate = python::command(&dir, "openapi-python-client");
    generate.arg("generate").arg("--path").arg(document()).current_dir(&package);
    generate.args(["--config", "config.yaml", "--meta", "none"]);
    generate.args(["--output-path", "trunnion_api", "--overwrite", "--fail-on-warning"]);
    succeeded(&mut generate).await;
    let mut wheel = python::command(&dir, "pip");
    wheel.args(["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]);
    succeeded(wheel.current_dir(&package)).await;
    assert!(package.join("dist/trunnion_api-0.1.0-py3-none-any.whl").is_file());
    let mut uses = python::command(&dir, "python");
    uses.arg(workspace().join("tests/python/use.py")).env("PYTHONPATH", &package);
    check(&told(&mut uses, &scenario).await);
}
