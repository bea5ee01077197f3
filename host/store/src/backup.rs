//! Backups: the data as one run of frames, taken while the store is in use, and put back into a new one.
//!
//! A backup is `"TRBK1\n"` and frames of the journal's own form, numbered from 0: every record, then what was committed
//! while those were read, then files that records name, and an empty frame at the end. Whoever applies them in order has the state of
//! the moment in which the reading ended, as one consistent view: a record that was read too early or too late is put
//! right by the commits that follow, and every other one was read as it is.
//!
//! Data keys are no part of a backup, so what it holds can be erased after it was taken: a restore goes by the key ring
//! it is given, and leaves out every record of an owner that is erased there.

mod read;
mod restore;

use std::{
    fs::File,
    io::{BufReader, Seek},
};

use bytes::Bytes;
use tokio::sync::mpsc;

pub use self::{
    read::Reader,
    restore::{Restored, restore},
};
use crate::{
    Store,
    backend::{BackendError, Expect, RawBatch, RawOp, RawScan, Source, Version},
    journal::frame::Builder,
    select::Direction,
};

/// How every backup begins.
const MAGIC: &[u8; 6] = b"TRBK1\n";
/// First byte of an attachment's key; no table has this number.
const ATTACHMENT: u8 = 0;
/// Records read at once, at most.
const PAGE: usize = 256;
/// Bytes of records read at once, about: after a page that is larger, fewer records are read.
const PAGE_BYTES: usize = 1 << 20;

/// What goes with the records, by name: a file that they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: Bytes,
}

/// Attachments, each read when its turn has come.
pub type Attachments = Box<dyn Iterator<Item = std::io::Result<Attachment>> + Send>;

/// Why a backup was not taken, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] BackendError),
    /// Whoever wanted it went away.
    #[error("nobody takes the backup any more; begin another")]
    Abandoned,
    /// It could not be read or written.
    #[error("cannot {action} the backup; check the disk and the file's permissions")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not whole.
    #[error("the backup is not whole: {why}; use another copy of it, or another backup")]
    Damaged {
        /// What is wrong.
        why: String,
    },
    /// Something is sealed under a key that the ring does not have.
    #[error(
        "the key file has no data key of {first} ({owners} owners in all), so it is older than the backup; restore with a \
         copy of `keys` that was made with the backup or after it"
    )]
    KeysOlder {
        /// One of them.
        first: String,
        /// How many.
        owners: usize,
    },
    /// A record is of a table that this release does not know.
    #[error("the backup holds records of a newer release (table {table}); restore it with that release")]
    Newer {
        /// The table's number.
        table: u8,
    },
    /// The directory could not be made into a store.
    #[error("the store could not be made")]
    Open(#[source] Source),
}

/// Numbers frames and hands them on.
struct Frames<'a> {
    to: &'a mpsc::Sender<Bytes>,
    next: u64,
}

impl Frames<'_> {
    async fn hand_on(&mut self, frame: Builder) -> Result<(), BackupError> {
        let frame = frame.finish(self.next);
        self.next += 1;
        self.to.send(Bytes::from(frame)).await.map_err(|_| BackupError::Abandoned)
    }
}

impl Store {
    /// Takes a backup while the store is in use: its bytes go to `to`, piece by piece. `attachments` go with it, and are
    /// asked for at the end; what is committed meanwhile is kept in `spool`, an empty file on the same disk.
    ///
    /// One backup at a time: a second one would end what the first one follows.
    ///
    /// # Errors
    /// As the variants say; what was handed on until then is not a backup.
    pub async fn back_up(
        &self,
        attachments: impl FnOnce() -> std::io::Result<Attachments> + Send,
        spool: File,
        to: &mpsc::Sender<Bytes>,
    ) -> Result<(), BackupError> {
        let mut frames = Frames { to, next: 0 };
        to.send(Bytes::from_static(MAGIC)).await.map_err(|_| BackupError::Abandoned)?;
        self.backend().follow(Some(spool)).await?;
        let copied = self.hand_on_records(&mut frames).await;
        // Whatever became of the copy, nothing is followed any more.
        let spool = self.backend().follow(None).await;
        copied?;
        let spool = spool?.ok_or_else(|| {
            BackendError::broken("another backup began meanwhile; take one backup at a time")
        })?;
        hand_on_commits(&mut frames, spool).await?;
        let io = |source| BackupError::Io { action: "read a file for", source };
        for attachment in attachments().map_err(io)? {
            let Attachment { name, content } = attachment.map_err(io)?;
            let key = Bytes::from([[ATTACHMENT].as_slice(), name.as_bytes()].concat());
            frames.hand_on(of([(Version::ZERO, key, Some(content))])).await?;
        }
        frames.hand_on(Builder::new()).await
    }

    async fn hand_on_records(&self, frames: &mut Frames<'_>) -> Result<(), BackupError> {
        let mut from = Bytes::from_static(&[ATTACHMENT + 1]);
        let mut limit = PAGE / 4;
        loop {
            let scan =
                RawScan { from: from.clone(), to: None, limit: Some(limit), direction: Direction::Forward };
            let page = self.backend().scan(scan).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = [last, [0].as_slice()].concat().into();
            let bytes: usize = page.iter().map(|(key, record)| key.len() + record.value.len()).sum();
            limit = if bytes > PAGE_BYTES { (limit / 4).max(1) } else { (limit * 2).min(PAGE) };
            let records = page.into_iter().map(|(key, record)| (record.version, key, Some(record.value)));
            frames.hand_on(of(records)).await?;
        }
    }
}

/// What was committed while the records were read.
async fn hand_on_commits(frames: &mut Frames<'_>, mut spool: File) -> Result<(), BackupError> {
    let io = |source| BackupError::Io { action: "read what was committed during", source };
    spool.rewind().map_err(io)?;
    let mut spool = BufReader::new(spool);
    while let Some((_, batches)) = read::frame(&mut spool)? {
        let changes = batches.into_iter().flat_map(|(version, changes)| {
            changes.into_iter().map(move |(key, value)| (version, key, value))
        });
        frames.hand_on(of(changes)).await?;
    }
    Ok(())
}

/// A frame of these changes, each as a batch of its own.
fn of(changes: impl IntoIterator<Item = (Version, Bytes, Option<Bytes>)>) -> Builder {
    let mut builder = Builder::new();
    for (version, key, value) in changes {
        builder.push(version, &RawBatch { ops: vec![RawOp { key, value, expect: Expect::Anything }] });
    }
    builder
}
