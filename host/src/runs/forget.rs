//! Forgetting a user's ended runs, with their logs, dead letters and what the ISV has not been told of their errors,
//! because somebody asked for it.
//!
//! Runs under way stay, and so do keys that failed runs hold, as where retention forgets a run: they are skipped by
//! hand.

use trunnion_core::{
    id::{UserId, WorkflowId},
    records::{DeadWork, Notice},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select,
    tables::{DeadLetters, EndedRuns, Notices, RunsByWorkflow, Workflows},
};

use super::{
    items::{items_of, remove_items},
    log::RunLog,
};
use crate::error::{Error, Result};

/// Places in a listing that are read, and runs that are deleted at most, in one step.
const STEP: usize = 128;

/// Dead letters that are read in one step: some hold what a vendor sent.
const LETTERS: usize = 16;

/// How often a step is tried again after one of its runs changed meanwhile.
const MAX_CONFLICTS: u32 = 8;

impl RunLog {
    /// Forgets every ended run of a user, step by step: what a step has forgotten stays so, whatever becomes of the
    /// next.
    pub async fn forget_all_of(&self, scope: &Scope, user: UserId) -> Result<()> {
        for workflow in self.context.store.list::<Workflows>(scope, Select::all()).await? {
            self.forget_of_workflow(scope, workflow.key, user).await?;
        }
        self.forget_errors_under_way(scope, user).await?;
        self.forget_errors_given_up(scope, user).await
    }

    /// Errors of the user's runs that are on their way to the ISV.
    async fn forget_errors_under_way(&self, scope: &Scope, user: UserId) -> Result<()> {
        let mut select = Select::all();
        let mut conflicts = 0;
        loop {
            let page = self.context.store.page::<Notices>(scope, select.clone(), STEP).await?;
            let mut batch = Batch::new();
            for entry in page.entries.iter().filter(|entry| is_error_of(&entry.record, user)) {
                batch.remove::<Notices>(scope, &entry.key, entry.version);
            }
            if !self.forgot(batch, &mut conflicts, user).await? {
                continue;
            }
            let Some(next) = page.next else { return Ok(()) };
            select = select.after(&next);
        }
    }

    /// Errors of the user's runs that the ISV never took.
    async fn forget_errors_given_up(&self, scope: &Scope, user: UserId) -> Result<()> {
        let mut select = Select::all();
        let mut conflicts = 0;
        loop {
            let page = self.context.store.page::<DeadLetters>(scope, select.clone(), LETTERS).await?;
            let mut batch = Batch::new();
            for entry in &page.entries {
                if matches!(&entry.record.work, DeadWork::Notice { notice } if is_error_of(notice, user)) {
                    batch.remove::<DeadLetters>(scope, &entry.key, entry.version);
                }
            }
            if !self.forgot(batch, &mut conflicts, user).await? {
                continue;
            }
            let Some(next) = page.next else { return Ok(()) };
            select = select.after(&next);
        }
    }

    async fn forget_of_workflow(&self, scope: &Scope, workflow: WorkflowId, user: UserId) -> Result<()> {
        let store = &self.context.store;
        let mut select = Select::all().prefix(&workflow);
        let mut conflicts = 0;
        loop {
            let page = store.page::<RunsByWorkflow>(scope, select.clone(), STEP).await?;
            let mut batch = Batch::new();
            for entry in page.entries.iter().filter(|entry| entry.record.user == user) {
                let (_, run) = entry.key;
                batch.remove::<RunsByWorkflow>(scope, &entry.key, entry.version);
                batch.delete::<EndedRuns>(scope, &run);
                batch.delete::<DeadLetters>(scope, &run.0);
                remove_items(&mut batch, scope, &items_of(store, scope, run).await?);
            }
            if !self.forgot(batch, &mut conflicts, user).await? {
                continue;
            }
            let Some(next) = page.next else { return Ok(()) };
            select = select.after(&next);
        }
    }

    /// Commits a step; `false` where something of it goes on, or was forgotten by somebody else, and it is to be read
    /// anew.
    async fn forgot(&self, batch: Batch, conflicts: &mut u32, user: UserId) -> Result<bool> {
        match self.context.store.commit(batch).await {
            Ok(_) => {
                *conflicts = 0;
                Ok(true)
            }
            Err(CommitError::Conflict { .. }) if *conflicts < MAX_CONFLICTS => {
                *conflicts += 1;
                Ok(false)
            }
            Err(CommitError::Conflict { .. }) => {
                let message = format!("runs of user `{user}` change too quickly to be forgotten; try again");
                Err(Error::conflict("run-busy", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

/// What the ISV is told of a user's failed run. Events are none of their logs.
fn is_error_of(notice: &Notice, user: UserId) -> bool {
    notice.origin.is_some() && notice.user == Some(user)
}
