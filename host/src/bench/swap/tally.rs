//! What the scenario found, and how it is told. Pure but for waiting for a phase's last calls.

use anyhow::Result;
use serde_json::json;

use super::{
    LEAST_SHARE, Pace,
    swapper::{Fresh, Swaps},
};
use crate::bench::{
    load::{IN_FLIGHT, Load, Outcome, Sent},
    report::{Latency, Report, median_and_max, number},
    settle::Account,
};

/// How many of each kind of fault are told one by one.
const TOLD: usize = 3;

/// One part of the measurement.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) sent: Sent,
    pub(super) outcome: Outcome,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) component_bytes: usize,
    /// Events per second.
    pub(super) maximum: f64,
    /// The events of the maximum.
    pub(super) warm: Phase,
    pub(super) pace: Pace,
    /// The load without swaps, and with them, in turns.
    pub(super) quiet: Vec<Phase>,
    pub(super) swapped: Vec<Phase>,
    /// The load while components that the host had never seen were pushed.
    pub(super) fresh: Phase,
    pub(super) swaps: Swaps,
    /// Over how many swaps the call was held, or what went wrong with it.
    pub(super) held: Result<u32, String>,
    /// Components that the host had never seen.
    pub(super) at_rest: Fresh,
    /// The same under load.
    pub(super) loaded: Fresh,
    pub(super) account: Account,
    /// What the host logged as errors.
    pub(super) host_errors: Vec<String>,
}

impl Phase {
    /// Waits for the last calls of what was sent.
    pub(super) async fn new(sent: Sent, load: &Load) -> Result<Self> {
        let outcome = load.outcome(&sent).await?;
        Ok(Self { sent, outcome })
    }
}

/// The times of all phases together.
fn latency(phases: &[Phase]) -> Result<Latency> {
    let mut all = Latency::new()?;
    for phase in phases {
        all.add(&phase.outcome.latency)?;
    }
    Ok(all)
}

impl Tally {
    fn phases(&self) -> impl Iterator<Item = &Phase> {
        let in_turns = self.pace.tried.iter().chain(&self.quiet).chain(&self.swapped);
        [&self.warm, &self.fresh].into_iter().chain(in_turns)
    }

    fn lost(&self) -> usize {
        self.phases().map(|phase| phase.outcome.lost.len()).sum()
    }

    fn refused(&self) -> usize {
        self.phases().map(|phase| phase.sent.refused.len()).sum()
    }

    fn failed(&self) -> usize {
        self.account.failed.len() + self.account.unfinished.len() + self.refused()
    }

    fn events(&self) -> u64 {
        self.phases().map(|phase| phase.sent.orders.end - phase.sent.orders.start).sum()
    }

    fn repeated(&self) -> u64 {
        self.phases().map(|phase| phase.outcome.repeated).sum()
    }

