//! What people read about runs: by id, by workflow, by user; and their cancellation.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use trunnion_core::{
    answer::Answer,
    id::{RunId, UserId, WorkflowId},
    machine::{self, Next, Outcome, Status},
    records::LiveRun,
    release::Release,
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, KeyOwner, Select,
    tables::{CalledRuns, EndedRuns, LiveRuns, RunOutline, RunsByWorkflow},
};

use super::{
    execute::changes_of,
    items::{items_of, remove_items},
    queue::Queue,
    waiting::Waiting,
};
use crate::{
    context::Context,
    error::{Error, Result, present},
    finish::finish,
    patience::{Patience, may_be_tried_again},
    workflows::Releases,
};

/// How often a cancellation is tried again after the run moved on meanwhile.
const MAX_CONFLICTS: u32 = 16;

/// Rows of a listing read at once.
const PAGE: usize = 128;

/// Reads runs.
#[derive(Clone, Debug)]
pub struct RunLog {
    pub(super) context: Context,
    pub(super) releases: Arc<Releases>,
    pub(super) queue: Arc<Queue>,
    waiting: Arc<Waiting>,
}

/// Which runs of a workflow to list.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only those that failed.
    pub failed: bool,
    /// Oldest first.
    pub ascending: bool,
    /// How many to pass over.
    pub skip: usize,
    /// How many at most.
    pub limit: usize,
}

/// A part of the listing of runs, whether it is the last or not.
#[derive(Debug)]
pub struct Newest {
    /// The runs, newest first.
    pub runs: Vec<LiveRun>,
    /// Behind which run the rest begins; none where nothing is left.
    pub next: Option<RunId>,
}

impl RunLog {
    /// Over `context`; runs under way are `queue`'s.
    #[must_use]
    pub const fn new(
        context: Context,
        releases: Arc<Releases>,
        queue: Arc<Queue>,
        waiting: Arc<Waiting>,
    ) -> Self {
        Self { context, releases, queue, waiting }
    }

    /// One run, ended or not.
    pub async fn run(&self, scope: &Scope, id: RunId) -> Result<LiveRun> {
        // Ended first would miss a run that ends between the two look-ups.
        if let Some(run) = self.context.store.get::<LiveRuns>(scope, &id).await? {
            return Ok(run.record);
        }
        match self.context.store.get::<EndedRuns>(scope, &id).await? {
            Some(run) => Ok(run.record),
            None => Err(Error::not_found("run-unknown", format!("there is no run `{id}`"))),
        }
    }

    /// What a run has answered, or the one that it handed its request to; `None` while it has not.
    pub async fn answer(&self, scope: &Scope, id: RunId) -> Result<Option<Answer>> {
        let mut run = self.run(scope, id).await?;
        if let Some(to) = Release::routed_to(&run.state) {
            run = self.run(scope, to).await?;
        }
        Ok(self.releases.of_run(scope, &run).await?.answer(&run.state))
    }

