//! The manifest: what a connector says about itself, as data.
//!
//! This module owns the types and their JSON form, `manifest/auth.rs` those of auth schemes; `manifest/check.rs` owns
//! the rules between them. The JSON is what `describe` answers; unknown members are refused, so that a typing error
//! never silently loses a declaration. `docs/CONNECTORS.md` shows a whole one.

pub mod auth;
mod check;
pub mod options;
mod shape;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::auth::{AuthKind, AuthScheme, Placement, SecretField};
use crate::{hosts, problem::Problems};

/// The manifest versions this host reads.
pub const MANIFEST_VERSION: u32 = 1;

/// The secret that the host makes for each subscription; it is not a credential's.
pub(crate) const SUBSCRIPTION: &str = "subscription";

/// A connector's description of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of this document; `1`.
    pub manifest_version: u32,
    /// The app's id: lower-case letters, digits and hyphens. The connector of an app bears its id.
    pub id: String,
    /// The connector's version.
    pub version: semver::Version,
    /// What a person calls the app.
    pub title: String,
    /// One sentence on what the app is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// A `data:` URL of an SVG or PNG; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// Host patterns the connector may send to: `api.bigcommerce.com`, `*.myshopify.com`,
    /// `{shop}.myshopify.com` with a connection parameter.
    pub hosts: Vec<String>,
    /// How a user connects.
    pub connection: ConnectionSpec,
    /// What starts workflows.
    #[serde(default)]
    pub triggers: Vec<TriggerSpec>,
    /// What workflows can do.
    #[serde(default)]
    pub actions: Vec<ActionSpec>,
    /// Choices that only the user's own account knows; fields name theirs as `x-lookup` in their schema.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<LookupSpec>,
    /// The vendor's rate limits.
    #[serde(default)]
    pub buckets: Vec<Bucket>,
}

/// Parameters and ways to authenticate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// Texts that name the account (a store hash); not secret, given to guests.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Ways to authenticate; a connection uses one. Empty: the app needs no credential.
    #[serde(default)]
    pub schemes: Vec<AuthScheme>,
}

/// A connection parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name in `{name}` of host patterns and in the call's `connection`.
    pub name: String,
    /// What a person reads.
    pub title: String,
    /// How to find the value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// What the value must look like, as a whole: a set of allowed characters and a length.
    pub pattern: ParameterPattern,
}

/// What a parameter's value must look like, as a whole.
///
/// Deliberately not a regular expression: a parameter becomes part of a host name or path, and a pattern
/// that someone forgot to anchor is how requests leave for another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterPattern {
    /// One host label: letters, digits and inner hyphens, at most 63.
    HostLabel,
    /// Letters, digits, `_` and `-`, at most 128.
    Identifier,
    /// ASCII digits, at most 20.
    Digits,
    /// Whole host names with commas between them, at most 20; for a host pattern that is nothing else.
    HostNames,
}

impl ParameterPattern {
    /// Whether `value` fits.
    #[must_use]
    pub fn fits(self, value: &str) -> bool {
        let length = value.len();
        match self {
            Self::HostLabel => {
                (1..=63).contains(&length)
                    && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !value.starts_with('-')
                    && !value.ends_with('-')
            }
            Self::Identifier => {
                (1..=128).contains(&length)
                    && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            }
            Self::Digits => (1..=20).contains(&length) && value.bytes().all(|byte| byte.is_ascii_digit()),
            Self::HostNames => hosts::are_names(value),
        }
    }

    /// What fits, in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::HostLabel => "letters, digits and inner hyphens, at most 63 characters",
            Self::Identifier => "letters, digits, `_` and `-`, at most 128 characters",
            Self::Digits => "digits, at most 20",
            Self::HostNames => {
                "whole host names such as `api.example.com` with commas between them, at most 20, none of them an address \
                 or a name of a local network"
            }
        }
    }
}

/// Something at the vendor that starts workflows.
// `deny_unknown_fields` beside a flattened member refuses that member's own: it stands on the inner type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerSpec {
    /// Its id inside the manifest.
    pub id: String,
    /// What a person reads.
    pub title: String,
    /// When it fires.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// How occurrences arrive.
    #[serde(flatten)]
    pub source: TriggerSource,
    /// JSON Schema of an occurrence's `data`.
    pub schema: Value,
    /// An example of `data`.
    pub sample: Value,
    /// JSON Schema of what a workflow says beside which trigger it starts by; null where there is nothing to say.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub options: Value,
    /// An example of the options.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub sample_options: Value,
}

