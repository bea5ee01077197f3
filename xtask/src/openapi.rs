//! `cargo xtask openapi`: what is made from the API's routes and kept in the repository. A test fails where it is stale.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};
use trunnion_tests::host::{self, workspace};

use crate::report::{fact, stage};

pub(crate) fn run() -> Result<()> {
    stage("OpenAPI document");
    let output =
        Command::new(host::binary()?).arg("openapi").output().context("running `trunnion openapi`")?;
    if !output.status.success() {
        bail!("`trunnion openapi` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let path = workspace().join("sdk/openapi.json");
    fs::write(&path, &output.stdout).with_context(|| format!("writing {}", path.display()))?;
    fact("sdk/openapi.json", format!("{} KB", output.stdout.len() / 1024));
    Ok(())
}
