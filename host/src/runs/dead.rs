//! Dead letters: what exhausted its retries, and how it goes on or is let go.
//!
//! A letter of a run only names it: the run itself is among the ended ones, and the items that its `for_each` had come
//! to stay with it. Invariant: a letter is removed by the very commit that has its work go on, so nothing goes on
//! twice and nothing is lost between.

use std::sync::Arc;

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{Id, RunId, UserId, WorkflowId},
    machine::{self, Outcome, Status},
    records::{Callback, DeadLetter, DeadWork, Delivery, LiveRun, LogLevel, LogLine, Notice, StreamBatch},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select, Versioned,
    tables::{
        Callbacks, DeadLetters as Letters, Deliveries, EndedRuns, HeldKeys, LiveRuns, Notices,
        RunsByWorkflow, StreamBatches, Subscriptions,
    },
};

use super::{
    execute::push_line,
    items::{items_of, remove_items},
    queue::{Queue, Work},
};
use crate::{
    context::Context,
    error::{Error, Result},
    finish::finish,
    outbox,
    streams::batches,
    workflows::Releases,
};

/// How often a change is tried again after somebody else changed the same.
const MAX_CONFLICTS: u32 = 8;

/// Letters read at once.
const PAGE: usize = 100;

/// How many letters, also of erased users, one listing looks at before it answers with what it found and where to go on.
const MAX_LOOKED_AT: usize = 5_000;

/// Looks after dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    context: Context,
    releases: Arc<Releases>,
    queue: Arc<Queue>,
}

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A run.
    Run,
    /// A delivery that could not be parsed.
    Delivery,
    /// An answer that nobody took.
    Callback,
    /// An event or error that nobody took.
    Notice,
    /// Items that nobody took.
    Batch,
}

/// Which letters; those that fit all that is named.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of runs of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Of runs that use this app, and deliveries from it.
    pub app: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Whose error is of this kind: `auth_expired`, `unavailable`, …
    pub error: Option<String>,
    /// Put here at this moment or later.
    pub from: Option<Timestamp>,
    /// Put here before this moment.
    pub to: Option<Timestamp>,
}

/// A letter and what it is about.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id: that of the run or delivery.
    pub id: Id,
    /// When it was put here.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Whose it is; none where it is about no user.
    pub user: Option<UserId>,
    /// What it is about.
    pub work: LetterWork,
}

/// What a letter is about, as it stands.
#[derive(Clone, Debug)]
pub enum LetterWork {
    /// A run; none where its record is no longer kept.
    Run(Option<Box<LiveRun>>),
    /// A delivery, and the app it came from, where its subscription still stands.
    Delivery(Box<Delivery>, Option<String>),
    /// The answer of a run: where it should have gone, and what the last attempt failed with.
    Callback { run: RunId, url: String, error: Option<CallError> },
    /// An event or error for the ISV.
    Notice(Box<Notice>),
    /// Items of several runs.
    Batch(Box<StreamBatch>),
}

/// A page of letters.
#[derive(Debug)]
pub struct Page {
    /// The letters, newest first.
    pub letters: Vec<Letter>,
    /// Where to go on; none at the end.
    pub next: Option<Id>,
}

/// Work that goes on.
enum Revived {
    Run(Box<LiveRun>),
    Other(Work),
}

/// What became of many letters.
#[derive(Debug, Default)]
pub struct Redriven {
    /// Those whose work goes on.
    pub ids: Vec<Id>,
    /// Those whose work does not, and why.
    pub refused: Vec<(Id, Error)>,
    /// Where to go on; none where no more fit.
    pub next: Option<Id>,
}

impl Letter {
    /// What its work failed with last.
    #[must_use]
    pub fn error(&self) -> Option<&CallError> {
        match &self.work {
            LetterWork::Run(run) => match &run.as_ref()?.state.status {
                Status::Ended { outcome: Outcome::Failed { error, .. }, .. } => Some(error),
                Status::Ended { .. } | Status::Queued { .. } | Status::Leased { .. } => None,
            },
            LetterWork::Delivery(delivery, _) => delivery.last_error.as_ref(),
            LetterWork::Callback { error, .. } => error.as_ref(),
            LetterWork::Notice(notice) => notice.last_error.as_ref(),
            LetterWork::Batch(batch) => batch.last_error.as_ref(),
        }
    }

