//! A follower: from some moment on, the frame of every commit group goes into a file as well, for a backup.
//!
//! Invariant: a follower never stands in a commit's way. What it cannot write ends it, and is told to whoever asks for
//! the file; the commit itself is as durable as ever.

use std::{
    fs::File,
    io::{self, Write},
};

use crate::backend::BackendError;

/// How many times the store's reserve must be free for frames to be written twice.
const RESERVES: u64 = 2;

/// A file that frames go to.
#[derive(Debug)]
pub(crate) struct Follower {
    file: File,
    failed: Option<io::Error>,
}

impl Follower {
    pub(crate) const fn new(file: File) -> Self {
        Self { file, failed: None }
    }

    /// Writes a frame, while `free` bytes of the disk are left, of which the store keeps `reserve`.
    pub(crate) fn add(&mut self, frame: &[u8], free: u64, reserve: u64) {
        if self.failed.is_some() {
            return;
        }
        let written = if free < reserve.saturating_mul(RESERVES).saturating_add(frame.len() as u64) {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        } else {
            self.file.write_all(frame)
        };
        self.failed = written.err();
    }

    /// The file with every frame since the beginning.
    pub(crate) fn end(self) -> Result<File, BackendError> {
        match self.failed {
            None => Ok(self.file),
            Some(source) => {
                let message = "what was committed during the backup could not be kept for it; make room on the \
                               disk of the data directory and back up again";
                Err(BackendError::storage(message, source))
            }
        }
    }
}
