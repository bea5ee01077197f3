//! What a loop came to, for the steps behind it and for people: per item how it ended, with counts.

use serde_json::{Map, Value, json};
use trunnion_core::{
    call::CallError,
    machine::{Outcome, RunState, Status},
    payload::Part,
    release::{CompiledKind, Program},
};

use super::Driven;
use crate::runs::act::{Group, Sent};

/// Items that are named where all of them would be too many.
pub(super) const MOST_NAMED: usize = 100;

/// Whether only what failed is told of, since nobody knows how many items there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runs) enum Brief {
    Yes,
    No,
}

/// What a loop came to.
pub(in crate::runs) struct Told {
    pub(in crate::runs) output: Value,
    /// Which item failed first, and with what.
    pub(in crate::runs) first_error: Option<(String, String)>,
    pub(in crate::runs) failed: u64,
    /// Items in all.
    pub(in crate::runs) count: u64,
}

impl Told {
    /// What the loop fails with, where an item has.
    pub(in crate::runs) fn failure(&self) -> Option<CallError> {
        let (which, error) = self.first_error.as_ref()?;
        let Self { failed, count, .. } = self;
        let message = format!("{failed} of {count} items failed; the first was {which}: {error}");
        Some(CallError::Other { code: "items_failed".to_owned(), message })
    }
}

/// Counts what comes, and keeps as much of it as is wanted.
struct Tally {
    brief: Brief,
    results: Vec<Value>,
    succeeded: u64,
    filtered: u64,
    failed: u64,
    first_error: Option<(String, String)>,
}

impl Tally {
    const fn new(brief: Brief) -> Self {
        Self { brief, results: Vec::new(), succeeded: 0, filtered: 0, failed: 0, first_error: None }
    }

    fn failed(&mut self, index: usize, message: &str) {
        self.failed += 1;
        self.first_error.get_or_insert_with(|| (format!("item {index}"), message.to_owned()));
    }

    /// What is said of one item, unless that is too much.
    fn named(&mut self, failed: bool, result: impl FnOnce() -> Value) {
        if self.brief == Brief::No || failed && self.results.len() < MOST_NAMED {
            self.results.push(result());
        }
    }

    fn told(self, count: usize) -> Told {
        let Self { results, succeeded, filtered, failed, first_error, .. } = self;
        let output =
            json!({ "results": results, "succeeded": succeeded, "failed": failed, "filtered": filtered });
        Told { output, first_error, failed, count: u64::try_from(count).unwrap_or(u64::MAX) }
    }
}

/// Per item how it ended and what its steps gave.
pub(in crate::runs) fn told<'a>(items: impl Iterator<Item = (usize, &'a RunState)>, brief: Brief) -> Told {
    let mut tally = Tally::new(brief);
    let mut count = 0;
    for (index, state) in items {
        count += 1;
        let mut error = None;
        let status = match &state.status {
            Status::Ended { outcome: Outcome::Succeeded, .. } => {
                tally.succeeded += 1;
                "succeeded"
            }
            Status::Ended { outcome: Outcome::Filtered { .. }, .. } => {
                tally.filtered += 1;
                "filtered"
            }
            Status::Ended { outcome: Outcome::Failed { error: why, .. }, .. } => {
                tally.failed(index, &why.to_string());
                error = Some(json!({ "kind": why.kind(), "message": why.to_string() }));
                "failed"
            }
            Status::Ended { outcome: Outcome::Cancelled, .. } => "cancelled",
            Status::Queued { .. } | Status::Leased { .. } => "waiting",
        };
        tally.named(error.is_some(), || {
            let steps =
                state.results.iter().map(|result| (result.id.clone(), result.output.to_value().into_owned()));
            let steps = steps.collect::<Map<_, _>>();
            json!({ "index": index, "status": status, "steps": steps, "error": error })
        });
    }
    tally.told(count)
}

/// Per item of all groups what it gave, where that is anything, or why it was refused.
pub(super) fn told_of_groups(driven: &[Driven], groups: &[Group<'_>], brief: Brief) -> Told {
    let mut tally = Tally::new(brief);
    let mut count = 0;
    for Driven { index, state, .. } in driven {
        let (first, size) = groups.get(*index).map_or((0, 0), |group| (group.first, group.count));
        count += size;
        let failed = |tally: &mut Tally, index: usize, error: &Value| {
            let message = error.get("message").and_then(Value::as_str);
            tally.failed(index, message.unwrap_or_default());
            tally.named(true, || json!({ "index": index, "status": "failed", "error": error }));
        };
        let Some(sent) = sent(state) else {
            if let Status::Ended { outcome: Outcome::Failed { error, .. }, .. } = &state.status {
                let error = json!({ "kind": error.kind(), "message": error.to_string() });
                (first..first + size).for_each(|index| failed(&mut tally, index, &error));
            }
            continue;
        };
        for (index, output) in sent.outputs {
            tally.named(false, || json!({ "index": index, "status": "succeeded", "output": output }));
        }
        tally.succeeded += u64::try_from(size - sent.refused.len().min(size)).unwrap_or_default();
        let again = state
            .results
            .get(1)
            .map(|result| if result.error.is_some() { &result.input } else { &result.output });
        let again = again.and_then(|again| again.get("results")).map(Part::to_value);
        let again = again.as_ref().and_then(|again| again.as_array());
        for (place, refused) in sent.refused.iter().enumerate() {
            let became = again.and_then(|again| again.get(place));
            let error = became.and_then(|became| became.get("error")).filter(|error| !error.is_null());
            match (became, error) {
                (Some(_), None) => tally.succeeded += 1,
                (_, error) => failed(&mut tally, refused.index, error.unwrap_or(&Value::Null)),
            }
        }
    }
    tally.told(count)
}

/// What came of a group that was sent; none where it was not, or nobody knows.
fn sent(state: &RunState) -> Option<Sent> {
    let result = state.results.first().filter(|result| result.error.is_none())?;
    result.output.whole().read().ok()
}

/// A page whose items are all done is only its cursor from then on.
pub(super) fn let_go_of_items(state: &mut RunState, body: &Program) {
    let is_page = body.steps.first().is_some_and(|step| matches!(step.kind, CompiledKind::Page { .. }));
    if is_page
        && matches!(state.status, Status::Ended { outcome: Outcome::Succeeded, .. })
        && let Some(read) = state.results.first_mut().filter(|read| read.output.get("items").is_some())
    {
        let next = read.output.get("next").map(Part::to_value);
        read.output = json!({ "items": [], "next": next }).into();
    }
}
