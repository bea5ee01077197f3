//! Calls: a step starts a run of another workflow for the same user, and waits for its end.
//!
//! Invariants: the called run's id follows from the caller's and the step's place, so that however often the step is
//! performed there is one; a caller rests without a worker, and every end of a called run wakes it. What is called is
//! found again in the store, never remembered: after a stop, the caller looks once and goes on or rests again.

use std::sync::Arc;

use trunnion_core::{
    call::CallError,
    id::{RunId, WorkflowId},
    machine::{MAX_CALL_DEPTH, Outcome, RunState, Status, UNTIL_WOKEN, called_run},
    payload::Payload,
    records::{EventSource, LiveRun},
    release::{CompiledKind, Program},
    scope::Scope,
};
use trunnion_store::{
    Store,
    tables::{EndedRuns, LiveRuns},
};

use super::act::{Effect, Place};
use crate::{
    context::Context,
    error::Result,
    triggers::accept::{Acceptor, Arrival, call_key},
    workflows::Releases,
};

/// Calls workflows.
#[derive(Clone, Debug)]
pub struct Calls {
    context: Context,
    acceptor: Acceptor,
    releases: Arc<Releases>,
}

/// What is called, and by which step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    /// The workflow.
    pub(super) workflow: WorkflowId,
    /// The step's id.
    pub(super) step: &'a str,
}

impl Calls {
    /// Accepts called runs by `acceptor`.
    #[must_use]
    pub const fn new(context: Context, acceptor: Acceptor, releases: Arc<Releases>) -> Self {
        Self { context, acceptor, releases }
    }

    /// What became of a call that was begun before; `None` where it was not.
    pub(super) async fn became(
        &self,
        place: &Place<'_>,
        called: Called<'_>,
    ) -> Result<Option<Result<Effect, CallError>>> {
        let Place { scope, run, .. } = *place;
        let id = called_run(run.id, &format!("{}{}", place.path, called.step));
        let store = &self.context.store;
        // Ended first would miss a run that ends between the two look-ups.
        if store.get::<LiveRuns>(scope, &id).await?.is_some() {
            return Ok(Some(Ok(Effect::Parked(UNTIL_WOKEN))));
        }
        if let Some(ended) = store.get::<EndedRuns>(scope, &id).await? {
            return Ok(Some(self.outcome(scope, &ended.record).await?));
        }
        let gone = || CallError::Other {
            code: "called_run_gone".to_owned(),
            message: format!(
                "the run `{id}` that `{}` called is no longer kept; run this again",
                called.step
            ),
        };
        Ok(place.state.parked.is_some().then(|| Err(gone())))
    }

    /// Starts the run that a step calls. Its acceptance is one commit, under an id that a repetition has again.
    pub(super) async fn begin(
        &self,
        place: &Place<'_>,
        called: Called<'_>,
        input: Payload,
    ) -> Result<Result<Effect, CallError>> {
        let Place { scope, run, .. } = *place;
        let Called { workflow, step } = called;
        let depth = match &run.source {
            EventSource::Call { depth, .. } => depth + 1,
            _ => 1,
        };
        if depth > MAX_CALL_DEPTH {
            let message = format!(
                "workflows call each other more than {MAX_CALL_DEPTH} deep here; `{step}` does not go on, since they \
                 may call each other for ever: end the circle"
            );
            return Ok(Err(CallError::Denied { message }));
        }
        let step_path = format!("{}{step}", place.path);
        let arrival = Arrival {
            source: EventSource::Call { run: run.id, step: step_path, depth },
            data: input,
            trigger: call_key(&self.context.store, scope, run.user, workflow),
            seen: None,
            unmatched: None,
        };
        let accepted = self.acceptor.accept(scope, vec![arrival], |_| {}).await?;
        if accepted.runs.is_empty() {
            let message = format!(
                "user `{}` has no active copy of workflow `{workflow}` that can be called; install it, or activate it",
                run.user
            );
            return Ok(Err(CallError::NotFound { message }));
        }
        // One that failed in the very commit that accepted it wakes nobody.
        let became = self.became(place, called).await?;
        Ok(became.unwrap_or(Ok(Effect::Parked(UNTIL_WOKEN))))
    }

    /// What a called run that has ended gives its caller.
    async fn outcome(&self, scope: &Scope, run: &LiveRun) -> Result<Result<Effect, CallError>> {
        let failed = |code: &str, message: String| CallError::Other { code: code.to_owned(), message };
        let Status::Ended { outcome, .. } = &run.state.status else {
            return Ok(Ok(Effect::Parked(UNTIL_WOKEN)));
        };
        Ok(match outcome {
            Outcome::Succeeded | Outcome::Filtered { .. } => {
                let answer = self.releases.of_run(scope, run).await?.answer(&run.state);
                Ok(Effect::Output(answer.map(|answer| answer.body).unwrap_or_default().into()))
            }
            Outcome::Failed { step, error, .. } => {
                let message = format!(
                    "run `{}` of workflow `{}` failed in step `{step}`: {error}",
                    run.id, run.workflow
                );
                Err(failed("called_run_failed", message))
            }
            Outcome::Cancelled => {
                let message = format!("run `{}` of workflow `{}` was cancelled", run.id, run.workflow);
                Err(failed("called_run_cancelled", message))
            }
        })
    }
}

/// Whether what stands at `path` of a run waits for a run that it called and that has not ended.
pub(super) async fn still_waits(
    store: &Store,
    scope: &Scope,
    run: RunId,
    (program, state, path): (&Program, &RunState, &str),
) -> Result<bool> {
    let Some(step) = program.steps.get(state.step) else { return Ok(false) };
    if !matches!(step.kind, CompiledKind::Call { .. }) || state.parked != Some(UNTIL_WOKEN) {
        return Ok(false);
    }
    let called = called_run(run, &format!("{path}{}", step.id));
    Ok(store.get::<LiveRuns>(scope, &called).await?.is_some())
}
