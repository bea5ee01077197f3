//! A release: a definition that was checked and compiled, so that running it decides nothing twice.
//!
//! Owns: the stages `Definition` → `Checked` → `Release`, and compiling a stored release again. The rules
//! are in `release/check.rs`, whether a template can fit a schema in `release/fit.rs`, how nested steps become a
//! flat program in `release/program.rs`, which occurrences start a workflow in `release/only.rs`.
//!
//! Invariant: every step of a `Program` has its compiled form and its rule, at the same index.

mod answers;
mod check;
mod concurrency;
mod fit;
mod only;
mod program;

use std::sync::Arc;

use serde_json::Value;

use crate::{
    answer::Answer,
    definition::Definition,
    id::{IntegrationId, RunId, WorkflowId},
    machine::RunState,
    manifest::Manifest,
    problem::{Problem, Problems},
    records::StoredRelease,
};

pub use self::check::delay_fits;
pub use self::concurrency::Concurrent;
pub use self::program::{AnswerTemplate, CompiledKind, CompiledStep, Items, Program, ROUTED, Target};

/// What a definition may refer to.
pub trait Catalog {
    /// The manifest of the app's active connector.
    fn manifest(&self, app: &str) -> Option<Arc<Manifest>>;
    /// The sample payload of a custom event.
    fn event_sample(&self, name: &str) -> Option<Value>;
    /// Whether a stream destination of this name is known.
    fn destination(&self, name: &str) -> bool;
    /// The app of the environment's own connection of this name.
    fn connection(&self, _name: &str) -> Option<&str> {
        None
    }
    /// Whether a workflow can be called.
    fn callee(&self, _workflow: WorkflowId) -> Callee {
        Callee::Unknown
    }
}

/// Whether a workflow can be called by the one that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// Its newest release has the trigger `call`.
    Callable,
    /// Its newest release has another trigger.
    OtherTrigger,
    /// It has no release.
    Unreleased,
    /// It is the one that is checked.
    Itself,
    /// There is none.
    Unknown,
}

/// A definition without problems.
#[derive(Debug)]
pub struct Checked {
    definition: Definition,
    program: Program,
    concurrent: Concurrent,
}

/// An immutable, numbered, compiled version of a workflow.
#[derive(Debug)]
pub struct Release {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its integration.
    pub integration: IntegrationId,
    /// Counts from 1.
    pub number: u32,
    /// What was released.
    pub definition: Definition,
    /// What is performed.
    pub program: Program,
    /// How many runs of one installation are under way at once.
    pub concurrent: Concurrent,
}

/// A draft as far as it can be compiled: steps that cannot be are not in the program. Nothing of it is ever released.
#[derive(Debug)]
pub struct Attempt {
    /// The steps that can be compiled. The guards of a branch whose conditions cannot be hold nothing.
    pub program: Program,
    /// Every problem, by its place.
    pub problems: Vec<Problem>,
    concurrent: Concurrent,
}

/// Compiles as much of a draft as can be, and says everything that is wrong with it.
#[must_use]
pub fn attempt(definition: &Definition, catalog: &dyn Catalog) -> Attempt {
    let (program, mut problems) = program::compile(definition, catalog);
    let (concurrent, others) = concurrency::compile(definition);
    problems.extend(others);
    problems.extend(check::problems(definition, catalog, &program, &concurrent));
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    problems.dedup();
    Attempt { program, problems, concurrent }
}

/// Checks and compiles a definition; every problem at once.
pub fn check(definition: &Definition, catalog: &dyn Catalog) -> Result<Checked, Problems> {
    let Attempt { program, problems, concurrent } = attempt(definition, catalog);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(Checked { definition: definition.clone(), program, concurrent })
}

impl Checked {
    /// Makes it release `number` of `workflow`.
    #[must_use]
    pub fn release(self, workflow: WorkflowId, integration: IntegrationId, number: u32) -> Release {
        let Self { definition, program, concurrent } = self;
        Release { workflow, integration, number, definition, program, concurrent }
    }
}

impl Release {
    /// Compiles a stored release again. Connectors may have moved on since it was released, so only what
    /// running it needs is checked: that its actions are still there, for their repeat classes.
    pub fn compile(stored: StoredRelease, catalog: &dyn Catalog) -> Result<Self, Problems> {
        let StoredRelease { workflow, integration, number, definition, .. } = stored;
        let (program, mut problems) = program::compile(&definition, catalog);
        let (concurrent, others) = concurrency::compile(&definition);
        problems.extend(others);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(Self { workflow, integration, number, definition, program, concurrent })
    }

    /// The run that a pre-process flow's run has handed its request to: whatever that one answers is the answer.
    #[must_use]
    pub fn routed_to(state: &RunState) -> Option<RunId> {
        let last = state.results.last().filter(|result| result.id == ROUTED && result.error.is_none())?;
        last.output.get("run")?.to_value().as_str()?.parse().ok()
    }

    /// What whoever waits for a run is answered: what a `respond` step gave, else what the run came to; `None`
    /// while neither is there.
    #[must_use]
    pub fn answer(&self, state: &RunState) -> Option<Answer> {
        self.program.answer(state)
    }
}

impl Program {
    /// As [`Release::answer`].
    #[must_use]
    pub fn answer(&self, state: &RunState) -> Option<Answer> {
        let responds = |id: &str| {
            let steps = self.steps.iter();
            steps.into_iter().any(|step| step.id == id && matches!(step.kind, CompiledKind::Respond { .. }))
        };
        let given = state.results.iter().find(|result| result.error.is_none() && responds(&result.id));
        let given = given.and_then(|result| result.output.whole().read().ok());
        given.or_else(|| Answer::of_end(state))
    }
}

#[cfg(test)]
mod tests;
