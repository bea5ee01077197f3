//! Every table: its number, its level, its key and whose its records are.
//!
//! Numbers are stored in every key: they are never changed and never used again. Records that name a person or
//! hold a secret are a user's or the scope's; the lookup tables beside them hold only ids and keyed hashes.

use serde::{Deserialize, Serialize};
use trunnion_core::{
    clock::Timestamp,
    id::{
        ConnectionId, ConsentId, DeliveryId, Id, InstallLinkId, InstallSessionId, InstallationId,
        IntegrationId, RunId, SubscriptionId, TokenKeyId, UserId, WorkflowId, WorkspaceId,
    },
    records::{
        ApiKey, AppHook, AppRegistration, BatchItem, Callback, Connection, ConnectorChange, ConnectorVersion,
        Consent, DeadLetter, DeadWork, Delivery, Digest, EndedRun, EnvironmentSettings, EventSchema, HeldKey,
        InstallLink, InstallSession, Installation, Integration, KeptCall, LedgerEntry, LiveItem, LiveRun,
        Notice, Outlet, OwnConnection, Poller, ScheduleMark, SigningKey, StoredRelease, StreamBatch,
        StreamDestination, Subscription, TokenKey, User, Workflow, Workspace as WorkspaceRecord,
    },
    scope::Scope,
};

use crate::{
    keys::KeyOwner,
    store::key_owner as owner_in,
    table::{Deployment, Environment, Owner, Table, Workspace, parse_key},
};

macro_rules! tables {
    ($($(#[$doc:meta])* $id:literal $name:ident: $level:ty, $key:ty => $record:ty, |$it:pat_param| $owner:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Table for $name {
            const ID: u8 = $id;
            const NAME: &'static str = stringify!($name);
            type Level = $level;
            type Key = $key;
            type Record = $record;

            fn owner($it: &$record) -> Owner {
                $owner
            }
        }
    )*

        /// Number and name of every table.
        pub const ALL: &[(u8, &str)] = &[$(($id, stringify!($name))),*];

        /// Whose key seals the record of `owner` under a stored key; `None` where the key is no table's.
        pub(crate) fn key_owner(raw: &[u8], owner: Owner) -> Option<KeyOwner> {
            match *raw.first()? {
                $($id => parse_key::<$name>(raw).map(|(place, _)| owner_in::<$name>(&place, owner)),)*
                _ => None,
            }
        }
    };
}

