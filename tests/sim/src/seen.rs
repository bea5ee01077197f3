//! What was seen from outside: what was sent and answered, and every call that reached a vendor. Facts only;
//! what they mean is the oracle's.

mod sent;

use std::{collections::BTreeMap, fmt};

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{InstallationId, UserId, WorkflowId},
    manifest::Repeat,
};

pub use self::sent::{
    Active, CalledBack, Cancelled, Heard, ListedRecord, SentDelivery, SentEvent, SentRequest, Skipped, Told,
};

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Custom events, in the order they were first sent.
    pub events: Vec<SentEvent>,
    /// Deliveries of the vendor, likewise.
    pub deliveries: Vec<SentDelivery>,
    /// Records that the vendor lists when it is polled.
    pub records: Vec<ListedRecord>,
    /// Requests, in the order they were first sent.
    pub requests: Vec<SentRequest>,
    /// Answers that arrived at the URL that a request gave, in order.
    pub callbacks: Vec<CalledBack>,
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
    /// Users' copies of workflows, by user and flow.
    pub installations: BTreeMap<(usize, usize), InstallationId>,
    /// The path tokens of those that take requests, likewise.
    pub entrances: BTreeMap<(usize, usize), String>,
    /// When the users' copies of a workflow were certainly active.
    pub active: Vec<Active>,
    /// When something went wrong inside the host.
    pub troubles: Vec<Timestamp>,
    /// When somebody let a key go on without the run that held it.
    pub skipped: Vec<Skipped>,
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
