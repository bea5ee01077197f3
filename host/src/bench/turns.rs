//! A host and its reference, measured in turns: first the maximum of each, then both at half of the host's.
//!
//! In turns, because a machine changes while it is measured: what slows a turn of the one slows the next turn of
//! the other as well.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    host::Host,
    load::{IN_FLIGHT, Load, Sent, count},
    options::Length,
    process::Memory,
    progress,
    reference::Reference,
    report::{Budget, Latency, Report, median_and_max, number},
    settle::Account,
};

/// How many of each kind of fault are told one by one.
const TOLD: usize = 3;

/// The longest 99th percentile at half load, in milliseconds.
const HALF_LOAD_P99: f64 = 10.0;

/// Who is measured.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    /// The host.
    pub(super) host: &'a Host,
    /// What it is held against.
    pub(super) reference: &'a Reference,
    /// The load on the host.
    pub(super) ours: Load,
    /// The same load on the reference.
    pub(super) theirs: Load,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Figures {
    /// The host's events per second, of each turn.
    value: Vec<f64>,
    /// The reference's.
    reference: Vec<f64>,
    /// The host's processor time for each event at its maximum, in microseconds.
    processor_us: f64,
    /// Events per second at half load.
    half: f64,
    /// From an event's intended start until it was done, at half load.
    at_half: Latency,
    /// The reference's, at the same rate.
    at_half_reference: Latency,
    memory: Memory,
    reference_memory: Memory,
    /// Of the host.
    events: u64,
    repeated: u64,
    lost: Vec<String>,
    refused: Vec<String>,
    /// What another way of working comes to, beside the usual one.
    compared: Option<Compared>,
}

/// Another way of working of the host: `turn_on` switches it on and off.
#[derive(Debug)]
pub(super) struct Another<F> {
    /// What it is, in words.
    pub(super) what: &'static str,
    /// Events per second that its budget asks for.
    pub(super) least: f64,
    pub(super) turn_on: F,
}

/// The host's events per second in both ways, of each turn, and its processor time for each event.
#[derive(Debug)]
struct Compared {
    what: &'static str,
    least: f64,
    with: Maximum,
    without: Maximum,
}

#[derive(Debug, Default)]
struct Maximum {
    value: Vec<f64>,
    processor: Duration,
    events: u64,
}

impl Maximum {
    fn processor_us(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / count(self.events.max(1))
    }
}

impl Turns<'_> {
    /// Measures.
    pub(super) async fn measure(&self, length: Length) -> Result<Figures> {
        let mut found = Found::default();
        let (mut value, mut reference) = (Vec::new(), Vec::new());
        let (mut processor, mut counted) = (Duration::ZERO, 0);
        for round in 1..=length.rounds {
            let (theirs, sent) = self.theirs.closed(length.turn).await?;
            found.latency(&self.theirs, &sent, Whose::Reference).await?;
            let before = self.host.processor()?;
            let (ours, sent) = self.ours.closed(length.turn).await?;
            processor += self.host.processor()?.saturating_sub(before);
            counted += sent.orders.end - sent.orders.start;
            found.latency(&self.ours, &sent, Whose::Host).await?;
            progress(&format!("turn {round}: reference {theirs:.0}/s, host {ours:.0}/s"));
            value.push(ours);
            reference.push(theirs);
        }
        let half = median_and_max(&value).0 / 2.0;
        progress(&format!("half of the host's maximum: {half:.0}/s"));
        let (mut at_half, mut at_half_reference) = (Latency::new()?, Latency::new()?);
        for _ in 0..length.rounds {
            let sent = self.theirs.open_for(half, length.turn).await?;
            at_half_reference.add(&found.latency(&self.theirs, &sent, Whose::Reference).await?)?;
            let sent = self.ours.open_for(half, length.turn).await?;
            at_half.add(&found.latency(&self.ours, &sent, Whose::Host).await?)?;
        }
        Ok(Figures {
            value,
            reference,
            processor_us: processor.as_secs_f64() * 1e6 / count(counted.max(1)),
            half,
            at_half,
            at_half_reference,
            memory: self.host.memory()?,
            reference_memory: self.reference.process().memory()?,
            events: found.events,
            repeated: found.repeated,
            lost: found.lost,
            refused: found.refused,
            compared: None,
        })
    }

    /// Measures the host's maximum in another way, in turns with its usual one, and adds it to `figures`.
    pub(super) async fn compare<F>(
        &self,
        length: Length,
        another: Another<F>,
        figures: &mut Figures,
    ) -> Result<()>
    where
        F: AsyncFn(bool) -> Result<()>,
    {
        let mut found = Found::default();
        let (mut with, mut without) = (Maximum::default(), Maximum::default());
        for round in 1..=length.rounds {
            for (on, maximum) in [(true, &mut with), (false, &mut without)] {
                (another.turn_on)(on).await?;
                let before = self.host.processor()?;
                let (value, sent) = self.ours.closed(length.turn).await?;
                maximum.processor += self.host.processor()?.saturating_sub(before);
                maximum.events += sent.orders.end - sent.orders.start;
                maximum.value.push(value);
                found.latency(&self.ours, &sent, Whose::Host).await?;
                let how = if on { another.what } else { "as before" };
                progress(&format!("turn {round}, {how}: host {value:.0}/s"));
            }
        }
        figures.events += found.events;
        figures.repeated += found.repeated;
        figures.lost.append(&mut found.lost);
        figures.refused.append(&mut found.refused);
        let Another { what, least, .. } = another;
        figures.compared = Some(Compared { what, least, with, without });
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Host,
    Reference,
}

