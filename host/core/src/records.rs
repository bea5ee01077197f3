//! The durable records: what the store keeps, in the words of DESIGN.
//!
//! A record's JSON form is its stored form. It may gain members with `#[serde(default)]`; it never loses or
//! redefines one: a change of meaning is a new record version in `trunnion-store`.

mod kept;
mod outlet;
mod settings;
mod stream;
mod tokens;
mod vault;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

pub use self::{
    kept::{KeptAnswer, KeptCall},
    outlet::{EventBridge, EventType, Notice, NoticeOrigin, Outlet},
    settings::EnvironmentSettings,
    stream::{BatchItem, BatchRule, DisabledStream, Signature, SigningKey, StreamBatch, StreamDestination},
    tokens::{InstallLink, TokenAlgorithm, TokenKey, TokenSigner},
    vault::{AppRegistration, Consent, FormerSecret, OwnConnection, Tokens},
};
use crate::{
    call::CallError,
    clock::Timestamp,
    definition::Definition,
    id::{
        ApiKeyId, ConnectionId, DeliveryId, EventId, InstallLinkId, InstallSessionId, InstallationId,
        IntegrationId, RunId, SubscriptionId, UserId, WorkflowId, WorkspaceId,
    },
    machine::{Lease, RunState, Waits},
    payload::Payload,
    schedule::Timing,
    scope::Scope,
};

/// An ISV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its unique name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "authority", rename_all = "snake_case")]
pub enum Authority {
    /// Everything inside one environment of a workspace.
    Environment {
        /// Which.
        scope: Scope,
    },
    /// Runs the host: connectors, workspaces. Reads no workspace's data.
    Operator,
}

/// An API key: its hash, never itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it may do.
    pub authority: Authority,
    /// What a person calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its last characters, by which people tell keys apart.
    #[serde(default)]
    pub ends_in: Option<String>,
    /// The day of its last use that is known, as the day's beginning.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

/// An end user of the ISV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The ISV's name for the user; unique in the environment.
    pub username: String,
    /// What a person calls the user.
    #[serde(default)]
    pub full_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A stored credential for an app.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is; [`Connection::OWN`] where it is the environment's own.
    pub user: UserId,
    /// The app.
    pub app: String,
    /// The manifest's auth scheme.
    pub scheme: String,
    /// The account's id at the vendor.
    pub account: String,
    /// What a person calls the account.
    #[serde(default)]
    pub title: String,
    /// Connection parameters; not secret.
    pub parameters: BTreeMap<String, String>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, String>,
    /// What the vendor issued for it.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Why it no longer works, since it needs attention.
    #[serde(default)]
    pub needs_attention: Option<String>,
}

impl fmt::Debug for Connection {
    /// Leaves the secrets' values out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("app", &self.app)
            .field("scheme", &self.scheme)
            .field("account", &self.account)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Workflows around one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// Its id.
    pub id: IntegrationId,
    /// The app.
    pub app: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A workflow: its draft and where its releases stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// The integration it belongs to.
    pub integration: IntegrationId,
    /// The editable definition.
    pub draft: Definition,
    /// The newest release's number; 0 before the first.
    pub latest_release: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the draft last changed.
    pub updated_at: Timestamp,
}

/// A workflow's immutable numbered version, as stored. `release::Release` is its compiled form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRelease {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The integration it belongs to.
    pub integration: IntegrationId,
    /// Counts from 1.
    pub number: u32,
    /// What was released.
    pub definition: Definition,
    /// When.
    pub released_at: Timestamp,
}

/// A custom event's name and sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSchema {
    /// The event's unique name.
    pub name: String,
    /// What it means.
    #[serde(default)]
    pub description: String,
    /// A sample payload; the shape that events must have.
    pub sample: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One user's copy of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installation {
    /// Its id.
    pub id: InstallationId,
    /// Whose it is.
    pub user: UserId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// Which release.
    pub release: u32,
    /// The connection used for each app of the workflow.
    pub connections: BTreeMap<String, ConnectionId>,
    /// Chosen field values: `config` in mappings.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
    /// Whether events start runs.
    pub active: bool,
    /// The vendor subscription that feeds it, where its trigger is a webhook.
    #[serde(default)]
    pub subscription: Option<SubscriptionId>,
    /// What it hears of the app's own webhook, where its trigger is delivered there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hears: Option<Hears>,
    /// Where its requests come in, where its trigger is a request.
    #[serde(default)]
    pub entrance: Option<Entrance>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How far the ticks of a scheduled installation have been dealt with. Made, changed and removed in the
