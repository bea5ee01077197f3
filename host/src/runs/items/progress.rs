//! How far the loops of a run that has not ended have come, for whoever watches it: a first import of thousands of orders
//! takes minutes.
//!
//! It is read from what is kept of items anyway, so it says what is durable. Nothing decides by it.

use trunnion_core::{
    id::RunId,
    machine::{Outcome, RunState, Status},
    records::{LiveRun, PageMark},
    release::CompiledKind,
    scope::Scope,
};
use trunnion_store::{Select, tables::LiveItems};

use super::{has_items, pages};
use crate::{error::Result, runs::RunLog};

/// Items in memory at once: a page has all of its vendor's records with it.
const READ_AT_ONCE: usize = 8;

/// How far a loop has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The `for_each` or `batch`, by its id.
    pub step: String,
    /// Where it goes through a vendor's listing: pages that are done.
    pub pages: Option<u64>,
    /// Items that went well; of a listing, those of pages that are done.
    pub succeeded: u64,
    /// Items that failed so far.
    pub failed: u64,
    /// Items that a filter ended.
    pub filtered: u64,
}

impl RunLog {
    /// How far the loops have come that a run is in; nothing once it has ended, since its steps then say it.
    pub async fn progress(&self, scope: &Scope, run: &LiveRun) -> Result<Vec<Progress>> {
        if run.state.ended() {
            return Ok(Vec::new());
        }
        let release = self.releases.of_run(scope, run).await?;
        if !has_items(&release.program) {
            return Ok(Vec::new());
        }
        let mut every = Vec::new();
        // A step that is done has left its items behind.
        for step in release.program.steps.iter().skip(run.state.results.len()) {
            let progress = match &step.kind {
                CompiledKind::Pages { .. } => self.of_pages(scope, run.id, &step.id).await?,
                // Of a batch, an item of the store is a whole group: what it came to is said when all are done.
                CompiledKind::ForEach { group: None, .. } => self.of_items(scope, run.id, &step.id).await?,
                _ => None,
            };
            every.extend(progress);
        }
        Ok(every)
    }

    async fn of_pages(&self, scope: &Scope, run: RunId, step: &str) -> Result<Option<Progress>> {
        let mut newest = None;
        let mut done = Progress { step: step.to_owned(), ..Progress::default() };
        let mut pages = 0;
        self.each_state(scope, run, step, |state, mark| {
            let Some(mark) = mark.filter(|mark| newest.is_none_or(|newest| mark.pages >= newest)) else {
                return;
            };
            newest = Some(mark.pages);
            pages = mark.pages + u64::from(pages::is_over(state));
            (done.succeeded, done.filtered) = (mark.succeeded, mark.filtered);
        })
        .await?;
        if newest.is_none() {
            return Ok(None);
        }
        // What is kept beside the newest are pages with failed items, which no mark counts.
        self.each_state(scope, run, step, |state, _| {
            let (succeeded, failed, filtered) = pages::counts(state);
            done.succeeded += succeeded;
            done.failed += failed;
            done.filtered += filtered;
        })
        .await?;
        Ok(Some(Progress { pages: Some(pages), ..done }))
    }

    async fn of_items(&self, scope: &Scope, run: RunId, step: &str) -> Result<Option<Progress>> {
        let mut any = false;
        let mut progress = Progress { step: step.to_owned(), ..Progress::default() };
        self.each_state(scope, run, step, |state, _| {
            any = true;
            if let Status::Ended { outcome, .. } = &state.status {
                match outcome {
                    Outcome::Succeeded => progress.succeeded += 1,
                    Outcome::Filtered { .. } => progress.filtered += 1,
                    Outcome::Failed { .. } => progress.failed += 1,
                    Outcome::Cancelled => {}
                }
            }
        })
        .await?;
        Ok(any.then_some(progress))
    }

    async fn each_state(
        &self,
        scope: &Scope,
        run: RunId,
        step: &str,
        mut look: impl FnMut(&RunState, Option<&PageMark>) + Send,
    ) -> Result<()> {
        let mut select = Select::all().prefix(&(run, step.to_owned()));
        loop {
            let page = self.context.store.page::<LiveItems>(scope, select.clone(), READ_AT_ONCE).await?;
            page.entries.iter().for_each(|entry| look(&entry.record.state, entry.record.page.as_ref()));
            let Some(next) = page.next else { return Ok(()) };
            select = select.after(&next);
        }
    }
}
