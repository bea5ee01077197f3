//! The steps of a sweep: each reads a bounded page, deletes what is too old of it in one commit, and goes on behind
//! it, or behind everything that is younger anyway.

use std::collections::HashMap;

use trunnion_core::{clock::Timestamp, machine::Status, records::LiveRun, scope::Scope};
use trunnion_store::{
    Batch, CommitError, Position, ReadError, Select, Store,
    store::ExpireError,
    tables::{BatchItems, DeadLetters, EndedRuns, LiveItems, RunsByWorkflow},
};

use super::{DAY, Forgotten, RetentionConfig, rest::Pace};
use crate::{
    error::{Error, Result},
    streams::batches::dead_line,
};

/// Records read, and deleted at most, in one step.
pub(super) const STEP: usize = 128;
/// Entries of one workflow looked at in one step; mostly the first one is young enough to end it.
const LISTED_STEP: usize = 32;

/// A sweep at one moment.
#[derive(Clone, Debug)]
pub(super) struct Forgetting<'a> {
    pub(super) store: &'a Store,
    pub(super) config: RetentionConfig,
    /// Of environments that say themselves how many days their logs are kept.
    pub(super) own_days: HashMap<Scope, u32>,
    pub(super) now: Timestamp,
}

impl Forgetting<'_> {
    /// What ended in an environment before this is forgotten.
    fn runs_before(&self, scope: &Scope) -> Timestamp {
        let days = self.own_days.get(scope).copied();
        self.now - DAY * days.unwrap_or_else(|| self.config.days(scope.environment))
    }

    /// Runs that ended too long ago, with their logs and their places in listings. A run of an erased user goes by
    /// when it began: nobody can read any more when it ended.
    pub(super) async fn runs(&self, forgotten: &mut Forgotten) -> Result<()> {
        let mut position = Position::default();
        loop {
            let pace = Pace::start();
            let page = self.store.sweep::<EndedRuns>(&position, STEP).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for run in &page {
                let before = self.runs_before(&run.place);
                if run.key.0.created_at() >= before {
                    position = Position::beyond::<EndedRuns>(&run.place);
                    break;
                }
                position = Position::after::<EndedRuns>(&run.place, &run.key);
                if run.record.as_ref().is_some_and(|record| ended_at(record) >= before) {
                    continue;
                }
                batch.remove::<EndedRuns>(&run.place, &run.key, run.version);
                if let Some(record) = &run.record {
                    batch.delete::<RunsByWorkflow>(&run.place, &(record.workflow, run.key));
                }
                forgotten.runs += 1;
            }
            self.commit(batch, forgotten).await?;
            pace.rest().await;
        }
    }

    /// Places in listings whose run is gone: those of erased users, whose workflow nobody can read any more.
    pub(super) async fn listed_runs(&self, forgotten: &mut Forgotten) -> Result<()> {
        let mut position = Position::default();
        loop {
            let pace = Pace::start();
            let page = self.store.sweep::<RunsByWorkflow>(&position, LISTED_STEP).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for entry in &page {
                let (workflow, run) = entry.key;
                if run.0.created_at() >= self.runs_before(&entry.place) {
                    position = Position::beyond_part::<RunsByWorkflow>(&entry.place, &workflow);
                    break;
                }
                position = Position::after::<RunsByWorkflow>(&entry.place, &entry.key);
                match self.store.get::<EndedRuns>(&entry.place, &run).await {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(ReadError::Erased { .. }) => {
                        batch.remove::<RunsByWorkflow>(&entry.place, &entry.key, entry.version);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            self.commit(batch, forgotten).await?;
            pace.rest().await;
        }
    }

    /// Dead letters that nobody redrove. The work of an erased user goes by when it began.
    pub(super) async fn dead_letters(&self, forgotten: &mut Forgotten) -> Result<()> {
        let mut position = Position::default();
        loop {
            let pace = Pace::start();
            let page = self.store.sweep::<DeadLetters>(&position, STEP).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for letter in &page {
                let before = self.runs_before(&letter.place);
                if letter.key.created_at() >= before {
                    position = Position::beyond::<DeadLetters>(&letter.place);
                    break;
                }
                position = Position::after::<DeadLetters>(&letter.place, &letter.key);
                if letter.record.as_ref().is_none_or(|record| record.at < before) {
                    // What its run's loop had come to, or its batch held, goes with it; a large one over several sweeps.
                    let select = Select::all().prefix(&letter.key);
                    let items = self.store.page::<LiveItems>(&letter.place, select, STEP).await?;
                    for item in &items.entries {
                        batch.remove::<LiveItems>(&letter.place, &item.key, item.version);
                    }
                    let select = Select::all().prefix(&dead_line(letter.key));
                    let sent = self.store.page::<BatchItems>(&letter.place, select, STEP).await?;
                    for item in &sent.entries {
                        batch.remove::<BatchItems>(&letter.place, &item.key, item.version);
                    }
                    if items.next.is_none() && sent.next.is_none() {
                        batch.remove::<DeadLetters>(&letter.place, &letter.key, letter.version);
                        forgotten.dead_letters += 1;
                    }
                }
                if batch.len() >= STEP {
                    break;
                }
            }
            self.commit(batch, forgotten).await?;
            pace.rest().await;
        }
    }

    /// Forgets a step's worth. Where somebody changed a record meanwhile (a dead letter was redriven), the step is
    /// left to the next sweep: what is old is old then too.
    pub(super) async fn commit(&self, batch: Batch, forgotten: &mut Forgotten) -> Result<()> {
        forgotten.largest_step = forgotten.largest_step.max(batch.len());
        match self.store.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

const fn ended_at(run: &LiveRun) -> Timestamp {
    match &run.state.status {
        Status::Ended { at, .. } => *at,
        // Not an ended run's state; its beginning is all that is known.
        Status::Queued { .. } | Status::Leased { .. } => run.accepted_at,
    }
}

pub(super) fn ledger_error(error: ExpireError) -> Error {
    match error {
        ExpireError::Read(error) => Error::Read(error),
        ExpireError::Commit(error) => Error::Commit(error),
    }
}