/// installation's own commits, and moved in those that accept ticks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleMark {
    /// Whose installation it is.
    pub user: UserId,
    /// When it ticks, as its release has it.
    pub timing: Timing,
    /// Whether the installation is active: ticks of a paused one are missed ones.
    pub active: bool,
    /// Everything up to here has been dealt with.
    pub handled: Timestamp,
}

/// Where requests come in, and what proves answers that are sent later. Kept over upgrades.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrance {
    /// 128 random bits of the path, as hex: whoever knows it may call.
    pub path_token: String,
    /// The key that callbacks are signed with, as Standard Webhooks writes it: `whsec_` and base64.
    pub secret: String,
}

impl fmt::Debug for Entrance {
    /// Leaves both out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").finish_non_exhaustive()
    }
}

/// An installation under way: credentials chosen, fields being filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallSession {
    /// Its id (Alloy's `installationId`).
    pub id: InstallSessionId,
    /// Who installs.
    pub user: UserId,
    /// What is installed.
    pub integration: IntegrationId,
    /// The workflows chosen and their release numbers at the start.
    pub workflows: Vec<(WorkflowId, u32)>,
    /// The connection used for each app.
    pub connections: BTreeMap<String, ConnectionId>,
    /// The link that it was begun by, which its completion uses up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<InstallLinkId>,
    /// When it began.
    pub created_at: Timestamp,
}

/// A webhook registered at a vendor.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose connection it stands on.
    pub user: UserId,
    /// The connection.
    pub connection: ConnectionId,
    /// The app.
    pub app: String,
    /// The manifest's trigger.
    pub trigger: String,
    /// Options the installation chose for the trigger.
    pub options: Value,
    /// 128 random bits in the hook's path, as hex: an unguessable address, beside the signature.
    pub path_token: String,
    /// The secret `subscription` of verification and registration.
    pub secret: String,
    /// The connector's own state of the registration.
    pub state: Value,
    /// The connector that registered it.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for Subscription {
    /// Leaves the secret and the path token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .field("app", &self.app)
            .field("trigger", &self.trigger)
            .finish_non_exhaustive()
    }
}

/// What an installation hears of an app's own webhook: occurrences of one trigger in one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hears {
    /// The app.
    pub app: String,
    /// The manifest's trigger.
    pub trigger: String,
    /// The account of the connection it was installed with.
    pub account: String,
}

/// Where a vendor delivers for every account of an environment that installed the ISV's app.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppHook {
    /// Its id, where a subscription's would stand.
    pub id: SubscriptionId,
    /// Who stands for all users while a delivery is not parsed: it waits in this party's turn and under its data key.
    pub party: UserId,
    /// The app.
    pub app: String,
    /// 128 random bits in the hook's path, as hex. The same for good: the ISV has given the URL to the vendor.
    pub path_token: String,
    /// The ISV's keys that verify deliveries, by the manifest's names; each may have several while it is rotated.
    pub secrets: BTreeMap<String, Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its keys were last set.
    pub updated_at: Timestamp,
}

impl fmt::Debug for AppHook {
    /// Leaves the secrets and the path token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppHook")
            .field("id", &self.id)
            .field("app", &self.app)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A component's SHA-256, as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A vendor's raw verified request, until it is parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The subscription it came to, or the app's own webhook.
    pub subscription: SubscriptionId,
    /// Whose it is: the party of the app's own webhook, where it came there.
    pub user: UserId,
    /// The app, where it came to the app's own webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The request.
    pub method: String,
    /// The public URL the vendor called.
    pub url: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; webhook bodies are text at every vendor known here, others travel as base64.
    pub body: DeliveryBody,
    /// When it came in.
    pub received_at: Timestamp,
    /// How often parsing was begun.
    #[serde(default)]
    pub attempts: u32,
    /// Not before this time.
    pub not_before: Timestamp,
    /// What the last attempt failed with.
    #[serde(default)]
    pub last_error: Option<CallError>,
    /// What outside it its parsing waits for, or waited for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// Since when the vendor has refused what parsing asks for, where it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_since: Option<Timestamp>,
}

/// A request body in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryBody {
    /// UTF-8 text, as it came.
    Text(String),
    /// Anything else.
    Base64(String),
}

