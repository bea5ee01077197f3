//! The embedded backend: a journal and an index on sled.
//!
//! A commit group is one checksummed frame, written as one sled value and synced (`journal/writer.rs`). What was
//! committed since the last checkpoint is in memory (`journal/overlay.rs`); a checkpoint writes what is left of
//! it into the index (`journal/checkpoint.rs`, `journal/index.rs`) and drops the frames (`journal/log.rs`).
//! Opening replays the frames since the last checkpoint (`journal/recover.rs`).
//!
//! Invariant: one process owns the directory while it is open; sled's own lock sees to it.

mod beginning;
mod checkpoint;
pub(crate) mod disk;
mod follow;
pub(crate) mod frame;
pub(crate) mod index;
mod log;
mod overlay;
mod recover;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc as thread_mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use self::{
    beginning::Beginning,
    checkpoint::{Checkpointer, Note},
    disk::Disk,
    index::Index,
    overlay::Overlay,
    writer::{Request, Writer},
};
use crate::backend::{Backend, BackendError, BoxFuture, RawBatch, RawEntry, RawRecord, RawScan, Version};

/// Commits that may wait for the writer.
const QUEUE: usize = 1024;
/// A scan up to this many records is done while the overlay is held; a larger one from a copy.
const SMALL_SCAN: usize = 256;

/// How the journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A checkpoint begins when this many bytes were committed since the last. More means fewer index writes,
    /// more memory and a longer start after a crash. Default: 8 MB.
    pub checkpoint_bytes: usize,
    /// A checkpoint begins after this time without one, if anything was committed. Default: 15 s.
    pub checkpoint_interval: Duration,
    /// After so many bytes of its log, the database notes how far it was read, which a start after a crash begins
    /// from. Default: 64 MB, a tenth of a second's reading.
    pub note_bytes: u64,
    /// Memory for the index's pages, in bytes. Default: 16 MB.
    pub cache_bytes: u64,
    /// Commits are refused while the disk has less room than this, in bytes, so that the database never runs
    /// into a full disk. Default: 64 MB.
    pub min_free_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            checkpoint_bytes: 8 << 20,
            checkpoint_interval: Duration::from_secs(15),
            note_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            min_free_bytes: 64 << 20,
        }
    }
}

/// Why a journal did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that process, or use another data directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// sled cannot read its own files.
    #[error(
        "the database {path} cannot be read ({first}), nor without its snapshot, which was set aside as \
         `unreadable-snap.*` ({second}); restore the data directory from a backup"
    )]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What sled said first.
        first: String,
        /// What sled said without its snapshot.
        second: String,
    },
    /// sled reads nothing where there was a whole database.
    #[error(
        "the database {path} is empty, though it was not when it was last open: its log was damaged or replaced; restore \
         the data directory from a backup"
    )]
    Emptied {
        /// The directory.
        path: PathBuf,
    },
    /// A frame that was acknowledged is damaged or missing.
    #[error(
        "frame {sequence} of the journal in {path} is damaged, or frames from {expected} on are missing; nothing was \
         changed. Restore the data directory from a backup"
    )]
    Frame {
        /// The directory.
        path: PathBuf,
        /// The frame that was found.
        sequence: u64,
        /// The frame that had to come next.
        expected: u64,
    },
    /// The file system refused.
    #[error("cannot {action} {path}; check the disk and the directory's permissions")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database opened and then failed.
    #[error("the database could not be read")]
    Storage(#[from] BackendError),
}

impl OpenError {
    /// Whether the reason lies in what the database's files hold.
    const fn is_of_the_files(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::Emptied { .. } | Self::Frame { .. } | Self::Storage(_) => true,
            Self::InUse { .. } | Self::Io { .. } => false,
        }
    }
}

/// The journal of one data directory.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    shared: Arc<Shared>,
    /// `None` only while being dropped.
    requests: Option<mpsc::Sender<Request>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What readers, writer and checkpoint share.
