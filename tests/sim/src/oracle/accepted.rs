//! Promises 1 and 3: what was acknowledged is done, once; nothing is left over.

use std::collections::BTreeSet;

use serde_json::Value;
use trunnion_core::{id::RunId, records::DeadWork};

use super::{ByCause, Evidence, Findings, answers, called, ticks};
use crate::{flow::Trigger, process::End, vendor::DELIVERY_ID};

pub(super) const LOST: &str = "an acknowledged event is lost";
pub(super) const TWICE: &str = "an event started a run twice";
const STUCK: &str = "something is stuck";
const INVENTED: &str = "a run that nobody caused";
const COUNTED: &str = "a poller's record is not what it accepted";
const KEYS: &str = "an Idempotency-Key was taken with two bodies";

pub(super) fn judge(evidence: &Evidence<'_>, findings: &mut Findings) {
    stuck(evidence, findings);
    let runs = evidence.by_cause();
    let mut caused = BTreeSet::new();
    for event in &evidence.seen.events {
        let other = format!("other-{}", event.marker);
        let mut both = [false; 2];
        for flow in
            evidence.plan.flows.iter().filter(|flow| flow.trigger == Trigger::Event(event.name.clone()))
        {
            let count = |marker: &str| runs.get(&(marker.to_owned(), flow.number)).map_or(0, Vec::len);
            let (found, others) = (count(&event.marker), count(&other));
            both = [both[0] || found > 0, both[1] || others > 0];
            findings.check(found > 0 || event.acknowledged.is_none(), LOST, || {
                format!("event {} has no run of flow {}", event.marker, flow.number)
            });
            findings.check(others > 0 || !event.displaced, LOST, || {
                format!("event {other} has no run of flow {}", flow.number)
            });
            findings.check(found <= 1 && others <= 1, TWICE, || {
                format!("event {} has {found} and {others} runs of flow {}", event.marker, flow.number)
            });
            caused.extend([(event.marker.clone(), flow.number), (other.clone(), flow.number)]);
        }
        findings.check(both != [true; 2], KEYS, || format!("{:?}: {} and {other}", event.key, event.marker));
    }
    let buried: Vec<_> = evidence
        .dead
        .iter()
        .filter_map(|letter| match &letter.work {
            DeadWork::Delivery { delivery } => {
                delivery.headers.iter().find(|(name, _)| name == DELIVERY_ID).map(|(_, id)| id.as_str())
            }
            DeadWork::Run { .. }
            | DeadWork::Callback { .. }
            | DeadWork::Notice { .. }
            | DeadWork::Batch { .. } => None,
        })
        .collect();
    for delivery in &evidence.seen.deliveries {
        findings.check(delivery.refused.is_none(), LOST, || {
            format!("{} was refused: {}", delivery.id, delivery.refused.as_deref().unwrap_or_default())
        });
        let flows = evidence.plan.flows.iter().filter(|flow| flow.trigger == Trigger::Webhook);
        for (flow, occurrence) in flows.flat_map(|flow| delivery.occurrences.iter().map(move |it| (flow, it)))
        {
            let marker = occurrence.get("marker").and_then(Value::as_str).unwrap_or_default();
            let cause = (marker.to_owned(), flow.number);
            let found = runs.get(&cause).map_or(0, Vec::len);
            let kept = found > 0 || buried.contains(&delivery.id.as_str());
            findings.check(kept || !delivery.acknowledged, LOST, || {
                format!("occurrence {} of {} has no run of flow {}", cause.0, delivery.id, cause.1)
            });
            findings.check(found <= 1, TWICE, || {
                format!("occurrence {} has {found} runs of flow {}", cause.0, cause.1)
            });
            caused.insert(cause);
        }
    }
    polled(evidence, &runs, &mut caused, findings);
    ticks::judge(evidence, &mut caused, findings);
    answers::judge(evidence, &runs, &mut caused, findings);
    called::judge(evidence, &runs, &mut caused, findings);
    for cause in runs.keys() {
        findings.check(caused.contains(cause), INVENTED, || format!("{} in flow {}", cause.0, cause.1));
    }
    payloads(evidence, findings);
}

/// Promise 4: whatever the vendor listed started one run of each workflow that polls, and the record that was
/// committed with those runs counts them.
fn polled(
    evidence: &Evidence<'_>,
    runs: &ByCause,
    caused: &mut BTreeSet<(String, usize)>,
    findings: &mut Findings,
) {
    for flow in evidence.plan.flows.iter().filter(|flow| flow.trigger == Trigger::Poll) {
        for record in &evidence.seen.records {
            let cause = (record.marker.clone(), flow.number);
            let found = runs.get(&cause).map_or(0, Vec::len);
            findings.check(found > 0 || evidence.may_be_full(), LOST, || {
                format!("record {} has no run of flow {}", cause.0, cause.1)
            });
            findings.check(found <= 1, TWICE, || {
                format!("record {} has {found} runs of flow {}", cause.0, cause.1)
            });
            caused.insert(cause);
        }
    }
    for poller in &evidence.pollers {
        let runs = evidence.every_run().filter(|run| run.installation == poller.installation).count();
        findings.check(u64::try_from(runs) == Ok(poller.accepted), COUNTED, || {
            format!("{} runs, {} accepted", runs, poller.accepted)
        });
    }
}

/// A run sees the payload that was sent.
fn payloads(evidence: &Evidence<'_>, findings: &mut Findings) {
    let sent: Vec<&Value> = evidence
        .seen
        .events
        .iter()
        .map(|event| &event.payload)
        .chain(evidence.seen.deliveries.iter().flat_map(|delivery| &delivery.occurrences))
        .chain(evidence.seen.records.iter().map(|record| &record.payload))
        .chain(evidence.seen.requests.iter().map(|request| &request.body))
        .collect();
    for run in evidence.every_run() {
        let Some((flow, facts)) = evidence.story_of(run) else { continue };
        let told = run.trigger.to_value();
        let given = match flow.trigger {
            Trigger::Event(_) | Trigger::Webhook | Trigger::Poll => &*told,
            Trigger::Request => told.get("body").unwrap_or(&Value::Null),
            // What they know follows from the clock, or from what called them.
            Trigger::Schedule { .. } | Trigger::Call => continue,
        };
        findings.check(sent.contains(&given) || facts.marker.starts_with("other-"), INVENTED, || {
            format!("run {} has the payload {given}, which nobody sent", run.id)
        });
    }
}

fn stuck(evidence: &Evidence<'_>, findings: &mut Findings) {
    for run in &evidence.live {
        findings.add(STUCK, format!("run {} is at step {}: {:?}", run.id, run.state.step, run.state.status));
    }
    for delivery in &evidence.deliveries {
        findings.add(STUCK, format!("delivery {} after {} attempts", delivery.id, delivery.attempts));
    }
    findings.check(evidence.callbacks == 0, STUCK, || format!("{} callbacks are left", evidence.callbacks));
    // A run among the dead letters keeps them, to go on from where it stood.
    let kept = |id: &RunId| {
        let mut runs = evidence.dead.iter();
        runs.any(|letter| matches!(&letter.work, DeadWork::Run { run, .. } if run == id))
    };
    for id in evidence.items.iter().filter(|id| !kept(id)) {
        findings.add(STUCK, format!("an item of run {id} is left, which has ended"));
    }
    findings.check(evidence.end == End::Quiet, STUCK, || "the world did not become quiet".to_owned());
}
