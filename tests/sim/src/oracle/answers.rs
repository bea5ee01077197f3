//! Requests: who was told of a run has it; every answer that anybody is given is the run's; an answer that was to be
//! sent elsewhere arrives there, unless its caller took it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trunnion_core::{
    answer::Answer as Reply,
    clock::Timestamp,
    id::RunId,
    machine::{Outcome, Status, idempotency_key},
    records::{DeadWork, LiveRun},
};

use super::{
    ByCause, Evidence, Findings,
    accepted::{LOST, TWICE},
};
use crate::{
    flow::{Block, Facts, Flow, RESPONDED},
    seen::{Answer, Heard, SentRequest},
};

const OTHER: &str = "somebody was given another answer than the run's";
const UNANSWERED: &str = "an answer was neither taken nor sent";
const CALLBACK: &str = "an answer was sent that must not be";

pub(super) fn judge(
    evidence: &Evidence<'_>,
    runs: &ByCause,
    caused: &mut BTreeSet<(String, usize)>,
    findings: &mut Findings,
) {
    let by_id: BTreeMap<RunId, &LiveRun> = evidence.every_run().map(|run| (run.id, run)).collect();
    let mut called_back: BTreeSet<RunId> =
        evidence.seen.callbacks.iter().map(|callback| callback.run).collect();
    for request in &evidence.seen.requests {
        let cause = (request.marker.clone(), request.flow);
        let found = runs.get(&cause).map_or(&[][..], Vec::as_slice);
        caused.insert(cause);
        findings
            .check(found.len() <= 1, TWICE, || format!("request {} has the runs {found:?}", request.marker));
        for told in &request.told {
            findings.check(found.contains(&told.run), LOST, || {
                format!("request {} was told of run {}; it has {found:?}", request.marker, told.run)
            });
        }
        let Some(run) = found.first().and_then(|id| by_id.get(id)).copied() else { continue };
        let Some((flow, facts)) = evidence.story_of(run) else { continue };
        for told in request.told.iter().filter_map(|told| told.answer.as_ref()) {
            same(run, flow, &facts, told, findings);
        }
        if request.callback {
            called_back.remove(&run.id);
            sent(evidence, request, (run, flow, &facts), findings);
        }
    }
    for run in called_back {
        findings.add(CALLBACK, format!("run {run} owes nobody an answer"));
    }
}

/// The answer of a run by what it came to: the status, and the body where it is known from outside.
pub(super) fn answer_of(run: &LiveRun, flow: &Flow, facts: &Facts) -> Option<(u16, Option<Value>)> {
    if responded(run, flow).is_some() {
        return Some((RESPONDED, Some(json!({ "marker": facts.marker }))));
    }
    let Status::Ended { outcome, .. } = &run.state.status else { return None };
    Some(match outcome {
        Outcome::Succeeded => {
            let last = run.state.results.last();
            (200, Some(last.map_or(Value::Null, |result| result.output.to_value().into_owned())))
        }
        Outcome::Filtered { .. } => (204, Some(Value::Null)),
        Outcome::Failed { .. } => (500, None),
        Outcome::Cancelled => (409, None),
    })
}

/// When a run's `respond` step was done.
fn responded(run: &LiveRun, flow: &Flow) -> Option<Timestamp> {
    let responds =
        |id: &str| flow.nodes.iter().any(|node| node.id == id && matches!(node.block, Block::Respond));
    let result = run.state.results.iter().find(|result| responds(&result.id))?;
    result.error.is_none().then_some(result.ended_at)
}

fn same(run: &LiveRun, flow: &Flow, facts: &Facts, told: &Reply, findings: &mut Findings) {
    let expected = answer_of(run, flow, facts);
    let fits = expected.as_ref().is_some_and(|(status, body)| {
        told.status == *status && body.as_ref().is_none_or(|body| told.body == *body)
    });
    findings.check(fits, OTHER, || format!("run {}: {told:?}, not {expected:?}", run.id));
}

/// The answer of a request that said where it is to go.
fn sent(
    evidence: &Evidence<'_>,
    request: &SentRequest,
    (run, flow, facts): (&LiveRun, &Flow, &Facts),
    findings: &mut Findings,
) {
    let callbacks: Vec<_> =
        evidence.seen.callbacks.iter().filter(|callback| callback.run == run.id).collect();
    let key = idempotency_key(run.id, "callback");
    let mut arrived: Option<u64> = None;
    for callback in &callbacks {
        same(run, flow, facts, &callback.told, findings);
        findings.check(callback.key == key, CALLBACK, || format!("run {}: under {}", run.id, callback.key));
        findings.check(arrived != Some(callback.life), CALLBACK, || {
            format!("run {}: once more in life {}, which knew that it had arrived", run.id, callback.life)
        });
        if callback.answer == Some(Answer::Done) {
            arrived = Some(callback.life);
        }
    }
    let done = evidence.seen.done.contains_key(&key);
    let taken = request.told.iter().any(|told| told.heard == Heard::Waiting && told.answer.is_some());
    let buried = evidence
        .dead
        .iter()
        .any(|letter| matches!(&letter.work, DeadWork::Callback { run: id, .. } if *id == run.id));
    let answered = responded(run, flow).or(match &run.state.status {
        Status::Ended { at, .. } => Some(*at),
        _ => None,
    });
    // Who goes away just as the answer is handed over may have it or not: nobody can tell.
    let handed = request.cut_off.iter().any(|cut| Some(*cut) >= answered);
    findings.check(done || taken || buried || handed, UNANSWERED, || {
        format!("request {}, run {}: {} callbacks", request.marker, run.id, callbacks.len())
    });
}