#[derive(Debug)]
struct Shared {
    overlay: RwLock<Overlay>,
    /// Held for reading by a long scan, for writing when a checkpoint begins: the index then changes only in
    /// what the scan's copy of the overlay covers.
    gate: RwLock<()>,
    /// `None` once closed, so that the directory is free again.
    index: RwLock<Option<Arc<Index>>>,
    min_free: AtomicU64,
    /// Why nothing more is accepted, since a write failed.
    failed: OnceLock<String>,
    /// Whether `close` was called: silence of the writer is then no failure.
    closing: AtomicBool,
}

impl Shared {
    fn index(&self) -> Result<Arc<Index>, BackendError> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(BackendError::Closed)
    }

    fn min_free_bytes(&self) -> u64 {
        self.min_free.load(Ordering::Relaxed)
    }

    /// Refuses while there is no room for a frame of `bytes`, since sled takes no more writes once one has failed.
    fn room_for(&self, bytes: usize, disk: &Disk) -> Result<(), BackendError> {
        let free = disk.free_bytes()?;
        // A frame is written once as such and once or twice by the checkpoint.
        let needed = self.min_free_bytes().saturating_add(4 * bytes as u64);
        if free >= needed {
            return Ok(());
        }
        let message = format!(
            "the disk of {} has {} MB free and {} MB are kept in reserve; make room, and commits work again",
            disk.path().display(),
            free >> 20,
            needed >> 20
        );
        Err(BackendError::Full { message })
    }

    fn get(&self, key: &[u8]) -> Result<Option<RawRecord>, BackendError> {
        let index = self.index()?;
        {
            let overlay = self.overlay.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(cell) = overlay.get(key) {
                let record = cell.record.as_ref();
                return Ok(
                    record.map(|(version, value)| RawRecord { version: *version, value: value.clone() })
                );
            }
        }
        index.get(key)
    }

    fn scan(&self, scan: &RawScan) -> Result<Vec<RawEntry>, BackendError> {
        let index = self.index()?;
        if scan.limit.is_some_and(|limit| limit <= SMALL_SCAN) {
            return self.overlay.read().unwrap_or_else(PoisonError::into_inner).scan(scan, &index);
        }
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.overlay.read().unwrap_or_else(PoisonError::into_inner).snapshot(scan);
        snapshot.scan(scan, &index)
    }
}

impl Journal {
    /// Opens or makes the journal in the directory `path`. Blocks while it replays.
    ///
    /// # Errors
    /// Where the directory is in use, unreadable or damaged; the message says what to do.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let beginning = Beginning::of(path.as_ref())?;
        let (index, recovered) = match (read(path.as_ref(), options, beginning.is_some()), &beginning) {
            (Err(error), Some(beginning)) if error.is_of_the_files() => {
                tracing::warn!(
                    path = %path.as_ref().display(),
                    error = &error as &dyn std::error::Error,
                    "the database's first opening had not come to its end, and nothing was stored; making it anew"
                );
                beginning.anew()?;
                read(path.as_ref(), options, true)?
            }
            (outcome, _) => outcome?,
        };
        if let Some(beginning) = beginning {
            index.disk.flush()?;
            beginning.end()?;
        }
        let shared = Arc::new(Shared {
            overlay: RwLock::new(recovered.overlay),
            gate: RwLock::new(()),
            index: RwLock::new(Some(index.clone())),
            min_free: AtomicU64::new(options.min_free_bytes),
            failed: OnceLock::new(),
            closing: AtomicBool::new(false),
        });
        let (requests, inbox) = mpsc::channel(QUEUE);
        let (jobs, job_inbox) = thread_mpsc::channel();
        let (done, done_inbox) = thread_mpsc::channel();
        let checkpointer = Checkpointer {
            jobs: job_inbox,
            done,
            shared: shared.clone(),
            index: index.clone(),
            requests: requests.downgrade(),
            interval: options.checkpoint_interval,
            note: Note::of(&index.disk, options.note_bytes),
        };
        let writer = Writer {
            requests: inbox,
            shared: shared.clone(),
            index,
            log: recovered.log,
            jobs,
            done: done_inbox,
            last: recovered.last,
            window: recovered.bytes,
            checkpoint_bytes: options.checkpoint_bytes,
            outstanding: 0,
            shared_last: false,
            follower: None,
        };
        let started =
            |source| OpenError::Io { action: "start a thread for", path: path.as_ref().to_owned(), source };
        let threads = vec![
            thread::Builder::new().name("journal-writer".into()).spawn(|| writer.run()).map_err(started)?,
            thread::Builder::new()
                .name("journal-index".into())
                .spawn(|| checkpointer.run())
                .map_err(started)?,
        ];
        Ok(Self {
            path: path.as_ref().to_owned(),
            shared,
            requests: Some(requests),
            threads: Mutex::new(threads),
        })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, BackendError> {
        let requests = self.requests.as_ref().ok_or(BackendError::Closed)?;
        let (reply, answer) = oneshot::channel();
        requests.send(request(reply)).await.map_err(|_| self.silent())?;
        answer.await.map_err(|_| self.silent())
    }

