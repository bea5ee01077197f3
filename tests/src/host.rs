//! The real host: the `trunnion` binary as a process of its own, with a data directory of its own.
//!
//! Invariants: the binary is the present source's (cargo builds it when it is not); a host dies with its
//! `TestHost`; `kill9` is SIGKILL, so nothing of the process gets to run any more.

mod binary;
mod client;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
};

pub use self::{
    binary::{build as binary, target_dir, workspace},
    client::{Answer, Client, RunView},
};
use crate::wait;

const READY: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(20);

/// How a host is started.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// What vendors call it; `https://trunnion.example` where absent.
    pub public_url: Option<String>,
    /// `PATTERN=URL` of `--rewrite-host`.
    pub rewrites: Vec<String>,
    /// Components to put into the data directory's `connectors`.
    pub components: Vec<PathBuf>,
    /// More arguments of `serve`.
    pub arguments: Vec<String>,
    /// Keeps the data directory here, where it outlives the host.
    pub data_dir: Option<PathBuf>,
    /// Listens here; on a free loopback port where absent.
    pub listen: Option<String>,
}

/// A running host.
#[derive(Debug)]
pub struct TestHost {
    options: HostOptions,
    data_dir: PathBuf,
    _temporary: Option<TempDir>,
    binary: PathBuf,
    child: Child,
    base: String,
    log: Log,
    keys: Keys,
    started_in: Duration,
}

/// `keys.json`, which `--dev` writes.
#[derive(Clone, Debug, Deserialize)]
pub struct Keys {
    /// The workspace's id.
    pub workspace: String,
    /// Runs the host.
    pub operator: String,
    /// The development environment's key.
    pub development: String,
    /// The production environment's key.
    pub production: String,
}

/// Everything the process wrote, over its restarts.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The end of it, for messages.
    fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        let from = lines.len().saturating_sub(30);
        lines.into_iter().skip(from).collect::<Vec<_>>().join("\n")
    }
}

/// How far a host came before it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It took requests.
    Ready,
    /// It did not yet.
    BeforeReady,
}

/// A process that has not yet said where it listens.
struct Starting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: JoinHandle<()>,
}

/// A process that said where it listens.
struct Launched {
    child: Child,
    base: String,
}

impl TestHost {
    /// Builds the binary if needed, starts it and waits until it is ready.
    pub async fn start(options: HostOptions) -> Result<Self> {
        let binary = binary::built().await?;
        let (data_dir, temporary) = match &options.data_dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let dir = tempfile::Builder::new().prefix("trunnion-").tempdir()?;
                (dir.path().to_owned(), Some(dir))
            }
        };
        let connectors = data_dir.join("connectors");
        fs::create_dir_all(&connectors).with_context(|| format!("creating {}", connectors.display()))?;
        for component in &options.components {
            let name = component.file_name().context("a component's path ends in a file name")?;
            fs::copy(component, connectors.join(name))
                .with_context(|| format!("copying {} into the data directory", component.display()))?;
        }
        let log = Log::default();
        let start = wait::now();
        let launched = launch(&binary, &options, &data_dir, &log).await?;
        let started_in = start.elapsed();
        let keys = read_keys(&data_dir)?;
        Ok(Self {
            options,
            data_dir,
            _temporary: temporary,
            binary,
            child: launched.child,
            base: launched.base,
            log,
            keys,
            started_in,
        })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// What vendors call it.
    #[must_use]
    pub fn public_url(&self) -> &str {
        public_url(&self.options)
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The development workspace's keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Everything it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// From starting the process to its ready line.
    #[must_use]
    pub const fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The process's id, for measuring it.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// A client with the development environment's key.
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.base, &self.keys.development)
    }

    /// A client with another key.
    pub fn client_with(&self, key: &str) -> Result<Client> {
        Client::new(&self.base, key)
    }

    /// SIGKILL, and waits until the process is gone.
    pub async fn kill9(&mut self) -> Result<()> {
        self.child.start_kill().context("the host was not running any more when it should be killed")?;
        self.child.wait().await?;
        Ok(())
    }

    /// SIGTERM, and waits for a clean end.
    pub async fn stop(&mut self) -> Result<()> {
        let id = self.child.id().context("the host was not running any more when it should stop")?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let ended = tokio::time::timeout(STOPPED, self.child.wait()).await;
        let status = ended.with_context(|| format!("no end after SIGTERM; log:\n{}", self.log.tail()))??;
        if !status.success() {
            bail!("the host ended with {status} after SIGTERM; log:\n{}", self.log.tail());
        }
        Ok(())
    }

    /// Starts the process again on the same data, and kills it after this time, ready or not.
    pub async fn start_and_kill(&mut self, after: Duration) -> Result<Life> {
        let mut starting = begin(&self.binary, &self.options, &self.data_dir, &self.log)?;
        let ready = tokio::time::timeout(after, starting.ready(&self.log)).await;
        let life = match ready {
            Ok(ready) => ready.map(|_| Life::Ready),
            Err(_) => Ok(Life::BeforeReady),
        };
        // Where it ended by itself, there is nothing to kill, and `life` says why.
        if life.is_ok() {
            starting.child.start_kill().context("the host ended before it was killed")?;
        }
        starting.child.wait().await?;
        life
    }

    /// Starts the process again on the same data; it may listen elsewhere now.
    pub async fn start_again(&mut self) -> Result<()> {
        let start = wait::now();
        let launched = launch(&self.binary, &self.options, &self.data_dir, &self.log).await?;
        self.started_in = start.elapsed();
        self.child = launched.child;
        self.base = launched.base;
        Ok(())
    }
}

