//! A release: a definition that was checked and compiled, so that running it decides nothing twice.
//!
//! Owns: the stages `Definition` → `Checked` → `Release`, and compiling a stored release again. The rules
//! are in `release/check.rs`, whether a template can fit a schema in `release/fit.rs`.
//!
//! Invariant: every step of a `Release` has its compiled form and its rule, at the same index.

mod check;
mod fit;

use std::sync::Arc;

use serde_json::Value;

use crate::{
    definition::{Definition, Step, StepKind},
    id::{IntegrationId, WorkflowId},
    machine::{Act, StepRule},
    manifest::{ActionSpec, Manifest, Repeat},
    mapping::{Condition, Names, Template},
    problem::{Problem, Problems},
    records::StoredRelease,
    retry::RetryPolicy,
};

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
    compiled: Compiled,
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
    /// What is performed, in order.
    pub steps: Vec<CompiledStep>,
    /// What the machine knows of each step.
    pub rules: Vec<StepRule>,
}

/// A compiled step.
#[derive(Debug)]
pub struct CompiledStep {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: CompiledKind,
}

/// What a compiled step does.
#[derive(Debug)]
pub enum CompiledKind {
    /// Runs a connector's action.
    Action {
        /// The app.
        app: String,
        /// The manifest's action.
        action: String,
        /// Gives the input.
        input: Template,
    },
    /// Sends a signed POST.
    Stream {
        /// The destination's name.
        destination: String,
        /// Gives the body.
        body: Template,
    },
    /// Ends the run, as filtered, unless it holds.
    Filter {
        /// What must hold.
        condition: Condition,
    },
}

/// Checks and compiles a definition; every problem at once.
pub fn check(definition: &Definition, catalog: &dyn Catalog) -> Result<Checked, Problems> {
    let (compiled, mut problems) = compile(definition, catalog);
    problems.extend(check::problems(definition, catalog, &compiled));
    if !problems.is_empty() {
        problems.sort_by(|one, other| one.at.cmp(&other.at));
        problems.dedup();
        return Err(Problems(problems));
    }
    Ok(Checked { definition: definition.clone(), compiled })
}

impl Checked {
    /// Makes it release `number` of `workflow`.
    #[must_use]
    pub fn release(self, workflow: WorkflowId, integration: IntegrationId, number: u32) -> Release {
        let (steps, rules) = self.compiled.into_parts();
        Release { workflow, integration, number, definition: self.definition, steps, rules }
    }
}

impl Release {
    /// Compiles a stored release again. Connectors may have moved on since it was released, so only what
    /// running it needs is checked: that its actions are still there, for their repeat classes.
    pub fn compile(stored: StoredRelease, catalog: &dyn Catalog) -> Result<Self, Problems> {
        let StoredRelease { workflow, integration, number, definition, .. } = stored;
        let (compiled, problems) = compile(&definition, catalog);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let (steps, rules) = compiled.into_parts();
        Ok(Self { workflow, integration, number, definition, steps, rules })
    }
}

/// The steps that compiled, with their places in the definition.
#[derive(Debug, Default)]
struct Compiled {
    steps: Vec<(usize, CompiledStep, StepRule)>,
}

impl Compiled {
    fn into_parts(self) -> (Vec<CompiledStep>, Vec<StepRule>) {
        self.steps.into_iter().map(|(_, step, rule)| (step, rule)).unzip()
    }
}

fn compile(definition: &Definition, catalog: &dyn Catalog) -> (Compiled, Vec<Problem>) {
    let mut compiled = Compiled::default();
    let mut problems = Vec::new();
    for (index, step) in definition.steps.iter().enumerate() {
        match compile_step(definition, index, step, catalog) {
            Ok((kind, act, retry)) => {
                let rule = StepRule { id: step.id.clone(), act, retry };
                compiled.steps.push((index, CompiledStep { id: step.id.clone(), kind }, rule));
            }
            Err(found) => problems.extend(found),
        }
    }
    (compiled, problems)
}

fn compile_step(
    definition: &Definition,
    index: usize,
    step: &Step,
    catalog: &dyn Catalog,
) -> Result<(CompiledKind, Act, RetryPolicy), Vec<Problem>> {
    let names = names(definition, index);
    let at = |member: &str| format!("/steps/{index}/{member}");
    let template = |member: &str, value: &Value| {
        Template::compile(value, &definition.maps, &names).map_err(|problems| behind(&at(member), problems))
    };
    match &step.kind {
        StepKind::Action { app, action, input } => {
            let repeat = action_of(catalog, app, action, index).map(|action| action.repeat);
            match (repeat, template("input", input)) {
                (Ok(repeat), Ok(input)) => Ok((
                    CompiledKind::Action { app: app.clone(), action: action.clone(), input },
                    Act::Outside(repeat),
                    RetryPolicy::action(),
                )),
                (repeat, input) => {
                    let mut problems: Vec<_> = repeat.err().into_iter().collect();
                    problems.extend(input.err().unwrap_or_default());
                    Err(problems)
                }
            }
        }
        StepKind::Stream { destination, body } => Ok((
            CompiledKind::Stream { destination: destination.clone(), body: template("body", body)? },
            Act::Outside(Repeat::Key),
            RetryPolicy::stream(),
        )),
        StepKind::Filter { condition } => {
            let condition = Condition::compile(condition, &names)
                .map_err(|problems| behind(&at("condition"), problems))?;
            // Computing again gives the same: a filter's failure is final at once.
            Ok((CompiledKind::Filter { condition }, Act::Pure, RetryPolicy::action()))
        }
    }
}

/// The manifest's action, or what is wrong with naming it.
fn action_of(catalog: &dyn Catalog, app: &str, action: &str, index: usize) -> Result<ActionSpec, Problem> {
    let Some(manifest) = catalog.manifest(app) else {
        return Err(Problem::new(format!("/steps/{index}/app"), check::unknown_app(app)));
    };
    manifest.action(action).cloned().ok_or_else(|| {
        let known = check::listed(manifest.actions.iter().map(|action| action.id.as_str()));
        Problem::new(
            format!("/steps/{index}/action"),
            format!("`{app}` {} has no action `{action}`; it has {known}", manifest.version),
        )
    })
}

/// What the step at `index` may name.
fn names(definition: &Definition, index: usize) -> Names {
    let ids = |steps: &[Step]| steps.iter().map(|step| step.id.clone()).collect();
    let (earlier, later) = definition.steps.split_at_checked(index).unwrap_or_default();
    Names {
        steps: ids(earlier),
        later_steps: ids(later),
        config: definition.fields.iter().map(|field| field.name.clone()).collect(),
    }
}

fn behind(prefix: &str, problems: Vec<Problem>) -> Vec<Problem> {
    problems
        .into_iter()
        .map(|problem| Problem::new(format!("{prefix}{}", problem.at), problem.message))
        .collect()
}

#[cfg(test)]
mod tests;
