//! What a scenario found: a table for people, one JSON object for programs, and the faults.

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use serde_json::{Map, Number, Value, json};

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(600);

/// In which form a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A table on standard output.
    Table,
    /// The table on standard error, and the JSON object as the last line of standard output.
    Json,
}

/// A scenario's result.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Its name.
    pub(super) scenario: &'static str,
    /// The figure that counts.
    pub(super) value: f64,
    /// The same without what is being measured.
    pub(super) reference: f64,
    /// Everything else that programs read.
    pub(super) members: Vec<(&'static str, Value)>,
    /// What people read: a title and a figure.
    pub(super) rows: Vec<(String, String)>,
    /// What the figures should be.
    pub(super) budgets: Vec<Budget>,
    /// What must not happen, and did.
    pub(super) faults: Vec<String>,
}

/// A bound on a figure. It is told, never enforced: machines differ and are noisy.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// In words.
    pub(super) bound: String,
    /// Whether the figure keeps it.
    pub(super) met: bool,
}

impl Report {
    /// Prints it.
    pub(super) fn print(&self, form: Form) -> Result<()> {
        match form {
            Form::Table => write!(io::stdout().lock(), "{}", self.table())?,
            Form::Json => {
                write!(io::stderr().lock(), "{}", self.table())?;
                writeln!(io::stdout().lock(), "{}", Value::Object(self.object()))?;
            }
        }
        Ok(())
    }

    /// An error that names every fault.
    pub(super) fn verdict(&self) -> Result<()> {
        if self.faults.is_empty() {
            return Ok(());
        }
        bail!("`{}` found what must not happen:\n  - {}", self.scenario, self.faults.join("\n  - "))
    }

    fn table(&self) -> String {
        let budgets = self.budgets.iter().map(|budget| {
            let judged = if budget.met { "met" } else { "missed" };
            ("budget".to_owned(), format!("{}: {judged}", budget.bound))
        });
        let rows: Vec<_> = self.rows.iter().cloned().chain(budgets).collect();
        let width = rows.iter().map(|(title, _)| title.chars().count()).max().unwrap_or_default();
        rows.iter().map(|(title, figure)| format!("{title:<width$}  {figure}\n")).collect()
    }

    fn object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("scenario".to_owned(), json!(self.scenario));
        object.insert("value".to_owned(), number(self.value));
        object.insert("reference".to_owned(), number(self.reference));
        object.insert("ratio".to_owned(), number(self.value / self.reference));
        for (name, value) in &self.members {
            object.insert((*name).to_owned(), value.clone());
        }
        if !self.budgets.is_empty() {
            let budget = |budget: &Budget| json!({ "bound": budget.bound, "met": budget.met });
            object.insert("budgets".to_owned(), self.budgets.iter().map(budget).collect());
        }
        object
    }
}

/// A figure with three decimals; null where there is none.
pub(super) fn number(figure: f64) -> Value {
    let rounded = (figure * 1_000.0).round() / 1_000.0;
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// Milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The middle and the largest of some figures; zero where there are none.
pub(super) fn median_and_max(figures: &[f64]) -> (f64, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    (middle, sorted.last().copied().unwrap_or_default())
}

/// How long things took, in microseconds, to three digits.
#[derive(Clone, Debug)]
pub(super) struct Latency(Histogram<u64>);

impl Latency {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self> {
        let longest = u64::try_from(LONGEST.as_micros())?;
        Ok(Self(Histogram::new_with_bounds(1, longest, 3).context("no histogram could be made")?))
    }

    /// One more; what is longer than ten minutes counts as ten minutes.
    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Everything of another as well.
    pub(super) fn add(&mut self, other: &Self) -> Result<()> {
        self.0.add(&other.0).context("two histograms of the same bounds add up")
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds below which this share lies.
    pub(super) fn at(&self, share: f64) -> f64 {
        millis(Duration::from_micros(self.0.value_at_quantile(share)))
    }

    /// `p50 … p99 … max …`.
    pub(super) fn figures(&self) -> String {
        format!("p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms", self.at(0.5), self.at(0.99), self.at(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(faults: Vec<String>) -> Report {
        Report {
            scenario: "x",
            value: 3.0,
            reference: 2.0,
            members: vec![("lost", json!(0)), ("share", number(0.7504))],
            rows: vec![("maximum".to_owned(), "10/s".to_owned()), ("q".to_owned(), "p50".to_owned())],
            budgets: vec![Budget { bound: "at least 2/s".to_owned(), met: true }],
            faults,
        }
    }

    #[test]
    fn the_object_begins_with_what_every_scenario_has() {
        let object = Value::Object(report(Vec::new()).object());
        assert_eq!(
            object.to_string(),
            r#"{"scenario":"x","value":3.0,"reference":2.0,"ratio":1.5,"lost":0,"share":0.75,"budgets":[{"bound":"at least 2/s","met":true}]}"#
        );
        assert_eq!(report(Vec::new()).table(), "maximum  10/s\nq        p50\nbudget   at least 2/s: met\n");
    }

    #[test]
    fn a_fault_is_an_error_that_names_it() {
        assert!(report(Vec::new()).verdict().is_ok());
        let error = report(vec!["3 events were lost".to_owned()]).verdict().unwrap_err().to_string();
        assert!(error.contains("3 events were lost"), "{error}");
    }

    #[test]
    fn shares_of_latencies_are_in_milliseconds() {
        let mut latency = Latency::new().unwrap();
        for micros in 1..=1_000 {
            latency.record(Duration::from_micros(micros * 10));
        }
        latency.record(Duration::from_secs(3_600));
        assert!((latency.at(0.5) - 5.0).abs() < 0.05, "{}", latency.at(0.5));
        assert!((latency.at(0.99) - 9.9).abs() < 0.05, "{}", latency.at(0.99));
        assert!(latency.at(1.0) >= 600_000.0, "longer than the longest is the longest");
        assert_eq!(latency.count(), 1_001);
    }

    #[test]
    fn the_middle_and_the_largest() {
        assert_eq!(median_and_max(&[3.0, 1.0, 2.0]), (2.0, 3.0));
        assert_eq!(median_and_max(&[]), (0.0, 0.0));
    }
}
