//! The writer: the one thread that judges, frames and syncs commits.
//!
//! While one group is being synced, commits queue up; they are the next group. So a group is as large as the
//! load makes it, and a commit that comes alone waits for nothing.
//!
//! Invariants: a batch is judged against everything before it, also in its own group; a group is visible only
//! once its frame is on disk; after a failed write nothing more is accepted, since what the disk holds is
//! unknown until the journal is read again.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, PoisonError, mpsc as thread_mpsc},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared,
    checkpoint::{Done, Job},
    follow::Follower,
    frame::Builder,
    index::{Index, Marker},
    log::Log,
};
use crate::{
    backend::{BackendError, Expect, RawBatch, Version},
    memory::holds,
};

/// A group is closed at this size.
const GROUP: usize = 64 * 1024;
/// How long a group waits for others to join, while commits come side by side. A sync costs more of the processor
/// than many commits; one that comes alone never waits.
const GATHER: Duration = Duration::from_micros(500);
/// A group of so many commits has gathered enough.
const GATHERED: usize = 32;
/// How far the overlay may outgrow its limit while a checkpoint is under way, before commits wait for it.
const OUTGROW: usize = 2;

/// Where a commit's answer goes.
type Reply = oneshot::Sender<Result<Version, BackendError>>;

/// Where the file goes that was written to as well.
type FollowReply = oneshot::Sender<Result<Option<File>, BackendError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    /// Commit a batch.
    Commit(RawBatch, Reply),
    /// Begin a checkpoint, if there is anything to write and none is under way.
    Checkpoint,
    /// Write what commits from now on to this file as well, and give the one before it.
    Follow(Option<File>, FollowReply),
    /// Write everything into the index and stop.
    Close(oneshot::Sender<Result<(), BackendError>>),
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Arc<Index>,
    pub(crate) log: Log,
    pub(crate) jobs: thread_mpsc::Sender<Job>,
    pub(crate) done: thread_mpsc::Receiver<Done>,
    /// The newest version given.
    pub(crate) last: u64,
    /// Bytes framed since the last freeze.
    pub(crate) window: usize,
    /// A checkpoint is begun at this many.
    pub(crate) checkpoint_bytes: usize,
    /// Checkpoints begun whose end was not heard of.
    pub(crate) outstanding: usize,
    /// Whether the last group was shared: then the next one waits for others to join.
    pub(crate) shared_last: bool,
    /// Where frames go as well.
    pub(crate) follower: Option<Follower>,
}

/// Commits that share a frame.
#[derive(Debug)]
struct Group {
    frame: Builder,
    /// What is in it, in order.
    accepted: Vec<(Version, RawBatch, Reply)>,
    /// What the group makes of keys.
    versions: HashMap<Bytes, Option<Version>>,
    /// Refusals. They are told after the sync, since they may rest on what the group writes.
    refused: Vec<(Reply, BackendError)>,
    /// Whether a checkpoint was asked for.
    checkpoint: bool,
    /// Whether frames are to go elsewhere as well from here on, and who asked.
    follow: Option<(Option<File>, FollowReply)>,
    /// Whether the store is to close, and who asked.
    close: Option<oneshot::Sender<Result<(), BackendError>>>,
}

impl Group {
    /// Whether it is as it shall be committed: what comes after belongs to the next one.
    const fn is_closed(&self) -> bool {
        self.follow.is_some() || self.close.is_some()
    }
}

