//! `bqemulator`, somebody else's BigQuery: installed from PyPI below the target directory, in an environment of its own, at
//! the versions that are known to work together.
//!
//! It holds tables, streaming, load jobs and real SQL. What it does not hold as BigQuery does (insert ids, job ids,
//! rows that do not fit) is `bigquery`'s to hold.

use std::net::TcpListener;

use anyhow::{Context as _, Result, bail};
use tokio::process::Child;

use crate::{python, wait};

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
        if !python::is_there().await {
            return Ok(None);
        }
        let dir = python::installed("bqemulator", &PACKAGES, Some(EXTENSIONS)).await?;
        // It wants ports by number; between letting go of them and its taking them nobody else should ask.
        let taken: Vec<TcpListener> =
            (0..2).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let ports: Vec<String> = taken
            .iter()
            .map(|port| port.local_addr().map(|at| at.port().to_string()))
            .collect::<Result<_, _>>()?;
        drop(taken);
        let [rest, grpc] = ports.as_slice() else { bail!("two ports were asked for") };
        let process = python::command(&dir, "bqemulator")
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
