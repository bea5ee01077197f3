//! The run machine: the one place that decides what a run does next.
//!
//! Pure: `apply(state, rules, event, now)` gives the next state and what to do. The executor performs it and
//! comes back with what happened. Every state that a decision gives is made durable before anything is
//! performed on it, unless the decision says that it need not be.
//!
//! Invariant: while a run holds a lease, its current step may already have been performed. So a lease that
//! ended without a journalled result is an uncertain outcome, and the step's repeat class decides.

mod again;
mod rule;
mod state;

use std::time::Duration;

use serde_json::json;

use crate::{call::CallError, clock::Timestamp, manifest::Repeat, payload::Payload};

pub use self::{
    again::{cancel, mended, redrive},
    rule::{Act, OnError, StepRule, called_run, idempotency_key},
    state::{Begun, Lease, Outcome, RunState, Status, StepResult, Waits},
};

/// How often one run may lose its lease to a dying process before it is given up as poison.
pub const MAX_RECOVERIES: u32 = 5;

/// When a step goes on that waits for no time but for something to happen: the end of the year 9999, unless it is
/// woken.
pub const UNTIL_WOKEN: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// How deep workflows may call each other.
pub const MAX_CALL_DEPTH: u32 = 10;

/// How long a vendor may go on refusing one step for now before it is given up.
pub const LONGEST_LIMITED: Duration = Duration::from_secs(3 * 24 * 3600);

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody leased the run: its time had come, or an earlier lease had ended. Whether another holder's
    /// lease has ended is the caller's to judge: in a store of one process, the leases of earlier processes
    /// are void before their time.
    Leased(Lease),
    /// Somebody leased the run before its time, since what its step waits for may have come.
    Woken(Lease),
    /// The holder is about to perform a step that must never be begun unknown.
    Intended,
    /// The step was performed.
    Done {
        /// When this attempt began.
        started_at: Timestamp,
        /// What it was given.
        input: Payload,
        /// What it gave.
        output: Payload,
    },
    /// The step was performed, and nothing is left for those behind it: the run goes on where its rule's `otherwise` says.
    Sufficed {
        /// When this attempt began.
        started_at: Timestamp,
        /// What it was given.
        input: Payload,
        /// What it gave.
        output: Payload,
    },
    /// A filter's condition did not hold.
    Filtered,
    /// A guard was evaluated.
    Guarded {
        /// Whether it holds.
        holds: bool,
    },
    /// The step waits by its own wish and is to be performed again at this time.
    Parked {
        /// When.
        until: Timestamp,
    },
    /// The step failed.
    Failed {
        /// When this attempt began.
        started_at: Timestamp,
        /// What it was given, where mapping got that far.
        input: Payload,
        /// With what.
        error: CallError,
        /// Chance for the retry's delay.
        jitter: u8,
    },
    /// The step was not carried out and has to wait for something outside the run. That is no attempt.
    Held {
        /// Until then.
        until: Timestamp,
        /// For what.
        waits: Waits,
        /// What the vendor, or whoever knows its answer, refused the step with.
        refused: Option<Refused>,
    },
    /// Looked up at the vendor: the uncertain attempt had not been carried out.
    ReconciledAbsent,
    /// Somebody asked for the run to end.
    Cancel,
    /// The holder gives the lease back and vouches that it did not begin the current step (it is stopping).
    Released,
}

/// A step that was refused without being carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// When it was begun.
    pub started_at: Timestamp,
    /// What it was given.
    pub input: Payload,
    /// With what it was refused.
    pub error: CallError,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Perform the step of this index.
    Perform(usize),
    /// Make the intent durable (`Event::Intended`), then perform the step.
    Intend(usize),
    /// Ask the vendor what became of the uncertain attempt at the step of this index.
    Reconcile(usize),
    /// Nothing until this time.
    Wait(Timestamp),
    /// The run is over.
    End,
    /// Nothing: somebody else's lease holds, or the event came too late.
    Nothing,
}

/// Whether the new state must be durable before the next thing is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// Commit first.
    First,
    /// May travel with the next commit: losing it repeats only pure work.
    Later,
}

/// A decision: the new state and what to do on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The state from now on.
    pub state: RunState,
    /// What to do.
    pub next: Next,
    /// Whether to commit first.
    pub journal: Journal,
}

