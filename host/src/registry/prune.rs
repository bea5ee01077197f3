//! Pruning: of each app the newest versions are kept, and whatever somebody still stands on.

use std::collections::BTreeSet;

use trunnion_core::records::{ConnectorVersion, Digest};
use trunnion_store::{
    Batch, Deployment, Select,
    tables::{ConnectorHistory, ConnectorVersions, LiveRuns},
};

use super::Swaps;
use crate::error::{Error, Result};

/// Versions kept of each app.
const KEPT_VERSIONS: usize = 20;

/// Lines of history kept of each app.
const KEPT_HISTORY: usize = 1_000;

impl Swaps {
    /// Forgets what is too old; a failure is logged, since the next push tries again.
    pub(super) async fn prune(&self, app: &str) {
        let pruned = async {
            self.prune_versions(app).await?;
            self.prune_history(app).await
        };
        if let Err(error) = pruned.await {
            tracing::warn!(
                app,
                error = &error as &dyn std::error::Error,
                "old versions of a connector could not be removed; the next push tries again"
            );
        }
    }

    async fn prune_versions(&self, app: &str) -> Result<()> {
        let versions = self.records.versions(app).await?;
        let mut old: Vec<ConnectorVersion> = versions.into_iter().skip(KEPT_VERSIONS).collect();
        if old.is_empty() {
            return Ok(());
        }
        let used = self.used(app).await?;
        old.retain(|version| !used.contains(&version.digest));
        if old.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for version in &old {
            batch.delete::<ConnectorVersions>(&Deployment, &(app.to_owned(), version.digest.0.clone()));
        }
        self.records.store.commit(batch).await.map_err(Error::Commit)?;
        for version in &old {
            self.registry.discard(&version.digest).await;
        }
        tracing::info!(app, removed = old.len(), "old versions of a connector were removed");
        Ok(())
    }

    /// Every component that must stay: active, to go back to, in the connectors directory, or fixed by a run.
    async fn used(&self, app: &str) -> Result<BTreeSet<Digest>> {
        let mut used = self.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(active) = self.records.active(app).await? {
            used.insert(active.record.digest);
            used.extend(active.record.previous);
        }
        for (_, entry) in self.records.store.all::<LiveRuns>().await? {
            used.extend(entry.record.digests.into_values());
        }
        Ok(used)
    }

    async fn prune_history(&self, app: &str) -> Result<()> {
        let select = Select::all().prefix(&app.to_owned()).backward();
        let lines = self.records.store.list::<ConnectorHistory>(&Deployment, select).await?;
        let mut batch = Batch::new();
        for line in lines.iter().skip(KEPT_HISTORY) {
            batch.delete::<ConnectorHistory>(&Deployment, &line.key);
        }
        self.records.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(())
    }
}