tables! {
    /// The ISVs.
    1 Workspaces: Deployment, WorkspaceId => WorkspaceRecord, |_| Owner::Scope;
    /// API keys, by the SHA-256 of the key.
    2 ApiKeys: Deployment, [u8; 32] => ApiKey, |_| Owner::Scope;
    /// End users.
    3 Users: Environment, UserId => User, |user| Owner::User(user.id);
    /// Finds a user, by the keyed hash of the username.
    4 UsersByName: Environment, [u8; 16] => UserRef, |_| Owner::Plain;
    /// Stored credentials.
    5 Connections: Environment, (UserId, ConnectionId) => Connection, |connection| owner(connection.user);
    /// Integrations.
    6 Integrations: Workspace, IntegrationId => Integration, |_| Owner::Scope;
    /// Workflows with their drafts.
    7 Workflows: Workspace, WorkflowId => Workflow, |_| Owner::Scope;
    /// Releases, by workflow and number.
    8 Releases: Workspace, (WorkflowId, u32) => StoredRelease, |_| Owner::Scope;
    /// Custom events, by the keyed hash of the name.
    9 EventSchemas: Workspace, [u8; 16] => EventSchema, |_| Owner::Scope;
    /// Installations.
    10 Installations: Environment, (UserId, InstallationId) => Installation, |it| Owner::User(it.user);
    /// Finds what an occurrence starts, by the keyed hash of the trigger.
    11 InstallationsByTrigger: Environment, ([u8; 16], InstallationId) => TriggerTarget, |_| Owner::Plain;
    /// Finds a workflow's installations.
    12 InstallationsByWorkflow: Environment, (WorkflowId, UserId, InstallationId) => Present, |_| Owner::Plain;
    /// Installations under way.
    13 InstallSessions: Environment, InstallSessionId => InstallSession, |session| Owner::User(session.user);
    /// Registered vendor webhooks.
    14 Subscriptions: Environment, SubscriptionId => Subscription, |it| Owner::User(it.user);
    /// Finds a subscription, by the truncated SHA-256 of its path token.
    15 SubscriptionsByPath: Deployment, [u8; 16] => PathTarget, |_| Owner::Plain;
    /// Raw deliveries that are not parsed yet.
    16 Deliveries: Environment, DeliveryId => Delivery, |delivery| Owner::User(delivery.user);
    /// Runs that have not ended.
    17 LiveRuns: Environment, RunId => LiveRun, |run| Owner::User(run.user);
    /// Runs that ended.
    18 EndedRuns: Environment, RunId => EndedRun, |run| Owner::User(run.user);
    /// Finds a workflow's ended runs.
    19 RunsByWorkflow: Environment, (WorkflowId, RunId) => RunOutline, |_| Owner::Plain;
    /// What was already seen, by keyed hash; see [`Store::expire_ledger`](crate::Store::expire_ledger).
    20 Ledger: Environment, [u8; 16] => LedgerEntry, |_| Owner::Plain;
    /// Work that exhausted its retries.
    21 DeadLetters: Environment, Id => DeadLetter, |letter| owner_of_dead(letter);
    /// Connector versions the host keeps, by app and component digest.
    22 ConnectorVersions: Deployment, (String, String) => ConnectorVersion, |_| Owner::Plain;
    /// The version in use, by app.
    23 ActiveConnectors: Deployment, String => ActiveConnector, |_| Owner::Plain;
    /// Where streams go, by name.
    24 StreamDestinations: Environment, String => StreamDestination, |_| Owner::Scope;
    /// What was done about an app's connector, by app and time.
    25 ConnectorHistory: Deployment, (String, Id) => ConnectorChange, |_| Owner::Scope;
    /// Items of runs that have not ended, by run, the path of the `for_each` and the item's index.
    26 LiveItems: Environment, (RunId, String, u32) => LiveItem, |item| Owner::User(item.user);
    /// How far schedules have been dealt with.
    27 ScheduleMarks: Environment, (UserId, InstallationId) => ScheduleMark, |mark| Owner::User(mark.user);
    /// Polling installations and how far they have come.
    30 Pollers: Environment, InstallationId => Poller, |poller| Owner::User(poller.user);
    /// The pollers that are active: what a start needs, without opening anybody's records.
    31 ActivePollers: Environment, InstallationId => PollTimer, |_| Owner::Plain;
    /// Finds whom a request is for, by the truncated SHA-256 of its path token.
    35 RequestPaths: Deployment, [u8; 16] => RequestTarget, |_| Owner::Plain;
    /// Finds the runs that a run has called and that have not ended.
    36 CalledRuns: Environment, (RunId, RunId) => Present, |_| Owner::Plain;
    /// Whom the answers of runs are to be sent to, by run.
    37 Callbacks: Environment, RunId => Callback, |callback| Owner::User(callback.user);
    /// Keys of ordered workflows that a failed run holds: installation, hashed key, the run's place.
    44 HeldKeys: Environment, (InstallationId, [u8; 16], u64) => HeldKey, |_| Owner::Plain;
    /// The ISV's own clients at vendors, by app.
    45 AppRegistrations: Environment, String => AppRegistration, |_| Owner::Scope;
    /// People who were sent to a vendor to consent.
    46 Consents: Environment, ConsentId => Consent, |consent| owner(consent.user);
    /// Finds a consent, by the truncated SHA-256 of its state.
    47 ConsentsByState: Deployment, [u8; 16] => ConsentTarget, |_| Owner::Plain;
    /// The environment's own connections, by name.
    48 OwnConnections: Environment, String => OwnConnection, |_| Owner::Scope;
    /// Where vendors deliver for all accounts of an app, by app.
    60 AppHooks: Environment, String => AppHook, |_| Owner::Scope;
    /// Finds an app's own webhook, by the truncated SHA-256 of its path token.
    61 AppHooksByPath: Deployment, [u8; 16] => AppTarget, |_| Owner::Plain;
    /// The environment's private keys, by what they sign.
    70 SigningKeys: Environment, String => SigningKey, |_| Owner::Scope;
    /// The keys that users' tokens are signed with, the newest last.
    80 TokenKeys: Environment, TokenKeyId => TokenKey, |_| Owner::Scope;
    /// Links that install an integration once.
    81 InstallLinks: Environment, InstallLinkId => InstallLink, |link| Owner::User(link.user);
    /// Where operational events and errors go, by what goes there.
    82 Outlets: Environment, String => Outlet, |_| Owner::Scope;
    /// Operational events and errors that the ISV has not taken yet.
    83 Notices: Environment, Id => Notice, |notice| owner_of_notice(notice);
    /// Items of batches: by the keyed hash of their destination while they wait or are under way, by their batch's id
    /// beside its dead letter.
    84 BatchItems: Environment, ([u8; 16], Id) => BatchItem, |item| Owner::User(item.user);
    /// Batches under way, by the keyed hash of their destination.
    85 StreamBatches: Environment, ([u8; 16], Id) => StreamBatch, |_| Owner::Scope;
    /// Calls with an Idempotency-Key, by the keyed hash of caller, path and key.
    87 KeptCalls: Environment, [u8; 16] => KeptCall, |call| call.user.map_or(Owner::Scope, Owner::User);
    /// Operators' calls with an Idempotency-Key, by the same.
    88 OperatorCalls: Deployment, [u8; 16] => KeptCall, |_| Owner::Scope;
    /// What an environment sets for itself, by what it is about; all of it is under `environment` now.
    89 Settings: Environment, String => EnvironmentSettings, |_| Owner::Plain;
}

