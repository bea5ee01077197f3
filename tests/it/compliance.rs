//! The compliance suite and the cassettes of every connector of this repository.

use std::{fs, path::Path};

use trunnion::author::{
    cassette::{Cassette, verdicts},
    loading::Loading,
    suite::{self, Outcome, Report},
};
use trunnion_tests::{component, host::workspace};

/// What the suite says of a component, and what its cassettes say.
async fn tried(component: &Path, cassettes: &Path) -> Report {
    let cache = tempfile::tempdir().unwrap();
    let loading = Loading {
        component: fs::read(component).unwrap().into(),
        compiler: Vec::new(),
        cache: cache.path().join("compiled"),
    };
    let mut report = suite::run(&loading, &mut |_| {}).await.unwrap();
    let paths = Cassette::of_folder(cassettes).unwrap();
    let manifest = loading.manifest().await.unwrap();
    report.verdicts.extend(verdicts(&loading, &manifest, &paths, None).await.unwrap());
    for verdict in &report.verdicts {
        if let Outcome::Untried(why) = &verdict.outcome {
            println!("{} untried: {}: {} ({why})", report.app, verdict.subject, verdict.rule);
        }
    }
    report
}

/// The crates of `connectors`, whoever adds one.
fn connectors() -> Vec<String> {
    let folders = fs::read_dir(workspace().join("connectors")).unwrap().map(|entry| entry.unwrap().path());
    let crates = folders.filter(|folder| folder.join("Cargo.toml").is_file());
    let mut names: Vec<_> =
        crates.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_connector_of_this_repository_complies() {
    let names = connectors();
    assert!(names.len() >= 2, "{names:?}");
    let mut broken = Vec::new();
    for name in names {
        let folder = workspace().join("connectors").join(&name);
        let component = component::built(folder.clone(), "components").await.unwrap();
        let report = tried(&component, &folder.join("cassettes")).await;
        println!("{name}: {} rules, {} untried", report.verdicts.len(), report.untried().count());
        let rule = |app: &str, scheme: &str| {
            let tried = |verdict: &&suite::Verdict| verdict.subject.ends_with(&format!(" by `{scheme}`"));
            let carried = |verdict: &suite::Verdict| {
                verdict.rule.contains("credential goes") && verdict.outcome == Outcome::Passed
            };
            assert!(
                report.app != app || report.verdicts.iter().filter(tried).any(carried),
                "{app} by {scheme}"
            );
        };
        rule("bigquery", "oauth");
        rule("http", "basic");
        broken.extend(report.broken().map(|verdict| format!("{name}: {verdict:#?}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn the_connector_in_javascript_complies() {
    if !crate::javascript::node().await {
        return;
    }
    let report = tried(&crate::javascript::built().await, Path::new("no/cassettes")).await;
    let broken: Vec<_> = report.broken().collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(report.verdicts.len() > report.untried().count(), "{report:#?}");
}

#[tokio::test]
async fn the_polling_guest_complies() {
    let component = component::guest("poller").await.unwrap();
    let report = tried(&component, Path::new("no/cassettes")).await;
    let broken: Vec<_> = report.broken().collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let rounds = report.verdicts.iter().filter(|verdict| verdict.rule.contains("cursor never goes back"));
    assert!(rounds.clone().count() == 3 && rounds.clone().all(|verdict| verdict.outcome == Outcome::Passed));
}
