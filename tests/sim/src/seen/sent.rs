//! What was sent to the host, what it answered, and what was done with it by hand.

use serde_json::Value;
use trunnion_core::{answer, clock::Timestamp, id::RunId};

use super::Answer;

/// A custom event.
#[derive(Clone, Debug, Default)]
pub struct SentEvent {
    /// Names it in everything that follows from it.
    pub marker: String,
    /// Its event.
    pub name: String,
    /// For which user.
    pub user: usize,
    /// Its payload.
    pub payload: Value,
    /// Its Idempotency-Key.
    pub key: Option<String>,
    /// When it was first sent.
    pub sent_at: Option<Timestamp>,
    /// When it was first answered with a 2xx.
    pub acknowledged: Option<Timestamp>,
    /// Runs that an acknowledgement named.
    pub runs: Vec<RunId>,
    /// Whether another body was accepted under its key.
    pub displaced: bool,
}

/// A vendor's delivery.
#[derive(Clone, Debug)]
pub struct SentDelivery {
    /// The vendor's id of it.
    pub id: String,
    /// For which user.
    pub user: usize,
    /// What it tells of.
    pub occurrences: Vec<Value>,
    /// Answered with a 2xx.
    pub acknowledged: bool,
    /// Why it was refused for good, where it was.
    pub refused: Option<String>,
}

/// A record that the vendor lists.
#[derive(Clone, Debug)]
pub struct ListedRecord {
    /// Names it in everything that follows from it.
    pub marker: String,
    /// In which user's account.
    pub user: usize,
    /// Its own time.
    pub at: Timestamp,
    /// From when on it is shown.
    pub shown: Timestamp,
    /// What it says.
    pub payload: Value,
}

/// A request.
#[derive(Clone, Debug)]
pub struct SentRequest {
    /// Names it in everything that follows from it.
    pub marker: String,
    /// To which user's copy.
    pub user: usize,
    /// Of which flow.
    pub flow: usize,
    /// Its body.
    pub body: Value,
    /// Its Idempotency-Key.
    pub key: Option<String>,
    /// Whether it says where else the answer is to go.
    pub callback: bool,
    /// Its `Prefer`.
    pub prefer: Option<String>,
    /// When it was first sent.
    pub sent_at: Option<Timestamp>,
    /// What it was told, each time.
    pub told: Vec<Told>,
    /// When whoever sent it went away, or was cut off, before there was an answer.
    pub cut_off: Vec<Timestamp>,
}

/// What a request was told, or whoever asked about it later.
#[derive(Clone, Debug)]
pub struct Told {
    /// The run.
    pub run: RunId,
    /// Its answer, where there was one.
    pub answer: Option<answer::Answer>,
    /// How it came to hear of it.
    pub heard: Heard,
}

/// How somebody came to hear of a request's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// By sending the request and waiting.
    Waiting,
    /// By asking later.
    Asking,
}

/// An answer that arrived at the URL that a request gave.
#[derive(Clone, Debug)]
pub struct CalledBack {
    /// Whose.
    pub run: RunId,
    /// The idempotency key it carried.
    pub key: String,
    /// The answer.
    pub told: answer::Answer,
    /// In which life.
    pub life: u64,
    /// How it was answered in turn, once that arrived in a living process.
    pub answer: Option<Answer>,
}

/// A time in which the users' copies of a workflow were active.
#[derive(Clone, Copy, Debug)]
pub struct Active {
    /// Which flow.
    pub flow: usize,
    /// From when on it was known.
    pub from: Timestamp,
    /// Until somebody began to pause one.
    pub until: Option<Timestamp>,
}

/// Somebody let a key go on without the run that held it, or tried to.
#[derive(Clone, Copy, Debug)]
pub struct Skipped {
    /// Which run; `None` where nobody can tell, which may be any.
    pub run: Option<RunId>,
    /// When it began.
    pub at: Timestamp,
}

/// A cancellation that was answered well.
#[derive(Clone, Copy, Debug)]
pub struct Cancelled {
    /// Which run.
    pub run: RunId,
    /// Whether the run had ended before for another reason.
    pub too_late: bool,
    /// How many calls there had been when it was answered.
    pub calls: usize,
}
