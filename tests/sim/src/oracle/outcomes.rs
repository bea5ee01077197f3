//! What a run says of itself is what happened: a success did everything, a failure has a cause, and what was given
//! up is among the dead letters.

use std::time::Duration;

use serde_json::Value;
use trunnion_core::{
    call::CallError,
    machine::{OnError, Outcome, Status, StepResult},
    manifest::Repeat,
    records::{DeadWork, LiveRun},
    retry::retryable,
};

use super::{Evidence, Findings, key_of};
use crate::{
    flow::{Block, Facts, Flow, Node},
    seen::{Answer, Asked, Class, Unit},
};

const SUCCESS: &str = "a run says that it succeeded, and did not";
const FAILURE: &str = "a run failed without a cause";
const DEAD: &str = "what was given up is not among the dead letters";
const DELAY: &str = "a delay was not waited for";

pub(super) fn judge(evidence: &Evidence<'_>, findings: &mut Findings) {
    for run in &evidence.ended {
        let (Some((flow, facts)), Status::Ended { outcome, .. }) =
            (evidence.story_of(run), &run.state.status)
        else {
            findings.add(SUCCESS, format!("run {} is among the ended ones: {:?}", run.id, run.state.status));
            continue;
        };
        let story = Story { evidence, run, flow, facts };
        story.results(outcome, findings);
        story.delays(findings);
        if let Outcome::Failed { step, error, dead_letter } = outcome {
            story.failure(step, error, findings);
            let letter = evidence
                .dead
                .iter()
                .any(|letter| matches!(&letter.work, DeadWork::Run { run: id, .. } if *id == run.id));
            findings.check(letter == dead_letter.is_some(), DEAD, || {
                format!("run {}: reason {dead_letter:?}, letter {letter}", run.id)
            });
            findings.check(dead_letter.is_some() || !retryable(error), DEAD, || {
                format!("run {} failed with `{error}` and has no dead letter", run.id)
            });
        }
    }
    for letter in &evidence.dead {
        if let DeadWork::Run { run, .. } = &letter.work {
            let known = evidence.ended.iter().any(|ended| ended.id == *run);
            findings.check(known, DEAD, || format!("a letter of run {run}, which did not end"));
        }
    }
}

struct Story<'a> {
    evidence: &'a Evidence<'a>,
    run: &'a LiveRun,
    flow: &'a Flow,
    facts: Facts,
}

