//! `trunnion-embed` as npm would publish it: packed, installed into a page's project, and used from TypeScript.
//!
//! Without Node.js and npm this test says that it is skipped.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use tokio::process::Command;
use trunnion_tests::{host::workspace, node};

/// What a program printed.
async fn printed(program: &str, arguments: &[&str], dir: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(dir).output().await.unwrap();
    let Output { status, stdout, stderr } = output;
    let said = [stdout.clone(), stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(stdout).unwrap()
}

#[tokio::test]
async fn a_page_in_typescript_uses_the_package_as_it_is_published() {
    if !crate::javascript::node().await {
        return;
    }
    let project = tempfile::tempdir().unwrap();
    let dir = project.path();
    let package = workspace().join("sdk/embed");
    let packed = ["pack", "--json", "--pack-destination", dir.to_str().unwrap()];
    let packed: Value = serde_json::from_str(&printed("npm", &packed, &package).await).unwrap();
    let files = packed[0]["files"].as_array().unwrap().iter().map(|file| file["path"].clone());
    let mut files: Vec<Value> = files.collect();
    files.sort_by_key(ToString::to_string);
    let wanted = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "index.d.ts", "index.js", "package.json"]
        .map(Value::from);
    assert_eq!(files, wanted);

    // It has no dependencies, so nothing is asked of a registry.
    let manifest = json!({ "name": "page", "private": true, "type": "module" });
    fs::write(dir.join("package.json"), manifest.to_string()).unwrap();
    let archive = format!("./{}", packed[0]["filename"].as_str().unwrap());
    printed("npm", &["install", "--offline", "--no-audit", "--no-fund", &archive], dir).await;
    let from = workspace().join("tests/embed");
    for file in ["page.ts", "tsconfig.json"] {
        fs::copy(from.join(file), dir.join(file)).unwrap();
    }
    let tools = node::installed("embed", &from).await.unwrap();
    let compiler = tools.join("node_modules/typescript/bin/tsc");
    printed("node", &[compiler.to_str().unwrap(), "--project", "."], dir).await;
    let methods: Value = serde_json::from_str(&printed("node", &["page.js"], dir).await).unwrap();
    assert_eq!(methods, json!({ "missing": [], "unnamed": [] }));
}
