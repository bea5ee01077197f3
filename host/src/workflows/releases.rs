//! Compiled releases, kept at hand: a release never changes, so compiling it once is enough.

use std::sync::Arc;

use quick_cache::sync::Cache;
use trunnion_core::{id::WorkflowId, release::Release, scope::Scope};
use trunnion_store::tables::Releases as Table;

use super::catalog::Catalog;
use crate::{
    context::Context,
    error::{Error, Result},
};

/// How many compiled releases are kept.
const KEPT: usize = 4_096;

/// Reads and compiles releases.
#[derive(Debug)]
pub struct Releases {
    context: Context,
    compiled: Cache<(Scope, WorkflowId, u32), Arc<Release>>,
}

impl Releases {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, compiled: Cache::new(KEPT) }
    }

    /// The release `number` of `workflow`.
    pub async fn get(&self, scope: &Scope, workflow: WorkflowId, number: u32) -> Result<Arc<Release>> {
        let key = (*scope, workflow, number);
        if let Some(release) = self.compiled.get(&key) {
            return Ok(release);
        }
        let stored = self.context.store.get::<Table>(scope, &(workflow, number)).await?.ok_or_else(|| {
            Error::not_found("release-unknown", format!("workflow `{workflow}` has no release {number}"))
        })?;
        let catalog = Catalog::of(&self.context, scope, &stored.record.definition).await?;
        let release = Release::compile(stored.record, &catalog).map_err(|problems| {
            Error::Internal(format!("release {number} of workflow `{workflow}` does not compile: {problems}"))
        })?;
        let release = Arc::new(release);
        self.compiled.insert(key, Arc::clone(&release));
        Ok(release)
    }
}
