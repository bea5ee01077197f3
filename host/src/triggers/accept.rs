//! The one way in: an event becomes durable, is deduplicated, and starts one run for each matching
//! installation, all in one commit.
//!
//! Invariant: when `accept` returns `Ok`, every run it names is on disk and in this process's queue, so that either
//! this process ends it or the next one finds it. A run that soon has its turn is leased in the same commit; behind
//! a long queue it is not, so that a process that dies takes nothing from runs that it had not begun.

mod line;
mod replay;

use std::sync::Arc;

use trunnion_core::{
    id::{EventId, InstallationId, RunId, UserId, WorkflowId},
    machine::{self, Event, Next, RunState, Status},
    payload::Payload,
    records::{EventSource, Installation, LedgerEntry, LiveRun},
    release::ROUTED,
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select, Store, Table as _, Version,
    tables::{CalledRuns, Installations, InstallationsByTrigger, Ledger, LiveRuns, Present},
};

use super::gate::{Gate, Pass};
use crate::{
    context::Context,
    error::{Error, Result},
    finish::finish,
    outbox::{Leaving, Outbox},
    runs::{Held, Queue, execute::record_end, queue::Joined},
    workflows::Releases,
};

/// How often a commit is tried again after somebody else changed the same records.
const MAX_CONFLICTS: u32 = 8;

/// Installations looked at in one read.
const PAGE: usize = 64;

/// Something that happened, not yet durable.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where it came from.
    pub source: EventSource,
    /// Its payload: `trigger` in mappings.
    pub data: Payload,
    /// Which installations it starts: see [`custom_key`], [`subscription_key`], [`app_key`], [`request_key`]
    /// and [`call_key`].
    pub trigger: [u8; 16],
    /// What recognises a repetition; absent where none can be.
    pub seen: Option<Seen>,
    /// The refusal where no active installation matches; absent where such an arrival is simply nothing to do.
    pub unmatched: Option<String>,
}

/// What recognises a repetition of an arrival.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its key in the ledger.
    pub key: [u8; 16],
    /// SHA-256 of the request, where a repetition must be the same request.
    pub body_hash: Option<String>,
}

/// What starts one known installation, which may come or go in the same commit.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// What happened; nothing is looked up by its trigger.
    pub arrival: Arrival,
    /// What it starts.
    pub installation: Installation,
}

/// What became of arrivals.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// Runs started.
    pub runs: Vec<RunId>,
    /// Arrivals that had been seen before.
    pub duplicates: usize,
    /// The runs that those had started, where each had started just one.
    pub repeated: Vec<RunId>,
    /// The positions of those new arrivals that started nothing, since no active installation matches.
    pub unmatched: Vec<usize>,
}

/// Accepts events.
#[derive(Clone, Debug)]
pub struct Acceptor {
    context: Context,
    releases: Arc<Releases>,
    queue: Arc<Queue>,
    gate: Gate,
    outbox: Outbox,
}

/// The trigger key of a user's custom event.
#[must_use]
pub fn custom_key(store: &Store, scope: &Scope, user: UserId, event: &str) -> [u8; 16] {
    let mut name = user.as_bytes().to_vec();
    name.extend_from_slice(event.as_bytes());
    store.keyed_hash(scope, "trigger-event", &name)
}

/// The trigger key of a vendor subscription.
#[must_use]
pub fn subscription_key(store: &Store, scope: &Scope, id: trunnion_core::id::SubscriptionId) -> [u8; 16] {
    store.keyed_hash(scope, "trigger-subscription", id.as_bytes())
}

/// The trigger key of an app's own webhook: app, the manifest's trigger, and the account at the vendor.
#[must_use]
pub fn app_key(store: &Store, scope: &Scope, (app, trigger, account): (&str, &str, &str)) -> [u8; 16] {
    // Ids of apps and triggers have no NUL, so no two of these read the same.
    let name = [app, trigger, account].join("\0");
    store.keyed_hash(scope, "trigger-app", name.as_bytes())
}

/// The trigger key of the requests to an installation.
#[must_use]
pub fn request_key(store: &Store, scope: &Scope, id: InstallationId) -> [u8; 16] {
    store.keyed_hash(scope, "trigger-request", id.as_bytes())
}

/// The trigger key of calls of a user's copy of a workflow.
#[must_use]
pub fn call_key(store: &Store, scope: &Scope, user: UserId, workflow: WorkflowId) -> [u8; 16] {
    let name = [user.as_bytes().as_slice(), workflow.as_bytes()].concat();
    store.keyed_hash(scope, "trigger-call", &name)
}

/// The id of the run that an arrival starts, where it follows from what called it.
fn called(source: &EventSource) -> Option<RunId> {
    match source {
        EventSource::Call { run, step, .. } => Some(machine::called_run(*run, step)),
        EventSource::Preprocess { run, .. } => Some(machine::called_run(*run, ROUTED)),
        _ => None,
    }
}