impl Story<'_> {
    fn unit(&self, step: &str, item: Option<u64>) -> Unit {
        let (marker, flow) = (self.facts.marker.clone(), self.flow.number);
        Unit { marker, flow, step: step.to_owned(), item }
    }

    /// The results are those of the way the run had to go, in order, and each was earned.
    fn results(&self, outcome: &Outcome, findings: &mut Findings) {
        let run = self.run;
        let path = self.flow.path(&self.facts);
        let keep = self.facts.keep;
        let results = &run.state.results;
        let expected: Vec<_> = path.iter().map(|node| node.id.as_str()).collect();
        let found: Vec<_> = results.iter().map(|result| result.id.as_str()).collect();
        findings.check(expected.starts_with(&found), SUCCESS, || {
            format!("run {} has the results {found:?}, its way was {expected:?}", run.id)
        });
        let filter = path.iter().position(|node| matches!(node.block, Block::Filter));
        match outcome {
            Outcome::Succeeded => {
                findings.check(found == expected && (keep || filter.is_none()), SUCCESS, || {
                    format!("run {} did {found:?} of {expected:?}", run.id)
                });
            }
            Outcome::Filtered { .. } => findings.check(!keep && filter == Some(found.len()), SUCCESS, || {
                format!("run {} was filtered after {found:?} of {expected:?}", run.id)
            }),
            Outcome::Failed { .. } | Outcome::Cancelled => {}
        }
        for (node, result) in path.iter().zip(results) {
            self.earned(node, result, outcome, findings);
        }
    }

    fn earned(&self, node: &Node, result: &StepResult, outcome: &Outcome, findings: &mut Findings) {
        let run = self.run;
        match &result.error {
            Some(_) => {
                let ends = matches!(outcome, Outcome::Failed { step, .. } if *step == node.id);
                let may = node.on_error == OnError::Continue || ends || *outcome == Outcome::Cancelled;
                findings.check(may, SUCCESS, || format!("run {} went on after {} failed", run.id, node.id));
            }
            None => match &node.block {
                Block::Each { nodes, .. } => self.items(node, nodes, &result.output.to_value(), findings),
                _ => self.done(node, None, None, findings),
            },
        }
    }

    /// Whatever a step does outside was done; exactly once where it must not be repeated.
    fn done(&self, node: &Node, item: Option<u64>, each: Option<&str>, findings: &mut Findings) {
        let Some(class) = node.class() else { return };
        let unit = self.unit(&node.id, item);
        let key = key_of(self.run.id, &unit, each);
        let times = self.evidence.seen.done.get(&key).copied().unwrap_or(0);
        let once = matches!(class, Class::Action(Repeat::Lookup | Repeat::Never));
        findings.check(times == 1 || (times > 1 && !once), SUCCESS, || {
            format!("run {}: {unit} ({class:?}) was done {times} times", self.run.id)
        });
    }

    fn items(&self, each: &Node, nodes: &[Node], output: &Value, findings: &mut Findings) {
        let list = self.facts.items;
        let results = output.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
        findings.check(results.len() == list, SUCCESS, || {
            format!("run {}: {} has {} results of {list} items", self.run.id, each.id, results.len())
        });
        for result in &results {
            let index = result.get("index").and_then(Value::as_u64);
            if result.get("status").and_then(Value::as_str) != Some("succeeded") {
                continue;
            }
            for node in nodes {
                let given = result.pointer(&format!("/steps/{}", node.id));
                let failed = given.is_some_and(|given| given.get("error").is_some());
                findings.check(given.is_some(), SUCCESS, || {
                    format!("run {}: item {index:?} of {} has no {}", self.run.id, each.id, node.id)
                });
                if !failed {
                    self.done(node, index, Some(&each.id), findings);
                }
            }
        }
    }

    /// Somebody outside gave the error that a run failed with, or the host may say it by itself.
    fn failure(&self, step: &str, error: &CallError, findings: &mut Findings) {
        let unit = self.unit(step, None);
        let calls: Vec<_> = self.evidence.seen.calls.iter().filter(|call| call.unit == unit).collect();
        let given = calls.iter().any(|call| {
            matches!(&call.answer, Some(Answer::Failed(said)) if said.kind() == error.kind())
                // A destination's answer has another name where the run tells of it.
                || (call.class == Class::Stream && matches!(call.answer, Some(Answer::Failed(_))))
        });
        let own = match error {
            // A process that dies between the intent and the call cannot tell either.
            CallError::Uncertain { .. } => {
                let never = self
                    .flow
                    .path(&self.facts)
                    .into_iter()
                    .any(|node| node.id == step && node.class() == Some(Class::Action(Repeat::Never)));
                never || calls.iter().any(|call| call.asked == Asked::Perform)
            }
            CallError::Trapped { .. } => self.run.state.recoveries > 5,
            // The oracle of calls looks at what was called.
            CallError::Other { code, .. } => code == "items_failed" || code.starts_with("called_run_"),
            _ => false,
        };
        findings.check(given || own, FAILURE, || format!("run {} at {unit}: {error}", self.run.id));
    }

    fn delays(&self, findings: &mut Findings) {
        let mut before = self.run.accepted_at;
        for result in &self.run.state.results {
            let node = self.flow.nodes.iter().find(|node| node.id == result.id);
            if let Some(Block::Delay(seconds)) = node.map(|node| &node.block) {
                let due = before + Duration::from_secs(*seconds);
                findings.check(result.ended_at >= due, DELAY, || {
                    format!(
                        "run {}: {} ended at {}, not before {due}",
                        self.run.id, result.id, result.ended_at
                    )
                });
            }
            before = result.ended_at;
        }
    }
}
