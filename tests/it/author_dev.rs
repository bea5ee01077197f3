//! `trunnion connector dev`: a crate is built at every change and swapped into a running host; what is wrong is said, and
//! the next change is another try.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{ChildStderr, Command},
};
use trunnion_tests::{
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

#[tokio::test]
async fn every_change_is_built_and_swapped_in_and_errors_are_said() {
    let host = TestHost::start(HostOptions::default()).await.unwrap();
    let new = New::made("acme").await;
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let mut command = Command::new(binary);
    command.args(["connector", "dev", "acme", "--host", host.base_url(), "--data-dir"]).arg(host.data_dir());
    command.current_dir(new.folder.path()).env("CARGO_TARGET_DIR", host::target_dir());
    let mut dev = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(dev.stderr.take().unwrap()).lines();
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
