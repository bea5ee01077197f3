//! Drives one run: asks the machine, performs, journals, until the run ends or waits.
//!
//! Invariant: what the machine says to journal first is durable before anything is performed on it. A commit
//! that meets somebody else's change ends this process's hold: theirs is newer.

use std::sync::Arc;

use trunnion_core::{
    clock::Timestamp,
    id::{RunId, UserId},
    machine::{self, Decision, Event, Journal, Next, Outcome, Refused, RunState, Status, UNTIL_WOKEN, Waits},
    payload::List,
    records::{DeadLetter, DeadWork, EventSource, HeldKey, LiveRun, LogLevel, LogLine},
    release::{CompiledKind, Release},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, ReadError, Version,
    tables::{CalledRuns, DeadLetters, EndedRuns, HeldKeys, LiveRuns, RunOutline, RunsByWorkflow},
};

use super::{
    act::{Actor, Doing, Effect, Performed, Place, Wait},
    calls::still_waits,
    items::{Acted, Spent, has_items, items_of, remove_items},
    log::RunLog,
    persist::persist,
    queue::{
        Hold, Joined, Lane, Queue, Turn, Work, holds_line, lane_of, lane_of_step, likely_lane, weight_of_run,
    },
    routes::forget_request,
};
use crate::{
    context::Context,
    error::{Error, Result, present},
    outbox::{Leaving, Outbox},
    patience::Patience,
    workflows::Releases,
};

/// Log lines kept of one run; later ones are counted in the last.
const MAX_LOG_LINES: usize = 500;

/// A run that this process has leased.
#[derive(Debug)]
pub struct Held {
    /// Where it is.
    pub scope: Scope,
    /// The run.
    pub run: LiveRun,
    /// Its release.
    pub release: Arc<Release>,
    /// Its stored version.
    pub version: Version,
    /// What the machine said to do next.
    pub next: Next,
    /// Its place in a line, until it is known to be stored.
    pub(super) joined: Option<Joined>,
    /// Says that the run is in these hands.
    _hold: Hold,
    /// Items that the next commit of the run makes superfluous.
    pub(super) spent: Spent,
    /// What leaves the host with the next commit of the run.
    leaving: Leaving,
}

impl Held {
    /// A leased run.
    pub(crate) const fn new(
        scope: Scope,
        run: LiveRun,
        release: Arc<Release>,
        (version, next): (Version, Next),
        hold: Hold,
    ) -> Self {
        Self {
            scope,
            run,
            release,
            version,
            next,
            joined: None,
            _hold: hold,
            spent: Spent::new(),
            leaving: Leaving::none(),
        }
    }

    /// With its place in a line, which it joined for its accept.
    pub(crate) fn in_line(self, joined: Option<Joined>) -> Self {
        Self { joined, ..self }
    }
}

impl Held {
    /// What brings it here again.
    const fn due(&self) -> Work {
        Work::RunDue { scope: self.scope, id: self.run.id, user: self.run.user }
    }

    /// What the step of index `step` calls.
    fn lane(&self, step: usize) -> Lane {
        self.release.program.steps.get(step).map_or(Lane::Open, |step| lane_of_step(&self.run, step))
    }
}

/// Drives runs.
#[derive(Clone, Debug)]
pub struct Executor {
    pub(super) context: Context,
    releases: Arc<Releases>,
    actor: Actor,
    pub(super) queue: Arc<Queue>,
    runs: RunLog,
    pub(super) outbox: Outbox,
}

/// Whether this process goes on with a run.
enum Hands {
    Kept,
    /// Somebody else's: they go on with it.
    Lost,
    /// Somebody changed it that does not go on with it, or that this process cannot know to.
    Changed,
}

impl Executor {
    /// Performs with `actor`.
    #[must_use]
    pub const fn new(
        context: Context,
        releases: Arc<Releases>,
        actor: Actor,
        queue: Arc<Queue>,
        runs: RunLog,
        outbox: Outbox,
    ) -> Self {
        Self { context, releases, actor, queue, runs, outbox }
    }