    /// Ended runs of a workflow. Those of erased users count for nothing, so that a page is short only at the end.
    pub async fn ended(&self, scope: &Scope, wanted: &Wanted) -> Result<Vec<LiveRun>> {
        let mut select = Select::all().prefix(&wanted.workflow);
        if !wanted.ascending {
            select = select.backward();
        }
        let fits = |row: &RunOutline| {
            wanted.user.is_none_or(|user| user == row.user)
                && (!wanted.failed || row.failed)
                && !self.is_erased(scope, row.user)
        };
        // Page by page: a workflow may have a million ended runs, of which a listing shows the newest few.
        let mut skip = wanted.skip;
        let mut runs = Vec::new();
        loop {
            let page = self.context.store.page::<RunsByWorkflow>(scope, select.clone(), PAGE).await?;
            for entry in page.entries.iter().filter(|entry| fits(&entry.record)) {
                if runs.len() == wanted.limit {
                    return Ok(runs);
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let (_, id) = entry.key;
                let run = present(self.context.store.get::<EndedRuns>(scope, &id).await)?;
                runs.extend(run.map(|run| run.record));
            }
            let Some(next) = page.next else { return Ok(runs) };
            select = select.after(&next);
        }
    }

    /// Whether nobody can read a user's runs any more, of which an outline is left until retention comes to it.
    pub(super) fn is_erased(&self, scope: &Scope, user: UserId) -> bool {
        self.context.store.keys().is_erased(KeyOwner::User(*scope, user))
    }

    /// At most `limit` runs after `after`, newest first, whether they have ended or not. So many of either are looked
    /// at, with those of erased users, which are left out.
    pub async fn newest(&self, scope: &Scope, after: Option<RunId>, limit: usize) -> Result<Newest> {
        let mut select = Select::all().backward();
        if let Some(after) = after {
            select = select.after(&after);
        }
        let live = self.context.store.page::<LiveRuns>(scope, select.clone(), limit).await?;
        let ended = self.context.store.page::<EndedRuns>(scope, select, limit).await?;
        // Behind this, either may hold runs that are not known yet.
        let mut next = live.next.max(ended.next);
        let live = live.entries.into_iter().map(|entry| entry.record);
        let mut runs: Vec<_> = live.chain(ended.entries.into_iter().map(|entry| entry.record)).collect();
        runs.retain(|run| next.is_none_or(|next| run.id >= next));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        runs.dedup_by(|a, b| a.id == b.id);
        if runs.len() > limit {
            runs.truncate(limit);
            next = runs.last().map(|run| run.id);
        }
        Ok(Newest { runs, next })
    }

    /// To be called once a state of a run is durable: whoever waits for it hears of it, and what a cancelled run has
    /// called is cancelled with it, as soon as the disk takes it. A host that dies before that does it at its start.
    pub(super) async fn settled(&self, scope: &Scope, run: &LiveRun, release: &Release) {
        self.waiting.told(scope, run, release);
        self.cancelled(scope, run).await;
    }

    async fn cancelled(&self, scope: &Scope, run: &LiveRun) {
        if !matches!(run.state.status, Status::Ended { outcome: Outcome::Cancelled, .. }) {
            return;
        }
        let mut patience = Patience::new();
        while let Err(error) = self.cancel_called(scope, run.id).await {
            let again = may_be_tried_again(&error);
            tracing::error!(
                run = %run.id, again, error = &error as &dyn std::error::Error,
                "what a cancelled run has called could not be cancelled"
            );
            if !again {
                return;
            }
            patience.pause().await;
        }
    }

    /// Boxed, since what was called may have called others.
    fn cancel_called<'a>(&'a self, scope: &'a Scope, caller: RunId) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let called = self.context.store.list::<CalledRuns>(scope, Select::all().prefix(&caller)).await?;
            for entry in called {
                let (_, id) = entry.key;
                self.cancel_here(scope, id).await?;
            }
            Ok(())
        })
    }

    /// Cancels a run whose caller was cancelled while nobody was there to do it.
    pub(super) async fn cancel_abandoned(&self, scope: &Scope, id: RunId, caller: RunId) -> Result<()> {
        let cancelled = match self.context.store.get::<EndedRuns>(scope, &caller).await? {
            Some(run) => matches!(run.record.state.status, Status::Ended { outcome: Outcome::Cancelled, .. }),
            None => false,
        };
        if cancelled {
            self.cancel(scope, id).await?;
        }
        Ok(())
    }

    /// Whether a run was woken since this was last asked.
    pub(super) fn take_woken(&self, run: RunId) -> bool {
        self.waiting.take_woken(run)
    }

    /// Whether it was, for whoever comes next to ask again.
    pub(super) fn is_woken(&self, run: RunId) -> bool {
        self.waiting.is_woken(run)
    }

    /// Says again that a run was woken, where whoever asked could not look.
    pub(super) fn wake_again(&self, run: RunId) {
        self.waiting.wake_again(run);
    }

    /// Asks a run to end. One that waits ends at once; one that is under way after its current step.
    ///
    /// To its end: where the caller goes away after the commit, whoever waits for the run must hear of it all the same.
    pub async fn cancel(&self, scope: &Scope, id: RunId) -> Result<LiveRun> {
        let (this, scope) = (self.clone(), *scope);
        finish(async move { this.cancel_here(&scope, id).await }).await
    }

    async fn cancel_here(&self, scope: &Scope, id: RunId) -> Result<LiveRun> {
        for _ in 0..MAX_CONFLICTS {
            let Some(stored) = self.context.store.get::<LiveRuns>(scope, &id).await? else {
                return self.run(scope, id).await;
            };
            let mut run = stored.record;
            let decision = machine::cancel(run.state.clone(), self.context.now());
            if decision.next == Next::Nothing && decision.state == run.state {
                return Ok(run);
            }
            run.state = decision.state;
            let mut batch: Batch = changes_of(scope, &run, stored.version);
            if run.state.ended() {
                let items = items_of(&self.context.store, scope, run.id).await?;
                remove_items(&mut batch, scope, &items);
            }
            match self.context.store.commit(batch).await {
                Ok(_) => {
                    if run.state.ended() {
                        self.queue.ended(scope, &run);
                    } else {
                        self.queue.cancel(run.id);
                    }
                    match self.releases.of_run(scope, &run).await {
                        Ok(release) => self.settled(scope, &run, &release).await,
                        // Without its release nobody can tell what it answered; it ends all the same.
                        Err(error) => {
                            tracing::warn!(run = %id, error = &error as &dyn std::error::Error, "a run was cancelled whose release cannot be had");
                            self.cancelled(scope, &run).await;
                        }
                    }
                    return Ok(run);
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        Err(Error::conflict("run-busy", format!("run `{id}` changes too quickly to be cancelled; try again")))
    }
}
