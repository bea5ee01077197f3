//! Waiting for a disk that is full or fails: what was performed outside must not be performed again, or forgotten, because
//! it could not be written down.

use std::time::Duration;

use trunnion_store::{CommitError, ReadError};

use crate::error::Error;

/// How long to wait before the disk is tried again: at first, and at most.
const FIRST: Duration = Duration::from_millis(200);
const LAST: Duration = Duration::from_secs(10);

/// Pauses between attempts at the disk, each longer than the one before.
#[derive(Debug)]
pub(crate) struct Patience {
    next: Duration,
}

impl Patience {
    /// Before the first pause.
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// Returns when it is time to try again.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LAST);
    }
}

/// Whether a commit failed for what an operator or time can mend: it may be tried again as it is.
pub(crate) const fn awaits_the_disk(error: &CommitError) -> bool {
    matches!(error, CommitError::Full { .. } | CommitError::Storage(_))
}

/// As [`awaits_the_disk`], of whatever reads and commits.
pub(crate) const fn may_be_tried_again(error: &Error) -> bool {
    match error {
        Error::Commit(error) => awaits_the_disk(error),
        Error::Read(error) => matches!(error, ReadError::Storage { .. }),
        _ => false,
    }
}