    /// Takes up a run whose time has come: leases it durably, then drives it.
    pub async fn resume(&self, scope: Scope, id: RunId, turn: &mut Turn) -> Result<()> {
        while let Some((mut held, event)) = self.take_up(scope, id).await? {
            let woken = matches!(event, Event::Woken(_));
            let decided = self.decide(&mut held, event, self.context.now()).await;
            if decided.is_err() && woken {
                // It may wait for a time as well: whoever comes again must know that it was woken before it.
                self.runs.wake_again(id);
            }
            match decided? {
                Hands::Kept => return self.drive(held, turn).await,
                Hands::Lost => return Ok(()),
                // A cancellation came between reading and leasing: what it left is taken up, or nobody would.
                Hands::Changed => {}
            }
        }
        Ok(())
    }

    /// A run as it stands, where nobody works on it, and what takes it up.
    async fn take_up(&self, scope: Scope, id: RunId) -> Result<Option<(Held, Event)>> {
        // It may be in somebody's hands here, with a step that takes longer than a lease: they go on with it.
        let Some(hold) = self.queue.hold(id.0) else { return Ok(None) };
        let Some(stored) = present(self.context.store.get::<LiveRuns>(&scope, &id).await)? else {
            self.runs.take_woken(id);
            return Ok(None);
        };
        let mut run = stored.record;
        if self.queue.stands_back(&scope, &run) {
            // Whoever of its line ends or is skipped lets it begin.
            return Ok(None);
        }
        let now = self.context.now();
        run.state = self.woken(&scope, run.user, run.state).await?;
        if let Status::Leased { lease, .. } = &run.state.status
            && lease.until > now
            && (self.queue.holds(lease) || !self.context.store.exclusive())
        {
            // Another process works on it, or this one let it fall: when the lease ends, it counts as lost.
            drop(hold);
            let work = Work::RunDue { scope, id, user: run.user };
            self.queue.push_run_at(lease.until, likely_lane(&run), work, weight_of_run(&run));
            return Ok(None);
        }
        let release = self.releases.of_run(&scope, &run).await?;
        let early = matches!(run.state.status, Status::Queued { not_before, .. } if not_before > now);
        let called = self.runs.take_woken(id);
        let woken = early && run.state.parked.is_some_and(|until| called || until == UNTIL_WOKEN);
        let place = (&release.program, &run.state, "");
        let waits = if woken { still_waits(&self.context.store, &scope, id, place).await } else { Ok(false) };
        if waits.is_err() && called {
            self.runs.wake_again(id);
        }
        if waits? {
            drop(hold);
            self.unless_woken(Work::RunDue { scope, id, user: run.user }, id);
            return Ok(None);
        }
        let lease = self.queue.lease(now);
        let event = if woken { Event::Woken(lease) } else { Event::Leased(lease) };
        Ok(Some((Held::new(scope, run, release, (stored.version, Next::Nothing), hold), event)))
    }

    /// Cancels a run whose caller was cancelled while nobody was there to do it.
    pub async fn cancel_abandoned(&self, scope: &Scope, id: RunId, caller: RunId) -> Result<()> {
        self.runs.cancel_abandoned(scope, id, caller).await
    }

    /// Lets a run come back at once where it was woken while it was in somebody's hands: to be asked when it no longer
    /// is, so that either they see it or whoever woke it does.
    fn unless_woken(&self, work: Work, id: RunId) -> Option<Work> {
        if !self.runs.is_woken(id) {
            return Some(work);
        }
        // Whoever takes it up has to know that it was woken: it may come before the time that it waits for.
        self.queue.push(work);
        None
    }

    /// The state of a run or item as it is when the connection it waits for was mended: it goes on before its time.
    pub(super) async fn woken(&self, scope: &Scope, user: UserId, state: RunState) -> Result<RunState> {
        let (Some(Waits::Connection { connection, .. }), Status::Queued { .. }) =
            (state.waits, &state.status)
        else {
            return Ok(state);
        };
        if !self.actor.vault().is_usable(scope, user, connection).await? {
            return Ok(state);
        }
        Ok(machine::mended(state, self.context.now()))
    }

    /// Has a run go on when what it waits for is mended, if that is a connection.
    pub(super) async fn wait_for_mending(
        &self,
        scope: Scope,
        (id, user): (RunId, UserId),
        waits: Option<Waits>,
    ) -> Result<()> {
        let Some(Waits::Connection { connection, .. }) = waits else { return Ok(()) };
        let work = Work::RunDue { scope, id, user };
        self.actor.vault().go_on_when_mended(&scope, user, connection, work).await
    }

    /// Gives a lease back whose step was not begun, so that the next start does not take it for a lost one.
    pub async fn release(&self, mut held: Held) -> Result<()> {
        self.decide(&mut held, Event::Released, self.context.now()).await.map(drop)
    }

