//! `trunnion bench`, shortened: every scenario runs, loses nothing, and says so in the form that programs read.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;
use trunnion_tests::{component, host};

/// Runs a scenario in a folder of its own; answers its report, once it has ended well and left nothing behind.
async fn report(arguments: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let rest = ["--json", "--dir", folder.path().to_str().unwrap()];
    let output = bench(&[arguments, &rest].concat(), folder.path()).await;
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    println!("{told}{report}");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "the host's data directory is removed");
    assert_eq!(report["scenario"], arguments[0]);
    (report, told)
}

/// Every figure is there and says something; how large it is depends on the machine.
fn assert_figures(report: &Value, figures: &[&str]) {
    for figure in ["value", "reference", "ratio"].iter().chain(figures) {
        assert!(report[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} of {report}");
    }
}

/// A load loses nothing, and its report has what programs read.
async fn assert_load(arguments: &[&str], budgets: usize) -> Value {
    let (report, told) = report(&[arguments, &["--rounds", "1", "--seconds", "1"]].concat()).await;
    assert_eq!((report["failed"].as_u64(), report["lost"].as_u64()), (Some(0), Some(0)), "{report}");
    let figures = ["p50", "p99", "p50_reference", "p99_reference", "half_rate", "rss_mb", "events"];
    assert_figures(&report, &figures);
    assert_eq!(report["budgets"].as_array().unwrap().len(), budgets, "{report}");
    assert!(told.contains("budget"), "people read the budget as well: {told}");
    report
}

#[tokio::test]
async fn runs_beside_a_proxy_lose_nothing() {
    let component = component::bigcommerce().await.unwrap();
    assert_load(&["run", "--component", component.to_str().unwrap()], 2).await;
}

#[tokio::test]
async fn webhooks_beside_a_proxy_lose_nothing() {
    let component = component::shopify().await.unwrap();
    let report = assert_load(&["webhook", "--alloy", "--shopify", component.to_str().unwrap()], 2).await;
    assert_figures(&report, &["compared", "compared_processor_us", "compared_without"]);
}

#[tokio::test]
async fn events_beside_a_bare_handler_are_all_taken_in() {
    let component = component::bigcommerce().await.unwrap();
    assert_load(&["ingest", "--component", component.to_str().unwrap()], 1).await;
}

#[tokio::test]
async fn a_flood_beside_others_loses_nothing_of_theirs() {
    let component = component::bigcommerce().await.unwrap();
    let component = component.to_str().unwrap();
    let arguments = ["neighbour", "--component", component, "--seconds", "2", "--times", "20"];
    let (report, told) = report(&arguments).await;
    assert_eq!((report["failed"].as_u64(), report["lost"].as_u64()), (Some(0), Some(0)), "{report}");
    assert_figures(&report, &["p50", "p50_quiet", "flood_sent", "flood_done", "rss_mb", "events"]);
    assert!(told.contains("budget"), "people read the budget as well: {told}");
}

async fn bench(arguments: &[&str], within: &Path) -> std::process::Output {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    Command::new(binary).arg("bench").args(arguments).current_dir(within).output().await.unwrap()
}

#[tokio::test]
async fn a_sandboxed_call_is_held_against_the_same_code_native() {
    let component = component::built(host::workspace().join("host/echo"), "guests").await.unwrap();
    let component = component.to_str().unwrap();
    let (report, told) = report(&["call", "--component", component, "--rounds", "1", "--calls", "5"]).await;
    assert_figures(&report, &[]);
    for difference in ["fresh_over_native_us", "warm_over_native_us"] {
        assert!(report[difference].is_number(), "it may be lost in the noise of so few: {report}");
    }
    for payload in ["0_4kb", "4kb", "32kb"] {
        for figure in ["native_us", "fresh_us", "warm_us", "code_us"] {
            assert!(report["payloads"][payload][figure].as_f64().unwrap() > 0.0, "{payload} of {report}");
        }
    }
    assert_eq!(report["budgets"].as_array().unwrap().len(), 4, "{report}");
    assert!(told.contains("32.0 KB"), "{told}");
}

#[tokio::test]
async fn pollers_are_watched_while_they_poll() {
    let component = component::guest("poller").await.unwrap();
    let component = component.to_str().unwrap();
    let few = ["--installations", "5", "--every", "1", "--seconds", "8"];
    let (report, told) = report(&[&["poll", "--component", component][..], &few].concat()).await;
    // A few pollers may all begin within the same millisecond as they are due.
    for figure in ["value", "ratio", "p99_lag_ms", "max_lag_ms", "bytes_each", "processor_ms_per_s"] {
        assert!(report[figure].as_f64().is_some_and(|figure| figure >= 0.0), "{figure} of {report}");
    }
    assert!(
        report["reference"].as_f64().unwrap() > 0.0 && report["rss_mb"].as_f64().unwrap() > 0.0,
        "{report}"
    );
    assert!(report["polls"].as_u64().unwrap() >= 5, "each has polled: {report}");
    assert_eq!((report["failed"].as_u64(), report["installations"].as_u64()), (Some(0), Some(5)), "{report}");
    assert_eq!(report["budgets"].as_array().unwrap().len(), 2, "{report}");
    assert!(told.contains("a bare timer"), "{told}");
}

#[tokio::test]
async fn rows_reach_a_warehouse_once_over_a_kill() {
    let component = component::bigquery().await.unwrap();
    let sizes = ["--rows", "20000", "--page", "500"];
    let (report, told) =
        report(&[&["rows", "--component", component.to_str().unwrap()][..], &sizes].concat()).await;
    assert_figures(&report, &["rows_per_second", "peak_rss_mb"]);
    assert_eq!((report["failed"].as_u64(), report["rows"].as_u64()), (Some(0), Some(20_000)), "{report}");
    assert_eq!(report["budgets"].as_array().unwrap().len(), 2, "{report}");
    assert!(told.contains("killed, and ready again"), "{told}");
}

/// Both connectors, and as few installations as show that there are several.
async fn of_a_population(arguments: &[&str]) -> Value {
    let (bigcommerce, shopify) =
        (component::bigcommerce().await.unwrap(), component::shopify().await.unwrap());
    let components = [
        "--component",
        bigcommerce.to_str().unwrap(),
        "--shopify",
        shopify.to_str().unwrap(),
        "--installations",
        "3",
    ];
    report(&[arguments, &components].concat()).await.0
}

#[tokio::test]
async fn starts_are_timed_after_a_stop_and_after_a_kill_with_stored_runs() {
    let report = of_a_population(&["start", "--runs", "100", "--rounds", "2"]).await;
    assert_figures(
        &report,
        &["ready_ms", "ready_max_ms", "ready_after_kill_ms", "ready_after_kill_max_ms", "rss_mb"],
    );
    assert_eq!((report["installations"].as_u64(), report["runs"].as_u64()), (Some(3), Some(100)));
}

#[tokio::test]
async fn an_idle_host_is_weighed_before_and_after_work() {
    let report = of_a_population(&["idle", "--seconds", "1"]).await;
    assert_figures(&report, &["rss_mb", "peak_rss_mb", "rss_after_work_mb", "events"]);
    assert_eq!(report["failed"], 0, "{report}");
}

#[tokio::test]
async fn a_run_is_weighed_with_few_and_with_many_installations_and_runs() {
    let component = component::bigcommerce().await.unwrap();
    let sizes = ["--few", "2", "--many", "5", "--runs", "50", "--rounds", "1", "--seconds", "1"];
    let arguments = [["flat", "--component", component.to_str().unwrap()].as_slice(), &sizes].concat();
    let (report, told) = report(&arguments).await;
    let figures = ["installations_ratio", "runs_ratio", "spread_ratio", "memory_ratio", "runs_memory_ratio"];
    assert_figures(&report, &figures);
    assert_eq!(report["failed"], 0, "{report}");
    assert!(told.contains("with events of them all"), "{told}");
}

#[tokio::test]
async fn swaps_under_load_lose_nothing() {
    let component = component::bigcommerce().await.unwrap();
    let component = component.to_str().unwrap();
    let (report, told) = report(&["swap", "--swaps", "20", "--seconds", "1", "--component", component]).await;

    assert_eq!((report["failed"].as_u64(), report["lost"].as_u64()), (Some(0), Some(0)), "{report}");
    assert_eq!((report["swaps"].as_u64(), report["refused"].as_u64()), (Some(20), Some(4)), "{report}");
    assert_eq!(report["held_ok"], true, "{report}");
    assert!(report["share"].as_f64().unwrap() >= 0.7, "{report}");
    assert_figures(&report, &["switch_ms", "activate_ms", "activate_loaded_ms", "maximum", "rate"]);
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