impl Writer {
    /// Works until closed or until nobody can send any more.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.requests.blocking_recv() {
            let mut group = Group {
                frame: Builder::new(),
                accepted: Vec::new(),
                versions: HashMap::new(),
                refused: Vec::new(),
                checkpoint: false,
                follow: None,
                close: None,
            };
            self.take(&mut group, first);
            self.gather(&mut group);
            if self.shared_last && group.accepted.len() < GATHERED && !group.is_closed() {
                std::thread::sleep(GATHER);
                self.gather(&mut group);
            }
            self.shared_last = group.accepted.len() > 1;
            let checkpoint = group.checkpoint;
            let follow = group.follow.take();
            let close = group.close.take();
            self.commit(group);
            if let Some((to, reply)) = follow {
                let before = std::mem::replace(&mut self.follower, to.map(Follower::new));
                answer(reply, before.map(Follower::end).transpose());
            }
            if let Some(reply) = close {
                self.close(reply);
                return;
            }
            self.maintain(checkpoint);
        }
    }

    /// Takes in what is waiting.
    fn gather(&mut self, group: &mut Group) {
        while group.frame.len() < GROUP && !group.is_closed() {
            match self.requests.try_recv() {
                Ok(request) => self.take(group, request),
                Err(_) => break,
            }
        }
    }

    fn take(&mut self, group: &mut Group, request: Request) {
        match request {
            Request::Commit(batch, reply) => match self.judge(group, &batch) {
                Ok(version) => {
                    group.frame.push(version, &batch);
                    group.accepted.push((version, batch, reply));
                }
                Err(error) => group.refused.push((reply, error)),
            },
            Request::Checkpoint => group.checkpoint = true,
            Request::Follow(to, reply) => group.follow = Some((to, reply)),
            Request::Close(reply) => group.close = Some(reply),
        }
    }

    /// Whether a batch may commit, and as what version.
    fn judge(&mut self, group: &mut Group, batch: &RawBatch) -> Result<Version, BackendError> {
        if let Some(message) = self.shared.failed.get() {
            return Err(BackendError::broken(message.clone()));
        }
        for (op, change) in batch.ops.iter().enumerate() {
            if change.expect == Expect::Anything {
                continue;
            }
            let found = match group.versions.get(&change.key) {
                Some(found) => *found,
                None => self.version(&change.key)?,
            };
            if !holds(change.expect, found) {
                return Err(BackendError::Conflict { op });
            }
        }
        self.last += 1;
        let version = Version(self.last);
        for change in &batch.ops {
            group.versions.insert(change.key.clone(), change.value.as_ref().map(|_| version));
        }
        Ok(version)
    }

    /// The committed version of a key.
    fn version(&self, key: &[u8]) -> Result<Option<Version>, BackendError> {
        let overlay = self.shared.overlay.read().unwrap_or_else(PoisonError::into_inner);
        match overlay.get(key) {
            Some(cell) => Ok(cell.record.as_ref().map(|(version, _)| *version)),
            None => {
                drop(overlay);
                self.index.version(key)
            }
        }
    }

    /// Makes a group durable, then visible, then known.
    fn commit(&mut self, group: Group) {
        let Group { frame, accepted, refused, .. } = group;
        let outcome = if accepted.is_empty() { Ok(()) } else { self.write(frame) };
        match outcome {
            Ok(()) => {
                let mut replies = Vec::with_capacity(accepted.len());
                let mut overlay = self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner);
                for (version, batch, reply) in accepted {
                    overlay.apply(version, batch);
                    replies.push((reply, version));
                }
                drop(overlay);
                for (reply, version) in replies {
                    answer(reply, Ok(version));
                }
            }
            Err(error) => {
                for (_, _, reply) in accepted {
                    answer(reply, Err(again(&error)));
                }
            }
        }
        for (reply, error) in refused {
            answer(reply, Err(error));
        }
    }

    fn write(&mut self, frame: Builder) -> Result<(), BackendError> {
        let bytes = frame.len();
        self.shared.room_for(bytes, &self.index.disk)?;
        let frame = frame.finish(self.log.next());
        let written = self.log.append(&frame).and_then(|()| self.index.disk.flush());
        if let Err(error) = written {
            self.fail(&error);
            return Err(error);
        }
        self.window += bytes;
        if let Some(follower) = &mut self.follower {
            let free = self.index.disk.free_bytes().unwrap_or(0);
            follower.add(&frame, free, self.shared.min_free_bytes());
        }
        Ok(())
    }

    fn fail(&mut self, error: &BackendError) {
        let message = format!(
            "the database {} accepts nothing since a write failed, whose outcome is unknown until it is opened again; \
             check the disk and start again",
            self.index.disk.path().display()
        );
        tracing::error!(error = error as &dyn std::error::Error, "{message}");
        // The first failure stays the reason.
        drop(self.shared.failed.set(message));
    }

    /// Begins a checkpoint when it is time, and waits for one only when memory would run away.
    fn maintain(&mut self, asked: bool) {
        while let Ok(done) = self.done.try_recv() {
            self.finished(done);
        }
        if self.shared.failed.get().is_some() {
            return;
        }
        let due = self.window >= self.checkpoint_bytes || (asked && self.window > 0);
        if due && !self.has_room_to_checkpoint() {
            return;
        }
        let overdue = self.window >= self.checkpoint_bytes.saturating_mul(OUTGROW);
        while overdue && self.is_frozen() && self.shared.failed.get().is_none() {
            self.wait();
        }
        if due && !self.is_frozen() && self.shared.failed.get().is_none() {
            self.freeze(overdue);
        }
    }

    /// A checkpoint writes its records two or three times, into the reserve if need be. Where even that has no room,
    /// the records wait in memory and in their frames, rather than run the database into a full disk for good; new
    /// commits are refused by then.
    fn has_room_to_checkpoint(&self) -> bool {
        self.index.disk.free_bytes().is_ok_and(|free| free >= 3 * self.window as u64)
    }

    fn is_frozen(&self) -> bool {
        self.shared.overlay.read().unwrap_or_else(PoisonError::into_inner).is_frozen()
    }

    /// Hands the active generation to the checkpoint. A long scan holds it off, unless it `must` be now.
    fn freeze(&mut self, must: bool) {
        let shared = self.shared.clone();
        let gate = if must {
            Some(shared.gate.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            shared.gate.try_write().ok()
        };
        let Some(_gate) = gate else { return };
        let cells = self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner).freeze();
        let marker = Marker { replay_from: self.log.next(), last_version: self.last };
        let job = Job { cells, marker, buckets: self.log.cut() };
        self.window = 0;
        self.outstanding += 1;
        if self.jobs.send(job).is_err() {
            self.fail(&BackendError::broken("the checkpoint thread stopped"));
        }
    }

    /// Waits for every checkpoint that was begun.
    fn settle(&mut self) {
        while self.outstanding > 0 && self.shared.failed.get().is_none() {
            self.wait();
        }
    }

    fn wait(&mut self) {
        match self.done.recv() {
            Ok(done) => self.finished(done),
            Err(_) => self.fail(&BackendError::broken("the checkpoint thread stopped")),
        }
    }

    fn finished(&mut self, done: Done) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if let Err(error) = done {
            self.fail(&error);
        }
    }

    /// Writes everything into the index, answers, and lets go of the database before it does.
    fn close(mut self, reply: oneshot::Sender<Result<(), BackendError>>) {
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Commit(_, reply) => answer(reply, Err(BackendError::Closed)),
                Request::Follow(_, reply) => answer(reply, Err(BackendError::Closed)),
                Request::Close(reply) => answer(reply, Err(BackendError::Closed)),
                Request::Checkpoint => {}
            }
        }
        self.settle();
        if self.shared.failed.get().is_none() && self.window > 0 && self.has_room_to_checkpoint() {
            self.freeze(true);
            self.settle();
        }
        // Spares the next start from reading what was written since this one.
        if self.shared.failed.get().is_none()
            && let Err(error) = self.index.disk.note()
        {
            self.fail(&error);
        }
        let outcome = match self.shared.failed.get() {
            None => Ok(()),
            Some(message) => Err(BackendError::broken(message.clone())),
        };
        drop(self);
        answer(reply, outcome);
    }
}

/// Tells a caller, who may have stopped waiting: then the answer is of no use to anyone.
fn answer<T>(reply: oneshot::Sender<T>, outcome: T) {
    drop(reply.send(outcome));
}

/// The same error for every batch of a group.
fn again(error: &BackendError) -> BackendError {
    match error {
        BackendError::Full { message } => BackendError::Full { message: message.clone() },
        other => BackendError::broken(match std::error::Error::source(other) {
            Some(source) => format!("{other}: {source}"),
            None => other.to_string(),
        }),
    }
}
