//! Calls of other workflows: a step that calls starts one run, waits for its end, and gives what that answered; what a
//! cancelled run has called does not go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use trunnion_core::{
    call::CallError,
    id::RunId,
    machine::{Outcome, Status},
    records::LiveRun,
};

use super::{
    ByCause, Evidence, Findings,
    accepted::{LOST, TWICE},
    answers::answer_of,
};
use crate::flow::{Block, Facts, Flow, Node};

const ANSWER: &str = "a call gave something else than what was called";
const AFTER: &str = "a call did not wait for the end of what it called";
const CANCELLED: &str = "what a cancelled run had called went on";

/// How long a cancellation may come after that of the caller where the disk refuses: it is tried again four times by
/// then.
const REFUSED: Duration = Duration::from_secs(3);

pub(super) fn judge(
    evidence: &Evidence<'_>,
    runs: &ByCause,
    caused: &mut BTreeSet<(String, usize)>,
    findings: &mut Findings,
) {
    let by_id: BTreeMap<RunId, &LiveRun> = evidence.every_run().map(|run| (run.id, run)).collect();
    for caller in evidence.every_run() {
        let Some((flow, facts)) = evidence.story_of(caller) else { continue };
        let calling = Calling { caller, flow, facts: &facts };
        for (node, called, item) in calling.steps() {
            let marker = flow.called_marker(&facts.marker, &node.id, item);
            let found = runs.get(&(marker.clone(), called)).map_or(&[][..], Vec::as_slice);
            caused.insert((marker.clone(), called));
            findings.check(found.len() <= 1, TWICE, || {
                format!("run {}: {marker} called flow {called} {} times", caller.id, found.len())
            });
            let found = found.first().and_then(|id| by_id.get(id)).copied();
            calling.same(evidence, &marker, found, calling.result(node, item), findings);
            if let Some(found) = found {
                calling.cancelled(evidence, &marker, found, findings);
            }
        }
    }
}

struct Calling<'a> {
    caller: &'a LiveRun,
    flow: &'a Flow,
    facts: &'a Facts,
}

/// What a step that calls gave.
enum Given {
    Nothing,
    Output(Value),
    Error(CallError),
    /// It failed in a loop, which keeps only words.
    Failed(Value),
}

impl<'a> Calling<'a> {
    /// The steps on the way of the caller that call, each with what it calls and for which item.
    fn steps(&self) -> Vec<(&'a Node, usize, Option<u64>)> {
        let mut steps = Vec::new();
        for node in self.flow.path(self.facts) {
            match &node.block {
                Block::Call(flow) => steps.push((node, *flow, None)),
                Block::Each { nodes, .. } => {
                    for inner in nodes {
                        let Block::Call(flow) = inner.block else { continue };
                        let items = 0..u64::try_from(self.facts.items).unwrap_or(0);
                        steps.extend(items.map(|item| (inner, flow, Some(item))));
                    }
                }
                _ => {}
            }
        }
        steps
    }

    fn result(&self, node: &Node, item: Option<u64>) -> Given {
        let results = &self.caller.state.results;
        let Some(item) = item else {
            let result = results.iter().find(|result| result.id == node.id);
            return match result {
                None => Given::Nothing,
                Some(result) => match &result.error {
                    Some(error) => Given::Error(error.clone()),
                    None => Given::Output(result.output.to_value().into_owned()),
                },
            };
        };
        let each =
            self.flow.loop_of(&node.id).and_then(|each| results.iter().find(|result| result.id == each.id));
        let output = each.map(|each| each.output.to_value()).unwrap_or_default();
        let items = output.get("results").and_then(Value::as_array);
        let mine =
            items.into_iter().flatten().find(|it| it.get("index").and_then(Value::as_u64) == Some(item));
        let ended_well =
            mine.and_then(|mine| mine.get("status")).and_then(Value::as_str) == Some("succeeded");
        match mine.and_then(|mine| mine.pointer(&format!("/steps/{}", node.id))) {
            None => Given::Nothing,
            // Its last step may have failed, which gives nothing either.
            Some(Value::Null) if !ended_well => Given::Nothing,
            Some(given) if given.get("error").is_some() => Given::Failed(given.clone()),
            Some(given) => Given::Output(given.clone()),
        }
    }