/// Where an event came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum EventSource {
    /// `POST /run/event`.
    Custom {
        /// The event's name.
        event: String,
    },
    /// A vendor's webhook.
    Webhook {
        /// The app.
        app: String,
        /// The manifest's trigger.
        trigger: String,
        /// The subscription.
        subscription: SubscriptionId,
        /// The delivery it was parsed from.
        delivery: DeliveryId,
        /// The connector's occurrence id.
        occurrence: String,
    },
    /// A tick of an installation's schedule.
    Schedule {
        /// When it was due.
        scheduled_at: Timestamp,
    },
    /// The user installed workflows.
    Installed {
        /// Of which integration.
        integration: IntegrationId,
    },
    /// The user removed a workflow.
    Removed {
        /// Of which integration.
        integration: IntegrationId,
    },
    /// A request to the installation's own address.
    Request {
        /// Whether the caller said where else the answer is to go.
        #[serde(default)]
        callback: bool,
    },
    /// A pre-process flow, which took the request in.
    Preprocess {
        /// Its run.
        run: RunId,
        /// Whether the caller said where else the answer is to go.
        #[serde(default)]
        callback: bool,
    },
    /// A step of another run.
    Call {
        /// The run that called.
        run: RunId,
        /// Its step, with the items that lead to it, as in `each[3].sub`.
        step: String,
        /// How many calls lead here.
        depth: u32,
    },
    /// A poll.
    Poll {
        /// The app.
        app: String,
        /// The manifest's trigger.
        trigger: String,
        /// The connector's occurrence id: the record's id and version.
        occurrence: String,
    },
}

/// A polling installation and how far it has come: see `polling`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Poller {
    /// The installation.
    pub installation: InstallationId,
    /// Whose it is.
    pub user: UserId,
    /// The app.
    pub app: String,
    /// The manifest's trigger.
    pub trigger: String,
    /// The connection it polls with.
    pub connection: ConnectionId,
    /// The account at the vendor: a cursor means nothing in another one.
    pub account: String,
    /// How often the workflow wants it to poll, where it says so.
    #[serde(default)]
    pub every: Option<String>,
    /// What the trigger is told, with the installation's values in it; null where that is nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub options: Value,
    /// Where the next round starts; none before the first.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// The latest moment at the vendor that finished rounds have seen.
    #[serde(default)]
    pub watermark: Option<Timestamp>,
    /// The same of the round under way.
    #[serde(default)]
    pub highest: Option<Timestamp>,
    /// Records accepted so far.
    #[serde(default)]
    pub accepted: u64,
    /// Those of them that the vendor showed later than the overlap covers.
    #[serde(default)]
    pub late: u64,
    /// When one was last accepted.
    #[serde(default)]
    pub last_accepted_at: Option<Timestamp>,
    /// When a late one last was.
    #[serde(default)]
    pub last_late_at: Option<Timestamp>,
    /// When it was made: the first round starts from here.
    pub created_at: Timestamp,
}

/// A poller's durable position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// The form it has, as the manifest that wrote it says.
    pub format: u32,
    /// The connector's own position.
    pub value: Value,
    /// When it was written.
    pub at: Timestamp,
    /// Whether it stands in the middle of a round.
    #[serde(default)]
    pub more: bool,
}

/// A run that has not ended: everything needed to go on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Its id.
    pub id: RunId,
    /// The event that started it.
    pub event: EventId,
    /// Where the event came from.
    pub source: EventSource,
    /// The event's payload: `trigger` in mappings.
    pub trigger: Payload,
    /// Whose run it is.
    pub user: UserId,
    /// The installation.
    pub installation: InstallationId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The release.
    pub release: u32,
    /// The connector digests, fixed at accept, by app.
    pub digests: BTreeMap<String, Digest>,
    /// The connections, fixed at accept, by app.
    pub connections: BTreeMap<String, ConnectionId>,
    /// `config` in mappings.
    pub config: BTreeMap<String, Value>,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
    /// Where the run stands.
    pub state: RunState,
    /// Its place among others, where its workflow is throttled or ordered and it still has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LinePlace>,
    /// The run this one replays.
    #[serde(default)]
    pub replay_of: Option<RunId>,
    /// The runs that replay this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<RunId>,
    /// Lines logged so far.
    #[serde(default)]
    pub log: Vec<LogLine>,
}

/// Which line of an installation's runs: a keyed hash, since keys may name persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineKey(pub [u8; 16]);

impl LineKey {
    /// The one before all others; also the only line of a throttled workflow.
    pub const FIRST: Self = Self([0; 16]);
}

impl fmt::Display for LineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for LineKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)
            .map(|()| Self(bytes))
            .map_err(|_| format!("`{text}` is not a key; keys are 32 hex digits, as a listing of them shows"))
    }
}

impl Serialize for LineKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A run's place in a line of runs of its installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePlace {
    /// Which line.
    pub key: LineKey,
    /// Runs of a line begin in the order of these: that in which their events were accepted.
    pub order: u64,
    /// Runs of the line that may be under way at once.
    pub limit: u32,
    /// Whether the line is a key's of an ordered workflow, which a failed run holds.
    pub ordered: bool,
}