/// Decides what follows from `event`.
#[must_use]
pub fn apply(state: RunState, rules: &[StepRule], event: Event, now: Timestamp) -> Decision {
    if state.ended() {
        return nothing(state);
    }
    if event == Event::Cancel {
        return cancel(state, now);
    }
    let Some(rule) = rules.get(state.step) else {
        return end(state, Outcome::Succeeded, now);
    };
    match (event, &state.status) {
        (Event::Leased(lease), _) => leased(state, rules, rule, lease, now),
        (Event::Woken(lease), Status::Queued { .. }) if state.parked.is_some() => {
            let status = Status::Queued { not_before: now, last_error: None };
            leased(RunState { status, ..state }, rules, rule, lease, now)
        }
        (Event::Woken(_), _) => nothing(state),
        // All others are the holder's word, and too late where nobody holds the run any more.
        (event, Status::Leased { begun, .. }) => {
            let begun = *begun;
            held(state, rules, rule, begun, event, now)
        }
        (_, Status::Queued { .. } | Status::Ended { .. }) => nothing(state),
    }
}

/// What the holder of the lease reports.
fn held(
    state: RunState,
    rules: &[StepRule],
    rule: &StepRule,
    begun: Begun,
    event: Event,
    now: Timestamp,
) -> Decision {
    match event {
        Event::Intended => match (begun, rule.act) {
            (Begun::No, Act::Outside(Repeat::Never)) => intended(state, now),
            _ => nothing(state),
        },
        Event::Done { started_at, input, output } => {
            done(state, rules, rule, (started_at, input, output), rule.next, now)
        }
        Event::Sufficed { started_at, input, output } => {
            done(state, rules, rule, (started_at, input, output), rule.otherwise, now)
        }
        Event::Filtered => {
            let step = rule.id.clone();
            end(state, Outcome::Filtered { step }, now)
        }
        Event::Guarded { holds } if rule.act == Act::Pure => {
            let to = if holds { rule.next } else { rule.otherwise };
            advance(state, rules, rule.act, to, now)
        }
        Event::Guarded { .. } => nothing(state),
        Event::Parked { .. } if rule.act != Act::Resumable => nothing(state),
        Event::Parked { .. } if state.cancelling => end(state, Outcome::Cancelled, now),
        Event::Parked { until } => wait(RunState { parked: Some(until), waits: None, ..state }, until, None),
        Event::Held { .. } if rule.act == Act::Pure => nothing(state),
        Event::Held { .. } if state.cancelling => end(state, Outcome::Cancelled, now),
        Event::Held { until, waits, refused } => {
            again::held(state, rules, rule, (until, waits), refused, now)
        }
        Event::Failed { started_at, input, error, jitter } => {
            failed(state, rules, rule, begun, Attempt { started_at, input, error }, jitter, now)
        }
        Event::ReconciledAbsent if !state.uncertain || rule.act != Act::Outside(Repeat::Lookup) => {
            nothing(state)
        }
        Event::ReconciledAbsent if state.cancelling => end(state, Outcome::Cancelled, now),
        Event::ReconciledAbsent => Decision {
            next: Next::Perform(state.step),
            state: RunState { uncertain: false, ..state },
            // Losing this asks the vendor once more.
            journal: Journal::Later,
        },
        Event::Released if state.cancelling => end(state, Outcome::Cancelled, now),
        Event::Released => wait(again::not_begun(state), now, None),
        Event::Leased(_) | Event::Woken(_) | Event::Cancel => nothing(state),
    }
}

