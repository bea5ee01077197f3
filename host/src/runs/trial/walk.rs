//! Goes through the steps of a block, as the run machine says, and behind a failure with what does not depend on it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use trunnion_core::{
    machine::{self, Event, LEASE, Lease, Next, Outcome, RunState, Status, StepResult, StepRule},
    mapping::Results,
    payload::{Part, Payload},
    release::{CompiledKind, Program},
    retry::RetryPolicy,
};

use super::{
    Tried, Trying,
    step::{Left, Went},
};
use crate::{
    error::{Error, Result},
    runs::act::Place,
};

/// Who holds a trial's lease, which is nobody else's business.
const HOLDER: &str = "trial";

/// What came of the steps, by their places in the definition.
pub(super) type Tries = BTreeMap<String, Tried>;

/// What is around a block.
#[derive(Default)]
pub(super) struct Around<'a> {
    pub(super) outer: Option<&'a Results<'a>>,
    pub(super) item: Option<(Part<'a>, usize)>,
    /// What leads here from the run: empty, or as in `each[3].`
    pub(super) path: String,
    /// Results that stand in for steps that cannot be compiled.
    pub(super) seeds: Vec<StepResult>,
}

/// A block that was gone through.
pub(super) struct Block {
    /// Where a run would stand.
    pub(super) state: RunState,
    /// What came of the steps, also of those behind a failure.
    pub(super) tried: Tries,
}

impl Trying<'_> {
    /// Goes through a program. Boxed, since blocks stand in blocks.
    pub(super) fn block<'b>(
        &'b self,
        left: &'b mut Left,
        program: &'b Program,
        around: Around<'b>,
    ) -> BoxFuture<'b, Result<Block>> {
        Box::pin(self.every_step(left, program, around))
    }

    async fn every_step(&self, left: &mut Left, program: &Program, around: Around<'_>) -> Result<Block> {
        let rules: Vec<_> = program.rules.iter().map(once).collect();
        let mut tried = Tries::new();
        let mut ended: Option<RunState> = None;
        let mut state = RunState { results: around.seeds, ..RunState::queued(self.now()) };
        let mut event = self.leased();
        loop {
            let decision = machine::apply(state, &rules, event, self.now());
            state = decision.state;
            let index = match decision.next {
                Next::Perform(index) => index,
                Next::Intend(_) => {
                    event = Event::Intended;
                    continue;
                }
                Next::End => {
                    let failed =
                        matches!(state.status, Status::Ended { outcome: Outcome::Failed { .. }, .. });
                    let on = failed.then(|| self.at(&state, behind(program, state.step)));
                    ended.get_or_insert(state);
                    let Some(on) = on else { break };
                    (state, event) = (on, self.leased());
                    continue;
                }
                next @ (Next::Reconcile(_) | Next::Wait(_) | Next::Nothing) => {
                    return Err(Error::Internal(format!("a test-run cannot come to {next:?}")));
                }
            };
            if !left.goes_on(self.now(), self.until) {
                ended.get_or_insert(state);
                break;
            }
            // Mappings may take a while, and nothing else here need wait.
            tokio::task::yield_now().await;
            let place = Place {
                scope: self.scope,
                run: &self.run,
                program,
                state: &state,
                outer: around.outer,
                item: around.item,
                group: None,
                path: &around.path,
                cursor: None,
            };
            let went = self.step(left, place, (index, ended.is_some()), &mut tried).await?;
            match went {
                Went::On(on) => event = on,
                Went::Over(to) => (state, event) = (self.at(&state, to), self.leased()),
            }
        }
        let state = ended.unwrap_or_else(|| RunState::queued(self.now()));
        Ok(Block { state, tried })
    }

    pub(super) fn now(&self) -> trunnion_core::clock::Timestamp {
        self.trials.context.now()
    }

    fn leased(&self) -> Event {
        Event::Leased(Lease { holder: HOLDER.to_owned(), until: self.now() + LEASE })
    }

    /// The same run at another step.
    fn at(&self, state: &RunState, step: usize) -> RunState {
        RunState { step, results: state.results.clone(), ..RunState::queued(self.now()) }
    }

    /// The ids of steps that nothing is known of, since they could not be compiled; but for those whose output was given.
    pub(super) fn missing(&self, program: &Program) -> BTreeSet<String> {
        let mut compiled = BTreeSet::new();
        places(program, &mut compiled);
        let steps = self.definition.every_step().into_iter();
        let missing = steps.filter(|(at, step)| {
            !matches!(step.kind, trunnion_core::definition::StepKind::Branch { .. })
                && !compiled.contains(at.as_str())
        });
        missing.map(|(_, step)| step.id.clone()).collect()
    }

    /// What was given for steps that could not be compiled: those behind them can be tried with it.
    pub(super) fn seeds(&self, left: &mut Left) -> Vec<StepResult> {
        let now = self.now();
        let mut seeds = Vec::new();
        for (id, output) in &self.outputs {
            if left.unavailable.remove(id) {
                left.unsure = true;
                seeds.push(StepResult {
                    id: id.clone(),
                    started_at: now,
                    ended_at: now,
                    attempts: 1,
                    input: Payload::NULL,
                    output: output.clone().into(),
                    error: None,
                });
            }
        }
        seeds
    }
}

/// A rule of a step that is tried once: whoever tries a draft wants to see what the first attempt gives.
fn once(rule: &StepRule) -> StepRule {
    StepRule { retry: RetryPolicy { attempts: 1, ..rule.retry.clone() }, ..rule.clone() }
}

/// The step behind one that failed; behind its branch, where it is a way's guard.
pub(super) fn behind(program: &Program, index: usize) -> usize {
    let Some(step) = program.steps.get(index) else { return program.steps.len() };
    if !matches!(step.kind, CompiledKind::Guard { .. }) {
        return program.rules.get(index).map_or(program.steps.len(), |rule| rule.next);
    }
    let branch = branch_of(&step.at);
    let inside =
        |at: &str| at.strip_prefix(branch).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let later = program.steps.iter().enumerate().skip(index);
    later.filter(|(_, step)| !inside(&step.at)).map(|(index, _)| index).next().unwrap_or(program.steps.len())
}

/// The place of a guard's branch: the guard of `otherwise` has that itself.
pub(super) fn branch_of(guard: &str) -> &str {
    match guard.rsplit_once("/branches/") {
        Some((branch, way)) if !way.contains('/') => branch,
        _ => guard,
    }
}

fn places<'p>(program: &'p Program, found: &mut BTreeSet<&'p str>) {
    for step in &program.steps {
        found.insert(&step.at);
        match &step.kind {
            CompiledKind::ForEach { body, .. } | CompiledKind::Pages { body } => places(body, found),
            _ => {}
        }
    }
}
