//! Commits of what was performed: they wait for a disk that is full or fails, since what was performed must not be
//! performed again because its result could not be written.

use std::fmt;

use trunnion_store::{Batch, CommitError, Store, Version};

use crate::patience::{Patience, awaits_the_disk};

/// Commits what became of something that `work` performed: a run, or what is like one. While the disk is full or failing,
/// this waits and tries again.
pub(crate) async fn persist(
    store: &Store,
    work: impl fmt::Display + Send + Sync,
    changes: impl Fn() -> Batch + Send + Sync,
) -> Result<Version, CommitError> {
    let mut patience = Patience::new();
    loop {
        match store.commit(changes()).await {
            Err(error) if awaits_the_disk(&error) => {
                tracing::error!(%work, error = &error as &dyn std::error::Error, "a result could not be written; trying again");
                patience.pause().await;
            }
            other => return other,
        }
    }
}
