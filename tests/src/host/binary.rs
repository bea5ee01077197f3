//! Finds the `trunnion` binary by letting cargo build it: a stale binary would test yesterday's code.
//!
//! `TRUNNION_BIN` names one that was built already, as `cargo xtask test` does for all test processes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::sync::OnceCell;

/// The workspace's root.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Where cargo builds.
#[must_use]
pub fn target_dir() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The binary, built at most once in this process.
pub(super) async fn built() -> Result<PathBuf> {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    BINARY.get_or_try_init(|| async { tokio::task::spawn_blocking(build).await? }).await.cloned()
}

/// Builds the binary and answers its path.
pub fn build() -> Result<PathBuf> {
    if let Some(path) = variable("TRUNNION_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "TRUNNION_BIN names {}, which is not a file; build it or unset the variable",
                path.display()
            );
        }
        return Ok(path);
    }
    let cargo = variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    // With the tests' package, so that features are those of the test build and nothing is built twice.
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["build", "--package", "trunnion", "--package", "trunnion-tests", "--bins", "--lib"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    if !output.status.success() {
        bail!("`cargo build --package trunnion` failed; its messages stand above");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some("trunnion"))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .context("cargo built no binary `trunnion`; the package `host` must have one")
}

#[expect(clippy::disallowed_methods, reason = "the harness is configured by cargo's own variables")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
