//! Node.js packages for tests: official clients and judges, installed below the target directory.
//!
//! Invariant: a folder is installed once, by one process at a time, and again when its `package.json` or lock
//! changes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::host::target_dir;

/// Variables by which programs find a proxy.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// A script that answers each line of JSON with one; stops when dropped.
#[derive(Debug)]
pub struct Script {
    _process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts `script` of the folder `from`, with the packages of its `package.json` installed below the target
    /// directory as `name`.
    pub async fn start(name: &str, from: &Path, script: &str) -> Result<Self> {
        Self::start_in(name, from, script, &[]).await
    }

    /// As [`Self::start`], with these variables in its environment.
    pub async fn start_in(
        name: &str,
        from: &Path,
        script: &str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = installed(name, from).await?;
        // Scripts find packages beside themselves.
        let path = dir.join(script);
        fs::copy(from.join(script), &path)
            .with_context(|| format!("copying {script} to {}", dir.display()))?;
        let mut command = command(&dir, &path);
        command.envs(environment.iter().copied());
        Self::of(command).context("running node; install Node.js 20 or newer (Debian: nodejs npm)")
    }

    /// Any program that answers so.
    pub fn of(mut command: Command) -> Result<Self> {
        // Where this machine's own traffic goes through a proxy, a script's does not.
        let given: Vec<_> = command.as_std().get_envs().map(|(name, _)| name.to_owned()).collect();
        for name in PROXIES.iter().filter(|name| !given.iter().any(|given| given == **name)) {
            command.env_remove(name);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let questions = process.stdin.take().context("the script's standard input is piped")?;
        let answers = process.stdout.take().context("the script's standard output is piped")?;
        Ok(Self { _process: process, questions, answers: BufReader::new(answers).lines() })
    }

    /// The answer to one question.
    pub async fn ask(&mut self, question: &Value) -> Result<Value> {
        self.questions.write_all(format!("{question}\n").as_bytes()).await?;
        let answer = self.answers.next_line().await?;
        let answer = answer.context("the script ended; its messages stand above")?;
        serde_json::from_str(&answer).with_context(|| format!("the script answered no JSON: {answer}"))
    }
}

/// A `node` command that runs `script` in `dir`.
#[must_use]
pub fn command(dir: &Path, script: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(script).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The folder `name` below the target directory, with what `from`'s `package.json` names installed in it.
pub async fn installed(name: &str, from: &Path) -> Result<PathBuf> {
    let dir = target_dir().join(name);
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let path = dir.join(".installing");
    let guard = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    // Every test is a process of its own; waiting for another one's npm takes a thread, not the runtime.
    let guard = tokio::task::spawn_blocking(move || guard.lock().map(|()| guard)).await?;
    let _guard = guard.with_context(|| format!("locking {}", path.display()))?;

    let mut changed = !dir.join("node_modules/.package-lock.json").is_file();
    let locked = from.join("package-lock.json").is_file();
    let files: &[&str] = if locked { &["package.json", "package-lock.json"] } else { &["package.json"] };
    for file in files {
        let wanted =
            fs::read(from.join(file)).with_context(|| format!("reading {file} of {}", from.display()))?;
        let path = dir.join(file);
        if fs::read(&path).ok().as_ref() != Some(&wanted) {
            fs::write(&path, wanted).with_context(|| format!("writing {}", path.display()))?;
            changed = true;
        }
    }
    if changed {
        npm(&dir, if locked { "ci" } else { "install" }).await?;
    }
    Ok(dir)
}

async fn npm(dir: &Path, how: &str) -> Result<()> {
    let npm =
        Command::new("npm").args([how, "--no-audit", "--no-fund", "--silent"]).current_dir(dir).status();
    let status =
        npm.await.context("running npm; install Node.js 20 or newer with npm (Debian: nodejs npm)")?;
    if !status.success() {
        // What npm leaves of a failed installation must not pass for one.
        let marker = dir.join("node_modules/.package-lock.json");
        if marker.exists() {
            fs::remove_file(&marker).with_context(|| format!("removing {}", marker.display()))?;
        }
        bail!("`npm {how}` in {} failed; its messages stand above", dir.display());
    }
    Ok(())
}