    fn fits(&self, wanted: &Wanted) -> bool {
        let Wanted { workflow, user, app, kind, error, from, to } = wanted;
        let run = match &self.work {
            LetterWork::Run(run) => run.as_deref(),
            LetterWork::Delivery(..)
            | LetterWork::Callback { .. }
            | LetterWork::Notice(_)
            | LetterWork::Batch(_) => None,
        };
        let of_app = |wanted: &String| match &self.work {
            LetterWork::Run(_) => run
                .is_some_and(|run| run.digests.contains_key(wanted) || run.connections.contains_key(wanted)),
            LetterWork::Delivery(_, app) => app.as_ref() == Some(wanted),
            LetterWork::Callback { .. } | LetterWork::Notice(_) | LetterWork::Batch(_) => false,
        };
        let own_kind = match &self.work {
            LetterWork::Run(_) => Kind::Run,
            LetterWork::Delivery(..) => Kind::Delivery,
            LetterWork::Callback { .. } => Kind::Callback,
            LetterWork::Notice(_) => Kind::Notice,
            LetterWork::Batch(_) => Kind::Batch,
        };
        workflow.is_none_or(|wanted| run.is_some_and(|run| run.workflow == wanted))
            && user.is_none_or(|wanted| self.user == Some(wanted))
            && app.as_ref().is_none_or(of_app)
            && kind.is_none_or(|wanted| own_kind == wanted)
            && error.as_ref().is_none_or(|wanted| self.error().is_some_and(|error| error.kind() == wanted))
            && from.is_none_or(|from| self.at >= from)
            && to.is_none_or(|to| self.at < to)
    }
}

impl DeadLetters {
    /// Over `context`; what goes on goes to `queue`.
    #[must_use]
    pub const fn new(context: Context, releases: Arc<Releases>, queue: Arc<Queue>) -> Self {
        Self { context, releases, queue }
    }

    /// Letters, newest work first.
    pub async fn list(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        mut after: Option<Id>,
        limit: usize,
    ) -> Result<Page> {
        let mut letters = Vec::new();
        let mut looked_at = 0;
        loop {
            let mut select = Select::all().backward();
            if let Some(after) = &after {
                select = select.after(after);
            }
            let page = self.context.store.page::<Letters>(scope, select, PAGE).await?;
            looked_at += PAGE;
            for entry in page.entries {
                after = Some(entry.key);
                let letter = self.whole(scope, entry.key, entry.record).await?;
                if letter.fits(wanted) {
                    letters.push(letter);
                }
                if letters.len() == limit {
                    return Ok(Page { letters, next: after });
                }
            }
            after = page.next;
            if after.is_none() || looked_at >= MAX_LOOKED_AT {
                return Ok(Page { letters, next: after });
            }
        }
    }

    /// One letter.
    pub async fn one(&self, scope: &Scope, id: Id) -> Result<Letter> {
        let stored = self.stored(scope, id).await?;
        self.whole(scope, id, stored.record).await
    }