    /// Why the writer does not answer.
    fn silent(&self) -> BackendError {
        if self.shared.closing.load(Ordering::Relaxed) {
            return BackendError::Closed;
        }
        let path = self.path.display();
        BackendError::broken(format!(
            "the writer of the database {path} stopped; the log says why. Start again"
        ))
    }

    fn join(&self) -> bool {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let ended: Vec<bool> = threads.into_iter().map(|thread| thread.join().is_ok()).collect();
        ended.into_iter().all(|well| well)
    }

    fn let_go(&self) {
        *self.shared.index.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Opens the database in the directory `path` and reads its journal; only a `new` one may hold nothing.
fn read(path: &Path, options: &Options, new: bool) -> Result<(Arc<Index>, recover::Recovered), OpenError> {
    let disk = Disk::open(path, options.cache_bytes)?;
    if !new && !Index::is_in(&disk) {
        // sled begins a new log where it finds none that it can read.
        return Err(OpenError::Emptied { path: path.to_owned() });
    }
    let index = Arc::new(Index::open(disk)?);
    let recovered = recover::recover(&index)?;
    Ok((index, recovered))
}

impl Drop for Journal {
    /// Without `close`, what the queue holds is still committed and the frames stay for the next start.
    fn drop(&mut self) {
        self.requests = None;
        self.let_go();
        if !self.join() {
            tracing::error!("a thread of the journal panicked; the next start replays what was acknowledged");
        }
    }
}

impl Backend for Journal {
    fn commit(&self, batch: RawBatch) -> BoxFuture<'_, Result<Version, BackendError>> {
        Box::pin(async move { self.ask(|reply| Request::Commit(batch, reply)).await? })
    }

    /// Mostly answered from memory; a page that is not cached is read in place, since handing a read to another
    /// thread costs more than the read.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<RawRecord>, BackendError>> {
        Box::pin(async move { self.shared.get(key) })
    }

    fn scan(&self, scan: RawScan) -> BoxFuture<'_, Result<Vec<RawEntry>, BackendError>> {
        Box::pin(async move {
            if scan.limit.is_some_and(|limit| limit <= SMALL_SCAN) {
                return self.shared.scan(&scan);
            }
            let shared = self.shared.clone();
            tokio::task::spawn_blocking(move || shared.scan(&scan))
                .await
                .map_err(|error| BackendError::storage("a scan stopped before its end; try again", error))?
        })
    }

    fn exclusive(&self) -> bool {
        true
    }

    fn writable(&self) -> Result<(), BackendError> {
        if let Some(message) = self.shared.failed.get() {
            return Err(BackendError::broken(message.clone()));
        }
        self.shared.room_for(0, &self.shared.index()?.disk)
    }

    fn follow(&self, to: Option<File>) -> BoxFuture<'_, Result<Option<File>, BackendError>> {
        Box::pin(async move { self.ask(|reply| Request::Follow(to, reply)).await? })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            self.shared.closing.store(true, Ordering::Relaxed);
            let outcome = self.ask(Request::Close).await?;
            self.let_go();
            // The writer has answered and let go; what is left of both threads is their way out.
            if !self.join() {
                return Err(BackendError::broken(
                    "a thread of the journal panicked; the next start replays the journal",
                ));
            }
            outcome
        })
    }
}