    /// The step gave what the called run came to, after it came to it.
    fn same(
        &self,
        evidence: &Evidence<'_>,
        marker: &str,
        found: Option<&LiveRun>,
        given: Given,
        findings: &mut Findings,
    ) {
        let caller = self.caller.id;
        let outcome = found.map(|run| &run.state.status);
        match given {
            Given::Nothing => {}
            Given::Output(output) => {
                let Some(run) = found else {
                    findings.add(
                        LOST,
                        format!("run {caller}: {marker} gave {output}, and there is no called run"),
                    );
                    return;
                };
                let Some((flow, facts)) = evidence.story_of(run) else { return };
                let answer = answer_of(run, flow, &facts);
                let well = matches!(
                    outcome,
                    Some(Status::Ended { outcome: Outcome::Succeeded | Outcome::Filtered { .. }, .. })
                );
                let body = answer.as_ref().and_then(|(_, body)| body.as_ref());
                findings.check(well && body == Some(&output), ANSWER, || {
                    format!("run {caller}: {marker} gave {output}; run {} came to {answer:?}", run.id)
                });
                if let (Status::Ended { at: called, .. }, Status::Ended { at, .. }) =
                    (&run.state.status, &self.caller.state.status)
                {
                    findings.check(called <= at, AFTER, || {
                        format!("run {caller} ended at {at}, {marker} at {called}")
                    });
                }
            }
            Given::Error(CallError::Other { code, message }) if code.starts_with("called_run_") => {
                let fits = match outcome {
                    Some(Status::Ended { outcome: Outcome::Failed { .. }, .. }) => {
                        code == "called_run_failed"
                    }
                    Some(Status::Ended { outcome: Outcome::Cancelled, .. }) => code == "called_run_cancelled",
                    _ => false,
                };
                findings
                    .check(fits, ANSWER, || format!("run {caller}: {marker} failed with {code}: {message}"));
            }
            Given::Failed(error) => {
                // What was called may have gone on after an error, which is then all that it gives.
                let story = found.and_then(|run| Some((run, evidence.story_of(run)?)));
                let answer = story.and_then(|(run, (flow, facts))| answer_of(run, flow, &facts));
                if answer.and_then(|(_, body)| body).as_ref() != Some(&error) {
                    self.failed(marker, outcome, &error.to_string(), findings);
                }
            }
            Given::Error(error) => self.failed(marker, outcome, &error.to_string(), findings),
        }
    }

    fn failed(&self, marker: &str, outcome: Option<&Status>, error: &str, findings: &mut Findings) {
        let failed = matches!(
            outcome,
            Some(Status::Ended { outcome: Outcome::Failed { .. } | Outcome::Cancelled, .. })
        );
        findings.check(failed, ANSWER, || {
            let caller = self.caller.id;
            format!("run {caller}: {marker} failed with {error}; the called run came to {outcome:?}")
        });
    }

    /// A run that was still under way when its caller was cancelled does not come to its end as if nothing were.
    fn cancelled(&self, evidence: &Evidence<'_>, marker: &str, found: &LiveRun, findings: &mut Findings) {
        let Status::Ended { outcome: Outcome::Cancelled, at } = &self.caller.state.status else { return };
        let Status::Ended { outcome, at: ended } = &found.state.status else { return };
        let refuses = evidence.plan.faults.full > 0 || evidence.plan.faults.read > 0;
        let until = *at + if refuses { REFUSED } else { Duration::ZERO };
        // What was under way may end, as in the caller; whatever begins later does not.
        let begun_later = found.state.results.iter().filter(|result| result.started_at > until).count();
        let went_on = ended > at && !matches!(outcome, Outcome::Cancelled) && begun_later > 1;
        findings.check(!went_on, CANCELLED, || {
            format!("run {} was cancelled at {at}; {marker} ended at {ended} as {outcome:?}", self.caller.id)
        });
    }
}
