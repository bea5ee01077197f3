//! `trunnion connector dev`: builds a crate whenever it changes and swaps it into a running host.
//!
//! Invariant: whatever goes wrong (a compile error, a refusal by the host, a host that is gone) is said, and the next
//! change is another try.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use trunnion_connector_build::{BuildOptions, Symbols, build};

use crate::cli::{connector::operate, remote::Remote, say};

/// Time between two looks at the crate's files. Editors write a file in several steps; a build begins when two looks in
/// a row found the same.
const LOOK: Duration = Duration::from_millis(250);
/// What changes in a crate without being a change of the connector.
const IGNORED: [&str; 3] = ["target", "cassettes", "Cargo.lock"];

/// A crate's files, with time and length: looking takes less than a millisecond, and works on every file system.
type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Builds and swaps at every change.
#[derive(Debug, Args)]
pub(in crate::cli) struct Dev {
    /// The connector crate's folder.
    #[arg(value_name = "PATH")]
    crate_dir: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(dev: &Dev) -> Result<()> {
    let folder = &dev.crate_dir;
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "`{}` is not a connector crate: it has no Cargo.toml; name the crate's folder",
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
    let mut files = Files::new();
    collect(folder, &mut files)
        .with_context(|| format!("`{}` cannot be looked through", folder.display()))?;
    Ok(files)
}

fn collect(folder: &Path, files: &mut Files) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || IGNORED.contains(&name.as_ref()) {
            continue;
        }
        // An editor's own file may be gone again by now.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.insert(entry.path(), (about.modified()?, about.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_the_connector_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for path in
            ["src/lib.rs", "Cargo.toml", "Cargo.lock", "target/debug/x", ".git/HEAD", "cassettes/a.json"]
        {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let before = files(folder.path()).unwrap();
        let names: Vec<_> = before.keys().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("Cargo.toml"), Path::new("src/lib.rs")]);
        std::fs::write(folder.path().join("src/lib.rs"), "longer").unwrap();
        assert_ne!(files(folder.path()).unwrap(), before);
    }
}