    /// Has the work of a letter go on: a run at the step that failed, with its idempotency keys; a delivery is parsed
    /// again. A step that may never be repeated unknown is repeated: that is what is asked for.
    pub async fn redrive(&self, scope: &Scope, id: Id) -> Result<()> {
        for _ in 0..MAX_CONFLICTS {
            let Versioned { record: letter, version } = self.stored(scope, id).await?;
            let mut batch = Batch::new();
            batch.remove::<Letters>(scope, &id, version);
            let revived = match letter.work {
                DeadWork::Run { user, .. } => {
                    self.queue.admit_user(scope, user)?;
                    Revived::Run(Box::new(self.revive(scope, id, &mut batch).await?))
                }
                DeadWork::Delivery { delivery } => {
                    self.queue.admit_user(scope, delivery.user)?;
                    let now = self.context.now();
                    let delivery = Delivery {
                        attempts: 0,
                        not_before: now,
                        waits: None,
                        limited_since: None,
                        ..*delivery
                    };
                    batch.insert::<Deliveries>(scope, &delivery.id, &delivery);
                    Revived::Other(Work::DeliveryDue { scope: *scope, id: delivery.id, user: delivery.user })
                }
                DeadWork::Callback { run, user, callback, .. } => {
                    let Some(callback) = callback else {
                        let message = format!(
                            "dead letter `{id}` does not say how its answer was to be signed; remove it, and read the \
                             answer from run `{run}`"
                        );
                        return Err(Error::conflict("dead-letter-stale", message));
                    };
                    let now = self.context.now();
                    let callback = Callback { attempts: 0, lease: None, not_before: now, ..*callback };
                    batch.insert::<Callbacks>(scope, &run, &callback);
                    Revived::Other(Work::CallbackDue { scope: *scope, run, user })
                }
                DeadWork::Notice { notice } => {
                    let notice = Notice { attempts: 0, not_before: self.context.now(), ..*notice };
                    batch.insert::<Notices>(scope, &id, &notice);
                    Revived::Other(outbox::due(*scope, id, &notice))
                }
                DeadWork::Batch { batch: dead } => {
                    let dead = StreamBatch { attempts: 0, not_before: self.context.now(), ..*dead };
                    let key = batches::key_of(&self.context.store, scope, &dead);
                    batch.insert::<StreamBatches>(scope, &key, &dead);
                    Revived::Other(batches::due(*scope, Arc::from(dead.stream)))
                }
            };
            // To its end: a caller that goes away must not leave behind what is in nobody's queue.
            let (store, queue, scope) = (self.context.store.clone(), Arc::clone(&self.queue), *scope);
            let committed = finish(async move {
                let committed = store.commit(batch).await;
                match revived {
                    Revived::Run(run) if committed.is_ok() => queue.revive(scope, &run),
                    Revived::Other(work) if committed.is_ok() => queue.push(work),
                    Revived::Run(_) | Revived::Other(_) => {}
                }
                committed
            });
            match committed.await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = format!("dead letter `{id}` is changed by others again and again; look at it anew");
        Err(Error::conflict("dead-letter-busy", message))
    }

    /// Has the work of at most `limit` letters go on, as [`Self::redrive`] does.
    pub async fn redrive_all(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Redriven> {
        let Page { letters, next } = self.list(scope, wanted, after, limit).await?;
        let mut redriven = Redriven { next, ..Redriven::default() };
        for Letter { id, .. } in letters {
            match self.redrive(scope, id).await {
                Ok(()) => redriven.ids.push(id),
                // As much waits as may: what has not been looked at yet is for later.
                Err(error @ Error::Busy { .. }) if redriven.ids.is_empty() => return Err(error),
                Err(error) => redriven.refused.push((id, error)),
            }
        }
        Ok(redriven)
    }

    /// Lets a letter go: its work will not go on. A run stays among the ended ones.
    pub async fn delete(&self, scope: &Scope, id: Id) -> Result<()> {
        let Versioned { record: letter, version } = self.stored(scope, id).await?;
        let mut batch = Batch::new();
        batch.remove::<Letters>(scope, &id, version);
        match letter.work {
            DeadWork::Run { run, .. } => {
                remove_items(&mut batch, scope, &items_of(&self.context.store, scope, run).await?);
            }
            DeadWork::Batch { batch: dead } => batches::remove_items(&mut batch, scope, &dead),
            DeadWork::Delivery { .. } | DeadWork::Callback { .. } | DeadWork::Notice { .. } => {}
        }
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(()),
            // Somebody had it go on, or let it go, in the same moment.
            Err(CommitError::Conflict { .. }) => Err(unknown(id)),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Adds to `batch` that a run goes on.
    async fn revive(&self, scope: &Scope, id: Id, batch: &mut Batch) -> Result<LiveRun> {
        let key = id.into();
        let Some(stored) = self.context.store.get::<EndedRuns>(scope, &key).await? else {
            let message = format!(
                "run `{id}` is no longer kept, so it cannot go on; remove the dead letter, and send the event again"
            );
            return Err(Error::conflict("dead-letter-stale", message));
        };
        let mut run = stored.record;
        let release = self.releases.of_run(scope, &run).await?;
        let now = self.context.now();
        let state = machine::redrive(&run.state, &release.program.rules, now)
            .ok_or_else(|| Error::Internal(format!("run `{id}` is a dead letter and has not failed")))?;
        let message = format!("somebody had it go on; redrive {}", state.redrives);
        run.state = state;
        push_line(&mut run.log, LogLine { at: now, step: None, level: LogLevel::Info, message });
        batch.remove::<EndedRuns>(scope, &key, stored.version);
        batch.delete::<RunsByWorkflow>(scope, &(run.workflow, key));
        batch.insert::<LiveRuns>(scope, &key, &run);
        // It goes on holding its key, as a run that lives.
        if let Some(place) = run.line {
            batch.delete::<HeldKeys>(scope, &(run.installation, place.key.0, place.order));
        }
        Ok(run)
    }

    async fn stored(&self, scope: &Scope, id: Id) -> Result<Versioned<DeadLetter>> {
        self.context.store.get::<Letters>(scope, &id).await?.ok_or_else(|| unknown(id))
    }

    async fn whole(&self, scope: &Scope, id: Id, letter: DeadLetter) -> Result<Letter> {
        let DeadLetter { at, reason, work } = letter;
        let store = &self.context.store;
        let (user, work) = match work {
            DeadWork::Run { run, user } => {
                let run = store.get::<EndedRuns>(scope, &run).await?;
                (Some(user), LetterWork::Run(run.map(|run| Box::new(run.record))))
            }
            DeadWork::Delivery { delivery } => {
                let app = match &delivery.app {
                    Some(app) => Some(app.clone()),
                    None => {
                        let subscription = store.get::<Subscriptions>(scope, &delivery.subscription).await?;
                        subscription.map(|subscription| subscription.record.app)
                    }
                };
                (Some(delivery.user), LetterWork::Delivery(delivery, app))
            }
            DeadWork::Callback { run, user, url, callback } => {
                let error = callback.and_then(|callback| callback.last_error);
                (Some(user), LetterWork::Callback { run, url, error })
            }
            DeadWork::Notice { notice } => (notice.user, LetterWork::Notice(notice)),
            DeadWork::Batch { batch } => (None, LetterWork::Batch(batch)),
        };
        Ok(Letter { id, at, reason, user, work })
    }
}

fn unknown(id: Id) -> Error {
    let message = format!("there is no dead letter `{id}`; it may have been redriven or removed");
    Error::not_found("dead-letter-unknown", message)
}
