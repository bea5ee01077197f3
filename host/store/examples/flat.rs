//! Measures whether the store stays flat: what a run costs it with few and with many installations, on an empty store
//! and on one that holds many ended runs; and how long it takes to open after being killed in the middle.
//!
//! `cargo run --release -p trunnion-store --example flat -- [DIR] [RUNS]`
//!
//! A run here is the three commits' worth that the host makes of it: accepted with its ledger entry, read by the
//! listings' keys, ended. Records have the size of real ones.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use trunnion_core::{
    clock::{ManualClock, Random, SeededRandom, Timestamp},
    id::{ConnectionId, EventId, IdSource, InstallationId, RunId, UserId, WorkspaceId},
    machine::{Outcome, RunState, Status},
    records::{EventSource, Installation, LedgerEntry, LiveRun},
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, KeyOwner, KeyRing, MasterKey, Select, Store,
    journal::{Journal, Options},
    tables::{
        EndedRuns, Installations, InstallationsByTrigger, Ledger, LiveRuns, RunOutline, RunsByWorkflow,
        TriggerTarget,
    },
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tells the process apart that fills the store and is then killed.
const FILL: &str = "--fill-and-die";
const FEW: u64 = 10;
const MANY: u64 = 100_000;
const WRITERS: u64 = 32;
/// Runs whose cost is measured at once.
const SAMPLE: u64 = 20_000;
const USERS: u64 = 100;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != FILL).collect();
    let fill = env::args().any(|argument| argument == FILL);
    let dir = arguments.first().map_or_else(|| env::temp_dir().join("trunnion-flat"), PathBuf::from);
    let runs: u64 = arguments.get(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    if fill {
        return runtime.block_on(fill_and_die(&dir, runs));
    }
    if dir.exists() {
        return Err(format!("{} exists; name a directory that does not", dir.display()).into());
    }
    fs::create_dir_all(&dir)?;
    let ended = Command::new(env::current_exe()?).arg(&dir).arg(runs.to_string()).arg(FILL).status()?;
    if ended.success() {
        return Err("the process that fills the store should have died".into());
    }
    let mut out = std::io::stdout().lock();
    for how in ["after it was killed", "after a clean stop"] {
        let start = now();
        let store = open(&dir)?;
        let opened = start.elapsed();
        let live = runtime.block_on(store.all::<LiveRuns>())?.len();
        let ready = start.elapsed();
        writeln!(
            out,
            "opened {how} in {:.0} ms, {live} live runs read after {:.0} ms",
            ms(opened),
            ms(ready)
        )?;
        let start = now();
        runtime.block_on(store.close())?;
        writeln!(out, "closed in {:.0} ms", ms(start.elapsed()))?;
    }
    fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn fill_and_die(dir: &Path, runs: u64) -> Result<(), Failure> {
    let world = World::new(open(dir)?).await?;
    let mut out = std::io::stdout();
    world.install(0..FEW).await?;
    world.runs(FEW, SAMPLE).await?;
    let few = world.measure(FEW).await?;
    writeln!(out, "{FEW} installations, {} runs stored: {few}", 2 * SAMPLE)?;
    world.install(FEW..MANY).await?;
    world.runs(MANY, SAMPLE).await?;
    let many = world.measure(MANY).await?;
    writeln!(
        out,
        "{MANY} installations, {} runs stored: {many}; {:.2} of the first",
        4 * SAMPLE,
        many.over(few)
    )?;
    let left = runs.saturating_sub(5 * SAMPLE);
    let start = now();
    world.runs(MANY, left).await?;
    writeln!(out, "{left} more runs at {:.0}/s", left as f64 / start.elapsed().as_secs_f64())?;
    let stored = world.measure(MANY).await?;
    writeln!(
        out,
        "{MANY} installations, {runs} runs stored: {stored}; {:.2} of the first",
        stored.over(few)
    )?;
    writeln!(out, "{:.2} GB on disk", on_disk(dir)? as f64 / 1e9)?;
    out.flush()?;
    // As SIGKILL does: nothing gets to run any more.
    std::process::abort()
}

fn open(dir: &Path) -> Result<Store, Failure> {
    let keys = KeyRing::open(dir.join("keys"), &MasterKey::new([7; 32]))?;
    let journal = Journal::open(dir.join("store"), &Options::default())?;
    Ok(Store::new(Arc::new(journal), Arc::new(keys)))
}

/// What a run cost.
#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
    resident_mb: u64,
}

impl Cost {
    fn over(self, other: Self) -> f64 {
        self.cpu.as_secs_f64() / other.cpu.as_secs_f64()
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = |time: Duration| time.as_secs_f64() * 1e6 / SAMPLE as f64;
        write!(
            f,
            "{:.1} us CPU and {:.1} us per run, {} MB resident",
            us(self.cpu),
            us(self.wall),
            self.resident_mb
        )
    }
}

#[derive(Clone)]
struct World {
    store: Store,
    scope: Scope,
    users: Arc<Vec<UserId>>,
    ids: IdSource,
    workflow: trunnion_core::id::WorkflowId,
}