/// A key that a failed run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKey {
    /// Which run.
    pub run: RunId,
    /// Whose.
    pub user: UserId,
}

/// A run that ended.
pub type EndedRun = LiveRun;

/// One item of a `for_each` of a run that has not ended: a small run of its own, kept beside the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveItem {
    /// Whose it is.
    pub user: UserId,
    /// Where it stands.
    pub state: RunState,
    /// Lines logged so far.
    #[serde(default)]
    pub log: Vec<LogLine>,
    /// Where it is a page of a listing: what came before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageMark>,
}

/// Where a page of a listing begins, and what the pages before it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMark {
    /// The cursor it is asked for with, as the connector wrote it; none for the first.
    pub cursor: Option<String>,
    /// Pages before it that are done.
    pub pages: u64,
    /// Their items that went well.
    pub succeeded: u64,
    /// Their items that a filter ended.
    pub filtered: u64,
}

/// A line in a run's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// The step it belongs to.
    #[serde(default)]
    pub step: Option<String>,
    /// How grave it is.
    pub level: LogLevel,
    /// What happened.
    pub message: String,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For connector authors.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

/// Why a thing was already seen, and what came of it then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// When it was first seen.
    pub at: Timestamp,
    /// SHA-256 of the body, where a repetition must carry the same.
    #[serde(default)]
    pub body_hash: Option<String>,
    /// What the first one became, where the answer repeats it.
    #[serde(default)]
    pub event: Option<EventId>,
    /// The run that the first one started, where it started just one.
    #[serde(default)]
    pub run: Option<RunId>,
}

/// Whom a run's answer is sent to, since the caller may not wait for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Whose run it is.
    pub user: UserId,
    /// Where the answer goes.
    pub url: String,
    /// The key it is signed with.
    pub secret: String,
    /// Attempts begun.
    #[serde(default)]
    pub attempts: u32,
    /// Who makes an attempt.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Not before this time.
    pub not_before: Timestamp,
    /// What the last attempt failed with.
    #[serde(default)]
    pub last_error: Option<CallError>,
}

impl fmt::Debug for Callback {
    /// Leaves the secret and the URL, which may carry one, out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

/// Work that exhausted its retries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was put here.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// What it is.
    pub work: DeadWork,
}

/// What a dead letter holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DeadWork {
    /// A run, to be found among the ended ones.
    Run {
        /// Which.
        run: RunId,
        /// Whose.
        user: UserId,
    },
    /// A delivery that could not be parsed.
    Delivery {
        /// The delivery itself.
        delivery: Box<Delivery>,
    },
    /// An answer that nobody took.
    Callback {
        /// The run that answered.
        run: RunId,
        /// Whose.
        user: UserId,
        /// Where it should have gone.
        url: String,
        /// The callback itself.
        #[serde(default)]
        callback: Option<Box<Callback>>,
    },
    /// An event or error that the ISV did not take.
    Notice {
        /// The notice itself.
        notice: Box<Notice>,
    },
    /// Items that a destination did not take; they are kept beside it.
    Batch {
        /// The batch itself.
        batch: Box<StreamBatch>,
    },
}

/// A connector version that the host keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorVersion {
    /// The app.
    pub app: String,
    /// Its semver.
    pub version: semver::Version,
    /// The component's digest.
    pub digest: Digest,
    /// When it became known.
    pub added_at: Timestamp,
    /// The component's size in bytes.
    #[serde(default)]
    pub size: u64,
}

/// Something that was done, or refused, about an app's connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorChange {
    /// When.
    pub at: Timestamp,
    /// Whose key asked for it; none where a component came with the data directory.
    #[serde(default)]
    pub by: Option<KeyHolder>,
    /// What was done.
    pub change: ConnectorChangeKind,
    /// The component's semver, where it got as far as saying it.
    #[serde(default)]
    pub version: Option<semver::Version>,
    /// The component it is about.
    pub digest: Digest,
    /// The component that was active before.
    #[serde(default)]
    pub previous: Option<Digest>,
    /// Why it was refused, or where it came from. Names no user: histories outlive users.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What was done about an app's connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorChangeKind {
    /// A version is kept, not yet in use.
    Added,
    /// A version took over.
    Activated,
    /// The version before took over again.
    RolledBack,
    /// A candidate did not take over.
    Refused,
}

/// Whoever held the key of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHolder {
    /// The key's id.
    pub id: ApiKeyId,
    /// What a person calls the key.
    pub name: String,
}
