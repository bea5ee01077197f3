//! What the suite found: one verdict for each rule and each thing that a connector declares.

use serde::Serialize;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The connector.
    pub app: String,
    /// Its version.
    pub version: String,
    /// In the order in which it declares things.
    pub verdicts: Vec<Verdict>,
}

/// One rule, and one thing it was tried on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What it was tried on: `action create_task`.
    pub subject: String,
    /// The rule, in words.
    pub rule: &'static str,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "why", rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Passed,
    /// The rule is broken: in which way each time, and the remedy.
    Broken(Vec<String>),
    /// It could not be tried, and why.
    Untried(String),
}

impl Report {
    /// The verdicts that say a rule is broken.
    pub fn broken(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Broken(_)))
    }

    /// The verdicts on rules that could not be tried.
    pub fn untried(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Untried(_)))
    }
}