/// Adds a new run to what is committed: among the ended ones, where it could not even be queued.
fn add_run(batch: &mut Batch, scope: &Scope, run: &LiveRun) {
    match &run.state.status {
        Status::Ended { outcome, at } => record_end(batch, scope, run, outcome, *at),
        Status::Queued { .. } | Status::Leased { .. } => batch.insert::<LiveRuns>(scope, &run.id, run),
    }
}

impl Acceptor {
    /// Accepts into `queue`, from callers in the order of `gate`; of what could not even be queued, `outbox` tells.
    #[must_use]
    pub const fn new(
        context: Context,
        releases: Arc<Releases>,
        queue: Arc<Queue>,
        gate: Gate,
        outbox: Outbox,
    ) -> Self {
        Self { context, releases, queue, gate, outbox }
    }

    /// Refuses where the host already holds as much work as it may, so that a caller can stop before it reads
    /// a body.
    pub fn admit(&self) -> Result<()> {
        self.queue.admit()
    }

    /// Refuses where as much work of a user already waits as may: whoever takes work in asks before it accepts any.
    pub fn admit_user(&self, scope: &Scope, user: UserId) -> Result<()> {
        self.queue.admit_user(scope, user)
    }

    /// As [`Acceptor::admit_user`], for a caller: it waits for its user's turn to be taken in.
    pub async fn enter(&self, scope: &Scope, user: UserId) -> Result<Pass> {
        self.admit_user(scope, user)?;
        Ok(self.gate.enter(scope, user).await)
    }

    /// Accepts `arrivals`, in one commit with what `also` adds (the removal of the delivery they came in).
    pub async fn accept<F>(&self, scope: &Scope, arrivals: Vec<Arrival>, also: F) -> Result<Accepted>
    where
        F: Fn(&mut Batch) + Send + Sync,
    {
        self.prepare_and_commit(scope, None, arrivals, |batch, _| also(batch)).await
    }

    /// As [`Acceptor::accept`] for a caller that has entered, where what is added depends on the runs that are started.
    pub async fn accept_with<F>(
        &self,
        scope: &Scope,
        pass: Pass,
        arrivals: Vec<Arrival>,
        also: F,
    ) -> Result<Accepted>
    where
        F: Fn(&mut Batch, &[RunId]) + Send + Sync,
    {
        self.prepare_and_commit(scope, Some(pass), arrivals, also).await
    }

