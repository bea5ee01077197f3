//! The master key is rotated while the host is stopped, and everything opens under the new one alone.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;
use trunnion_tests::{host, scenario::Scenario};

async fn rotate(data_dir: &Path, to: &Path) -> (bool, String) {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let mut command = Command::new(binary);
    command.args(["keys", "rotate-master", "--data-dir"]).arg(data_dir).arg("--to").arg(to);
    let output = command.env_remove("TRUNNION_MASTER_KEY").output().await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_rotated_master_key_opens_everything_and_the_old_one_nothing() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let data_dir = scenario.host.data_dir().to_owned();
    let (new, kept) = (data_dir.join("new.key"), data_dir.join("master.key"));

    let (done, said) = rotate(&data_dir, &new).await;
    assert!(!done && said.contains("stop the host first"), "{said}");
    scenario.host.stop().await.unwrap();
    let (done, said) = rotate(&data_dir, &kept).await;
    assert!(!done && said.contains("holds the present master key"), "{said}");
    let (done, said) = rotate(&data_dir, &new).await;
    assert!(done && said.contains("master_key_file"), "{said}");
    let (done, said) = rotate(&data_dir, &new).await;
    assert!(done && said.contains("rotated before"), "after a crash the same command goes on: {said}");

    let refused = scenario.host.start_again().await.unwrap_err();
    assert!(format!("{refused:#}").contains("master key"), "the old key opens nothing: {refused:#}");
    std::fs::rename(&new, &kept).unwrap();
    scenario.host.start_again().await.unwrap();
    let client = scenario.host.client().unwrap();
    let path = format!("/v1/users/{}/connections/{}/check", merchant.user, merchant.credential);
    client.post(&path, &json!({})).await.unwrap().ok().unwrap();
}
