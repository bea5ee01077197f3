//! A release: a definition that was checked and compiled, so that running it decides nothing twice.
//!
//! Owns: the stages `Definition` → `Checked` → `Release`, and compiling a stored release again. The rules
//! are in `release/check.rs`, whether a template can fit a schema in `release/fit.rs`, how nested steps become a
//! flat program in `release/program.rs`.
//!
//! Invariant: every step of a `Program` has its compiled form and its rule, at the same index.

mod check;
mod concurrency;
mod fit;
mod program;

use std::sync::Arc;

use serde_json::Value;

use crate::{
    definition::Definition,
    id::{IntegrationId, WorkflowId},
    manifest::Manifest,
    problem::Problems,
    records::StoredRelease,
};

pub use self::check::delay_fits;
pub use self::concurrency::Concurrent;
pub use self::program::{CompiledKind, CompiledStep, Program};

/// What a definition may refer to.
pub trait Catalog {
    /// The manifest of the app's active connector.
    fn manifest(&self, app: &str) -> Option<Arc<Manifest>>;
    /// The sample payload of a custom event.
    fn event_sample(&self, name: &str) -> Option<Value>;
    /// Whether a stream destination of this name is known.
    fn destination(&self, name: &str) -> bool;
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

/// Checks and compiles a definition; every problem at once.
pub fn check(definition: &Definition, catalog: &dyn Catalog) -> Result<Checked, Problems> {
    let (program, mut problems) = program::compile(definition, catalog);
    let (concurrent, others) = concurrency::compile(definition);
    problems.extend(others);
    problems.extend(check::problems(definition, catalog, &program, &concurrent));
    if !problems.is_empty() {
        problems.sort_by(|one, other| one.at.cmp(&other.at));
        problems.dedup();
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
}

#[cfg(test)]
mod tests;