    /// Drives a leased run until it ends or waits, in `turn`.
    pub async fn drive(&self, mut held: Held, turn: &mut Turn) -> Result<()> {
        loop {
            let now = self.context.now();
            let event = match held.next {
                Next::End | Next::Nothing => {
                    let (work, id) = (held.due(), held.run.id);
                    drop(held);
                    self.unless_woken(work, id);
                    return Ok(());
                }
                Next::Wait(until) => {
                    let lane = lane_of(&held.run, &held.release.program, &held.run.state);
                    let (work, id, bytes) = (held.due(), held.run.id, weight_of_run(&held.run));
                    let (scope, user, waits) = (held.scope, held.run.user, held.run.state.waits);
                    let wakes = held.run.state.parked.is_some();
                    // Whoever takes it up must find it in nobody's hands.
                    drop(held);
                    // Only what waits by its own wish is woken: a word that came for an earlier step would cost a
                    // retry its time.
                    let work = if wakes { self.unless_woken(work, id) } else { Some(work) };
                    if let Some(work) = work.filter(|_| until != UNTIL_WOKEN) {
                        self.queue.push_run_at(until, lane, work, bytes);
                    }
                    return self.wait_for_mending(scope, (id, user), waits).await;
                }
                // Before an intent is durable as well: what waits here has not been begun.
                Next::Intend(step) | Next::Perform(step) | Next::Reconcile(step)
                    if !turn.enters(held.lane(step)) =>
                {
                    return self.put_back(held).await;
                }
                Next::Intend(_) => Event::Intended,
                Next::Perform(step) => self.act(&mut held, step, Doing::Perform, now).await?,
                Next::Reconcile(step) => self.act(&mut held, step, Doing::Reconcile, now).await?,
            };
            match self.decide(&mut held, event, self.context.now()).await? {
                Hands::Kept => {}
                Hands::Lost | Hands::Changed => return Ok(()),
            }
        }
    }

    /// Lets a run wait whose next call must wait for others of its lane; without a worker.
    async fn put_back(&self, mut held: Held) -> Result<()> {
        if self.queue.keeps(&held.scope, held.run.user) {
            self.queue.push(Work::Held(Box::new(held)));
            return Ok(());
        }
        // Too many wait already: only its name does, so its lease is given back first.
        let Hands::Kept = self.decide(&mut held, Event::Released, self.context.now()).await? else {
            return Ok(());
        };
        if let Next::Wait(until) = held.next {
            let lane = lane_of(&held.run, &held.release.program, &held.run.state);
            let (work, bytes) = (held.due(), weight_of_run(&held.run));
            drop(held);
            self.queue.push_run_at(until, lane, work, bytes);
        }
        Ok(())
    }

    async fn act(&self, held: &mut Held, step: usize, doing: Doing, started_at: Timestamp) -> Result<Event> {
        let release = Arc::clone(&held.release);
        let place = Place {
            scope: &held.scope,
            run: &held.run,
            program: &release.program,
            state: &held.run.state,
            outer: None,
            item: None,
            group: None,
            path: "",
            cursor: None,
        };
        let mut log = Vec::new();
        let Acted { event, spent, leaving } = self.act_at(place, step, doing, started_at, &mut log).await?;
        held.spent = spent;
        held.leaving.extend(leaving);
        for line in log {
            push_line(&mut held.run.log, line);
        }
        Ok(event)
    }

