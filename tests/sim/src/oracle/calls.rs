//! Promises 2 and 5: one key per unit; repeated only where that is harmless; in order; not after a cancellation.

use std::collections::{BTreeMap, BTreeSet};

use trunnion_core::{
    call::CallError,
    machine::{Outcome, Status},
    manifest::Repeat,
    records::LiveRun,
};

use super::{Evidence, Findings, key_of};
use crate::{
    flow::{Block, Facts, Flow},
    seen::{Answer, Asked, Call, Class, Unit},
};

const KEY: &str = "an idempotency key changed";
const REPEATED: &str = "something was repeated that must not be";
const NEEDLESS: &str = "something was repeated although its outcome was known";
const ORDER: &str = "steps were not done in order";
const CANCELLED: &str = "a cancelled run went on";

pub(super) fn judge(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut units: BTreeMap<&Unit, Vec<&Call>> = BTreeMap::new();
    for call in &evidence.seen.calls {
        units.entry(&call.unit).or_default().push(call);
    }
    for (unit, calls) in &units {
        one_key(unit, calls, findings);
        repetitions(evidence, unit, calls, findings);
    }
    for run in evidence.every_run() {
        if let Some((flow, facts)) = evidence.story_of(run) {
            keys(evidence, run, (flow, &facts), findings);
            order(evidence, (flow, &facts), findings);
        }
    }
    cancelled(evidence, findings);
}

fn one_key(unit: &Unit, calls: &[&Call], findings: &mut Findings) {
    let keys: BTreeSet<_> = calls.iter().map(|call| call.key.as_str()).collect();
    findings.check(keys.len() == 1, KEY, || format!("{unit} was asked for under {keys:?}"));
}

/// Whether a call that ended so has certainly done nothing.
fn nothing_done(answer: Option<&Answer>) -> bool {
    match answer {
        Some(Answer::Failed(error)) => !matches!(
            error,
            CallError::Uncertain { .. } | CallError::Trapped { .. } | CallError::Other { .. }
        ),
        Some(Answer::Absent) => true,
        Some(Answer::Done) | None => false,
    }
}

fn repetitions(evidence: &Evidence<'_>, unit: &Unit, calls: &[&Call], findings: &mut Findings) {
    let done = calls.first().and_then(|call| evidence.seen.done.get(&call.key)).copied().unwrap_or(0);
    let single =
        matches!(calls.first().map(|call| call.class), Some(Class::Action(Repeat::Lookup | Repeat::Never)));
    findings.check(!single || done <= 1, REPEATED, || format!("{unit} was done {done} times"));
    let mut doubtful: Option<&Call> = None;
    for call in calls.iter().copied() {
        match (call.asked, call.class, doubtful) {
            (Asked::Perform, Class::Action(Repeat::Lookup | Repeat::Never), Some(before)) => {
                findings
                    .add(REPEATED, format!("{unit} ({:?}) after the answer {:?}", call.class, before.answer));
            }
            (Asked::Perform, _, Some(before)) => {
                let known = before.answer == Some(Answer::Done) && before.life == call.life;
                findings
                    .check(!known, NEEDLESS, || format!("{unit} ({:?}) in life {}", call.class, call.life));
            }
            (Asked::Reconcile, class, _) => {
                findings.check(class == Class::Action(Repeat::Lookup), REPEATED, || {
                    format!("{unit} ({class:?}) was looked up")
                })
            }
            (Asked::Perform, _, None) => {}
        }
        match (call.asked, &call.answer) {
            (Asked::Perform, answer) => {
                doubtful = (!nothing_done(answer.as_ref())).then_some(call).or(doubtful);
            }
            (Asked::Reconcile, Some(Answer::Absent)) => doubtful = None,
            (Asked::Reconcile, _) => {}
        }
    }
}

/// Keys come from run, step and item.
fn keys(evidence: &Evidence<'_>, run: &LiveRun, (flow, facts): (&Flow, &Facts), findings: &mut Findings) {
    for (_, call) in evidence.calls_of(flow, facts) {
        let each = flow.loop_of(&call.unit.step);
        let expected = key_of(run.id, &call.unit, each.map(|each| each.id.as_str()));
        findings.check(call.key == expected, KEY, || {
            format!("{} of run {} carried {}, not {expected}", call.unit, run.id, call.key)
        });
    }
}

/// Once a later step was asked for, no earlier one is; of an item likewise.
fn order(evidence: &Evidence<'_>, (flow, facts): (&Flow, &Facts), findings: &mut Findings) {
    let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (place, node) in flow.path(facts).into_iter().enumerate() {
        places.insert(&node.id, (place, 0));
        if let Block::Each { nodes, .. } = &node.block {
            places.extend(nodes.iter().enumerate().map(|(inner, node)| (node.id.as_str(), (place, inner))));
        }
    }
    let mut furthest = 0;
    let mut of_items: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for (_, call) in evidence.calls_of(flow, facts) {
        let Some((place, inner)) = places.get(call.unit.step.as_str()).copied() else {
            findings.add(ORDER, format!("{} is not on the way of its run", call.unit));
            continue;
        };
        findings.check(place >= furthest, ORDER, || format!("{} after a later step", call.unit));
        furthest = furthest.max(place);
        if let Some(item) = call.unit.item {
            let reached = of_items.entry((place, item)).or_default();
            findings
                .check(inner >= *reached, ORDER, || format!("{} after a later step of its item", call.unit));
            *reached = inner.max(*reached);
        }
    }
}

/// After a cancellation was answered, a run may end the step it is at, and no more.
fn cancelled(evidence: &Evidence<'_>, findings: &mut Findings) {
    for cancelled in evidence.seen.cancelled.iter().filter(|cancelled| !cancelled.too_late) {
        let Some(run) = evidence.every_run().find(|run| run.id == cancelled.run) else {
            findings.add(CANCELLED, format!("run {} is gone", cancelled.run));
            continue;
        };
        let Some((flow, facts)) = evidence.story_of(run) else { continue };
        let path = flow.path(&facts);
        let place_of = |step: &str| {
            path.iter().position(|node| match &node.block {
                Block::Each { nodes, .. } => nodes.iter().any(|inner| inner.id == step),
                _ => node.id == step,
            })
        };
        let after: BTreeSet<_> = evidence
            .calls_of(flow, &facts)
            .filter(|(number, _)| *number >= cancelled.calls)
            .filter_map(|(_, call)| place_of(&call.unit.step))
            .collect();
        findings.check(after.len() <= 1, CANCELLED, || format!("run {} did the steps {after:?}", run.id));
        let ended = match &run.state.status {
            Status::Ended { outcome: Outcome::Cancelled | Outcome::Filtered { .. }, .. } => true,
            // What was under way was all that was left to do.
            Status::Ended { outcome: Outcome::Succeeded, .. } => {
                after.iter().all(|place| path.iter().skip(place + 1).all(|node| node.class().is_none()))
            }
            _ => false,
        };
        findings.check(ended, CANCELLED, || format!("run {}: {:?}", run.id, run.state.status));
    }
}
