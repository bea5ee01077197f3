//! `trunnion connector dev`: builds a connector whenever its sources change and swaps it into a running host.
//!
//! Invariant: whatever goes wrong (a compile error, a refusal by the host, a host that is gone) is said, and the next
//! change is another try.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use ignore::WalkBuilder;
use trunnion_connector_build::{BuildOptions, Symbols, build};

use crate::cli::{connector::operate, remote::Remote, say};

/// Time between two looks at the connector's files. Editors write a file in several steps; a build begins when two looks in
/// a row found the same.
const LOOK: Duration = Duration::from_millis(250);
/// What changes without being a change of the connector, beside what its own `.gitignore` names: builds make these.
const IGNORED: [&str; 5] = ["target", "node_modules", "cassettes", "Cargo.lock", "package-lock.json"];

/// A connector's files, with time and length: looking takes less than a millisecond, and works on every file system.
type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Builds and swaps at every change.
#[derive(Debug, Args)]
pub(in crate::cli) struct Dev {
    /// The connector's folder: a Cargo.toml or a package.json is in it.
    #[arg(value_name = "PATH")]
    crate_dir: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(dev: &Dev) -> Result<()> {
    let folder = &dev.crate_dir;
    if !["Cargo.toml", "package.json"].iter().any(|name| folder.join(name).is_file()) {
        bail!(
            "`{}` is no connector: it has no Cargo.toml and no package.json; name the connector's folder",
            folder.display()
        );
    }
    // A wrong key or address shows before the first build does.
    let client = dev.remote.client()?;
    let out = tempfile::tempdir().context("no temporary directory could be made")?;
    loop {
        // Looked at before the build: what changes meanwhile is built next.
        let before = files(folder)?;
        match built(folder, out.path()).and_then(|component| operate::swap_in(&component, &client)) {
            Ok(said) => say(&said),
            Err(error) => say(&format!("error: {error:#}")),
        }
        say(&format!("waiting for changes in {} (Ctrl-C ends this)", folder.display()));
        until_changed(folder, &before)?;
    }
}

fn built(folder: &Path, out: &Path) -> Result<PathBuf> {
    let options =
        BuildOptions { symbols: Symbols::SourceLines, ..BuildOptions::new(vec![folder.to_owned()], out) };
    let built = build(&options, &mut |line| say(line))?;
    Ok(built.into_iter().next().context("the build made no component")?.path)
}

/// Waits for a change, and then for quiet.
fn until_changed(folder: &Path, before: &Files) -> Result<()> {
    let mut last = files(folder)?;
    loop {
        thread::sleep(LOOK);
        let now = files(folder)?;
        if now != *before && now == last {
            return Ok(());
        }
        last = now;
    }
}

fn files(folder: &Path) -> Result<Files> {
    let unreadable = || format!("`{}` cannot be looked through", folder.display());
    // Only rules inside the folder count: an author may keep the whole of it out of a repository around it.
    let walk = WalkBuilder::new(folder)
        .standard_filters(false)
        .hidden(true)
        .git_ignore(true)
        .require_git(false)
        .filter_entry(|entry| {
            entry.depth() == 0 || !IGNORED.contains(&entry.file_name().to_string_lossy().as_ref())
        })
        .build();
    let mut files = Files::new();
    for entry in walk {
        let found = entry.and_then(|entry| entry.metadata().map(|about| (entry, about)));
        let (entry, about) = match found {
            Ok(found) => found,
            // An editor's own file may be gone again by now.
            Err(_) if folder.is_dir() => continue,
            Err(error) => return Err(error).with_context(unreadable),
        };
        if about.is_file() {
            let changed = about.modified().with_context(unreadable)?;
            files.insert(entry.into_path(), (changed, about.len()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, paths: &[(&str, &str)]) {
        for (path, text) in paths {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let files = files(folder).unwrap();
        files.keys().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn only_what_makes_the_connector_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let made = ["Cargo.lock", "target/debug/x", ".git/HEAD", "cassettes/a.json"].map(|path| (path, "x"));
        write(folder.path(), &made);
        write(folder.path(), &[("src/lib.rs", "x"), ("Cargo.toml", "x")]);
        let before = files(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["Cargo.toml", "src/lib.rs"]);
        std::fs::write(folder.path().join("src/lib.rs"), "longer").unwrap();
        assert_ne!(files(folder.path()).unwrap(), before);
    }

    #[test]
    fn what_a_build_of_npm_makes_is_not_looked_at_wherever_the_folder_is() {
        let around = tempfile::tempdir().unwrap();
        write(around.path(), &[(".gitignore", "parcels\n")]);
        let folder = around.path().join("parcels");
        let made =
            ["node_modules/a/index.js", "generated/manifest.js", "package-lock.json", ".trunnion/building"];
        write(&folder, &made.map(|path| (path, "x")));
        write(&folder, &[("connector.js", "x"), ("package.json", "{}"), (".gitignore", "generated/\n")]);
        assert_eq!(names(&folder), ["connector.js", "package.json"]);
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error() {
        let gone = tempfile::tempdir().unwrap().path().join("gone");
        assert!(files(&gone).unwrap_err().to_string().contains("cannot be looked through"));
    }
}
