//! Planted bugs: what a check is worth is shown by what it finds.
//!
//! A planted bug is a patch under `tests/sim/bugs`, applied to a copy of the sources: production code has no
//! switch for it. A patch that no longer applies fails, so that none is lost when the code around it changes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use trunnion_tests::host::{target_dir, workspace};

use crate::report::{Elapsed, fact, stage};

/// Plants each bug whose name `is_wanted`, builds it by `cargo` with the arguments `build`, and has `find` look for it
/// with the programs of the directory it is given: how it was found, or `None`. `within` says how much was tried.
pub(crate) fn each(
    is_wanted: impl Fn(&str) -> bool,
    build: &[&str],
    within: &str,
    find: impl Fn(&Path) -> Result<Option<String>>,
) -> Result<()> {
    let bugs: Vec<_> = bugs()?.into_iter().filter(|bug| is_wanted(&bug.name)).collect();
    ensure!(!bugs.is_empty(), "no planted bug of tests/sim/bugs has such a name");
    let copy = Copy::new(&target_dir().join("planted"))?;
    let mut missed = Vec::new();
    for bug in &bugs {
        stage(&bug.name);
        let clock = Elapsed::start();
        copy.refresh()?;
        copy.plant(bug)?;
        match find(&copy.built(build)?)? {
            Some(how) => fact("found", format!("{how}, in {clock}")),
            None => missed.push(bug.name.as_str()),
        }
    }
    copy.refresh()?;
    ensure!(missed.is_empty(), "{within} did not find {}", missed.join(", "));
    println!("\nevery planted bug was found: {}", bugs.len());
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

    /// Builds it; where the programs are.
    fn built(&self, build: &[&str]) -> Result<PathBuf> {
        // Built apart from everything else: cargo takes both trees for the same packages, and a planted bug must not
        // come to be part of what is built from the sources.
        let target = self.root.join("target");
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root).args(build).env("CARGO_TARGET_DIR", &target);
        ensure!(cargo.status()?.success(), "the planted bug does not compile");
        Ok(target.join("debug"))
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").current_dir(directory).args(arguments).output()?;
    let shown = arguments.join(" ");
    ensure!(output.status.success(), "`git {shown}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}