    /// Performs a step wherever it stands, and says what happened.
    pub(super) async fn act_at(
        &self,
        place: Place<'_>,
        step: usize,
        doing: Doing,
        started_at: Timestamp,
        log: &mut Vec<LogLine>,
    ) -> Result<Acted> {
        let id = place.program.rules.get(step).map(|rule| rule.id.clone());
        let in_place = place.list(step);
        let performed = self.actor.act(place, step, doing, in_place.as_ref()).await?;
        let Performed { input, result, log: lines, leaving } = performed;
        log.extend(lines.into_iter().map(|line| LogLine { step: id.clone(), ..line }));
        let event = match result {
            Ok(Effect::Output(output)) => Event::Done { started_at, input, output },
            Ok(Effect::Sufficed(output)) => Event::Sufficed { started_at, input, output },
            Ok(Effect::Filtered) => Event::Filtered,
            Ok(Effect::Guarded(holds)) => {
                let outcome = if holds { "this way" } else { "not this way" };
                log.push(self.line(id, LogLevel::Debug, way(&place, step, outcome)));
                Event::Guarded { holds }
            }
            Ok(Effect::Parked(until)) => Event::Parked { until },
            Ok(Effect::Absent) => Event::ReconciledAbsent,
            Ok(Effect::Held(Wait { until, waits, error })) => {
                if let Some(error) = &error {
                    log.push(self.line(id, LogLevel::Warn, format!("{error}; waits until {until}")));
                }
                let refused = error.map(|error| Refused { started_at, input, error });
                Event::Held { until, waits, refused }
            }
            Ok(Effect::Pages) => return self.pages(place, step, started_at, log).await,
            Ok(Effect::Items(items)) => {
                let items = items.whole().list().unwrap_or(List::Parsed(&[]));
                return self.items(place, step, items, started_at, log).await;
            }
            Ok(Effect::ItemsInPlace) => {
                let items = in_place.unwrap_or(List::Parsed(&[]));
                return self.items(place, step, items, started_at, log).await;
            }
            Err(error) => {
                log.push(self.line(id, LogLevel::Error, error.to_string()));
                let [jitter] = self.context.ids.bytes::<1>();
                Event::Failed { started_at, input, error, jitter }
            }
        };
        Ok(Acted { event, spent: Spent::new(), leaving })
    }

    pub(super) fn line(&self, step: Option<String>, level: LogLevel, message: String) -> LogLine {
        LogLine { at: self.context.now(), step, level, message }
    }

