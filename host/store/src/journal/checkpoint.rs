//! The checkpoint: moves the frozen generation into the index, then lets go of the frames it came from.
//!
//! Runs beside the writer on a thread of its own. Order is what makes it safe to die anywhere: records, flush,
//! marker, flush, and only then are frames dropped. Records written twice change nothing. Now and then it also has sled
//! note how far its log was read, which bounds what a start after a crash reads.

use std::{
    sync::{
        Arc, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    Shared,
    disk::Disk,
    index::{Index, Marker},
    log::drop_bucket,
    overlay::Cells,
    writer::Request,
};
use crate::backend::BackendError;

/// One checkpoint.
#[derive(Debug)]
pub(crate) struct Job {
    /// What to write.
    pub(crate) cells: Arc<Cells>,
    /// What is then true.
    pub(crate) marker: Marker,
    /// Frames that nothing needs then.
    pub(crate) buckets: Vec<Vec<u8>>,
}

/// How a checkpoint ended.
pub(crate) type Done = Result<(), BackendError>;

/// The checkpoint thread's own state.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    pub(crate) jobs: Receiver<Job>,
    pub(crate) done: Sender<Done>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Arc<Index>,
    /// Asks the writer to begin one. Weak: the checkpoint does not keep the writer alive.
    pub(crate) requests: mpsc::WeakSender<Request>,
    pub(crate) interval: Duration,
    pub(crate) note: Note,
}

/// When sled last noted how far its log was read: a start after a crash reads what was written since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Note {
    position: u64,
    bytes: u64,
    every: u64,
}

/// A note is written again only after so many times its own size of log, so that it costs a fraction of what it saves.
const NOTE_RATIO: u64 = 4;

impl Note {
    /// As of a database that was just opened.
    pub(crate) fn of(disk: &Disk, every: u64) -> Self {
        Self { position: disk.log_position(), bytes: 0, every }
    }

    /// Writes one if it is time.
    fn renew(&mut self, disk: &Disk) -> Result<(), BackendError> {
        let position = disk.log_position();
        if position.saturating_sub(self.position) >= self.every.max(NOTE_RATIO * self.bytes) {
            *self = Self { position, bytes: disk.note()?, ..*self };
        }
        Ok(())
    }
}

impl Checkpointer {
    /// Works until the writer is gone.
    pub(crate) fn run(mut self) {
        loop {
            match self.jobs.recv_timeout(self.interval) {
                Ok(job) => {
                    let done = self.write(&job).and_then(|()| self.note.renew(&self.index.disk));
                    if self.done.send(done).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let Some(requests) = self.requests.upgrade() else { return };
                    // A full queue means load, and load begins checkpoints by itself.
                    drop(requests.try_send(Request::Checkpoint));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&self, job: &Job) -> Result<(), BackendError> {
        for (key, cell) in job.cells.iter() {
            self.index.apply(key, cell.record.as_ref())?;
        }
        self.index.disk.flush()?;
        self.index.set_marker(job.marker)?;
        self.index.disk.flush()?;
        self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner).thaw();
        for bucket in &job.buckets {
            drop_bucket(&self.index.disk, bucket)?;
        }
        Ok(())
    }
}
