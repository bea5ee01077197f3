//! Where a workflow may answer: only where somebody waits, and at most once on every way through it.
//!
//! Invariant: a release's run meets at most one `respond`, whatever its branches do, so that nothing need be
//! decided about a second answer while it runs.

use crate::{
    definition::{Definition, Pick, Step, StepKind, Trigger},
    problem::Problem,
};

/// Every `respond` that stands where it cannot.
pub(super) fn problems(definition: &Definition) -> Vec<Problem> {
    let waits = matches!(definition.trigger, Trigger::Request { .. } | Trigger::Call { .. });
    let mut walk = Walk { waits, problems: Vec::new() };
    walk.block(&definition.steps, "/steps", Place { answered: false, in_items: false });
    walk.problems
}

/// What may have happened before a step.
#[derive(Clone, Copy)]
struct Place {
    answered: bool,
    in_items: bool,
}

struct Walk {
    waits: bool,
    problems: Vec<Problem>,
}

impl Walk {
    /// Whether an answer may have been given once these steps are done.
    fn block(&mut self, steps: &[Step], at: &str, mut place: Place) -> bool {
        for (index, step) in steps.iter().enumerate() {
            place.answered = self.step(step, &format!("{at}/{index}"), place);
        }
        place.answered
    }

    fn step(&mut self, step: &Step, at: &str, place: Place) -> bool {
        match &step.kind {
            StepKind::Respond { .. } => {
                self.respond(&step.id, at, place);
                true
            }
            StepKind::Branch { pick, branches, otherwise } => {
                let mut after = place;
                for (index, branch) in branches.iter().enumerate() {
                    let at = format!("{at}/branches/{index}/steps");
                    // Where every way may be gone, one comes behind the other.
                    let before = if *pick == Pick::All { after } else { place };
                    after.answered |= self.block(&branch.steps, &at, before);
                }
                after.answered | self.block(otherwise, &format!("{at}/otherwise"), place)
            }
            StepKind::ForEach { steps, .. } => {
                self.block(steps, &format!("{at}/steps"), Place { in_items: true, ..place })
            }
            StepKind::Action { .. }
            | StepKind::Stream { .. }
            | StepKind::Batch { .. }
            | StepKind::Filter { .. }
            | StepKind::Set { .. }
            | StepKind::Call { .. }
            | StepKind::Delay { .. } => place.answered,
        }
    }

    fn respond(&mut self, id: &str, at: &str, place: Place) {
        let message = if !self.waits {
            format!(
                "nobody waits for the answer of `{id}`, since neither requests nor calls start this workflow; remove the step, or \
                 give the workflow the trigger `request` or `call`"
            )
        } else if place.in_items {
            format!("`{id}` would answer once for each item; put it before or behind the `for_each`")
        } else if place.answered {
            format!(
                "`{id}` may come after another answer, and only one can be given; put them into ways of a branch of which one \
                 is gone"
            )
        } else {
            return;
        };
        self.problems.push(Problem::new(at, message));
    }
}
