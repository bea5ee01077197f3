//! What was seen from outside: what was sent and answered, and every call that reached a vendor. Facts only;
//! what they mean is the oracle's.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{RunId, UserId, WorkflowId},
    manifest::Repeat,
};

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Custom events, in the order they were first sent.
    pub events: Vec<SentEvent>,
    /// Deliveries of the vendor, likewise.
    pub deliveries: Vec<SentDelivery>,
    /// Records that the vendor lists when it is polled, by the time from which it does.
    pub records: Vec<ListedRecord>,
    /// Calls that reached a vendor or a destination, in order.
    pub calls: Vec<Call>,
    /// What was done at the vendor, by idempotency key, and how often: the vendor does not look at the key.
    pub done: BTreeMap<String, u64>,
    /// Cancellations that were answered well.
    pub cancelled: Vec<Cancelled>,
    /// The workflows, by the flow's number.
    pub workflows: Vec<WorkflowId>,
    /// The users.
    pub users: Vec<UserId>,
    /// The path tokens of the vendor's subscriptions, by user.
    pub hooks: BTreeMap<UserId, String>,
}

/// A custom event.
#[derive(Clone, Debug)]
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
    /// Answered with a 2xx.
    pub acknowledged: bool,
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
    /// In which user's account.
    pub user: usize,
    /// From when on.
    pub from: Timestamp,
    /// What it says.
    pub payload: Value,
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

/// One thing to be done: a step of one run, for one item where it stands in a loop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// The event's marker.
    pub marker: String,
    /// The flow's number.
    pub flow: usize,
    /// The step's id.
    pub step: String,
    /// The item's index.
    pub item: Option<u64>,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/f{}.{}", self.marker, self.flow, self.step)?;
        self.item.map_or(Ok(()), |item| write!(f, "[{item}]"))
    }
}

/// What a call asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To do it.
    Perform,
    /// Whether it was done.
    Reconcile,
}

/// What a step may be repeated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An action of this repeat class.
    Action(Repeat),
    /// A stream.
    Stream,
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was found not to have been done.
    Absent,
    /// This went wrong.
    Failed(CallError),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// For what.
    pub unit: Unit,
    /// Its class.
    pub class: Class,
    /// What was asked.
    pub asked: Asked,
    /// The idempotency key it carried.
    pub key: String,
    /// In which life.
    pub life: u64,
    /// When it began.
    pub at: Timestamp,
    /// Its answer, once it arrived in a living process.
    pub answer: Option<Answer>,
}
