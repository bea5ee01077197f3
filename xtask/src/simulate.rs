//! `cargo xtask simulate`: seeds of the simulation, and planted bugs that it must find.
//!
//! A planted bug is a patch under `tests/sim/bugs`, applied to a copy of the sources: production code has no
//! switch for it. A patch that no longer applies fails, so that none is lost when the code around it changes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use trunnion_tests::host::{target_dir, workspace};

use crate::{
    report::{Elapsed, fact, stage},
    tools,
};

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
    let bugs: Vec<_> =
        bugs()?.into_iter().filter(|bug| name.is_none_or(|name| bug.name.contains(name))).collect();
    ensure!(!bugs.is_empty(), "there is no planted bug {name:?} in tests/sim/bugs");
    let copy = Copy::new(&target_dir().join("planted"))?;
    let mut missed = Vec::new();
    for bug in &bugs {
        stage(&bug.name);
        let clock = Elapsed::start();
        copy.refresh()?;
        copy.plant(bug)?;
        match copy.found()? {
            Some(how) => fact("found", format!("{how}, in {clock}")),
            None => missed.push(bug.name.as_str()),
        }
    }
    copy.refresh()?;
    ensure!(missed.is_empty(), "{MOST_SEEDS} seeds did not find {}", missed.join(", "));
    println!("\nall {} planted bugs were found", bugs.len());
    Ok(())
}

/// A patch.
struct Bug {
    name: String,
    path: PathBuf,
}

fn bugs() -> Result<Vec<Bug>> {
    let directory = workspace().join("tests/sim/bugs");
    let mut bugs = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            bugs.push(Bug { name, path });
        }
    }
    bugs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(bugs)
}

/// A copy of the sources, with a repository of its own so that patches are applied to it alone.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all(root)?;
        git(root, &["init", "--quiet"])?;
        Ok(Self { root: root.to_owned() })
    }

    /// Makes it the same as the sources. Files that are the same already are left alone, so that little is built
    /// anew.
    fn refresh(&self) -> Result<()> {
        let listed = git(&workspace(), &["ls-files", "--cached", "--others", "--exclude-standard"])?;
        for name in listed.lines() {
            let from = workspace().join(name);
            // A file that was removed and not yet committed is still listed.
            let Ok(content) = fs::read(&from) else { continue };
            let to = self.root.join(name);
            if fs::read(&to).is_ok_and(|present| present == content) {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&to, content)?;
        }
        Ok(())
    }

    fn plant(&self, bug: &Bug) -> Result<()> {
        git(&self.root, &["apply", "--whitespace=nowarn", &bug.path.to_string_lossy()]).with_context(|| {
            format!(
                "the planted bug `{}` no longer applies; plant it anew where its code has gone, and replace {}",
                bug.name,
                bug.path.display()
            )
        })?;
        Ok(())
    }

    /// Builds and simulates; how the bug was found.
    fn found(&self) -> Result<Option<String>> {
        // Built apart from everything else: cargo takes both trees for the same packages, and a planted bug must not
        // come to be part of what is built from the sources.
        let built = self.root.join("target");
        let mut build = Command::new("cargo");
        build.current_dir(&self.root).args(BUILD).env("CARGO_TARGET_DIR", &built);
        ensure!(build.status()?.success(), "the planted bug does not compile");
        let program = built.join("debug/simulate");
        let output = Command::new(program).args(["--seeds", MOST_SEEDS, "--twice", "0"]).output()?;
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
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").current_dir(directory).args(arguments).output()?;
    let shown = arguments.join(" ");
    ensure!(output.status.success(), "`git {shown}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}
