//! Measures the journal: durable, sealed 1 KB commits at 64 writers, beside a raw file that is appended to and
//! synced in the same groups, in the same run.
//!
//! `cargo run --release -p trunnion-store --example journal -- [DIR] [BATCHES]`

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use trunnion_core::{
    id::{Id, UserId, WorkspaceId},
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, KeyOwner, KeyRing, MasterKey, Owner, Store, Table,
    backend::Backend,
    journal::{Journal, Options},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const WRITERS: u64 = 64;
const GROUP: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Payload {
    user: UserId,
    text: String,
}

enum Payloads {}

impl Table for Payloads {
    const ID: u8 = 200;
    const NAME: &'static str = "Payloads";
    type Level = trunnion_store::Environment;
    type Key = (u64, u64);
    type Record = Payload;

    fn owner(record: &Payload) -> Owner {
        Owner::User(record.user)
    }
}

fn main() -> Result<(), Failure> {
    let mut args = env::args().skip(1);
    let dir = args.next().map_or_else(|| env::temp_dir().join("trunnion-journal"), PathBuf::from);
    let batches: u64 = args.next().map_or(Ok(200_000), |text| text.parse())?;
    if dir.exists() {
        return Err(format!("{} exists; name a directory that does not", dir.display()).into());
    }
    fs::create_dir_all(&dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let mut out = std::io::stdout().lock();
    for (writers, batches) in [(1, batches.min(1_000)), (WRITERS, batches)] {
        let load = Load { writers, batches };
        let dir = dir.join(writers.to_string());
        fs::create_dir_all(&dir)?;
        let raw = runtime.block_on(raw(&dir, load))?;
        writeln!(out, "{batches} batches of one 1 KB record, {writers} writers")?;
        raw.print(&mut out, "raw append + fdatasync", &raw)?;
        let ended = runtime.block_on(journal(&dir, load, Fate::Ended))?;
        ended.print(&mut out, "journal, record made and then removed", &raw)?;
        let kept = runtime.block_on(journal(&dir, load, Fate::Kept))?;
        kept.print(&mut out, "journal, records kept", &raw)?;
    }
    fs::remove_dir_all(&dir)?;
    Ok(())
}

struct Measured {
    batches: u64,
    wall: Duration,
    cpu: Duration,
    written: u64,
    on_disk: u64,
    /// How long the next start took.
    reopened: Duration,
}

impl Measured {
    fn print(&self, out: &mut impl Write, what: &str, reference: &Self) -> Result<(), Failure> {
        let rate = |it: &Self| it.batches as f64 / it.wall.as_secs_f64();
        let per_million = |bytes: u64| bytes as f64 / self.batches as f64 / 1e3;
        writeln!(
            out,
            "{what}: {:.0}/s ({:.2} of raw), {:.1} us CPU each, {:.2} GB written and {:.2} GB on disk per million; \
             reopened in {:.0} ms",
            rate(self),
            rate(self) / rate(reference),
            self.cpu.as_secs_f64() * 1e6 / self.batches as f64,
            per_million(self.written),
            per_million(self.on_disk),
            self.reopened.as_secs_f64() * 1e3,
        )?;
        Ok(())
    }
}

/// Wall time, CPU and bytes since a moment.
struct Meter {
    start: Instant,
    cpu: Duration,
    written: u64,
}

impl Meter {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures elapsed time, which no clock of the product is asked for"
    )]
    fn start() -> Result<Self, Failure> {
        Ok(Self { start: Instant::now(), cpu: cpu()?, written: written()? })
    }

    fn stop(&self, batches: u64, on_disk: u64, wall: Duration) -> Result<Measured, Failure> {
        Ok(Measured {
            batches,
            wall,
            cpu: cpu()? - self.cpu,
            written: written()? - self.written,
            on_disk,
            reopened: Duration::ZERO,
        })
    }
}

