//! A host to measure: a child process of this executable with a data directory of its own.
//!
//! The process is killed and the directory removed when the value is dropped, however a scenario ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use super::{
    component::Component,
    process::{Memory, Process},
};
use crate::{
    client::Client,
    keyfiles::{KeysFile, read_keys},
};

/// A bench calls with one key as fast as it can.
const SETTINGS: &str = "log = \"warn\"\nrate_limit.requests_per_minute = 0\n";

/// Lines of the host's log that an error repeats.
const LAST_WORDS: usize = 30;

/// How a host is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    /// The connectors that it has at first.
    pub(super) components: &'a [&'a Component],
    /// Where the vendor is.
    pub(super) vendor: &'a str,
    /// Where the data directory is made; the system's temporary directory where absent.
    pub(super) within: Option<&'a Path>,
    /// Lines of its configuration file.
    pub(super) config: &'a str,
}

/// A host: its data directory, and the process while it runs.
#[derive(Debug)]
pub(super) struct Host {
    process: Process,
    keys: KeysFile,
    home: Home,
}

/// The data directory and what the host is started with.
#[derive(Debug)]
struct Home {
    folder: TempDir,
    rewrites: Vec<String>,
}

impl Host {
    /// Starts a host and waits until it takes requests.
    pub(super) async fn start(start: Start<'_>) -> Result<Self> {
        let folder = folder(start.within)?;
        let connectors = folder.path().join("data/connectors");
        fs::create_dir_all(&connectors).with_context(|| format!("making `{}`", connectors.display()))?;
        let write = |path: PathBuf, bytes: &[u8]| {
            fs::write(&path, bytes).with_context(|| format!("writing `{}`", path.display()))
        };
        for component in start.components {
            write(connectors.join(format!("{}.wasm", component.app)), &component.bytes)?;
        }
        write(folder.path().join("trunnion.toml"), format!("{SETTINGS}{}", start.config).as_bytes())?;
        let rewrites = start.components.iter().map(|it| format!("{}={}", it.hosts, start.vendor)).collect();
        let home = Home { folder, rewrites };
        let process = home.launch().await?;
        let keys = read_keys(&home.data().join("keys.json"))?.context("the host wrote no keys.json")?;
        Ok(Self { process, keys, home })
    }

    /// Starts it again on the same data, once it has stopped or was killed. Says how long it took to be ready.
    pub(super) async fn start_again(&mut self) -> Result<Duration> {
        self.process = self.home.launch().await?;
        Ok(self.process.ready_in())
    }

    /// Its data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.home.data()
    }

    /// Where it listens.
    pub(super) fn base(&self) -> &str {
        self.process.base()
    }

    /// The development environment's key.
    pub(super) fn key(&self) -> Result<&str> {
        self.keys.development.as_deref().context("a host with --dev has a development key")
    }

    /// Calls it as the software vendor.
    pub(super) fn vendor_client(&self) -> Result<Client> {
        Ok(Client::new(self.base(), self.key()?)?)
    }

    /// Calls it as the operator.
    pub(super) fn operator_client(&self) -> Result<Client> {
        Ok(Client::new(self.base(), self.keys.operator.as_str())?)
    }

    /// What it holds of the machine's memory.
    pub(super) fn memory(&self) -> Result<Memory> {
        self.process.memory()
    }

    /// Processor time it has taken so far.
    pub(super) fn processor(&self) -> Result<Duration> {
        self.process.processor()
    }

    /// The error, and the end of the host's log.
    pub(super) fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}{}", self.home.last_words())
    }

    /// The errors that it logged, a line each.
    pub(super) fn errors(&self) -> Result<Vec<String>> {
        let log = self.home.log();
        let text = fs::read_to_string(&log).with_context(|| format!("reading `{}`", log.display()))?;
        Ok(text.lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect())
    }

    /// Stops it in good order.
    pub(super) async fn stop(&mut self) -> Result<()> {
        self.process.stop().await.map_err(|error| self.explain(&error))
    }

    /// Kills it (SIGKILL).
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.map_err(|error| self.explain(&error))
    }
}

impl Home {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("host.log")
    }

    async fn launch(&self) -> Result<Process> {
        let log = self.log();
        let log = File::options().create(true).append(true).open(&log);
        let log = log.with_context(|| format!("making `{}`", self.log().display()))?;
        let mut command = Process::own()?;
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--public-url", "https://bench.example"])
            .arg("--data-dir")
            .arg(self.data())
            .arg("--config")
            .arg(self.folder.path().join("trunnion.toml"))
            .env_remove("TRUNNION_MASTER_KEY")
            .stderr(log);
        for rewrite in &self.rewrites {
            command.arg("--rewrite-host").arg(rewrite);
        }
        let process = Process::start(&mut command).await.context("starting a host")?;
        process.ok_or_else(|| anyhow!("the host did not become ready{}", self.last_words()))
    }

    /// The end of the host's log, to be put behind an error; empty where it logged nothing.
    fn last_words(&self) -> String {
        match fs::read_to_string(self.log()) {
            Ok(text) if text.is_empty() => String::new(),
            Ok(text) => {
                let lines: Vec<_> = text.lines().collect();
                let last = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
                format!("; the host's log ends:\n{}", last.join("\n"))
            }
            Err(error) => format!("; the host's log could not be read: {error}"),
        }
    }
}

fn folder(within: Option<&Path>) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("trunnion-bench-");
    match within {
        Some(within) => builder
            .tempdir_in(within)
            .with_context(|| format!("no directory could be made in `{}`", within.display())),
        None => builder.tempdir().context("no temporary directory could be made; name a place with --dir"),
    }
}