#[derive(Default)]
struct Found {
    events: u64,
    repeated: u64,
    lost: Vec<String>,
    refused: Vec<String>,
}

impl Found {
    /// Waits for the last events of a turn; answers how long they took.
    async fn latency(&mut self, load: &Load, sent: &Sent, whose: Whose) -> Result<Latency> {
        let outcome = load.outcome(sent).await?;
        let of = if whose == Whose::Host { "" } else { " of the reference" };
        self.lost.extend(outcome.lost.iter().map(|event| format!("event {event}{of} never arrived")));
        let refused = sent.refused.iter();
        self.refused
            .extend(refused.map(|(event, reason)| format!("event {event}{of} was refused: {reason}")));
        if whose == Whose::Host {
            self.events += sent.orders.end - sent.orders.start;
            self.repeated += outcome.repeated;
        }
        Ok(outcome.latency)
    }
}

/// What a scenario says about its figures.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) scenario: &'static str,
    /// What the reference is.
    pub(super) reference: &'a str,
    /// The least share of the reference that the budget asks for.
    pub(super) least: f64,
    /// Whether the budget bounds the time at half load as well.
    pub(super) bounded: bool,
    /// What the host itself says about the work.
    pub(super) account: Account,
}

impl Figures {
    /// The report.
    pub(super) fn report(self, told: Told<'_>) -> Result<Report> {
        let (value, reference) = (median_and_max(&self.value).0, median_and_max(&self.reference).0);
        let ratio = value / reference;
        let failed = told.account.failed.len() + told.account.unfinished.len() + self.refused.len();
        let mut budgets = vec![Budget {
            bound: format!("at least {:.2} of {}", told.least, told.reference),
            met: ratio >= told.least,
        }];
        if told.bounded {
            let met = self.at_half.at(0.99) <= HALF_LOAD_P99;
            budgets.push(Budget { bound: format!("p99 at most {HALF_LOAD_P99:.0} ms at half load"), met });
        }
        if let Some(Compared { what, least, with, .. }) = &self.compared {
            let met = median_and_max(&with.value).0 >= *least;
            budgets.push(Budget { bound: format!("at least {least:.0} events/s {what}"), met });
        }
        let spread = |figures: &[f64]| {
            let lowest = figures.iter().copied().fold(f64::INFINITY, f64::min);
            format!("{lowest:.0} to {:.0}", median_and_max(figures).1)
        };
        let row = |title: &str, figure: String| (title.to_owned(), figure);
        let mut rows = vec![
            row(
                "host",
                format!("{value:.0} events/s, median of {} ({IN_FLIGHT} under way)", spread(&self.value)),
            ),
            row(told.reference, format!("{reference:.0} events/s, median of {}", spread(&self.reference))),
            row("ratio", format!("{ratio:.3}")),
            row("processor time of the host", format!("{:.0} µs an event", self.processor_us)),
            row(&format!("host at {:.0}/s", self.half), self.at_half.figures()),
            row(&format!("reference at {:.0}/s", self.half), self.at_half_reference.figures()),
            row("memory of the host", self.memory.to_string()),
            row("memory of the reference", self.reference_memory.to_string()),
            row(
                "of all events",
                format!(
                    "{} sent, {failed} failed, {} lost, {} calls repeated",
                    self.events,
                    self.lost.len(),
                    self.repeated
                ),
            ),
        ];
        let mut members: Vec<(&'static str, Value)> = vec![
            ("p50", number(self.at_half.at(0.5))),
            ("p99", number(self.at_half.at(0.99))),
            ("p50_reference", number(self.at_half_reference.at(0.5))),
            ("p99_reference", number(self.at_half_reference.at(0.99))),
            ("half_rate", number(self.half)),
            ("processor_us", number(self.processor_us)),
            ("rss_mb", number(self.memory.resident)),
            ("peak_rss_mb", number(self.memory.peak)),
            ("reference_rss_mb", number(self.reference_memory.resident)),
            ("events", json!(self.events)),
            ("failed", json!(failed)),
            ("lost", json!(self.lost.len())),
            ("repeated", json!(self.repeated)),
        ];
        if let Some(Compared { what, with, without, .. }) = &self.compared {
            for (title, way) in
                [(format!("host, {what}"), with), ("host, in turns with it".to_owned(), without)]
            {
                let value = median_and_max(&way.value).0;
                let processor = way.processor_us();
                rows.push((
                    title,
                    format!(
                        "{value:.0} events/s, median of {}; {processor:.0} µs an event",
                        spread(&way.value)
                    ),
                ));
            }
            members.push(("compared", number(median_and_max(&with.value).0)));
            members.push(("compared_processor_us", number(with.processor_us())));
            members.push(("compared_without", number(median_and_max(&without.value).0)));
        }
        let mut faults = Vec::new();
        for kind in [&self.lost, &self.refused, &told.account.failed, &told.account.unfinished] {
            faults.extend(kind.iter().take(TOLD).cloned());
            if kind.len() > TOLD {
                faults.push(format!("… and {} more of these", kind.len() - TOLD));
            }
        }
        Ok(Report { scenario: told.scenario, value, reference, members, rows, budgets, faults })
    }
}