/// User and system time of this process, as Linux counts it (in hundredths of a second).
fn cpu() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Bytes this process has sent to disks.
fn written() -> Result<u64, Failure> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))
        .ok_or("/proc/self/io has another form")?;
    Ok(line.trim().parse()?)
}

/// Bytes allocated to a file, or to all files under a directory.
fn on_disk(path: &Path) -> Result<u64, Failure> {
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

/// How much is done at once.
#[derive(Clone, Copy)]
struct Load {
    writers: u64,
    batches: u64,
}

/// What becomes of the records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Each batch makes one, which stays.
    Kept,
    /// Every second batch removes what the one before made, as runs do that end soon.
    Ended,
}

async fn journal(dir: &Path, load: Load, fate: Fate) -> Result<Measured, Failure> {
    let place = dir.join(if fate == Fate::Kept { "kept" } else { "ended" });
    fs::create_dir_all(&place)?;
    let keys = Arc::new(KeyRing::open(place.join("keys"), &MasterKey::new([7; 32]))?);
    let backend = Arc::new(Journal::open(place.join("journal"), &Options::default())?);
    let store = Store::new(backend, keys);
    let scope = Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Production);
    let user = |writer: u64| {
        let mut bytes = [0; 12];
        for (to, from) in bytes.iter_mut().zip(writer.to_be_bytes()) {
            *to = from;
        }
        UserId(Id::from_bytes(bytes))
    };
    store
        .keys()
        .create_all((0..load.writers).map(|writer| KeyOwner::User(scope, user(writer))).collect())
        .await?;
    let meter = Meter::start()?;
    let mut writers = JoinSet::new();
    for writer in 0..load.writers {
        let store = store.clone();
        let record = Payload { user: user(writer), text: "x".repeat(970) };
        writers.spawn(async move {
            for number in 0..load.batches / load.writers {
                let mut batch = Batch::new();
                if fate == Fate::Ended && number % 2 == 1 {
                    batch.delete::<Payloads>(&scope, &(writer, number - 1));
                } else {
                    batch.insert::<Payloads>(&scope, &(writer, number), &record);
                }
                store.commit(batch).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    let wall = meter.start.elapsed();
    // Closing writes the last checkpoint: CPU and bytes count it, since somebody pays them.
    store.close().await?;
    let measured = meter.stop(load.batches, on_disk(&place)?, wall)?;
    drop(store);
    let meter = Meter::start()?;
    let again = Journal::open(place.join("journal"), &Options::default())?;
    let reopened = meter.start.elapsed();
    again.close().await?;
    Ok(Measured { reopened, ..measured })
}

/// The same bytes, appended and synced in the same groups by one thread.
async fn raw(dir: &Path, load: Load) -> Result<Measured, Failure> {
    let path = dir.join("raw");
    let mut file: File = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let (sender, mut inbox) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(1024);
    let writer = std::thread::spawn(move || -> Result<(), Failure> {
        while let Some((mut bytes, reply)) = inbox.blocking_recv() {
            let mut replies = vec![reply];
            while bytes.len() < GROUP {
                let Ok((more, reply)) = inbox.try_recv() else { break };
                bytes.extend_from_slice(&more);
                replies.push(reply);
            }
            file.write_all(&bytes)?;
            file.sync_data()?;
            for reply in replies {
                reply.send(()).map_err(|()| "a writer went away")?;
            }
        }
        Ok(())
    });
    let meter = Meter::start()?;
    let mut writers = JoinSet::new();
    for _ in 0..load.writers {
        let sender = sender.clone();
        writers.spawn(async move {
            for _ in 0..load.batches / load.writers {
                let (reply, answer) = oneshot::channel();
                sender.send((vec![b'x'; 1100], reply)).await?;
                answer.await?;
            }
            Ok::<_, Failure>(())
        });
    }
    drop(sender);
    while let Some(done) = writers.join_next().await {
        done??;
    }
    let wall = meter.start.elapsed();
    writer.join().map_err(|_| "the raw writer panicked")??;
    meter.stop(load.batches, on_disk(&path)?, wall)
}
