//! Ended runs by their outlines: of every workflow, filtered, sorted and counted without opening what they hold.

use std::cmp::Ordering;

use trunnion_core::{
    clock::Timestamp,
    definition::{Definition, Step, StepKind},
    id::{RunId, UserId, WorkflowId},
    records::LiveRun,
    scope::Scope,
};
use trunnion_store::{
    Select,
    tables::{EndedRuns, RunOutline, RunsByWorkflow, Workflows},
};

use super::log::RunLog;
use crate::error::{Result, present};

/// Outlines, and runs, that are read at once.
const PAGE: usize = 512;

/// An ended run, as far as its outline knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// What is said of it.
    pub outline: RunOutline,
}

/// What notices are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// When the run began.
    #[default]
    Begun,
    /// When it ended.
    Ended,
    /// Whether it failed.
    Outcome,
    /// Whose it is.
    User,
}

/// A page of notices.
#[derive(Debug)]
pub struct Notices {
    /// The runs of the page, whole.
    pub runs: Vec<LiveRun>,
    /// How many there are on all pages.
    pub total: usize,
}

/// Which notices.
#[derive(Debug)]
pub struct Wanted<F> {
    /// Only of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Only those.
    pub fits: F,
    /// In which order.
    pub sort: SortBy,
    /// Smallest first.
    pub ascending: bool,
    /// How many to pass over.
    pub skip: usize,
    /// How many at most.
    pub limit: usize,
}

/// What the ended runs of a workflow come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many there are.
    pub runs: u64,
    /// Those that failed.
    pub failed: u64,
    /// Steps in them that called an app and are done; a loop that does counts once.
    pub app_steps: u64,
}

impl Notice {
    /// When the run ended; where its outline is older than knowing that, when it began.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        self.outline.ended_at.unwrap_or_else(|| self.run.0.created_at())
    }
}

impl SortBy {
    fn compare(self, a: &Notice, b: &Notice) -> Ordering {
        let first = match self {
            Self::Begun => Ordering::Equal,
            Self::Ended => a.ended_at().cmp(&b.ended_at()),
            Self::Outcome => a.outline.failed.cmp(&b.outline.failed),
            Self::User => a.outline.user.cmp(&b.outline.user),
        };
        first.then(a.run.cmp(&b.run))
    }
}

impl RunLog {
    /// A page of the environment's ended runs, without those of erased users.
    pub async fn notices<F>(&self, scope: &Scope, wanted: Wanted<F>) -> Result<Notices>
    where
        F: Fn(&Notice) -> bool + Send + Sync,
    {
        let workflows = match wanted.workflow {
            Some(one) => vec![one],
            None => {
                let all = self.context.store.list::<Workflows>(scope, Select::all()).await?;
                all.into_iter().map(|entry| entry.key).collect()
            }
        };
        let mut found = Vec::new();
        for workflow in workflows {
            self.outlines(scope, workflow, |notice| {
                if (wanted.fits)(&notice) && !self.is_erased(scope, notice.outline.user) {
                    found.push(notice);
                }
            })
            .await?;
        }
        found.sort_unstable_by(|a, b| wanted.sort.compare(a, b));
        if !wanted.ascending {
            found.reverse();
        }
        let mut runs = Vec::new();
        for notice in found.iter().skip(wanted.skip).take(wanted.limit) {
            let run = present(self.context.store.get::<EndedRuns>(scope, &notice.run).await)?;
            runs.extend(run.map(|run| run.record));
        }
        Ok(Notices { runs, total: found.len() })
    }

    /// What a workflow's ended runs come to, of all users or of one.
    pub async fn totals(&self, scope: &Scope, workflow: WorkflowId, user: Option<UserId>) -> Result<Totals> {
        let mut ended = Vec::new();
        let mut totals = Totals::default();
        self.outlines(scope, workflow, |notice| {
            if user.is_none_or(|user| user == notice.outline.user) {
                totals.runs += 1;
                totals.failed += u64::from(notice.outline.failed);
                ended.push(notice.run);
            }
        })
        .await?;
        for run in ended {
            if let Some(run) = present(self.context.store.get::<EndedRuns>(scope, &run).await)? {
                let release = self.releases.of_run(scope, &run.record).await?;
                let results = run.record.state.results.iter();
                let calls = results.filter(|result| calls_an_app(&release.definition, &result.id)).count();
                totals.app_steps += u64::try_from(calls).unwrap_or(u64::MAX);
            }
        }
        Ok(totals)
    }

    async fn outlines(
        &self,
        scope: &Scope,
        workflow: WorkflowId,
        mut each: impl FnMut(Notice) + Send,
    ) -> Result<()> {
        let mut select = Select::all().prefix(&workflow);
        loop {
            let page = self.context.store.page::<RunsByWorkflow>(scope, select.clone(), PAGE).await?;
            for entry in page.entries {
                let (workflow, run) = entry.key;
                each(Notice { run, workflow, outline: entry.record });
            }
            let Some(next) = page.next else { return Ok(()) };
            select = select.after(&next);
        }
    }
}

fn calls_an_app(definition: &Definition, id: &str) -> bool {
    fn calls(step: &Step) -> bool {
        match &step.kind {
            StepKind::Action { .. } | StepKind::Batch { .. } => true,
            StepKind::ForEach { from, steps, .. } => from.is_some() || steps.iter().any(calls),
            _ => false,
        }
    }
    definition.every_step().into_iter().any(|(_, step)| step.id == id && calls(step))
}