impl World {
    async fn new(store: Store) -> Result<Self, Failure> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let ids = IdSource::new(clock, Arc::new(SeededRandom::new(3)));
        let workspace: WorkspaceId = ids.next();
        let scope = Scope::new(workspace, Environment::Production);
        let users: Vec<UserId> = (0..USERS).map(|_| ids.next()).collect();
        let owners = users.iter().map(|user| KeyOwner::User(scope, *user)).collect();
        store.keys().create_all(owners).await?;
        let workflow = ids.next();
        Ok(Self { store, scope, users: Arc::new(users), ids, workflow })
    }

    fn user(&self, number: u64) -> UserId {
        let index = usize::try_from(number % USERS).unwrap_or(0);
        self.users.get(index).copied().unwrap_or_else(|| self.ids.next())
    }

    /// What finds an installation: the keyed hash of its trigger.
    fn trigger(&self, number: u64) -> [u8; 16] {
        self.store.keyed_hash(&self.scope, "trigger", &number.to_be_bytes())
    }

    async fn install(&self, numbers: std::ops::Range<u64>) -> Result<(), Failure> {
        let mut batch = Batch::new();
        for number in numbers {
            let now = self.ids.clock().now();
            let installation: Installation = serde_json::from_value(json!({
                "id": self.ids.next::<InstallationId>(),
                "user": self.user(number),
                "workflow": self.workflow,
                "release": 1,
                "connections": { "shop": self.ids.next::<ConnectionId>() },
                "active": true,
                "created_at": now,
                "updated_at": now,
            }))?;
            let target = TriggerTarget { user: installation.user, workflow: self.workflow };
            let key = (self.trigger(number), installation.id);
            batch.insert::<InstallationsByTrigger>(&self.scope, &key, &target);
            let key = (installation.user, installation.id);
            batch.insert::<Installations>(&self.scope, &key, &installation);
            if batch.len() >= 500 {
                self.store.commit(std::mem::take(&mut batch)).await?;
            }
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Performs runs of installations below `installed`, some at once.
    async fn runs(&self, installed: u64, count: u64) -> Result<(), Failure> {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let world = self.clone();
            writers.spawn(async move {
                let chance = SeededRandom::new(writer);
                for _ in 0..count / WRITERS {
                    let mut bytes = [0; 8];
                    chance.fill(&mut bytes);
                    world.run(u64::from_le_bytes(bytes) % installed).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(writer) = writers.join_next().await {
            writer??;
        }
        Ok(())
    }

    /// One run as the host stores it.
    async fn run(&self, number: u64) -> Result<(), Failure> {
        let select = Select::all().prefix(&self.trigger(number));
        for found in self.store.page::<InstallationsByTrigger>(&self.scope, select, 64).await?.entries {
            let key = (found.record.user, found.key.1);
            let Some(installation) = self.store.get::<Installations>(&self.scope, &key).await? else {
                continue;
            };
            let mut run = self.begin(installation.record)?;
            let mut batch = Batch::new();
            let seen =
                LedgerEntry { at: run.accepted_at, body_hash: None, event: Some(run.event), run: None };
            batch.insert::<Ledger>(&self.scope, &self.ids.bytes(), &seen);
            batch.insert::<LiveRuns>(&self.scope, &run.id, &run);
            let version = self.store.commit(batch).await?;
            run.state.status = Status::Ended { outcome: Outcome::Succeeded, at: run.accepted_at };
            let mut batch = Batch::new();
            batch.remove::<LiveRuns>(&self.scope, &run.id, version);
            batch.insert::<EndedRuns>(&self.scope, &run.id, &run);
            let outline = RunOutline { user: run.user, failed: false, ended_at: None };
            batch.insert::<RunsByWorkflow>(&self.scope, &(run.workflow, run.id), &outline);
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    /// From its stored form, so that members which later releases add have their defaults.
    fn begin(&self, installation: Installation) -> Result<LiveRun, Failure> {
        let now = self.ids.clock().now();
        Ok(serde_json::from_value(json!({
            "id": self.ids.next::<RunId>(),
            "event": self.ids.next::<EventId>(),
            "source": EventSource::Custom { event: "Fulfillment Updated".to_owned() },
            "trigger": { "orderId": "100", "status": "FULFILLED", "note": "x".repeat(500) },
            "user": installation.user,
            "installation": installation.id,
            "workflow": installation.workflow,
            "release": installation.release,
            "digests": {},
            "connections": installation.connections,
            "config": {},
            "accepted_at": now,
            "state": RunState::queued(now),
        }))?)
    }

    async fn measure(&self, installed: u64) -> Result<Cost, Failure> {
        let (start, cpu_before) = (now(), cpu()?);
        self.runs(installed, SAMPLE).await?;
        Ok(Cost { cpu: cpu()? - cpu_before, wall: start.elapsed(), resident_mb: resident()? >> 20 })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures elapsed time, which no clock of the product is asked for"
)]
fn now() -> Instant {
    Instant::now()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// User and system time of this process, as Linux counts it (in hundredths of a second).
fn cpu() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Resident bytes of this process.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}

/// Bytes allocated to all files under a directory.
fn on_disk(path: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.blocks() * 512);
    }
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        bytes += on_disk(&entry?.path())?;
    }
    Ok(bytes)
}
