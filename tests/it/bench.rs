//! `trunnion bench`, shortened: every scenario runs, loses nothing, and says so in the form that programs read.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;
use trunnion_tests::{component, host};

async fn bench(arguments: &[&str], within: &Path) -> std::process::Output {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    Command::new(binary).arg("bench").args(arguments).current_dir(within).output().await.unwrap()
}

#[tokio::test]
async fn swaps_under_load_lose_nothing() {
    let component = component::bigcommerce().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        &["swap", "--json", "--swaps", "20", "--seconds", "1", "--dir", folder.path().to_str().unwrap()][..],
        &["--component", component.to_str().unwrap()],
    ];
    let output = bench(&arguments.concat(), folder.path()).await;
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    println!("{told}{report}");

    assert_eq!(report["scenario"], "swap");
    assert_eq!((report["failed"].as_u64(), report["lost"].as_u64()), (Some(0), Some(0)), "{report}");
    assert_eq!((report["swaps"].as_u64(), report["refused"].as_u64()), (Some(20), Some(4)), "{report}");
    assert_eq!(report["held_ok"], true, "{report}");
    assert!(report["share"].as_f64().unwrap() >= 0.7, "{report}");
    for figure in
        ["value", "reference", "ratio", "switch_ms", "activate_ms", "activate_loaded_ms", "maximum", "rate"]
    {
        assert!(report[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} of {report}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "the host's data directory is removed");
    assert!(told.contains("20 swaps") && told.contains("0 lost"), "the table is for people: {told}");
}

#[tokio::test]
async fn without_a_connector_to_build_the_remedy_is_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = bench(&["swap"], nowhere.path()).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("connectors/bigcommerce") && said.contains("--component PATH"), "{said}");
}
