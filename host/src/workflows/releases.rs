//! Compiled releases, kept at hand: a release under the same connectors never changes, so compiling it once is
//! enough.
//!
//! A release's rules say what repeating an action does, and that is its connector's to declare: so a compiled
//! release belongs to the digests it was compiled under. A run goes by its own digests, a new one by the active
//! ones.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;
use trunnion_core::{
    id::WorkflowId,
    records::{Digest, LiveRun, StoredRelease},
    release::Release,
    scope::Scope,
};
use trunnion_store::tables::Releases as Table;

use super::catalog::Catalog;
use crate::{
    context::Context,
    error::{Error, Result},
    registry::Standing,
};

/// How many releases are kept compiled.
const KEPT: usize = 4_096;

/// Under how many sets of digests one release is kept compiled: runs of the version before a swap still end.
const KEPT_FORMS: usize = 4;

/// Which release.
type Key = (Scope, WorkflowId, u32);

/// One release under different connectors, newest first.
type Forms = Arc<Vec<Arc<Compiled>>>;

/// Reads and compiles releases.
#[derive(Debug)]
pub struct Releases {
    context: Context,
    compiled: Cache<Key, Forms>,
}

/// A release as these connectors make it.
#[derive(Debug)]
pub struct Compiled {
    /// The release.
    pub release: Arc<Release>,
    /// The connectors, by app.
    pub digests: BTreeMap<String, Digest>,
}

impl Compiled {
    fn is_of(&self, standing: &Standing) -> bool {
        let same = |(app, digest): (&String, &Digest)| {
            standing.connector(app).is_some_and(|connector| connector.digest() == digest)
        };
        self.digests.iter().all(same)
    }
}

impl Releases {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, compiled: Cache::new(KEPT) }
    }

    /// The release `number` of `workflow`, under the connectors that are active now.
    pub async fn get(&self, scope: &Scope, workflow: WorkflowId, number: u32) -> Result<Arc<Compiled>> {
        let standing = self.context.registry.standing();
        let key = (*scope, workflow, number);
        if let Some(forms) = self.compiled.get(&key)
            && let Some(found) = forms.iter().find(|form| form.is_of(&standing))
        {
            return Ok(Arc::clone(found));
        }
        let stored = self.stored(scope, workflow, number).await?;
        let (mut catalog, mut digests) = (Catalog::default(), BTreeMap::new());
        for app in stored.definition.apps() {
            if let Some(connector) = standing.connector(app) {
                catalog = catalog.with(Arc::clone(connector.manifest()));
                digests.insert(app.to_owned(), connector.digest().clone());
            }
        }
        let compiled = Arc::new(Compiled { release: compile(stored, &catalog)?, digests });
        self.keep(key, &compiled);
        Ok(compiled)
    }

    /// The release of a run, under the connectors that the run fixed at accept.
    pub async fn of_run(&self, scope: &Scope, run: &LiveRun) -> Result<Arc<Release>> {
        let key = (*scope, run.workflow, run.release);
        if let Some(forms) = self.compiled.get(&key)
            && let Some(found) = forms.iter().find(|form| form.digests == run.digests)
        {
            return Ok(Arc::clone(&found.release));
        }
        let stored = self.stored(scope, run.workflow, run.release).await?;
        let mut catalog = Catalog::default();
        for (app, digest) in &run.digests {
            match self.context.registry.by_digest(app, digest).await {
                Ok(connector) => catalog = catalog.with(Arc::clone(connector.manifest())),
                // Its steps will fail with this very reason; until they have, the active rules say when to give up.
                Err(gone) => {
                    tracing::error!(run = %run.id, app, error = &gone as &dyn std::error::Error, "a run's connector cannot be had");
                    return Ok(Arc::clone(&self.get(scope, run.workflow, run.release).await?.release));
                }
            }
        }
        let release = compile(stored, &catalog)?;
        let compiled = Compiled { release: Arc::clone(&release), digests: run.digests.clone() };
        self.keep(key, &Arc::new(compiled));
        Ok(release)
    }

    /// The release `number` of `workflow`, as it was released.
    pub async fn stored(&self, scope: &Scope, workflow: WorkflowId, number: u32) -> Result<StoredRelease> {
        let stored = self.context.store.get::<Table>(scope, &(workflow, number)).await?;
        stored.map(|stored| stored.record).ok_or_else(|| {
            Error::not_found("release-unknown", format!("workflow `{workflow}` has no release {number}"))
        })
    }

    /// Keeps a form before the others. Two that come at once may lose one of them, which is compiled again.
    fn keep(&self, key: Key, compiled: &Arc<Compiled>) {
        let others = self.compiled.get(&key).unwrap_or_default();
        let others = others.iter().filter(|form| form.digests != compiled.digests);
        let forms = std::iter::once(compiled).chain(others).take(KEPT_FORMS).cloned().collect();
        self.compiled.insert(key, Arc::new(forms));
    }
}

/// A release has a number and no id of its own: one that looks like every other id follows from both.
#[must_use]
pub fn version_id(workflow: WorkflowId, number: u32) -> String {
    let name = [workflow.as_bytes().as_slice(), &number.to_be_bytes()].concat();
    hex::encode(digest(&SHA256, &name)).chars().take(24).collect()
}

fn compile(stored: StoredRelease, catalog: &Catalog) -> Result<Arc<Release>> {
    let (workflow, number) = (stored.workflow, stored.number);
    let release = Release::compile(stored, catalog).map_err(|problems| {
        Error::Internal(format!("release {number} of workflow `{workflow}` does not compile: {problems}"))
    })?;
    Ok(Arc::new(release))
}

#[cfg(test)]
mod tests {
    use trunnion_core::id::Id;

    use super::*;

    #[test]
    fn every_version_has_an_id_of_its_own_that_stays() {
        let one = WorkflowId(Id::from_bytes([1; 12]));
        let ids =
            [version_id(one, 1), version_id(one, 2), version_id(WorkflowId(Id::from_bytes([2; 12])), 1)];
        assert!(ids.iter().all(|id| id.parse::<Id>().is_ok()), "{ids:?}");
        assert!(ids[0] != ids[1] && ids[0] != ids[2]);
        assert_eq!(ids[0], version_id(one, 1));
    }
}
