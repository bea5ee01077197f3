//! Waiting for something outside the run, and what people say about a run: that it is to end, or to go on.

use super::{
    Act, Attempt, Decision, Journal, LONGEST_LIMITED, Next, Outcome, Refused, RunState, Status, StepRule,
    Waits, end, give_up, nothing, wait,
};
use crate::{call::CallError, clock::Timestamp, manifest::Repeat};

/// A lease whose step was not carried out: it is no attempt.
pub(super) const fn not_begun(mut state: RunState) -> RunState {
    // A step that came back from waiting by its own wish went on with its attempt.
    if state.parked.is_none() {
        state.attempt = state.attempt.saturating_sub(1);
    }
    state
}

/// The step was not carried out and waits for something outside.
pub(super) fn held(
    state: RunState,
    rules: &[StepRule],
    rule: &StepRule,
    (until, waits): (Timestamp, Waits),
    refused: Option<Refused>,
    now: Timestamp,
) -> Decision {
    let mut state = RunState { waits: Some(waits), ..state };
    if rule.act == Act::Resumable {
        // It goes on with its attempt, like what waits by its own wish, and may be woken like that.
        state.parked = Some(until);
        return wait(state, until, refused.map(|refused| refused.error));
    }
    let Some(Refused { started_at, input, error }) = refused else {
        return wait(not_begun(state), until, None);
    };
    if matches!(error, CallError::RateLimited { .. }) {
        let since = *state.limited_since.get_or_insert(now);
        if now.since(since) >= LONGEST_LIMITED {
            let hours = LONGEST_LIMITED.as_secs() / 3600;
            let reason = format!("the vendor has refused it for now for more than {hours} hours: {error}");
            let attempt = Attempt { started_at, input, error };
            return give_up(state, rules, rule, attempt, Some(reason), now);
        }
    }
    wait(not_begun(state), until, Some(error))
}

/// A state that waits for a connection, as it is when that was mended: it may go on before its time. Whoever leases
/// it makes this durable; a crash before does it once more.
#[must_use]
pub fn mended(mut state: RunState, now: Timestamp) -> RunState {
    if let (Some(Waits::Connection { .. }), Status::Queued { not_before, .. }) =
        (state.waits, &mut state.status)
    {
        *not_before = now.min(*not_before);
        // Should it turn out not to be mended, waiting for it begins anew.
        state.waits = None;
    }
    state
}

/// Somebody asks a run to end: one that waits ends at once, one that is under way after its current step. Needs
/// nothing but the state, so that it works on a run whose release or connector cannot be had any more.
#[must_use]
pub fn cancel(state: RunState, now: Timestamp) -> Decision {
    match &state.status {
        Status::Ended { .. } => nothing(state),
        Status::Queued { .. } => end(state, Outcome::Cancelled, now),
        Status::Leased { .. } => {
            let state = RunState { cancelling: true, ..state };
            Decision { state, next: Next::Nothing, journal: Journal::First }
        }
    }
}

/// Somebody has a failed run go on at the step that failed, with every attempt before it; none where it did not
/// fail. The step's idempotency key stays. Where it is not known whether the step was carried out, an action that
/// can be looked up is, and one that may never be repeated unknown is repeated: that is what was asked for.
#[must_use]
pub fn redrive(state: &RunState, rules: &[StepRule], now: Timestamp) -> Option<RunState> {
    let Status::Ended { outcome: Outcome::Failed { step, .. }, .. } = &state.status else { return None };
    let never = rules.get(state.step).is_some_and(|rule| rule.act == Act::Outside(Repeat::Never));
    let mut results = state.results.clone();
    if results.last().is_some_and(|last| last.id == *step && last.error.is_some()) {
        results.pop();
    }
    Some(RunState {
        uncertain: state.uncertain && !never,
        step: state.step,
        redrives: state.redrives.saturating_add(1),
        results,
        ..RunState::queued(now)
    })
}