fn leased(
    mut state: RunState,
    rules: &[StepRule],
    rule: &StepRule,
    lease: Lease,
    now: Timestamp,
) -> Decision {
    match &state.status {
        Status::Queued { not_before, .. } if *not_before > now => return nothing(state),
        // A step that waited by its own wish goes on with the same attempt.
        Status::Queued { .. } if state.parked.is_some() => {}
        Status::Queued { .. } => state.attempt = state.attempt.saturating_add(1),
        Status::Leased { lease: held, .. } if held.holder == lease.holder && held.until > now => {
            return nothing(state);
        }
        Status::Leased { begun, .. } => {
            if *begun == Begun::Maybe {
                state.attempt = state.attempt.saturating_add(1);
                state.uncertain |= matches!(rule.act, Act::Outside(_));
            }
            state.recoveries = state.recoveries.saturating_add(1);
        }
        Status::Ended { .. } => return nothing(state),
    }
    if state.cancelling {
        return end(state, Outcome::Cancelled, now);
    }
    if state.recoveries > MAX_RECOVERIES {
        let message = format!(
            "the host process died more than {MAX_RECOVERIES} times while this run was under way; it was stopped so that it \
             cannot bring the host down again"
        );
        return dead(state, rule, CallError::Trapped { message: message.clone() }, message, now);
    }
    let repeat = match rule.act {
        Act::Outside(repeat) if state.uncertain => Some(repeat),
        Act::Outside(_) | Act::Pure | Act::Resumable => None,
    };
    let (next, begun) = match repeat {
        Some(Repeat::Never) => {
            let message =
                "it is not known whether the step was carried out, and the action cannot be repeated safely";
            let error = CallError::Uncertain { message: message.to_owned() };
            // Going on after an error means that the next step is performed under this lease.
            state.status = Status::Leased { lease, begun: Begun::No };
            let attempt = Attempt { started_at: now, input: Payload::NULL, error };
            return give_up(state, rules, rule, attempt, Some(message.to_owned()), now);
        }
        Some(Repeat::Lookup) => (Next::Reconcile(state.step), Begun::Maybe),
        Some(Repeat::Safe | Repeat::Key) => {
            state.uncertain = false;
            (Next::Perform(state.step), Begun::Maybe)
        }
        None => match perform(state.step, rule.act) {
            intend @ Next::Intend(_) => (intend, Begun::No),
            other => (other, Begun::Maybe),
        },
    };
    state.status = Status::Leased { lease, begun };
    Decision { state, next, journal: Journal::First }
}

fn intended(mut state: RunState, now: Timestamp) -> Decision {
    if state.cancelling {
        return end(state, Outcome::Cancelled, now);
    }
    let step = state.step;
    if let Status::Leased { begun, .. } = &mut state.status {
        *begun = Begun::Maybe;
    }
    Decision { state, next: Next::Perform(step), journal: Journal::First }
}

fn done(
    mut state: RunState,
    rules: &[StepRule],
    rule: &StepRule,
    (started_at, input, output): (Timestamp, Payload, Payload),
    to: usize,
    now: Timestamp,
) -> Decision {
    state.results.push(StepResult {
        id: rule.id.clone(),
        started_at,
        ended_at: now,
        attempts: state.attempt,
        input,
        output,
        error: None,
    });
    advance(state, rules, rule.act, to, now)
}

/// Goes on to the step of index `to`, from a step that did `act`.
fn advance(mut state: RunState, rules: &[StepRule], act: Act, to: usize, now: Timestamp) -> Decision {
    state.step = to;
    state.attempt = 1;
    state.uncertain = false;
    state.parked = None;
    state.waits = None;
    state.limited_since = None;
    let Some(rule) = rules.get(to) else {
        return end(state, Outcome::Succeeded, now);
    };
    if state.cancelling {
        return end(state, Outcome::Cancelled, now);
    }
    let next = perform(to, rule.act);
    if let Status::Leased { begun, .. } = &mut state.status {
        *begun = if matches!(next, Next::Intend(_)) { Begun::No } else { Begun::Maybe };
    }
    // A lost journal entry may repeat pure work, and behind it a step that may be repeated unknown; a step to
    // be looked up must be on disk as begun before it is, or nobody would look.
    let repeatable = rule.act != Act::Outside(Repeat::Lookup);
    let journal = if act == Act::Pure && repeatable { Journal::Later } else { Journal::First };
    Decision { state, next, journal }
}

/// An attempt that failed.
struct Attempt {
    started_at: Timestamp,
    input: Payload,
    error: CallError,
}