impl TriggerSpec {
    /// The example of the options as JSON text, where there are any.
    #[must_use]
    pub fn sample_options_text(&self) -> Option<String> {
        (!self.sample_options.is_null()).then(|| self.sample_options.to_string())
    }
}

/// How occurrences arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum TriggerSource {
    /// The vendor calls us.
    Webhook(WebhookSpec),
    /// We ask the vendor again and again.
    Poll(PollSpec),
}

/// A polling trigger's declaration. The rules about time are `polling`'s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollSpec {
    /// Milliseconds from one poll to the next, where a workflow says nothing else.
    pub interval_ms: u64,
    /// The shortest interval a workflow may choose, milliseconds.
    pub min_interval_ms: u64,
    /// How far behind what it has seen every poll looks again, milliseconds: as long as the vendor may take to show
    /// a change.
    pub overlap_ms: u64,
    /// A deeper look now and then, for what the vendor showed even later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck: Option<Recheck>,
    /// The form of the cursors.
    pub cursor_format: CursorFormat,
    /// What recognises a record that a poll saw before.
    pub dedup: PollDedup,
}

/// A deeper look now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recheck {
    /// How often, milliseconds.
    pub every_ms: u64,
    /// How far behind what was seen it looks, milliseconds.
    pub look_back_ms: u64,
}

/// The form of a trigger's cursors, so that no version is given one that it cannot read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CursorFormat {
    /// The form this version writes.
    pub writes: u32,
    /// Every form it reads, its own among them.
    pub reads: Vec<u32>,
}

/// What recognises a record that a poll saw before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum PollDedup {
    /// The occurrence id: the record's id and its version, so that an update is never taken for a repetition.
    Occurrence,
}

/// A webhook's declaration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// How the vendor knows where to deliver.
    pub registration: Registration,
    /// How the host knows a delivery is the vendor's.
    pub verify: Verification,
    /// What names one delivery over its repetitions.
    pub dedup: DedupKey,
}

/// How a webhook comes to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// `triggers.subscribe` is called for each connection that needs it.
    PerConnection,
    /// The vendor calls one URL for all accounts that installed the ISV's app; the ISV registers it there. Occurrences
    /// find their users by `account`.
    PerApp,
    /// As for each connection, but the person registers the URL at the vendor: the host only shows it.
    Manual,
}

/// How the host verifies a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verification {
    /// A header carries a secret that was given to the vendor at registration.
    SecretHeader {
        /// The header's name.
        header: String,
        /// The secret's name; `subscription` is the host's own, fresh for each subscription.
        secret: String,
    },
    /// A header carries an HMAC over parts of the request.
    Hmac {
        /// The hash.
        algorithm: HmacAlgorithm,
        /// The header that carries the signature.
        header: String,
        /// How the signature is written.
        encoding: SignatureEncoding,
        /// What stands before the signature in the header.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// What is signed, in order.
        parts: Vec<SignedPart>,
        /// The secret that is the key.
        secret: String,
        /// A signed time, refused outside its tolerance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<SignedTime>,
    },
    /// As the trigger's option `verify` says, in this very form.
    Configured,
}

impl Verification {
    /// The secret's name; where the options say it, the host's own until they do.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::SecretHeader { secret, .. } | Self::Hmac { secret, .. } => secret,
            Self::Configured => SUBSCRIPTION,
        }
    }
}

/// A hash for HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// SHA-1, which some vendors still use; HMAC-SHA-1 is not known to be broken.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hex digits.
    Hex,
    /// Base64, padded.
    Base64,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedPart {
    /// The request method.
    Method,
    /// The public URL the vendor called.
    Url,
    /// The same with these ASCII characters written plainly where the URL has them percent-encoded.
    UrlDecoded(String),
    /// A header's value.
    Header(String),
    /// The raw body.
    Body,
    /// These characters.
    Literal(String),
}

/// A signed time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTime {
    /// The header that carries it.
    pub header: String,
    /// Its unit.
    pub unit: TimeUnit,
    /// How far it may be from now, in milliseconds.
    pub tolerance_ms: u64,
}

/// A unit of time in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Milliseconds,
}

