//! `cargo xtask simulate`: seeds of the simulation, and planted bugs that it must find.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};
use trunnion_tests::host::target_dir;

use crate::{planted, tools};

/// Seeds after which a planted bug counts as not found.
const MOST_SEEDS: &str = "3000";

/// The program, and how it is built: with the features that everything else is built with.
const BUILD: [&str; 8] =
    ["build", "--workspace", "--locked", "--quiet", "--bin", "simulate", "--test", "sim"];

/// Simulates so many seeds from `seed` on.
pub(crate) fn run(seeds: u64, seed: u64) -> Result<()> {
    tools::run("cargo", &BUILD, &[])?;
    seeds_of(seeds, seed)
}

/// The same with what was built before.
pub(crate) fn seeds_of(seeds: u64, seed: u64) -> Result<()> {
    let program = target_dir().join("debug/simulate");
    let (seeds, seed) = (seeds.to_string(), seed.to_string());
    tools::run(&program.to_string_lossy(), &["--seeds", &seeds, "--seed", &seed], &[])
}

/// Plants each bug, or those whose names contain `name`, and has the simulation find it.
pub(crate) fn planted(name: Option<&str>) -> Result<()> {
    let is_wanted = |bug: &str| name.is_none_or(|name| bug.contains(name));
    planted::each(is_wanted, &BUILD, &format!("{MOST_SEEDS} seeds"), found)
}

/// Simulates with the program in `built`; how the bug was found.
fn found(built: &Path) -> Result<Option<String>> {
    let output =
        Command::new(built.join("simulate")).args(["--seeds", MOST_SEEDS, "--twice", "0"]).output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let broken = said.lines().rfind(|line| line.starts_with("seed "));
    let Some(broken) = broken else {
        bail!("the simulation itself failed: {}", String::from_utf8_lossy(&output.stderr));
    };
    let seeds = said.lines().find_map(|line| line.split_once(" seeds: ")).map_or("?", |(seeds, _)| seeds);
    Ok(Some(format!("after {seeds} seeds ({broken})")))
}
