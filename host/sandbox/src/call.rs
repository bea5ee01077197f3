//! What the host says to a connector and what it hears back: the contract's records in the host's words.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use trunnion_core::{
    clock::Timestamp,
    id::{ConnectionId, UserId},
    scope::Scope,
};

use crate::secrets::Secrets;

/// One call: on whose behalf, with what, and within which time.
#[derive(Clone, Debug)]
pub struct Call {
    /// The environment.
    pub scope: Scope,
    /// The user; absent for the ISV's own connections, which never get a warm instance.
    pub user: Option<UserId>,
    /// The connection; absent where the call needs none.
    pub connection: Option<ConnectionId>,
    /// The action, trigger or lookup, as the manifest names it.
    pub name: String,
    /// Connection parameters; not secret, given to the guest.
    pub parameters: BTreeMap<String, String>,
    /// The account's id at the vendor; empty where there is no connection.
    pub account: String,
    /// A UUID that stays the same over every attempt at this piece of work.
    pub idempotency_key: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Secrets the broker may place; the guest sees none of them.
    pub secrets: Arc<Secrets>,
    /// The call must have ended by then; the sandbox's own wall time limits it further.
    pub deadline: Option<Timestamp>,
    /// Whether an instance left by an earlier call of the same connection may serve.
    pub instance: Freshness,
}

/// Which instance may serve a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// A new one.
    Fresh,
    /// One that served the same scope, user, connection and digest before.
    MayBeWarm,
}

/// What an action answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The output, JSON text as the guest wrote it, not yet parsed.
    pub output: String,
    /// Named texts of later contract versions.
    pub ext: Vec<(String, String)>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// JSON texts.
    pub items: Vec<String>,
    /// Where the next page starts, JSON text; absent at the end.
    pub next: Option<String>,
}

/// What became of an attempt whose outcome was uncertain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It was carried out; this is its outcome.
    Found(Outcome),
    /// It was not carried out; doing it now is safe.
    Absent,
    /// Nobody can tell; why.
    Unknown(String),
}

/// Where a vendor shall deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The public https URL of the subscription.
    pub url: String,
    /// Options the installation chose for the trigger, JSON text.
    pub options: String,
}

/// How a subscription at the vendor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Still there.
    Active,
    /// It was broken and is repaired.
    Mended,
    /// It no longer exists.
    Gone,
}

/// A vendor's webhook delivery, verified by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The method.
    pub method: String,
    /// The public URL that the vendor called.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

/// An answer to a delivery that wants one at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// One occurrence at the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The account at the vendor that this belongs to.
    pub account: String,
    /// The record's id and version.
    pub occurrence_id: String,
    /// When it happened at the vendor.
    pub occurred_at: Option<Timestamp>,
    /// What workflows see as `trigger`: JSON text as the guest wrote it, not yet parsed.
    pub data: String,
    /// Named texts of later contract versions.
    pub ext: Vec<(String, String)>,
}

/// What a poll is asked. What is not the cursor reaches the guest as named texts of its call: `polling-since-ms`,
/// `look-back-ms` and `trigger-options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll<'a> {
    /// Where it starts, JSON text; absent at the first.
    pub cursor: Option<&'a str>,
    /// When polling began: a trigger that starts from now on starts there.
    pub since: Timestamp,
    /// How far to look behind what was seen, where that is further than the trigger's overlap.
    pub look_back: Option<Duration>,
    /// What the workflow says beside which trigger it is, JSON text.
    pub options: Option<&'a str>,
}

/// What a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// New occurrences.
    pub occurrences: Vec<Occurrence>,
    /// Where the next poll starts, JSON text.
    pub cursor: String,
    /// Whether more is waiting right now.
    pub more: bool,
}

/// Whose credential it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's stable id at the vendor.
    pub id: String,
    /// What a person would call it.
    pub title: String,
    /// Parameters learnt from the vendor.
    pub parameters: BTreeMap<String, String>,
}

/// What a person is looking for in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupQuery {
    /// What the person typed.
    pub search: String,
    /// Where the page starts, JSON text.
    pub cursor: Option<String>,
    /// Values already chosen in other fields, a JSON object as text.
    pub values: String,
}

/// One thing to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The value, JSON text.
    pub value: String,
    /// What a person reads.
    pub title: String,
}

/// A page of things to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The page.
    pub items: Vec<Choice>,
    /// Where the next page starts, JSON text; absent at the end.
    pub next: Option<String>,
}
