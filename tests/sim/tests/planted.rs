//! Planted bugs are patches; one that no longer applies finds nothing. `cargo xtask simulate --planted` shows that the
//! simulation finds each; that takes the better part of an hour, so its patches are held to the sources here.

#![cfg(test)]

use std::{fs, path::Path, process::Command};

#[test]
fn every_planted_bug_applies_to_the_sources() {
    let simulation = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = simulation.ancestors().nth(2).unwrap();
    let patches: Vec<_> = fs::read_dir(simulation.join("bugs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    assert!(!patches.is_empty(), "tests/sim/bugs is empty");
    let mut stale = Vec::new();
    for patch in patches {
        let check = Command::new("git")
            .current_dir(workspace)
            .args(["apply", "--check", "--whitespace=nowarn"])
            .arg(&patch)
            .output()
            .expect("git is needed to apply planted bugs; install it");
        if !check.status.success() {
            stale.push(format!("{}: {}", patch.display(), String::from_utf8_lossy(&check.stderr).trim()));
        }
    }
    assert!(stale.is_empty(), "plant them anew where their code has gone: {stale:#?}");
}