/// What names one delivery over its repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum DedupKey {
    /// A header's value.
    Header {
        /// Its name.
        name: String,
    },
    /// A value inside a JSON body.
    Body {
        /// JSON pointer to it.
        pointer: String,
    },
    /// The whole body's SHA-256.
    BodyHash,
    /// As the trigger's option `dedup` says, in this very form; the body's hash where it says nothing.
    Configured,
}

/// Something a workflow can do at the vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// Its id inside the manifest.
    pub id: String,
    /// What a person reads.
    pub title: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// JSON Schema of the input.
    pub input: Value,
    /// JSON Schema of the output.
    pub output: Value,
    /// An example of the input.
    pub sample_input: Value,
    /// An example of the output.
    pub sample_output: Value,
    /// What a repetition does.
    pub repeat: Repeat,
    /// How many items `run-batch` takes at once; absent where the action has no batch form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Whether the action is a listing that `page` serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pages: bool,
    /// The rate limits it draws from, by their ids; all of the manifest's where it names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// Whether `lookups.schema` answers the input's schema in the user's own account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub account_schema: bool,
    /// Members that later manifests add.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ext: BTreeMap<String, Value>,
}

/// Choices that only the user's own account knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupSpec {
    /// Its id inside the manifest.
    pub id: String,
    /// What a person reads.
    pub title: String,
}

/// What repeating an action after an uncertain outcome does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Nothing bad: the same state results.
    Safe,
    /// Nothing bad: the vendor recognises the idempotency key.
    Key,
    /// Perhaps a second creation: `actions.reconcile` is asked first.
    Lookup,
    /// Perhaps a second creation, and nobody can tell: it goes to the dead letters.
    Never,
}

/// A vendor's rate limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Its name in `limits.observe`.
    pub id: String,
    /// Requests (or points) in a full bucket.
    pub capacity: u64,
    /// Milliseconds in which an empty bucket fills.
    pub window_ms: u64,
    /// How it fills.
    #[serde(default, skip_serializing_if = "Refill::is_steady")]
    pub refill: Refill,
}

/// How a bucket fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refill {
    /// Little by little.
    #[default]
    Steady,
    /// Whole, when its window ends.
    AtOnce,
}

impl Refill {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_steady(&self) -> bool {
        *self == Self::Steady
    }
}

impl Manifest {
    /// Reads and checks a manifest; every problem at once.
    pub fn parse(json: &str) -> Result<Self, Problems> {
        check::parse(json)
    }

    /// The trigger of this id.
    #[must_use]
    pub fn trigger(&self, id: &str) -> Option<&TriggerSpec> {
        self.triggers.iter().find(|trigger| trigger.id == id)
    }

    /// The declaration of the trigger of this id, where it polls.
    #[must_use]
    pub fn poll(&self, trigger: &str) -> Option<&PollSpec> {
        match &self.trigger(trigger)?.source {
            TriggerSource::Poll(spec) => Some(spec),
            TriggerSource::Webhook(_) => None,
        }
    }

    /// The webhook of the trigger of this id.
    #[must_use]
    pub fn webhook(&self, trigger: &str) -> Option<&WebhookSpec> {
        match &self.trigger(trigger)?.source {
            TriggerSource::Webhook(spec) => Some(spec),
            TriggerSource::Poll(_) => None,
        }
    }

    /// The triggers that the vendor calls at one URL for all accounts, with their declarations, which say the same.
    pub fn app_webhooks(&self) -> impl Iterator<Item = (&str, &WebhookSpec)> {
        self.triggers.iter().filter_map(|trigger| match &trigger.source {
            TriggerSource::Webhook(spec) if spec.registration == Registration::PerApp => {
                Some((trigger.id.as_str(), spec))
            }
            TriggerSource::Webhook(_) | TriggerSource::Poll(_) => None,
        })
    }

    /// The action of this id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&ActionSpec> {
        self.actions.iter().find(|action| action.id == id)
    }

    /// The lookup of this id.
    #[must_use]
    pub fn lookup(&self, id: &str) -> Option<&LookupSpec> {
        self.lookups.iter().find(|lookup| lookup.id == id)
    }

    /// The auth scheme of this id.
    #[must_use]
    pub fn scheme(&self, id: &str) -> Option<&AuthScheme> {
        self.connection.schemes.iter().find(|scheme| scheme.id == id)
    }
}
