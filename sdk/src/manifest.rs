//! The manifest as JSON: what `describe` answers, in the form `trunnion-core` reads. Authors never write it;
//! it follows from the declaration.
//!
//! Invariant: the same declaration always gives the same text.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::{
    action::{Action, Repeat},
    auth::Connection,
    connector::{Bucket, Connector},
    json,
    trigger::{Dedup, Hook, Registration, Source, Trigger, Verification},
};

/// The form of the document this SDK writes.
pub const MANIFEST_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    manifest_version: u32,
    id: &'static str,
    version: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    icon: &'static str,
    hosts: &'static [&'static str],
    connection: Connection,
    triggers: Vec<TriggerEntry>,
    actions: Vec<ActionEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lookups: Vec<LookupEntry>,
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
struct LookupEntry {
    id: &'static str,
    title: &'static str,
}

#[derive(Serialize)]
struct TriggerEntry {
    id: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: &'static str,
    #[serde(flatten)]
    source: SourceEntry,
    schema: Value,
    sample: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    options: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    sample_options: Value,
}

#[derive(Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
enum SourceEntry {
    Webhook {
        registration: &'static str,
        verify: Verification,
        dedup: Dedup,
    },
    Poll {
        interval_ms: u64,
        min_interval_ms: u64,
        overlap_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        recheck: Option<RecheckEntry>,
        cursor_format: CursorFormatEntry,
        dedup: PollDedupEntry,
    },
}

#[derive(Serialize)]
struct RecheckEntry {
    every_ms: u64,
    look_back_ms: u64,
}

#[derive(Serialize)]
struct CursorFormatEntry {
    writes: u32,
    reads: &'static [u32],
}

#[derive(Serialize)]
struct PollDedupEntry {
    from: &'static str,
}

#[derive(Serialize)]
struct ActionEntry {
    id: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: &'static str,
    input: Value,
    output: Value,
    sample_input: Value,
    sample_output: Value,
    repeat: Repeat,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pages: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    buckets: &'static [&'static str],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    account_schema: bool,
}

impl From<Trigger> for TriggerEntry {
    fn from(trigger: Trigger) -> Self {
        let mut schema = (trigger.schema)();
        let members = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, member) in members.into_iter().flatten() {
            let lookup = trigger.offers.iter().find(|(offered, _)| offered == name);
            if let (Some((_, lookup)), Some(member)) = (lookup, member.as_object_mut()) {
                member.insert("x-lookup".to_owned(), (*lookup).into());
            }
        }
        Self {
            id: trigger.id,
            title: trigger.title,
            help: trigger.help,
            source: SourceEntry::from(trigger.source),
            schema,
            sample: sample(trigger.sample),
            options: trigger.options.as_ref().map_or(Value::Null, |options| (options.schema)()),
            sample_options: trigger.options.map_or(Value::Null, |options| sample(options.sample)),
        }
    }
}

impl From<Source> for SourceEntry {
    fn from(source: Source) -> Self {
        match source {
            Source::Webhook(Hook { verify, dedup, registration, .. }) => {
                let registration = match registration {
                    Registration::PerConnection(_) => "per_connection",
                    Registration::PerApp => "per_app",
                    Registration::Manual => "manual",
                };
                Self::Webhook { registration, verify, dedup }
            }
            Source::Poll { polling, .. } => Self::Poll {
                interval_ms: millis(polling.interval),
                min_interval_ms: millis(polling.min_interval),
                overlap_ms: millis(polling.overlap),
                recheck: polling.recheck.map(|(every, look_back)| RecheckEntry {
                    every_ms: millis(every),
                    look_back_ms: millis(look_back),
                }),
                cursor_format: CursorFormatEntry { writes: polling.writes, reads: polling.reads },
                dedup: PollDedupEntry { from: "occurrence" },
            },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<Action> for ActionEntry {
    fn from(action: Action) -> Self {
        Self {
            id: action.id,
            title: action.title,
            help: action.help,
            input: (action.input_schema)(),
            output: (action.output_schema)(),
            sample_input: sample(action.sample_input),
            sample_output: sample(action.sample_output),
            repeat: action.repeat,
            batch: action.batch.map(|batch| batch.size),
            pages: action.page.is_some(),
            buckets: action.buckets,
            account_schema: action.shape.is_some(),
        }
    }
}

/// A sample that is absent or not JSON becomes null, which neither the host's manifest check nor
/// `test::assert_sound` lets pass.
fn sample(text: &str) -> Value {
    json::read(text.as_bytes()).unwrap_or(Value::Null)
}

impl Connector {
    /// The manifest as JSON text.
    #[must_use]
    pub fn manifest(&self) -> String {
        let lookups = (self.lookups)().into_iter();
        let document = Document {
            manifest_version: MANIFEST_VERSION,
            id: self.id,
            version: self.version,
            title: self.title,
            help: self.help,
            icon: self.icon,
            hosts: self.hosts,
            connection: (self.connection)(),
            triggers: (self.triggers)().into_iter().map(TriggerEntry::from).collect(),
            actions: (self.actions)().into_iter().map(ActionEntry::from).collect(),
            lookups: lookups.map(|lookup| LookupEntry { id: lookup.id, title: lookup.title }).collect(),
            buckets: (self.buckets)(),
        };
        // Nothing in the document can fail to be written; were it otherwise, the host would refuse the empty text.
        serde_json::to_string(&document).unwrap_or_default()
    }
}
