//! `bqemulator`, somebody else's BigQuery: installed from PyPI below the target directory, in an environment of its own, at
//! the versions that are known to work together.
//!
//! It holds tables, streaming, load jobs and real SQL. What it does not hold as BigQuery does (insert ids, job ids,
//! rows that do not fit) is `bigquery`'s to hold.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use crate::{host::target_dir, wait};

/// Newer ones do not fit together.
const PACKAGES: [&str; 6] = [
    "bqemulator==1.4.0",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-spatial==1.5.5",
    "duckdb-extension-avro==1.5.5",
    "numpy",
];

/// What its database needs and would else fetch when it starts.
const EXTENSIONS: &str = "from duckdb_extensions import import_extension as i; i('spatial'); i('avro')";

/// A running emulator of one project; stops when dropped.
#[derive(Debug)]
pub struct Emulator {
    base: String,
    _process: Child,
}

impl Emulator {
    /// Installs and starts it; `None` where there is no Python to run it.
    pub async fn start(project: &str) -> Result<Option<Self>> {
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
        if !python.status().await.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let dir = installed().await?;
        // It wants ports by number; between letting go of them and its taking them nobody else should ask.
        let taken: Vec<TcpListener> =
            (0..2).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let ports: Vec<String> = taken
            .iter()
            .map(|port| port.local_addr().map(|at| at.port().to_string()))
            .collect::<Result<_, _>>()?;
        drop(taken);
        let [rest, grpc] = ports.as_slice() else { bail!("two ports were asked for") };
        let process = command(&dir, "bqemulator")
            .args(["start", "--rest-port", rest, "--grpc-port", grpc, "--project", project])
            .kill_on_drop(true)
            .spawn()
            .context("starting bqemulator")?;
        let emulator = Self { base: format!("http://127.0.0.1:{rest}"), _process: process };
        let datasets = format!("{}/bigquery/v2/projects/{project}/datasets", emulator.base);
        let http = reqwest::Client::new();
        wait::until("bqemulator to listen", || async { http.get(&datasets).send().await.ok() }).await?;
        Ok(Some(emulator))
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }
}

/// A program of the environment, with a home of its own.
fn command(dir: &Path, program: &str) -> Command {
    let mut command = Command::new(dir.join("venv/bin").join(program));
    command.env("HOME", dir.join("home")).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The environment, made once and by one process at a time.
async fn installed() -> Result<PathBuf> {
    let dir = target_dir().join("bqemulator");
    fs::create_dir_all(dir.join("home")).with_context(|| format!("making {}", dir.display()))?;
    let path = dir.join(".installing");
    let guard = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    // Every test is a process of its own; waiting for another one's pip takes a thread, not the runtime.
    let guard = tokio::task::spawn_blocking(move || guard.lock().map(|()| guard)).await?;
    let _guard = guard.with_context(|| format!("locking {}", path.display()))?;
    let (done, wanted) = (dir.join("installed"), PACKAGES.join(" "));
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(dir);
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "venv"]).current_dir(&dir).stdin(Stdio::null());
    succeed(&mut venv, "python3 -m venv").await?;
    succeed(command(&dir, "pip").args(["install", "--quiet"]).args(PACKAGES), "pip install").await?;
    succeed(command(&dir, "python").args(["-c", EXTENSIONS]), "importing the extensions").await?;
    fs::write(&done, wanted).with_context(|| format!("writing {}", done.display()))?;
    Ok(dir)
}

async fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().await.with_context(|| format!("running {what}"))?;
    if !status.success() {
        bail!("`{what}` for bqemulator failed with {status}; python3 needs venv, pip and the package index");
    }
    Ok(())
}