    async fn prepare_and_commit<F>(
        &self,
        scope: &Scope,
        mut pass: Option<Pass>,
        arrivals: Vec<Arrival>,
        also: F,
    ) -> Result<Accepted>
    where
        F: Fn(&mut Batch, &[RunId]) + Send + Sync,
    {
        for _ in 0..MAX_CONFLICTS {
            let mut batch = Batch::new();
            let mut accepted = Accepted::default();
            let mut held = Vec::new();
            let mut keys = Vec::new();
            for (position, arrival) in arrivals.iter().enumerate() {
                if let Some(seen) = &arrival.seen {
                    let known = self.known(scope, seen).await?;
                    if known.is_some() || keys.contains(&seen.key) {
                        accepted.duplicates += 1;
                        accepted.repeated.extend(known.and_then(|entry| entry.run));
                        continue;
                    }
                }
                let event: EventId = self.context.ids.next();
                let before = held.len();
                self.fan_out(scope, arrival, event, &mut held).await?;
                let started = held.get(before..).unwrap_or_default();
                if let (true, Some(message)) = (started.is_empty(), &arrival.unmatched) {
                    return Err(Error::invalid("installation-missing", message.clone()));
                }
                if started.is_empty() {
                    accepted.unmatched.push(position);
                }
                if let Some(seen) = &arrival.seen {
                    keys.push(seen.key);
                    let run = match started {
                        [one] => Some(one.run.id),
                        _ => None,
                    };
                    let entry = LedgerEntry {
                        at: self.context.now(),
                        body_hash: seen.body_hash.clone(),
                        event: Some(event),
                        run,
                    };
                    batch.insert::<Ledger>(scope, &seen.key, &entry);
                }
            }
            also(&mut batch, &held.iter().map(|run| run.run.id).collect::<Vec<_>>());
            for Held { run, .. } in &held {
                add_run(&mut batch, scope, run);
                if let (EventSource::Call { run: caller, .. }, false) = (&run.source, run.state.ended()) {
                    batch.put::<CalledRuns>(scope, &(*caller, run.id), &Present {});
                }
            }
            if batch.is_empty() {
                return Ok(accepted);
            }
            // Others prepare theirs while this waits for the disk.
            drop(pass.take());
            match self.commit(scope, batch, held).await? {
                Ok(runs) => return Ok(Accepted { runs, ..accepted }),
                // Somebody else accepted the same just now. What `also` holds on is for the caller to read anew.
                Err(CommitError::Conflict { table, .. }) if table == Ledger::NAME => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        Err(Error::Internal(format!(
            "an event was changed by others {MAX_CONFLICTS} times while it was accepted; send it again"
        )))
    }

    /// Starts a run for each of `beginnings`, in one commit with `batch`, whose own conditions say that this happens
    /// once: a conflict is the caller's to judge.
    pub async fn begin(
        &self,
        scope: &Scope,
        mut batch: Batch,
        beginnings: Vec<Beginning>,
    ) -> Result<Result<Vec<RunId>, CommitError>> {
        let mut held = Vec::new();
        for Beginning { arrival, installation } in beginnings {
            let run = self.start(scope, &arrival, self.context.ids.next(), &installation).await?;
            add_run(&mut batch, scope, &run.run);
            held.push(run);
        }
        self.commit(scope, batch, held).await
    }

    /// Commits, and hands the runs it makes durable to the queue.
    ///
    /// To its end: a caller that goes away does not take a commit back, and a run that is durable and leased by this
    /// process but not in its queue would wait for the next start.
    async fn commit(
        &self,
        scope: &Scope,
        mut batch: Batch,
        held: Vec<Held>,
    ) -> Result<Result<Vec<RunId>, CommitError>> {
        let mut leaving = Leaving::none();
        for stillborn in held.iter().filter(|held| held.run.state.ended()) {
            leaving.extend(self.outbox.of_run(scope, &stillborn.run, &stillborn.release).await?);
        }
        leaving.add_to(&mut batch, scope);
        let (context, queue) = (self.context.clone(), Arc::clone(&self.queue));
        let (outbox, scope) = (self.outbox.clone(), *scope);
        let committed = finish(async move {
            let version = context.store.commit(batch).await?;
            outbox.go(&scope, leaving);
            let mut runs = Vec::with_capacity(held.len());
            for mut run in held {
                runs.push(run.run.id);
                run.version = version;
                queue.push_accepted(run);
            }
            Ok(runs)
        });
        Ok(committed.await)
    }

    async fn known(&self, scope: &Scope, seen: &Seen) -> Result<Option<LedgerEntry>> {
        let Some(entry) = self.context.store.get::<Ledger>(scope, &seen.key).await? else { return Ok(None) };
        if entry.record.body_hash == seen.body_hash {
            return Ok(Some(entry.record));
        }
        let message = "this Idempotency-Key was used with another body; use a new key for a new request";
        Err(Error::KeyReused { message: message.to_owned() })
    }

    async fn fan_out(
        &self,
        scope: &Scope,
        arrival: &Arrival,
        event: EventId,
        held: &mut Vec<Held>,
    ) -> Result<()> {
        let store = &self.context.store;
        // Small pages: the store answers them without copying what it holds in memory.
        let mut select = Select::all().prefix(&arrival.trigger);
        loop {
            let page = store.page::<InstallationsByTrigger>(scope, select.clone(), PAGE).await?;
            for entry in &page.entries {
                let (_, id) = entry.key;
                let key = (entry.record.user, id);
                let Some(installation) = store.recall::<Installations>(scope, &key).await? else { continue };
                let installation = &installation.record;
                if installation.active && self.starts(scope, arrival, installation).await? {
                    held.push(self.start(scope, arrival, event, installation).await?);
                }
            }
            let Some(next) = page.next else { return Ok(()) };
            select = select.after(&next);
        }
    }

    /// Whether an installation's workflow asked for this occurrence of its trigger.
    async fn starts(&self, scope: &Scope, arrival: &Arrival, installation: &Installation) -> Result<bool> {
        let compiled = self.releases.get(scope, installation.workflow, installation.release).await?;
        Ok(compiled.release.definition.trigger.starts(arrival.data.whole(), &installation.config))
    }

    async fn start(
        &self,
        scope: &Scope,
        arrival: &Arrival,
        event: EventId,
        installation: &Installation,
    ) -> Result<Held> {
        let compiled = self.releases.get(scope, installation.workflow, installation.release).await?;
        let release = Arc::clone(&compiled.release);
        let now = self.context.now();
        let id = called(&arrival.source).unwrap_or_else(|| self.context.ids.next());
        let hold = self.queue.hold(id.0);
        let hold = hold.ok_or_else(|| Error::Internal(format!("the new run's id {id} is in use")))?;
        let (joined, state) = match self.line(scope, &release, (installation, id), arrival).await? {
            Ok(joined) => (joined, RunState::queued(now)),
            Err(error) => (None, line::unordered(error, now)),
        };
        let waits = joined.as_ref().is_some_and(Joined::waits);
        let (state, next) = if !waits && self.queue.keeps_run(scope, installation.user, arrival.data.whole())
        {
            let lease = Event::Leased(self.queue.lease(now));
            let decision = machine::apply(state, &release.program.rules, lease, now);
            (decision.state, decision.next)
        } else {
            (state, Next::Nothing)
        };
        let run = LiveRun {
            id,
            event,
            source: arrival.source.clone(),
            trigger: arrival.data.clone(),
            user: installation.user,
            installation: installation.id,
            workflow: installation.workflow,
            release: installation.release,
            digests: compiled.digests.clone(),
            connections: installation.connections.clone(),
            config: installation.config.clone(),
            accepted_at: now,
            state,
            line: joined.as_ref().map(Joined::place),
            replay_of: None,
            replays: Vec::new(),
            log: Vec::new(),
        };
        Ok(Held::new(*scope, run, release, (Version::ZERO, next), hold).in_line(joined))
    }
}
