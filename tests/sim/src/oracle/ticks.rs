//! Schedules: every tick of an installation starts one run, or is counted by the run that caught up; where ticks are
//! skipped, none is that was met on time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use trunnion_core::{clock::Timestamp, records::EventSource, schedule::Missed};

use super::{
    Evidence, Findings,
    accepted::{LOST, TWICE},
};
use crate::{
    clock::BEGINNING,
    flow::{Flow, Trigger, tick},
};

const TICKS: &str = "a tick was counted wrongly";

/// How long after a tick it counts as on time.
const ON_TIME: Duration = Duration::from_secs(60);

pub(super) fn judge(
    evidence: &Evidence<'_>,
    caused: &mut BTreeSet<(String, usize)>,
    findings: &mut Findings,
) {
    for flow in &evidence.plan.flows {
        let Trigger::Schedule { minutes, missed } = &flow.trigger else { continue };
        for user in 0..evidence.plan.users {
            let schedule = Ticks { evidence, flow, user, every_ms: minutes * 60_000 };
            let counts = schedule.counts(findings);
            for at in counts.keys() {
                caused.insert((tick(user, &at.to_string()), flow.number));
            }
            match missed {
                Missed::CatchUp => schedule.caught_up(&counts, findings),
                Missed::Skip => schedule.skipped(&counts, findings),
            }
        }
    }
}

struct Ticks<'a> {
    evidence: &'a Evidence<'a>,
    flow: &'a Flow,
    user: usize,
    every_ms: u64,
}

impl Ticks<'_> {
    /// What each tick that started a run says that it stands for.
    fn counts(&self, findings: &mut Findings) -> BTreeMap<Timestamp, u64> {
        let (flow, number) = (self.flow, self.flow.number);
        let mut counts = BTreeMap::new();
        let user = self.evidence.seen.users.get(self.user);
        let mine = self.evidence.every_run().filter(|run| {
            Some(&run.user) == user && self.evidence.flow_of(run).is_some_and(|it| it.number == number)
        });
        for run in mine {
            let told = run.trigger.to_value();
            let count = told.get("count").and_then(Value::as_u64).unwrap_or_default();
            let EventSource::Schedule { scheduled_at: at } = run.source else { continue };
            let said = told.get("scheduled_at").and_then(Value::as_str);
            findings.check(said == Some(&at.to_string()), TICKS, || {
                format!("run {} was told of {said:?}, not {at}", run.id)
            });
            let is_tick = at > BEGINNING && at.as_millis().checked_rem(self.every_ms) == Some(0);
            findings.check(is_tick && at <= run.accepted_at, TICKS, || {
                format!("run {} of flow {} stands for {at}", run.id, flow.number)
            });
            let before = counts.insert(at, count);
            findings.check(before.is_none(), TWICE, || {
                format!("the tick at {at} started two runs of flow {}", flow.number)
            });
        }
        counts
    }

    fn place(&self, at: Timestamp) -> u64 {
        at.as_millis().checked_div(self.every_ms).unwrap_or_default()
    }

    /// Every tick is counted once, up to the last that could be met.
    fn caught_up(&self, counts: &BTreeMap<Timestamp, u64>, findings: &mut Findings) {
        let mut handled = self.place(BEGINNING);
        for (at, count) in counts {
            let expected = self.place(*at).saturating_sub(handled);
            findings.check(*count == expected, TICKS, || {
                format!(
                    "the run of {at} of flow {} stands for {count} ticks, not {expected}",
                    self.flow.number
                )
            });
            handled = self.place(*at);
        }
        if self.evidence.may_be_full() {
            return;
        }
        let last = self.active().filter_map(|(from, until)| self.last_met(from, until)).max();
        let Some(last) = last else { return };
        findings.check(handled >= self.place(last), LOST, || {
            format!(
                "the tick at {last} of flow {} and user {} was never caught up",
                self.flow.number, self.user
            )
        });
    }

    /// Each tick stands for itself, and none is missing that nothing kept from being met.
    fn skipped(&self, counts: &BTreeMap<Timestamp, u64>, findings: &mut Findings) {
        for (at, count) in counts {
            findings.check(*count == 1, TICKS, || {
                format!("the run of {at} of flow {} stands for {count} ticks", self.flow.number)
            });
        }
        // Where hardly anything may wait, the door keeps ticks out as well.
        if self.evidence.plan.max_waiting < super::MANY {
            return;
        }
        let troubles = &self.evidence.seen.troubles;
        for (from, until) in self.active() {
            let first = self.place(from) + 1;
            let ticks = (first..).map(|place| Timestamp::from_millis(place * self.every_ms));
            for at in ticks.take_while(|at| *at + ON_TIME < until) {
                let kept = troubles.iter().any(|trouble| *trouble >= at && *trouble <= at + ON_TIME);
                findings.check(kept || counts.contains_key(&at), LOST, || {
                    let (flow, user) = (self.flow.number, self.user);
                    format!(
                        "the tick at {at} of flow {flow} and user {user} started nothing, and nothing kept it"
                    )
                });
            }
        }
    }

    /// When the copy was active for certain.
    fn active(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let known = self.evidence.seen.active.iter().filter(|known| known.flow == self.flow.number);
        known.filter_map(|known| Some((known.from, known.until?)))
    }

    /// The last tick of a time that somebody was certainly there to meet: after the last trouble, and not just before
    /// the end.
    fn last_met(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let met = Timestamp::from_millis(until.as_millis().checked_sub(60_000)?);
        let calm = met > from && BEGINNING + self.evidence.plan.calm < met;
        calm.then(|| Timestamp::from_millis(self.place(met) * self.every_ms)).filter(|at| *at > BEGINNING)
    }
}
