//! The BigCommerce judge: prism with the vendor's published description, which refuses a request the vendor
//! would refuse. It lies outside the repository (`../shared`); without it there is nothing to judge with.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use crate::{
    host::{target_dir, workspace},
    record::Recorded,
    wait,
};

/// A running judge; stops when dropped.
#[derive(Debug)]
pub struct Judge {
    base: String,
    http: reqwest::Client,
    _process: Child,
}

/// What the judge said of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The status of its answer.
    pub status: u16,
    /// Its reasons, where it refused.
    pub reasons: String,
}

impl Verdict {
    /// Whether the vendor's description allows the request.
    #[must_use]
    pub fn allows(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The description to judge by, where it is at hand.
#[must_use]
pub fn description() -> Option<PathBuf> {
    let shared = workspace().parent()?.join("shared");
    let path = shared.join("specs/bigcommerce/merged.prefixed.derived.openapi.json");
    (path.is_file() && shared.join("judges/package.json").is_file()).then_some(path)
}

impl Judge {
    /// Installs prism below the target directory, once, and starts it.
    pub async fn start(description: &Path) -> Result<Self> {
        let prism = install(description).await?;
        // Prism wants a port by number; between letting go of it and prism's taking it nobody else should ask.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(prism);
        command.args(["mock", "-h", "127.0.0.1", "-p", &port.to_string(), "--errors"]).arg(description);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().context("starting prism")?;
        let judge = Self {
            base: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::new(),
            _process: process,
        };
        wait::until("the judge to listen", || async { judge.http.get(&judge.base).send().await.ok() })
            .await?;
        Ok(judge)
    }

    /// Passes a recorded request through the judge.
    pub async fn verdict(&self, request: &Recorded) -> Result<Verdict> {
        let mut headers = request.headers.clone();
        headers.remove("host");
        headers.remove("content-length");
        let answer = self
            .http
            .request(request.method.clone(), format!("{}{}", self.base, request.uri))
            .headers(headers)
            .body(request.body.clone())
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok(Verdict { status, reasons: answer.text().await? })
    }
}

async fn install(description: &Path) -> Result<PathBuf> {
    let dir = target_dir().join("judges");
    let prism = dir.join("node_modules/.bin/prism");
    if prism.exists() {
        return Ok(prism);
    }
    let package = description.ancestors().nth(3).context("the description lies in `specs/bigcommerce`")?;
    fs::create_dir_all(&dir)?;
    fs::copy(package.join("judges/package.json"), dir.join("package.json"))?;
    let npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--silent"])
        .current_dir(&dir)
        .status();
    let status = npm.await.context("running npm, which the judge is installed with; install Node.js")?;
    if !status.success() {
        bail!("`npm install` in {} failed", dir.display());
    }
    Ok(prism)
}
