//! The survey: what is in use of a connector that a candidate lacks or changed, and whose it is.
//!
//! Looks at the newest release of every workflow, at every release that an installation or a session under way
//! stands on, at stored connections, at registered webhooks, at what hears of an app's own, and at the cursors of pollers. The rules are
//! `trunnion_core::succession`'s. Reads in small pages, so that runs are not held up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use trunnion_core::{
    clock::Timestamp,
    id::{UserId, WorkflowId},
    manifest::{Manifest, auth::CLIENT_SECRET},
    problem::Problem,
    records::{Connection, Installation, StoredRelease, Workspace},
    scope::{Environment, Scope},
    succession,
};
use trunnion_store::{
    Deployment, Entry, ReadError, Select, Store, Table,
    table::PlaceOf,
    tables::{
        AppHooks, Connections, InstallSessions, Installations, Pollers, Releases, Subscriptions, Users,
        Workflows, Workspaces,
    },
};

use super::Standing;
use crate::{error::Result, vault::registration, workflows::catalog::Catalog};

/// Records of one read.
const PAGE: usize = 128;

/// Users that are named of one thing; the others are counted.
const NAMED: usize = 20;

/// How long a session that was not completed counts as under way.
const SESSION: Duration = Duration::from_secs(24 * 3600);

/// One thing that stands on what a candidate lacks or changed.
#[derive(Debug)]
pub(super) struct Use {
    /// The thing, as a pointer.
    at: String,
    /// The thing, in words.
    what: String,
    users: Vec<String>,
    more_users: usize,
    faults: String,
}

/// A survey of everything that stands on one connector.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub(super) store: &'a Store,
    pub(super) standing: &'a Standing,
    pub(super) present: &'a Manifest,
    pub(super) candidate: &'a Arc<Manifest>,
    pub(super) now: Timestamp,
}

type ByEnvironment = BTreeMap<Environment, BTreeSet<UserId>>;

impl Use {
    /// With the users' names, for whoever asked.
    pub(super) fn problem(&self) -> Problem {
        let mut users: Vec<_> = self.users.iter().map(|name| format!("`{name}`")).collect();
        if self.more_users > 0 {
            users.push(format!("and {} more", self.more_users));
        }
        let used = if users.is_empty() {
            "installed by nobody".to_owned()
        } else {
            format!("of the users {}", users.join(", "))
        };
        Problem::new(self.at.as_str(), format!("{}, {used}: {}", self.what, self.faults))
    }

    /// Without the users' names, for what is kept.
    pub(super) fn summary(&self) -> String {
        let users = self.users.len() + self.more_users;
        format!("{}, of {users} users: {}", self.what, self.faults)
    }
}

