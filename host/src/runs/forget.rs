//! Forgetting a user's ended runs, with their logs and dead letters, because somebody asked for it.
//!
//! Runs under way stay, and so do keys that failed runs hold, as where retention forgets a run: they are skipped by
//! hand.

use trunnion_core::{
    id::{UserId, WorkflowId},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select,
    tables::{DeadLetters, EndedRuns, RunsByWorkflow, Workflows},
};

use super::{
    items::{items_of, remove_items},
    log::RunLog,
};
use crate::error::{Error, Result};

/// Places in a listing that are read, and runs that are deleted at most, in one step.
const STEP: usize = 128;

/// How often a step is tried again after one of its runs changed meanwhile.
const MAX_CONFLICTS: u32 = 8;

impl RunLog {
    /// Forgets every ended run of a user, step by step: what a step has forgotten stays so, whatever becomes of the
    /// next.
    pub async fn forget_all_of(&self, scope: &Scope, user: UserId) -> Result<()> {
        for workflow in self.context.store.list::<Workflows>(scope, Select::all()).await? {
            self.forget_of_workflow(scope, workflow.key, user).await?;
        }
        Ok(())
    }

    async fn forget_of_workflow(&self, scope: &Scope, workflow: WorkflowId, user: UserId) -> Result<()> {
        let store = &self.context.store;
        let mut select = Select::all().prefix(&workflow).limit(STEP);
        let mut conflicts = 0;
        loop {
            let page = store.list::<RunsByWorkflow>(scope, select.clone()).await?;
            let mut batch = Batch::new();
            for entry in page.iter().filter(|entry| entry.record.user == user) {
                let (_, run) = entry.key;
                batch.remove::<RunsByWorkflow>(scope, &entry.key, entry.version);
                batch.delete::<EndedRuns>(scope, &run);
                batch.delete::<DeadLetters>(scope, &run.0);
                remove_items(&mut batch, scope, &items_of(store, scope, run).await?);
            }
            match store.commit(batch).await {
                Ok(_) => conflicts = 0,
                // A run goes on, or was forgotten by somebody else.
                Err(CommitError::Conflict { .. }) if conflicts < MAX_CONFLICTS => {
                    conflicts += 1;
                    continue;
                }
                Err(CommitError::Conflict { .. }) => {
                    let message =
                        format!("runs of user `{user}` change too quickly to be forgotten; try again");
                    return Err(Error::conflict("run-busy", message));
                }
                Err(error) => return Err(Error::Commit(error)),
            }
            match page.last() {
                Some(last) if page.len() == STEP => select = select.after(&last.key),
                _ => return Ok(()),
            }
        }
    }
}
