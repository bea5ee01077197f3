//! `trunnion connector dev`: a connector is built at every change and swapped into a running host; what is wrong is said, and
//! the next change is another try.

use std::{fs, path::Path, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};
use trunnion_tests::{
    component,
    host::{self, HostOptions, TestHost},
    wait,
};

use super::author::{New, does};

/// Reads lines until one contains `part`.
async fn until(lines: &mut Lines<BufReader<ChildStderr>>, part: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let found = line.contains(part);
            seen.push(line);
            if found {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(wait::PATIENCE * 5, read).await.unwrap_or(false);
    assert!(found, "`{part}` was not said: {seen:#?}");
    seen
}

/// `connector dev NAME` in `folder`; what it says.
async fn developing(host: &TestHost, folder: &Path, name: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let mut command = Command::new(binary);
    command.args(["connector", "dev", name, "--host", host.base_url(), "--data-dir"]).arg(host.data_dir());
    command.current_dir(folder).env("CARGO_TARGET_DIR", host::target_dir());
    let mut dev = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(dev.stderr.take().unwrap()).lines();
    (dev, lines)
}

#[tokio::test]
async fn a_package_of_npm_is_built_at_every_change_and_not_at_what_its_build_makes() {
    if !crate::javascript::node().await {
        return;
    }
    let host = TestHost::start(HostOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("poller");
    fs::create_dir(&package).unwrap();
    // Its build takes a component that is there already, notes that in a folder that it may write, and counts.
    let component = component::guest("poller").await.unwrap();
    fs::copy(component, folder.path().join("poller.wasm")).unwrap();
    let build = r"import { appendFileSync, copyFileSync, mkdirSync } from 'node:fs';
        import './source.mjs';
        mkdirSync('generated', { recursive: true });
        appendFileSync('generated/builds', '.');
        copyFileSync('../poller.wasm', process.env.TRUNNION_OUT);";
    let manifest =
        r#"{"name":"trunnion-connector-poller","private":true,"scripts":{"build":"node build.mjs"}}"#;
    for (name, text) in [
        ("build.mjs", build),
        ("package.json", manifest),
        ("source.mjs", "export {};"),
        (".gitignore", "generated/\n"),
    ] {
        fs::write(package.join(name), text).unwrap();
    }
    let builds = || fs::read(package.join("generated/builds")).unwrap().len();

    let (_dev, mut lines) = developing(&host, folder.path(), "poller").await;
    until(&mut lines, "is active; the first of this app").await;
    until(&mut lines, "waiting for changes").await;
    assert_eq!(builds(), 1);

    fs::write(package.join("source.mjs"), "throw new Error('the reason');").unwrap();
    let said = until(&mut lines, "waiting for changes").await.concat();
    assert!(said.contains("error") && said.contains("the reason"), "{said}");

    fs::write(package.join("source.mjs"), "export {}; // mended").unwrap();
    let said = until(&mut lines, "waiting for changes").await.concat();
    assert!(!said.contains("error"), "{said}");
    assert_eq!(builds(), 2, "once for each source that could be built");
}

#[tokio::test]
async fn every_change_is_built_and_swapped_in_and_errors_are_said() {
    let host = TestHost::start(HostOptions::default()).await.unwrap();
    let new = New::made("acme").await;
    let (_dev, mut lines) = developing(&host, new.folder.path(), "acme").await;
    let title = async || {
        let data_dir = host.data_dir().to_str().unwrap();
        let arguments = ["list", "--json", "--host", host.base_url(), "--data-dir", data_dir];
        let listed: Value = serde_json::from_str(&does(new.folder.path(), &arguments).await).unwrap();
        listed["data"][0]["digest"].as_str().unwrap().to_owned()
    };

    until(&mut lines, "is active; the first of this app").await;
    let first = title().await;
    until(&mut lines, "waiting for changes").await;

    new.replace("title: \"Acme\"", "title: 7");
    let said = until(&mut lines, "waiting for changes").await.concat();
    assert!(said.contains("error") && said.contains("mismatched types"), "{said}");
    assert_eq!(title().await, first, "what does not compile changes nothing");

    new.replace("title: 7", "title: \"Acme again\"");
    until(&mut lines, "is active; before it").await;
    assert_ne!(title().await, first);
}