/// The environment's own things are sealed under its key, everybody else's under theirs.
fn owner(user: UserId) -> Owner {
    if user == Connection::OWN { Owner::Scope } else { Owner::User(user) }
}

fn owner_of_dead(letter: &DeadLetter) -> Owner {
    match &letter.work {
        DeadWork::Run { user, .. } | DeadWork::Callback { user, .. } => Owner::User(*user),
        DeadWork::Delivery { delivery } => Owner::User(delivery.user),
        DeadWork::Notice { notice } => owner_of_notice(notice),
        DeadWork::Batch { .. } => Owner::Scope,
    }
}

/// What is about a user is sealed under the user's key.
fn owner_of_notice(notice: &Notice) -> Owner {
    notice.user.map_or(Owner::Scope, owner)
}

/// Points at a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// Which.
    pub user: UserId,
}

/// Points at an installation that a trigger starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerTarget {
    /// Whose it is.
    pub user: UserId,
    /// Of which workflow.
    pub workflow: WorkflowId,
}

/// Says only that the key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {}

/// Points at a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTarget {
    /// Where it lives.
    pub scope: Scope,
    /// Which.
    pub subscription: SubscriptionId,
}

/// Points at an app's own webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppTarget {
    /// Where it lives.
    pub scope: Scope,
    /// Of which app.
    pub app: String,
}

/// Points at an installation that is started by requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestTarget {
    /// Where it lives.
    pub scope: Scope,
    /// Whose it is.
    pub user: UserId,
    /// Which.
    pub installation: InstallationId,
}

/// Points at a consent under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentTarget {
    /// Where it lives.
    pub scope: Scope,
    /// Which.
    pub consent: ConsentId,
    /// It counts until then.
    pub expires_at: Timestamp,
}

/// What a listing of a workflow's runs must know of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutline {
    /// Whose run it was.
    pub user: UserId,
    /// Whether it ended with an error.
    pub failed: bool,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// When a poller polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollTimer {
    /// Whose it is.
    pub user: UserId,
    /// How often, in milliseconds; what the connector says now counts from the first poll on.
    pub interval_ms: u64,
}

/// Which version of an app's connector new runs use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveConnector {
    /// The component.
    pub digest: Digest,
    /// The component before it, to go back to.
    #[serde(default)]
    pub previous: Option<Digest>,
    /// Since when.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn table_numbers_and_names_are_the_stored_ones() {
        let numbers: HashSet<u8> = ALL.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers.len(), ALL.len(), "a number is used twice");
        let stored: Vec<String> = ALL.iter().map(|(number, name)| format!("{number} {name}")).collect();
        assert_eq!(
            stored.join(", "),
            "1 Workspaces, 2 ApiKeys, 3 Users, 4 UsersByName, 5 Connections, 6 Integrations, 7 Workflows, \
             8 Releases, 9 EventSchemas, 10 Installations, 11 InstallationsByTrigger, 12 InstallationsByWorkflow, \
             13 InstallSessions, 14 Subscriptions, 15 SubscriptionsByPath, 16 Deliveries, 17 LiveRuns, \
             18 EndedRuns, 19 RunsByWorkflow, 20 Ledger, 21 DeadLetters, 22 ConnectorVersions, 23 ActiveConnectors, \
             24 StreamDestinations, 25 ConnectorHistory, 26 LiveItems, 27 ScheduleMarks, 30 Pollers, \
             31 ActivePollers, 35 RequestPaths, 36 CalledRuns, 37 Callbacks, 44 HeldKeys, 45 AppRegistrations, 46 Consents, \
             47 ConsentsByState, 48 OwnConnections, 60 AppHooks, 61 AppHooksByPath, 70 SigningKeys, 80 TokenKeys, \
             81 InstallLinks, 82 Outlets, 83 Notices, 84 BatchItems, 85 StreamBatches, 87 KeptCalls, \
             88 OperatorCalls, 89 Settings",
            "numbers are stored in every key and never change; only add at the end"
        );
    }
}