    /// What must not happen, and did.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let lost = self.phases().flat_map(|phase| &phase.outcome.lost);
        let lost: Vec<String> =
            lost.map(|order| format!("the call of event {order} never arrived")).collect();
        let refused = self.phases().flat_map(|phase| &phase.sent.refused);
        let refused: Vec<String> =
            refused.map(|(order, reason)| format!("event {order} was not acknowledged: {reason}")).collect();
        for kind in [&lost, &refused, &self.account.failed, &self.account.unfinished] {
            faults.extend(kind.iter().take(TOLD).cloned());
            if kind.len() > TOLD {
                faults.push(format!("… and {} more of these", kind.len() - TOLD));
            }
        }
        faults.extend(self.held.as_ref().err().cloned());
        faults
    }

    /// The report.
    pub(super) fn report(&self) -> Result<Report> {
        let (quiet, swapped) = (latency(&self.quiet)?, latency(&self.swapped)?);
        let (switch_median, switch) = median_and_max(&self.swaps.switch_ms);
        let (_, activate) = median_and_max(&self.at_rest.active_ms);
        let (_, loaded) = median_and_max(&self.loaded.active_ms);
        let (_, whole) = median_and_max(&self.swaps.whole_ms);
        let members = vec![
            ("failed", json!(self.failed())),
            ("lost", json!(self.lost())),
            ("switch_ms", number(switch)),
            ("switch_median_ms", number(switch_median)),
            ("switch_rest_ms", number(median_and_max(&self.at_rest.switch_ms).1)),
            ("activate_ms", number(activate)),
            ("activate_loaded_ms", number(loaded)),
            ("swap_ms", number(whole)),
            ("swaps", json!(self.swaps.count)),
            ("refused", json!(self.swaps.refused)),
            ("held_ok", json!(self.held.is_ok())),
            ("rate", number(self.pace.rate)),
            ("maximum", number(self.maximum)),
            ("share", number(self.pace.share)),
            ("rate_held", json!(self.pace.holds)),
            ("p50", number(swapped.at(0.5))),
            ("p50_quiet", number(quiet.at(0.5))),
            ("p99_activating", number(self.fresh.outcome.latency.at(0.99))),
            ("events", json!(self.events())),
            ("repeated", json!(self.repeated())),
            ("component_bytes", json!(self.component_bytes)),
            ("host_errors", json!(self.host_errors.len())),
        ];
        Ok(Report {
            scenario: "swap",
            value: swapped.at(0.99),
            reference: quiet.at(0.99),
            members,
            rows: self.rows(&quiet, &swapped),
            budgets: Vec::new(),
            faults: self.faults(),
        })
    }

    fn rows(&self, quiet: &Latency, swapped: &Latency) -> Vec<(String, String)> {
        let (switch_median, switch) = median_and_max(&self.swaps.switch_ms);
        let (whole_median, whole) = median_and_max(&self.swaps.whole_ms);
        let (rest_median, rest) = median_and_max(&self.at_rest.active_ms);
        let (loaded_median, loaded) = median_and_max(&self.loaded.active_ms);
        let held_load = if self.pace.holds {
            String::new()
        } else {
            format!("; the host does not hold {:.0} %, so times say little", LEAST_SHARE * 100.0)
        };
        let held = match &self.held {
            Ok(swaps) => format!("ended well on the version it began with, held over {swaps} swaps"),
            Err(fault) => fault.clone(),
        };
        let row = |title: &str, figure: String| (title.to_owned(), figure);
        let mut rows = vec![
            row("maximum", format!("{:.0} events/s ({IN_FLIGHT} under way)", self.maximum)),
            row(
                "load",
                format!("{:.0} events/s, {:.1} % of it{held_load}", self.pace.rate, self.pace.share * 100.0),
            ),
            row("without swaps", format!("{} ({} events)", quiet.figures(), quiet.count())),
            row(
                &format!("{} swaps", self.swaps.count),
                format!(
                    "{} ({} events in {:.1} s; {} candidates refused meanwhile)",
                    swapped.figures(),
                    swapped.count(),
                    self.swaps.length.as_secs_f64(),
                    self.swaps.refused,
                ),
            ),
            row("p99, swaps / without", format!("{:.2}", swapped.at(0.99) / quiet.at(0.99))),
            row(
                "the switch itself",
                format!(
                    "under load median {switch_median:.2} ms, max {switch:.2} ms; at rest max {:.2} ms",
                    median_and_max(&self.at_rest.switch_ms).1
                ),
            ),
            row("a whole swap, under load", format!("median {whole_median:.0} ms, max {whole:.0} ms")),
            row(
                "new component, upload to active",
                format!(
                    "at rest median {rest_median:.0} ms, max {rest:.0} ms; under load median {loaded_median:.0} ms, \
                     max {loaded:.0} ms, events meanwhile {} ({} KB)",
                    self.fresh.outcome.latency.figures(),
                    self.component_bytes / 1_000,
                ),
            ),
            row("a call held by the vendor", held),
            row(
                "of all events",
                format!(
                    "{} sent, {} failed, {} lost, {} calls repeated",
                    self.events(),
                    self.failed(),
                    self.lost(),
                    self.repeated()
                ),
            ),
        ];
        let errors = self.host_errors.iter().take(TOLD);
        rows.extend(errors.map(|error| row("the host logged an error", error.clone())));
        rows
    }
}