impl Survey<'_> {
    /// Everything that would lack something.
    pub(super) async fn uses(&self) -> Result<Vec<Use>> {
        let mut uses = Vec::new();
        if succession::interchangeable(self.present, self.candidate) {
            return Ok(uses);
        }
        for workspace in pages::<Workspaces>(self.store, &Deployment).await? {
            let workspace = workspace.record;
            for ((workflow, number), users) in self.releases(&workspace).await? {
                let place = Scope::new(workspace.id, Environment::Development);
                let Some(release) = self.store.get::<Releases>(&place, &(workflow, number)).await? else {
                    continue;
                };
                self.release(&workspace, release.record, users, &mut uses).await?;
            }
            for environment in Environment::ALL {
                self.credentials(&workspace, environment, &mut uses).await?;
            }
        }
        Ok(uses)
    }

    /// The releases of a workspace that are live, and who stands on each.
    async fn releases(&self, workspace: &Workspace) -> Result<BTreeMap<(WorkflowId, u32), ByEnvironment>> {
        let mut live: BTreeMap<_, ByEnvironment> = BTreeMap::new();
        let place = Scope::new(workspace.id, Environment::Development);
        for workflow in pages::<Workflows>(self.store, &place).await? {
            if workflow.record.latest_release > 0 {
                live.entry((workflow.record.id, workflow.record.latest_release)).or_default();
            }
        }
        for environment in Environment::ALL {
            let place = Scope::new(workspace.id, environment);
            let mut stands = |release, user| {
                live.entry(release).or_default().entry(environment).or_default().insert(user);
            };
            for entry in pages::<Installations>(self.store, &place).await? {
                stands((entry.record.workflow, entry.record.release), entry.record.user);
            }
            for entry in pages::<InstallSessions>(self.store, &place).await? {
                let session = entry.record;
                if self.now.since(session.created_at) < SESSION {
                    session.workflows.iter().for_each(|release| stands(*release, session.user));
                }
            }
        }
        Ok(live)
    }

    async fn release(
        &self,
        workspace: &Workspace,
        release: StoredRelease,
        users: ByEnvironment,
        uses: &mut Vec<Use>,
    ) -> Result<()> {
        let app = self.candidate.id.as_str();
        let StoredRelease { workflow, number, definition, .. } = release;
        if !definition.apps().contains(&app) {
            return Ok(());
        }
        let place = Scope::new(workspace.id, Environment::Development);
        let manifest = |app: &str| self.standing.connector(app).map(|known| Arc::clone(known.manifest()));
        let catalog = Catalog::under(self.store, &place, &definition, manifest).await?;
        // Messages name the version: under the same one, what was wrong before reads as what is wrong now.
        let present = Manifest { version: self.candidate.version.clone(), ..self.present.clone() };
        let present = catalog.clone().with(Arc::new(present));
        let faults =
            succession::release_faults(&definition, &present, &catalog.with(Arc::clone(self.candidate)));
        if faults.is_empty() {
            return Ok(());
        }
        let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let at = format!("/workspaces/{}/workflows/{workflow}/releases/{number}", workspace.id);
        let what = format!(
            "workspace `{}`: release {number} of workflow `{}` ({workflow})",
            workspace.name, definition.name
        );
        if users.is_empty() {
            uses.push(Use { at, what, users: Vec::new(), more_users: 0, faults });
            return Ok(());
        }
        for (environment, users) in users {
            let what = format!("{what}, in {environment}");
            let place = Scope::new(workspace.id, environment);
            uses.push(self.used(&place, (at.clone(), what), users, faults.clone()).await?);
        }
        Ok(())
    }

    /// Stored credentials, registered webhooks and kept cursors of one environment; users with the same fault are one use.
    async fn credentials(
        &self,
        workspace: &Workspace,
        environment: Environment,
        uses: &mut Vec<Use>,
    ) -> Result<()> {
        let place = Scope::new(workspace.id, environment);
        let app = self.candidate.id.as_str();
        let mut connections: BTreeMap<_, Connection> = BTreeMap::new();
        let mut faulty: BTreeMap<(&str, String), BTreeSet<UserId>> = BTreeMap::new();
        for entry in pages::<Connections>(self.store, &place).await? {
            let connection = entry.record;
            if connection.app != app {
                continue;
            }
            for fault in succession::connection_faults(&connection, self.present, self.candidate) {
                faulty.entry(("credentials", fault)).or_default().insert(connection.user);
            }
            connections.insert(connection.id, connection);
        }
        for entry in pages::<Subscriptions>(self.store, &place).await? {
            let subscription = entry.record;
            if subscription.app != app {
                continue;
            }
            let connection = connections.get(&subscription.connection);
            let fault = succession::subscription_fault(
                &subscription.trigger,
                connection,
                self.present,
                self.candidate,
            );
            if let Some(fault) = fault {
                faulty.entry(("webhooks", fault)).or_default().insert(subscription.user);
            }
        }
        for entry in pages::<Pollers>(self.store, &place).await? {
            let poller = entry.record;
            if poller.app != app {
                continue;
            }
            let format = poller.cursor.as_ref().map(|cursor| cursor.format);
            let fault = succession::poller_fault(&poller.trigger, format, self.present, self.candidate);
            if let Some(fault) = fault {
                faulty.entry(("pollers", fault)).or_default().insert(poller.user);
            }
        }
        let hook = self.store.get::<AppHooks>(&place, &app.to_owned()).await?.map(|stored| stored.record);
        if let Some(hook) = hook {
            let registered = registration(self.store, &place, app).await?.map(|_| CLIENT_SECRET);
            let keys = hook.secrets.keys().map(String::as_str).chain(registered).collect();
            for entry in pages::<Installations>(self.store, &place).await? {
                let Installation { user, hears, .. } = entry.record;
                let Some(hears) = hears.filter(|hears| hears.app == app) else { continue };
                let fault =
                    succession::app_webhook_fault(&hears.trigger, &keys, self.present, self.candidate);
                if let Some(fault) = fault {
                    faulty.entry(("app-webhook", fault)).or_default().insert(user);
                }
            }
        }
        for ((kind, fault), users) in faulty {
            let at = format!("/workspaces/{}/{environment}/{kind}/{app}", workspace.id);
            let what = format!("workspace `{}`: {kind} for `{app}`, in {environment}", workspace.name);
            uses.push(self.used(&place, (at, what), users, fault).await?);
        }
        Ok(())
    }

    async fn used(
        &self,
        place: &Scope,
        (at, what): (String, String),
        users: BTreeSet<UserId>,
        faults: String,
    ) -> Result<Use> {
        let mut named = Vec::new();
        for user in users.iter().take(NAMED) {
            named.push(match self.store.get::<Users>(place, user).await {
                Ok(Some(user)) => user.record.username,
                Ok(None) if *user == Connection::OWN => "the environment itself".to_owned(),
                Ok(None) | Err(ReadError::Erased { .. }) => user.to_string(),
                Err(error) => return Err(error.into()),
            });
        }
        Ok(Use { at, what, more_users: users.len() - named.len(), users: named, faults })
    }
}

/// Every record of a place, page by page; others get their turn in between.
async fn pages<T: Table>(store: &Store, place: &PlaceOf<T>) -> Result<Vec<Entry<T>>> {
    let mut all: Vec<Entry<T>> = Vec::new();
    let mut select = Select::all();
    loop {
        let page = store.page::<T>(place, select.clone(), PAGE).await?;
        all.extend(page.entries);
        let Some(next) = page.next else { return Ok(all) };
        select = select.after(&next);
        tokio::task::yield_now().await;
    }
}
