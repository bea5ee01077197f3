//! `cargo xtask torture`: crash torture of a real host, and planted bugs that it must find; the work is
//! `trunnion_tests::torture`'s.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use trunnion_tests::torture::{self, Options};

use crate::{planted, report::stage};

/// What the violations are counted as, in the report's last line but their own.
const VIOLATIONS: &str = " violations";

/// Bugs that only a kill brings to light, or that its traces betray: each loses, strands or doubles.
const BUGS: [&str; 3] = ["recovery-skips-leased", "delivery-removed-early", "key-changes-per-attempt"];

pub(crate) fn run(cycles: u32, seed: u64) -> Result<()> {
    stage(&format!("torture of {cycles} kills, seed {seed}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(torture::run(Options { cycles, seed }, &|said| println!("   {said}")))?;
    println!("{report}");
    if !report.violations.is_empty() {
        bail!("{}{VIOLATIONS} with seed {seed}; each is named above", report.violations.len());
    }
    Ok(())
}

/// Plants each of `BUGS`, or those bugs whose names contain `name`, and has the torture find it.
pub(crate) fn planted(name: Option<&str>, cycles: u32, seed: u64) -> Result<()> {
    let build = ["build", "--workspace", "--locked", "--quiet", "--bin", "trunnion"];
    let is_wanted = |bug: &str| name.map_or_else(|| BUGS.contains(&bug), |name| bug.contains(name));
    let find = |built: &Path| found(&built.join("trunnion"), cycles, seed);
    planted::each(is_wanted, &build, &format!("{cycles} kills"), find)
}

/// Tortures this `host` by this very program; how its bug was found.
fn found(host: &Path, cycles: u32, seed: u64) -> Result<Option<String>> {
    let mut torture = Command::new(std::env::current_exe()?);
    torture.args(["torture", "--cycles", &cycles.to_string(), "--seed", &seed.to_string()]);
    let output = torture.env("TRUNNION_BIN", host).output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines().skip_while(|line| !line.ends_with(VIOLATIONS));
    let count = lines.next().with_context(|| {
        format!("the torture itself failed: {said}{}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(Some(format!("{count} of {cycles} kills, such as \"{}\"", lines.next().unwrap_or_default().trim())))
}
