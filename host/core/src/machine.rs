//! The run machine: the one place that decides what a run does next.
//!
//! Pure: `apply(state, rules, event, now)` gives the next state and what to do. The executor performs it and
//! comes back with what happened. Every state that a decision gives is made durable before anything is
//! performed on it, unless the decision says that it need not be.
//!
//! Invariant: while a run holds a lease, its current step may already have been performed. So a lease that
//! ended without a journalled result is an uncertain outcome, and the step's repeat class decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{call::CallError, clock::Timestamp, id::RunId, manifest::Repeat, retry::RetryPolicy};

/// How often one run may lose its lease to a dying process before it is given up as poison.
pub const MAX_RECOVERIES: u32 = 5;

/// Who works on a run, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The holding process, fresh at each start.
    pub holder: String,
    /// When others may take over.
    pub until: Timestamp,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Waiting, under way, or ended.
    pub status: Status,
    /// Index of the current step.
    pub step: usize,
    /// Attempts begun at the current step.
    pub attempt: u32,
    /// Whether the current step may have been carried out although no result is known.
    #[serde(default)]
    pub uncertain: bool,
    /// Leases lost to a dying process, over the whole run.
    #[serde(default)]
    pub recoveries: u32,
    /// Whether somebody asked for the run to end.
    #[serde(default)]
    pub cancelling: bool,
    /// Finished steps, in order.
    pub results: Vec<StepResult>,
}

/// Waiting, under way, or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// Waits for its time and for somebody to lease it.
    Queued {
        /// Not before.
        not_before: Timestamp,
        /// Why it waits, where an attempt failed.
        #[serde(default)]
        last_error: Option<CallError>,
    },
    /// Somebody works on the current step.
    Leased {
        /// Who, until when.
        lease: Lease,
        /// Whether the current step may have been begun.
        begun: Begun,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

/// Whether a leased step may have been begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// It cannot have been: its intent is not yet durable.
    No,
    /// It may have been.
    Maybe,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Every step was done.
    Succeeded,
    /// A filter did not hold.
    Filtered {
        /// Which step.
        step: String,
    },
    /// A step failed for good.
    Failed {
        /// Which step.
        step: String,
        /// With what.
        error: CallError,
        /// Why it is a dead letter, kept for redrive; absent where trying again cannot help.
        #[serde(default)]
        dead_letter: Option<String>,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// A finished step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step's id.
    pub id: String,
    /// When its last attempt began.
    pub started_at: Timestamp,
    /// When it was done.
    pub ended_at: Timestamp,
    /// Attempts it took.
    pub attempts: u32,
    /// What it was given, after mapping.
    #[serde(default)]
    pub input: Value,
    /// What it gave: `steps.<id>` in mappings; null where it failed.
    pub output: Value,
    /// What it failed with.
    #[serde(default)]
    pub error: Option<CallError>,
}

/// What the machine must know of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRule {
    /// Its id.
    pub id: String,
    /// What performing it does to the world.
    pub act: Act,
    /// How often it is tried.
    pub retry: RetryPolicy,
}

/// What performing a step does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing: it only computes.
    Pure,
    /// Something outside, with this repeat class.
    Outside(Repeat),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody leased the run: its time had come, or an earlier lease had ended. Whether another holder's
    /// lease has ended is the caller's to judge: in a store of one process, the leases of earlier processes
    /// are void before their time.
    Leased(Lease),
    /// The holder is about to perform a step that must never be begun unknown.
    Intended,
    /// The step was performed.
    Done {
        /// When this attempt began.
        started_at: Timestamp,
        /// What it was given.
        input: Value,
        /// What it gave.
        output: Value,
    },
    /// A filter's condition did not hold.
    Filtered,
    /// The step failed.
    Failed {
        /// When this attempt began.
        started_at: Timestamp,
        /// What it was given, where mapping got that far.
        input: Value,
        /// With what.
        error: CallError,
        /// Chance for the retry's delay.
        jitter: u8,
    },
    /// Looked up at the vendor: the uncertain attempt had not been carried out.
    ReconciledAbsent,
    /// Somebody asked for the run to end.
    Cancel,
    /// The holder gives the lease back and vouches that it did not begin the current step (it is stopping).
    Released,
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

impl RunState {
    /// A run that nobody has leased yet.
    #[must_use]
    pub const fn queued(not_before: Timestamp) -> Self {
        Self {
            status: Status::Queued { not_before, last_error: None },
            step: 0,
            attempt: 0,
            uncertain: false,
            recoveries: 0,
            cancelling: false,
            results: Vec::new(),
        }
    }

    /// Whether the run is over.
    #[must_use]
    pub const fn ended(&self) -> bool {
        matches!(self.status, Status::Ended { .. })
    }

    /// When somebody may lease the run; `None` where it is over.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        match &self.status {
            Status::Queued { not_before, .. } => Some(*not_before),
            Status::Leased { lease, .. } => Some(lease.until),
            Status::Ended { .. } => None,
        }
    }
}

