//! A server to measure: a child process of this executable that says where it listens, and what it takes of the
//! machine.
//!
//! The process is killed when the value is dropped, however a scenario ends.

use std::{fmt, fs, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

const READY: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    id: u32,
    base: String,
    /// From the start of the process until it said where it listens.
    ready_in: Duration,
}

/// What a process holds of the machine's memory, in MB (of 1,000,000 bytes).
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: f64,
    /// At most, so far.
    pub(super) peak: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MB, at most {:.0} MB", self.resident, self.peak)
    }
}

impl Process {
    /// This executable, to be given arguments.
    pub(super) fn own() -> Result<Command> {
        Ok(Command::new(std::env::current_exe().context("this program's own path is unknown")?))
    }

    /// Starts a server; `None` where it does not say in time where it listens.
    pub(super) async fn start(command: &mut Command) -> Result<Option<Self>> {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the server could not be started")?;
        let id = child.id().context("a process that has just been started has an id")?;
        let stdout = child.stdout.take().context("the server's standard output is piped")?;
        let mut line = String::new();
        match timeout(READY, BufReader::new(stdout).read_line(&mut line)).await {
            Ok(read) => read.context("the server's standard output could not be read")?,
            Err(_) => return Ok(None),
        };
        let ready_in = started.elapsed();
        let base = line.trim().strip_prefix("listening on ").map(str::to_owned);
        Ok(base.map(|base| Self { child, id, base, ready_in }))
    }

    /// Where it listens.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// How long it took until it said where it listens.
    pub(super) const fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// What it holds of the machine's memory.
    pub(super) fn memory(&self) -> Result<Memory> {
        let status = self.told("status")?;
        let megabytes = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
            let kilobytes: u32 =
                kilobytes.with_context(|| format!("the system tells no `{name}`"))?.parse()?;
            Ok(f64::from(kilobytes) * 1.024 / 1_000.0)
        };
        Ok(Memory { resident: megabytes("VmRSS")?, peak: megabytes("VmHWM")? })
    }

    /// Processor time it has taken so far.
    pub(super) fn processor(&self) -> Result<Duration> {
        let stat = self.told("stat")?;
        // The second field is the program's name in brackets, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("the system tells a process's times otherwise")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks = ticks.sum::<Result<u32, _>>().context("a process's times are numbers")?;
        let per_second = u32::try_from(rustix::param::clock_ticks_per_second())?;
        Ok(Duration::from_secs(1) * ticks / per_second)
    }

    fn told(&self, what: &str) -> Result<String> {
        let path = format!("/proc/{}/{what}", self.id);
        fs::read_to_string(&path)
            .with_context(|| format!("reading `{path}`: has the server ended by itself?"))
    }

    /// Stops it in good order.
    pub(super) async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let ended = timeout(STOPPED, self.child.wait()).await;
        let status =
            ended.with_context(|| format!("the server did not stop within {} s", STOPPED.as_secs()))??;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }

    /// Kills it (SIGKILL), as a machine that loses its power would.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().await.context("the killed server could not be waited for")?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.context("the server has ended by itself")?;
        kill_process(id, signal).context("the server could not be told to stop")
    }
}
