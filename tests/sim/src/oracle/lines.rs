//! Runs that wait for each other: never more under way than may be, one of a key at a time, in the order in which
//! their events were accepted, and none behind one that failed.

use std::collections::BTreeMap;

use trunnion_core::{
    clock::Timestamp,
    id::{RunId, UserId},
    machine::{Outcome, Status},
    records::LiveRun,
};

use super::{Evidence, Findings};
use crate::flow::{Facts, Flow, Line};

const MANY: &str = "more runs were under way than may be";
const TOGETHER: &str = "a run began while another held its key";
const ORDER: &str = "runs of a key began in another order than their events came";

pub(super) fn judge(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut lines: BTreeMap<(usize, UserId, String), Vec<Stay>> = BTreeMap::new();
    for run in evidence.every_run() {
        let Some((flow, facts)) = evidence.story_of(run) else { continue };
        let key = match flow.line {
            Line::Parallel => continue,
            Line::Throttled(_) => String::new(),
            Line::Ordered => facts.key.clone(),
        };
        if let Some(stay) = Stay::of(evidence, run, flow, &facts) {
            lines.entry((flow.number, run.user, key)).or_default().push(stay);
        }
    }
    for ((number, _, key), mut stays) in lines {
        stays.sort_by_key(|stay| (stay.began, stay.ended));
        let Some(flow) = evidence.plan.flows.get(number) else { continue };
        match flow.line {
            Line::Parallel => {}
            Line::Throttled(limit) => throttled(number, limit, &stays, findings),
            Line::Ordered => ordered(evidence, &format!("key {key} of flow {number}"), &stays, findings),
        }
    }
}

/// From a run's beginning, as far as it can be told from outside, to its end.
struct Stay {
    run: RunId,
    marker: String,
    began: Timestamp,
    ended: Timestamp,
    failed: bool,
}

impl Stay {
    /// Of a run that began.
    fn of(evidence: &Evidence<'_>, run: &LiveRun, flow: &Flow, facts: &Facts) -> Option<Self> {
        let called = evidence.calls_of(flow, facts).map(|(_, call)| call.at).min();
        let noted = run.state.results.first().map(|result| result.started_at);
        let began = called.into_iter().chain(noted).min()?;
        let (ended, failed) = match &run.state.status {
            Status::Ended { outcome, at } => (*at, matches!(outcome, Outcome::Failed { .. })),
            _ => (Timestamp::from_millis(u64::MAX), false),
        };
        Some(Self { run: run.id, marker: facts.marker.clone(), began, ended, failed })
    }

    /// When the next run of its key may begin: at its end, unless it failed, or when somebody lets the key go on.
    fn makes_way(&self, evidence: &Evidence<'_>) -> Timestamp {
        let skips = evidence.seen.skipped.iter();
        let skips = skips.filter(|skip| skip.run.is_none_or(|run| run == self.run) && skip.at >= self.began);
        let end = (!self.failed).then_some(self.ended);
        skips.map(|skip| skip.at).chain(end).min().unwrap_or(Timestamp::from_millis(u64::MAX))
    }
}

fn throttled(flow: usize, limit: usize, stays: &[Stay], findings: &mut Findings) {
    for stay in stays {
        let others = stays.iter().filter(|other| other.began <= stay.began && other.ended > stay.began);
        let under_way = others.count();
        findings.check(under_way <= limit.max(1), MANY, || {
            format!("{under_way} of flow {flow} at {}, at most {limit} may be", stay.began)
        });
    }
}

fn ordered(evidence: &Evidence<'_>, line: &str, stays: &[Stay], findings: &mut Findings) {
    for (place, stay) in stays.iter().enumerate() {
        for before in stays.iter().take(place) {
            let way = before.makes_way(evidence);
            findings.check(stay.began >= way, TOGETHER, || {
                format!("{line}: run {} at {}; run {} made way at {way}", stay.run, stay.began, before.run)
            });
        }
    }
    let sent = |stay: &Stay| sent_and_taken(evidence, stay);
    for later in stays {
        for earlier in stays.iter().filter(|earlier| earlier.began > later.began) {
            let (Some((_, taken)), Some((sent, _))) = (sent(earlier), sent(later)) else { continue };
            findings.check(taken.is_none_or(|taken| sent.is_none_or(|sent| sent <= taken)), ORDER, || {
                format!("{line}: {} before {}, which had been taken", later.marker, earlier.marker)
            });
        }
    }
}

/// When a run's event was first sent, and when it was known to be accepted.
fn sent_and_taken(evidence: &Evidence<'_>, stay: &Stay) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    let event = evidence.seen.events.iter().find(|event| event.marker == stay.marker)?;
    Some((event.sent_at, event.acknowledged))
}
