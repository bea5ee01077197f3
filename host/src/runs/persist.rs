//! Commits of what was performed: they wait for a disk that is full or fails, since what was performed must not be
//! performed again because its result could not be written.

use std::time::Duration;

use trunnion_core::id::RunId;
use trunnion_store::{Batch, CommitError, Store, Version};

/// How long to wait before the disk is tried again: at first, and at most.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(200);
pub(super) const LAST_WAIT: Duration = Duration::from_secs(10);

/// Commits what became of something that `run` performed. While the disk is full or failing, this waits and tries
/// again.
pub(crate) async fn persist(
    store: &Store,
    run: RunId,
    changes: impl Fn() -> Batch + Send + Sync,
) -> Result<Version, CommitError> {
    let mut wait = FIRST_WAIT;
    loop {
        match store.commit(changes()).await {
            Err(error @ (CommitError::Full { .. } | CommitError::Storage(_))) => {
                tracing::error!(%run, error = &error as &dyn std::error::Error, "a run's result could not be written; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_WAIT);
            }
            other => return other,
        }
    }
}