fn failed(
    mut state: RunState,
    rules: &[StepRule],
    rule: &StepRule,
    begun: Begun,
    attempt: Attempt,
    jitter: u8,
    now: Timestamp,
) -> Decision {
    let Attempt { started_at, input, error } = attempt;
    let uncertain = begun == Begun::Maybe && matches!(rule.act, Act::Outside(_)) && may_have_acted(&error);
    state.uncertain |= uncertain;
    let unrepeatable = uncertain && rule.act == Act::Outside(Repeat::Never);
    let retry =
        if unrepeatable || state.cancelling { None } else { rule.retry.next(&error, state.attempt, jitter) };
    if let Some(delay) = retry {
        let state = RunState { parked: None, waits: None, limited_since: None, ..state };
        return wait(state, now + delay, Some(error));
    }
    let unmended =
        matches!((&error, state.waits), (CallError::AuthExpired { .. }, Some(Waits::Connection { .. })));
    let reason = if unrepeatable {
        Some(format!("{error}; the action cannot be repeated safely"))
    } else if crate::retry::retryable(&error) {
        Some(format!("gave up after {} attempts: {error}", state.attempt))
    } else if matches!(error, CallError::Disabled { .. }) {
        // Nothing is wrong with the work: it is kept until somebody switches its destination on again.
        Some(error.to_string())
    } else if unmended {
        Some(format!("waited in vain for the connection to be mended: {error}"))
    } else if state.uncertain {
        // The look-up itself failed for good: what became of the attempt before it is still unknown.
        Some(format!(
            "it is not known whether an earlier attempt was carried out, and asking failed: {error}"
        ))
    } else {
        None
    };
    give_up(state, rules, rule, Attempt { started_at, input, error }, reason, now)
}

/// A step has failed for good: the run ends, or goes on where the step says so.
fn give_up(
    mut state: RunState,
    rules: &[StepRule],
    rule: &StepRule,
    attempt: Attempt,
    dead_letter: Option<String>,
    now: Timestamp,
) -> Decision {
    let Attempt { started_at, input, error } = attempt;
    let output = match rule.on_error {
        OnError::Continue => {
            json!({ "error": { "kind": error.kind(), "message": error.to_string() } }).into()
        }
        OnError::Fail => Payload::NULL,
    };
    state.results.push(StepResult {
        id: rule.id.clone(),
        started_at,
        ended_at: now,
        attempts: state.attempt,
        input,
        output,
        error: Some(error.clone()),
    });
    if state.cancelling {
        return end(state, Outcome::Cancelled, now);
    }
    match rule.on_error {
        OnError::Continue => advance(state, rules, rule.act, rule.next, now),
        OnError::Fail => {
            let step = rule.id.clone();
            end(state, Outcome::Failed { step, error, dead_letter }, now)
        }
    }
}

/// Whether a call that failed so may have changed something at the vendor. A connector that broke, or that
/// failed in its own words, may have sent its request before.
const fn may_have_acted(error: &CallError) -> bool {
    match error {
        CallError::Uncertain { .. } | CallError::Trapped { .. } | CallError::Other { .. } => true,
        CallError::InvalidInput { .. }
        | CallError::AuthExpired { .. }
        | CallError::RateLimited { .. }
        | CallError::NotFound { .. }
        | CallError::Conflict { .. }
        | CallError::Rejected { .. }
        | CallError::Unavailable { .. }
        | CallError::Denied { .. }
        | CallError::Disabled { .. } => false,
    }
}

fn dead(state: RunState, rule: &StepRule, error: CallError, reason: String, now: Timestamp) -> Decision {
    let step = rule.id.clone();
    end(state, Outcome::Failed { step, error, dead_letter: Some(reason) }, now)
}

const fn nothing(state: RunState) -> Decision {
    Decision { state, next: Next::Nothing, journal: Journal::Later }
}

fn end(state: RunState, outcome: Outcome, now: Timestamp) -> Decision {
    let state = RunState { status: Status::Ended { outcome, at: now }, ..state };
    Decision { state, next: Next::End, journal: Journal::First }
}

fn wait(state: RunState, until: Timestamp, last_error: Option<CallError>) -> Decision {
    let state = RunState { status: Status::Queued { not_before: until, last_error }, ..state };
    Decision { state, next: Next::Wait(until), journal: Journal::First }
}

const fn perform(step: usize, act: Act) -> Next {
    match act {
        Act::Outside(Repeat::Never) => Next::Intend(step),
        Act::Outside(_) | Act::Pure | Act::Resumable => Next::Perform(step),
    }
}

/// How long a lease lasts before others may take over a run whose holder fell silent.
pub const LEASE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