    /// Asks the machine and makes its decision durable where it says so.
    async fn decide(&self, held: &mut Held, event: Event, now: Timestamp) -> Result<Hands> {
        // Moved out and in again: a state holds every step's input and output.
        let state = std::mem::replace(&mut held.run.state, RunState::queued(now));
        let Decision { state, next, journal } =
            machine::apply(state, &held.release.program.rules, event, now);
        held.run.state = state;
        held.next = next;
        if journal == Journal::Later && next != Next::End {
            return Ok(Hands::Kept);
        }
        forget_request(&mut held.run);
        if held.run.state.ended() && !is_dead_letter(&held.run) && has_items(&held.release.program) {
            held.spent = self.items_left(&held.scope, held.run.id).await?;
        }
        held.leaving.extend(self.outbox.of_run(&held.scope, &held.run, &held.release).await?);
        match self.journal(held).await {
            Ok(version) => {
                held.version = version;
                held.spent.clear();
                self.outbox.go(&held.scope, std::mem::take(&mut held.leaving));
                if held.run.state.ended() {
                    self.queue.ended(&held.scope, &held.run);
                }
                self.runs.settled(&held.scope, &held.run, &held.release).await;
                Ok(Hands::Kept)
            }
            // A cancellation (the only other writer of a leased run) came between: take its word and go on.
            Err(CommitError::Conflict { .. }) => self.reread(held).await,
            Err(CommitError::OwnerErased { .. }) => Ok(Hands::Lost),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Commits the run as it stands.
    async fn journal(&self, held: &Held) -> Result<Version, CommitError> {
        persist(&self.context.store, held.run.id, || {
            let mut batch = changes_of(&held.scope, &held.run, held.version);
            remove_items(&mut batch, &held.scope, &held.spent);
            held.leaving.add_to(&mut batch, &held.scope);
            batch
        })
        .await
    }

    /// What is stored of a run's items. A disk that cannot be read is waited for, as in [`persist`]: this
    /// stands between what was performed and its being written down.
    async fn items_left(&self, scope: &Scope, run: RunId) -> Result<Spent> {
        let mut patience = Patience::new();
        loop {
            match items_of(&self.context.store, scope, run).await {
                Err(Error::Read(ReadError::Storage { table, source })) => {
                    tracing::error!(%run, table, error = &source as &dyn std::error::Error, "a run's items could not be read; trying again");
                    patience.pause().await;
                }
                other => return other,
            }
        }
    }

    /// After a conflict: where somebody asked for the run to end, it ends after what was just performed.
    async fn reread(&self, held: &mut Held) -> Result<Hands> {
        let Some(stored) = self.context.store.get::<LiveRuns>(&held.scope, &held.run.id).await? else {
            return Ok(Hands::Lost);
        };
        let ours = match &stored.record.state.status {
            Status::Leased { lease, .. } => self.queue.holds(lease),
            Status::Queued { .. } | Status::Ended { .. } => false,
        };
        if !ours || !stored.record.state.cancelling {
            return Ok(Hands::Changed);
        }
        let now = self.context.now();
        held.run.state.cancelling = true;
        // As the machine has it where it knows of the cancellation in time: a failure is nobody's business any more.
        let failed = matches!(held.run.state.status, Status::Ended { outcome: Outcome::Failed { .. }, .. });
        if failed || !held.run.state.ended() {
            held.run.state.status = Status::Ended { outcome: Outcome::Cancelled, at: now };
            held.leaving.tell_nobody();
        }
        held.next = Next::End;
        let mut batch = changes_of(&held.scope, &held.run, stored.version);
        if !is_dead_letter(&held.run) && has_items(&held.release.program) {
            let spent = items_of(&self.context.store, &held.scope, held.run.id).await?;
            remove_items(&mut batch, &held.scope, &spent);
        }
        held.leaving.add_to(&mut batch, &held.scope);
        match self.context.store.commit(batch).await {
            Ok(_) => {
                self.outbox.go(&held.scope, std::mem::take(&mut held.leaving));
                self.queue.ended(&held.scope, &held.run);
                self.runs.settled(&held.scope, &held.run, &held.release).await;
                Ok(Hands::Kept)
            }
            Err(CommitError::Conflict { .. } | CommitError::OwnerErased { .. }) => Ok(Hands::Lost),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

/// Whether a run has ended so that it may go on again: then the items it had come to are kept with its dead letter.
pub(super) const fn is_dead_letter(run: &LiveRun) -> bool {
    matches!(&run.state.status, Status::Ended { outcome: Outcome::Failed { dead_letter: Some(_), .. }, .. })
}

/// The run as it stands, as changes to the store that hold only if it still has `version` there.
pub(super) fn changes_of(scope: &Scope, run: &LiveRun, version: Version) -> Batch {
    let mut batch = Batch::new();
    let Status::Ended { outcome, at } = &run.state.status else {
        batch.replace::<LiveRuns>(scope, &run.id, run, version);
        return batch;
    };
    batch.remove::<LiveRuns>(scope, &run.id, version);
    if let EventSource::Call { run: caller, .. } = run.source {
        batch.delete::<CalledRuns>(scope, &(caller, run.id));
    }
    record_end(&mut batch, scope, run, outcome, *at);
    batch
}

/// Adds what is kept of a run that ended.
pub(crate) fn record_end(batch: &mut Batch, scope: &Scope, run: &LiveRun, outcome: &Outcome, at: Timestamp) {
    batch.insert::<EndedRuns>(scope, &run.id, run);
    let failed = matches!(outcome, Outcome::Failed { .. });
    let outline = RunOutline { user: run.user, failed, ended_at: Some(at) };
    batch.insert::<RunsByWorkflow>(scope, &(run.workflow, run.id), &outline);
    if let Outcome::Failed { dead_letter: Some(reason), .. } = outcome {
        let work = DeadWork::Run { run: run.id, user: run.user };
        batch.insert::<DeadLetters>(scope, &run.id.0, &DeadLetter { at, reason: reason.clone(), work });
    }
    if let Some(place) = run.line.filter(|place| place.ordered) {
        let key = (run.installation, place.key.0, place.order);
        if holds_line(&place, &run.state.status) {
            batch.put::<HeldKeys>(scope, &key, &HeldKey { run: run.id, user: run.user });
        } else {
            // It may have failed and held its key before it was redriven.
            batch.delete::<HeldKeys>(scope, &key);
        }
    }
}

pub(super) fn push_line(log: &mut Vec<LogLine>, line: LogLine) {
    if log.len() < MAX_LOG_LINES {
        log.push(line);
    } else if let Some(last) = log.last_mut() {
        last.message = format!("more than {MAX_LOG_LINES} lines; the rest was dropped");
    }
}

/// What a guard's outcome means, in the words of the definition.
fn way(place: &Place<'_>, step: usize, outcome: &str) -> String {
    match place.program.steps.get(step).map(|step| &step.kind) {
        Some(CompiledKind::Guard { way: 0, .. }) => format!("no condition holds: {outcome}"),
        Some(CompiledKind::Guard { way, .. }) => format!("branch {way}: {outcome}"),
        _ => outcome.to_owned(),
    }
}
