//! A host to measure: a child process of this executable with a data directory of its own.
//!
//! The process is killed and the directory removed when the value is dropped, however a scenario ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::component::APP;
use crate::{
    client::Client,
    keyfiles::{KeysFile, read_keys},
};

const READY: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(30);

/// Lines of the host's log that an error repeats.
const LAST_WORDS: usize = 30;

/// How a host is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    /// The one connector that it has at first.
    pub(super) component: &'a [u8],
    /// Where the vendor is.
    pub(super) vendor: &'a str,
    /// Where the data directory is made; the system's temporary directory where absent.
    pub(super) within: Option<&'a Path>,
}

/// A running host.
#[derive(Debug)]
pub(super) struct Host {
    child: Child,
    base: String,
    keys: KeysFile,
    folder: TempDir,
}

impl Host {
    /// Starts a host and waits until it takes requests.
    pub(super) async fn start(start: Start<'_>) -> Result<Self> {
        let folder = folder(start.within)?;
        let data = folder.path().join("data");
        let connectors = data.join("connectors");
        fs::create_dir_all(&connectors).with_context(|| format!("making `{}`", connectors.display()))?;
        let component = connectors.join(format!("{APP}.wasm"));
        fs::write(&component, start.component)
            .with_context(|| format!("writing `{}`", component.display()))?;
        let config = folder.path().join("trunnion.toml");
        fs::write(&config, "log = \"warn\"\n").with_context(|| format!("writing `{}`", config.display()))?;
        let log = log_in(&folder);
        let log = File::create(&log).with_context(|| format!("making `{}`", log.display()))?;
        let own = std::env::current_exe().context("this program's own path is unknown")?;
        let mut child = Command::new(own)
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--public-url", "https://bench.example"])
            .arg("--data-dir")
            .arg(&data)
            .arg("--config")
            .arg(&config)
            .arg("--rewrite-host")
            .arg(format!("*.bigcommerce.com={}", start.vendor))
            .env_remove("TRUNNION_MASTER_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("the host could not be started")?;
        let stdout = child.stdout.take().context("the host's standard output is piped")?;
        let mut line = String::new();
        let said = timeout(READY, BufReader::new(stdout).read_line(&mut line)).await;
        let base = match said {
            Ok(Ok(_)) => line.trim().strip_prefix("listening on "),
            Ok(Err(error)) => return Err(error).context("the host's standard output could not be read"),
            Err(_) => None,
        };
        let Some(base) = base else {
            bail!("the host did not become ready within {} s{}", READY.as_secs(), last_words(&folder));
        };
        let keys = read_keys(&data.join("keys.json"))?.context("the host wrote no keys.json")?;
        Ok(Self { child, base: base.to_owned(), keys, folder })
    }

    /// Where it listens.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The development environment's key.
    pub(super) fn key(&self) -> Result<&str> {
        self.keys.development.as_deref().context("a host with --dev has a development key")
    }

    /// Calls it as the software vendor.
    pub(super) fn vendor_client(&self) -> Result<Client> {
        Ok(Client::new(&self.base, self.key()?)?)
    }

    /// Calls it as the operator.
    pub(super) fn operator_client(&self) -> Result<Client> {
        Ok(Client::new(&self.base, self.keys.operator.as_str())?)
    }

    /// The end of its log, to be put behind an error.
    pub(super) fn last_words(&self) -> String {
        last_words(&self.folder)
    }

    /// The errors that it logged, a line each.
    pub(super) fn errors(&self) -> Result<Vec<String>> {
        let log = log_in(&self.folder);
        let text = fs::read_to_string(&log).with_context(|| format!("reading `{}`", log.display()))?;
        Ok(text.lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect())
    }

    /// Stops it in good order.
    pub(super) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.with_context(|| format!("the host has ended by itself{}", self.last_words()))?;
        kill_process(id, Signal::TERM).context("the host could not be told to stop")?;
        let ended = timeout(STOPPED, self.child.wait()).await;
        let status = ended.with_context(|| {
            format!("the host did not stop within {} s{}", STOPPED.as_secs(), self.last_words())
        })??;
        if !status.success() {
            bail!("the host ended with {status}{}", self.last_words());
        }
        Ok(())
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

fn log_in(folder: &TempDir) -> PathBuf {
    folder.path().join("host.log")
}

/// The end of the host's log, to be put behind an error; empty where it logged nothing.
fn last_words(folder: &TempDir) -> String {
    match fs::read_to_string(log_in(folder)) {
        Ok(text) if text.is_empty() => String::new(),
        Ok(text) => {
            let lines: Vec<_> = text.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
            format!("; the host's log ends:\n{}", last.join("\n"))
        }
        Err(error) => format!("; the host's log could not be read: {error}"),
    }
}