fn public_url(options: &HostOptions) -> &str {
    options.public_url.as_deref().unwrap_or("https://trunnion.example")
}

fn read_keys(data_dir: &Path) -> Result<Keys> {
    let path = data_dir.join("keys.json");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("`serve --dev` should write {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what `serve --dev` writes", path.display()))
}

async fn launch(binary: &Path, options: &HostOptions, data_dir: &Path, log: &Log) -> Result<Launched> {
    let mut starting = begin(binary, options, data_dir, log)?;
    let base = match tokio::time::timeout(READY, starting.ready(log)).await {
        Ok(base) => base?,
        Err(_) => bail!("no `listening on` within {} s; log:\n{}", READY.as_secs(), log.tail()),
    };
    tokio::spawn(copy_lines(starting.lines.into_inner(), log.clone()));
    Ok(Launched { child: starting.child, base })
}

impl Starting {
    /// Where it listens, as soon as it says so.
    async fn ready(&mut self, log: &Log) -> Result<String> {
        while let Some(line) = self.lines.next_line().await? {
            log.add(&line);
            if let Some(base) = line.strip_prefix("listening on ") {
                return Ok(base.trim().to_owned());
            }
        }
        self.child.wait().await?;
        // Its last words are what the message is about.
        (&mut self.errors).await?;
        bail!("the host ended before it was ready; log:\n{}", log.tail())
    }
}

fn begin(binary: &Path, options: &HostOptions, data_dir: &Path, log: &Log) -> Result<Starting> {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--dev").arg("--data-dir").arg(data_dir);
    command.args(["--listen", options.listen.as_deref().unwrap_or("127.0.0.1:0")]);
    command.args(["--public-url", public_url(options)]);
    for rewrite in &options.rewrites {
        command.args(["--rewrite-host", rewrite]);
    }
    command.args(&options.arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("starting {}", binary.display()))?;
    let stdout = child.stdout.take().context("the host's standard output is piped")?;
    let stderr = child.stderr.take().context("the host's standard error is piped")?;
    let errors = tokio::spawn(copy_lines(stderr, log.clone()));
    let lines = BufReader::new(stdout).lines();
    Ok(Starting { child, lines, errors })
}

async fn copy_lines(from: impl AsyncRead + Unpin, log: Log) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.add(&line);
    }
}