/// The UUID that stays the same over every attempt at one step of one run: connectors, vendors and streams
/// receive it. A redrive keeps it; a rerun is a new run and so makes a new one.
#[must_use]
pub fn idempotency_key(run: RunId, step: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(run.as_bytes());
    context.update(step.as_bytes());
    let digest = context.finish();
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    // Version 8 (made by the application's own rule) and the RFC 9562 variant.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// Decides what follows from `event`.
#[must_use]
pub fn apply(state: RunState, rules: &[StepRule], event: Event, now: Timestamp) -> Decision {
    if state.ended() {
        return nothing(state);
    }
    let Some(rule) = rules.get(state.step) else {
        return end(state, Outcome::Succeeded, now);
    };
    match (event, &state.status) {
        (Event::Leased(lease), _) => leased(state, rule, lease, now),
        (Event::Cancel, Status::Leased { .. }) => {
            let state = RunState { cancelling: true, ..state };
            Decision { state, next: Next::Nothing, journal: Journal::First }
        }
        (Event::Cancel, _) => end(state, Outcome::Cancelled, now),
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
            let result = StepResult {
                id: rule.id.clone(),
                started_at,
                ended_at: now,
                attempts: state.attempt,
                input,
                output,
                error: None,
            };
            done(state, rules, rule.act, result, now)
        }
        Event::Filtered => {
            let step = rule.id.clone();
            end(state, Outcome::Filtered { step }, now)
        }
        Event::Failed { started_at, input, error, jitter } => {
            failed(state, rule, begun, Failure { started_at, input, error, jitter }, now)
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
        Event::Released => {
            let attempt = state.attempt.saturating_sub(1);
            wait(RunState { attempt, ..state }, now, None)
        }
        Event::Leased(_) | Event::Cancel => nothing(state),
    }
}

fn leased(mut state: RunState, rule: &StepRule, lease: Lease, now: Timestamp) -> Decision {
    match &state.status {
        Status::Queued { not_before, .. } if *not_before > now => return nothing(state),
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
        Act::Outside(_) | Act::Pure => None,
    };
    let (next, begun) = match repeat {
        Some(Repeat::Never) => {
            let message =
                "it is not known whether the step was carried out, and the action cannot be repeated safely";
            let error = CallError::Uncertain { message: message.to_owned() };
            return dead(state, rule, error, message.to_owned(), now);
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

fn done(mut state: RunState, rules: &[StepRule], act: Act, result: StepResult, now: Timestamp) -> Decision {
    state.results.push(result);
    state.step += 1;
    state.attempt = 1;
    state.uncertain = false;
    let Some(rule) = rules.get(state.step) else {
        return end(state, Outcome::Succeeded, now);
    };
    if state.cancelling {
        return end(state, Outcome::Cancelled, now);
    }
    let next = perform(state.step, rule.act);
    if let Status::Leased { begun, .. } = &mut state.status {
        *begun = if matches!(next, Next::Intend(_)) { Begun::No } else { Begun::Maybe };
    }
    // A lost journal entry may repeat pure work, and behind it a step that may be repeated unknown; a step to
    // be looked up must be on disk as begun before it is, or nobody would look.
    let repeatable = rule.act != Act::Outside(Repeat::Lookup);
    let journal = if act == Act::Pure && repeatable { Journal::Later } else { Journal::First };
    Decision { state, next, journal }
}

struct Failure {
    started_at: Timestamp,
    input: Value,
    error: CallError,
    jitter: u8,
}

fn failed(mut state: RunState, rule: &StepRule, begun: Begun, failure: Failure, now: Timestamp) -> Decision {
    let Failure { started_at, input, error, jitter } = failure;
    let uncertain = begun == Begun::Maybe && matches!(rule.act, Act::Outside(_)) && may_have_acted(&error);
    state.uncertain |= uncertain;
    let unrepeatable = uncertain && rule.act == Act::Outside(Repeat::Never);
    let retry =
        if unrepeatable || state.cancelling { None } else { rule.retry.next(&error, state.attempt, jitter) };
    if let Some(delay) = retry {
        return wait(state, now + delay, Some(error));
    }
    let reason = if unrepeatable {
        Some(format!("{error}; the action cannot be repeated safely"))
    } else if crate::retry::retryable(&error) {
        Some(format!("gave up after {} attempts: {error}", state.attempt))
    } else if state.uncertain {
        // The look-up itself failed for good: what became of the attempt before it is still unknown.
        Some(format!(
            "it is not known whether an earlier attempt was carried out, and asking failed: {error}"
        ))
    } else {
        None
    };
    state.results.push(StepResult {
        id: rule.id.clone(),
        started_at,
        ended_at: now,
        attempts: state.attempt,
        input,
        output: Value::Null,
        error: Some(error.clone()),
    });
    if state.cancelling {
        return end(state, Outcome::Cancelled, now);
    }
    let step = rule.id.clone();
    end(state, Outcome::Failed { step, error, dead_letter: reason }, now)
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
        | CallError::Denied { .. } => false,
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
        Act::Outside(_) | Act::Pure => Next::Perform(step),
    }
}

/// How long a lease lasts before others may take over a run whose holder fell silent.
pub const LEASE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
