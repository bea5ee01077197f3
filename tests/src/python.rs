//! Python packages for tests: official clients and other people's servers, each in an environment of its own below the
//! target directory.
//!
//! Invariant: an environment is made once, by one process at a time, and again when what it holds changes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::host::target_dir;

/// Whether there is a Python that can make environments.
pub async fn is_there() -> bool {
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().await.is_ok_and(|status| status.success())
}

/// The folder `name` below the target directory, with an environment that has these packages. Once they are there, the
/// program `finish` is run, where there is one.
pub async fn installed(name: &str, packages: &[&str], finish: Option<&str>) -> Result<PathBuf> {
    let dir = target_dir().join(name);
    fs::create_dir_all(dir.join("home")).with_context(|| format!("making {}", dir.display()))?;
    let path = dir.join(".installing");
    let guard = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    // Every test is a process of its own; waiting for another one's pip takes a thread, not the runtime.
    let guard = tokio::task::spawn_blocking(move || guard.lock().map(|()| guard)).await?;
    let _guard = guard.with_context(|| format!("locking {}", path.display()))?;
    let (done, wanted) = (dir.join("installed"), packages.join(" "));
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(dir);
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "venv"]).current_dir(&dir).stdin(Stdio::null());
    succeed(&mut venv, name, "python3 -m venv").await?;
    let mut pip = command(&dir, "pip");
    succeed(pip.args(["install", "--quiet"]).args(packages), name, "pip install").await?;
    if let Some(program) = finish {
        succeed(command(&dir, "python").args(["-c", program]), name, "what is done after pip install")
            .await?;
    }
    fs::write(&done, wanted).with_context(|| format!("writing {}", done.display()))?;
    Ok(dir)
}

/// A program of the environment in `dir`, with a home of its own.
#[must_use]
pub fn command(dir: &Path, program: &str) -> Command {
    let mut command = Command::new(dir.join("venv/bin").join(program));
    command.env("HOME", dir.join("home")).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

async fn succeed(command: &mut Command, name: &str, what: &str) -> Result<()> {
    let status = command.status().await.with_context(|| format!("running {what}"))?;
    if !status.success() {
        bail!("`{what}` for {name} failed with {status}; python3 needs venv, pip and the package index");
    }
    Ok(())
}
