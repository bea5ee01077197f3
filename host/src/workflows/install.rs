//! Installations: a user's copies of an integration's workflows, from start to completion, and their removal.
//!
//! Two steps, as Alloy's headless API has them: `start` chooses credentials and says which fields are open,
//! `complete` takes the values, registers webhooks and makes everything active in one commit. A failed
//! registration leaves nothing half-installed. What deploy-time flows are told of either is in `deploy`.

mod deploy;
mod disconnect;
mod events;
mod look;
mod upgrade;

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use trunnion_core::{
    definition::{ConfigField, Definition, FieldKind, Trigger},
    id::{
        ConnectionId, InstallLinkId, InstallSessionId, InstallationId, IntegrationId, SubscriptionId, UserId,
        WorkflowId,
    },
    manifest::options,
    records::{
        Connection, Entrance, Hears, InstallSession, Installation, LinePlace, ScheduleMark, StoredRelease,
        Subscription, Workflow,
    },
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Deployment, Select, Table as _, Version, Versioned,
    tables::{
        InstallLinks, InstallSessions, Installations, InstallationsByTrigger, InstallationsByWorkflow,
        Pollers as PollerTable, Present, RequestPaths, RequestTarget, ScheduleMarks, TriggerTarget,
    },
};

use super::{library::Library, releases::Releases};
use crate::{
    context::Context,
    error::{Error, Result, present},
    finish::finish,
    outbox::{Leaving, Outbox},
    triggers::{
        accept::{Acceptor, Beginning, app_key, call_key, custom_key, request_key, subscription_key},
        app_hooks::AppHooks,
        poll::{Pollers, poll_key},
        schedule::{Schedules, schedule_key},
        subscriptions::{ByHand, Fed, Subscriptions},
        webhook::path_key,
    },
    user_tokens::Link,
    vault::Vault,
};

/// How often a commit is tried again after somebody else changed the same records.
const MAX_CONFLICTS: u32 = 8;

/// What `start` is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Who installs.
    pub user: UserId,
    /// What is installed.
    pub integration: IntegrationId,
    /// The credentials to use; needed only where the user has several for an app.
    pub connections: Vec<ConnectionId>,
    /// The workflows wanted; empty: every released one.
    pub workflows: Vec<WorkflowId>,
    /// Other releases of these than the newest: those that the person was shown.
    pub releases: BTreeMap<WorkflowId, u32>,
    /// The link that it is begun by; it installs nothing else.
    pub link: Option<Link>,
}

/// An installation under way, and the releases it is about.
#[derive(Debug)]
pub struct Started {
    /// The session to complete.
    pub session: InstallSession,
    /// What is installed.
    pub releases: Vec<StoredRelease>,
}

/// Whether an installation does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// What comes in starts runs.
    Active,
    /// It starts nothing.
    Paused,
}

/// What feeds installations with work, and tells of them.
#[derive(Debug)]
pub struct Feeds {
    /// Vendors' webhooks.
    pub subscriptions: Subscriptions,
    /// Those that are called for all accounts of an app.
    pub app_hooks: AppHooks,
    /// The clock.
    pub schedules: Schedules,
    /// Vendors that have to be asked.
    pub pollers: Pollers,
    /// What tells the ISV of installations.
    pub outbox: Outbox,
}

/// Field values by workflow.
pub type Values = BTreeMap<WorkflowId, BTreeMap<String, Value>>;

/// Installs and removes.
#[derive(Clone, Debug)]
pub struct Installer {
    context: Context,
    library: Library,
    releases: Arc<Releases>,
    vault: Vault,
    subscriptions: Subscriptions,
    app_hooks: AppHooks,
    schedules: Schedules,
    acceptor: Acceptor,
    pollers: Pollers,
    outbox: Outbox,
}

/// What follows from a commit about installations.
#[derive(Default)]
struct Following {
    /// Whose schedules and pollers are to be looked at.
    changed: Vec<(UserId, InstallationId)>,
    /// The runs of deploy-time flows, which begin in the commit.
    beginnings: Vec<Beginning>,
    /// Keys that nobody holds any more.
    let_go: Vec<(InstallationId, LinePlace)>,
    /// What tells the ISV of it.
    leaving: Leaving,
}

/// What an installation is completed under, as it was read: both end with it.
struct Under {
    session: (InstallSessionId, Version),
    link: Option<(InstallLinkId, Version)>,
}

struct Planned {
    definition: Definition,
    installation: Installation,
    /// What the trigger stands on, where it is an app's.
    connection: Option<Connection>,
    fed: Option<Fed>,
}

impl Installer {
    /// Installs with these services.
    #[must_use]
    pub fn new(
        context: Context,
        library: Library,
        releases: Arc<Releases>,
        vault: Vault,
        feeds: Feeds,
        acceptor: Acceptor,
    ) -> Self {
        let Feeds { subscriptions, app_hooks, schedules, pollers, outbox } = feeds;
        Self {
            context,
            library,
            releases,
            vault,
            subscriptions,
            app_hooks,
            schedules,
            acceptor,
            pollers,
            outbox,
        }
    }

    /// A user's installations, oldest first.
    pub async fn of_user(&self, scope: &Scope, user: UserId) -> Result<Vec<Installation>> {
        let entries = self.context.store.list::<Installations>(scope, Select::all().prefix(&user)).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// What a person has to register at the vendor for this subscription; none where the connector does that.
    pub async fn by_hand(&self, scope: &Scope, id: SubscriptionId) -> Result<Option<ByHand>> {
        self.subscriptions.by_hand(scope, id).await
    }

    /// Pauses a user's copy of a workflow, or lets it go on: what comes in meanwhile starts nothing. Runs under
    /// way go on, and everything that the copy stands on stays.
    pub async fn set_active(
        &self,
        scope: &Scope,
        user: UserId,
        workflow: WorkflowId,
        activity: Activity,
    ) -> Result<()> {
        let active = activity == Activity::Active;
        for _ in 0..MAX_CONFLICTS {
            let Versioned { record, version } = self.copy(scope, user, workflow).await?;
            if record.active == active {
                return Ok(());
            }
            if active {
                self.still_connected(scope, &record).await?;
            }
            let key = (user, record.id);
            let compiled = self.releases.get(scope, workflow, record.release).await?;
            let changed = Installation { active, updated_at: self.context.now(), ..record };
            let mut batch = Batch::new();
            batch.replace::<Installations>(scope, &key, &changed, version);
            if let Some(mark) = self.context.store.get::<ScheduleMarks>(scope, &key).await? {
                let moved = ScheduleMark { active, ..mark.record };
                batch.replace::<ScheduleMarks>(scope, &key, &moved, mark.version);
            }
            self.pollers.activity(scope, &compiled.release.definition, &changed, &mut batch).await?;
            let following = Following { changed: vec![key], ..Following::default() };
            match self.commit(scope, batch, following).await? {
                Ok(()) => return Ok(()),
                // A tick or a poll came between: mark or position is another now.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        Err(busy(workflow))
    }

    /// Commits, with what follows.
    ///
    /// To its end: a caller that goes away does not take a commit back, and a schedule or poller that nobody
    /// looks at would start nothing until the next start of the host.
    async fn commit(
        &self,
        scope: &Scope,
        mut batch: Batch,
        following: Following,
    ) -> Result<Result<(), CommitError>> {
        let Following { changed, beginnings, let_go, leaving } = following;
        let (acceptor, scope) = (self.acceptor.clone(), *scope);
        let outbox = self.outbox.clone();
        leaving.add_to(&mut batch, &scope);
        let (schedules, pollers) = (self.schedules.clone(), self.pollers.clone());
        finish(async move {
            let begun = acceptor.begin(&scope, batch, beginnings).await?;
            for (user, installation) in changed {
                schedules.changed(scope, user, installation);
                pollers.changed(scope, user, installation);
            }
            if begun.is_ok() {
                outbox.go(&scope, leaving);
                acceptor.let_go(scope, let_go);
            }
            Ok(begun.map(drop))
        })
        .await
    }

    /// A user's copy of a workflow.
    async fn copy(
        &self,
        scope: &Scope,
        user: UserId,
        workflow: WorkflowId,
    ) -> Result<Versioned<Installation>> {
        let entries = self.context.store.list::<Installations>(scope, Select::all().prefix(&user)).await?;
        let found = entries.into_iter().find(|entry| entry.record.workflow == workflow);
        let found = found.map(|entry| Versioned { record: entry.record, version: entry.version });
        found.ok_or_else(|| {
            let message = format!("user `{user}` has not installed workflow `{workflow}`");
            Error::not_found("installation-unknown", message)
        })
    }

    /// Chooses credentials and releases, and opens a session.
    pub async fn start(&self, scope: &Scope, wish: &Wish) -> Result<Started> {
        if wish.link.is_some_and(|link| link.integration != wish.integration) {
            let message = format!("this link does not install integration `{}`", wish.integration);
            return Err(Error::not_found("integration-unknown", message));
        }
        let integration = self.library.integration(scope, wish.integration).await?;
        // From here the session stands on these releases, for any swap to see.
        let _settled = self.context.registry.settled().await;
        let mut releases = Vec::new();
        for workflow in self.library.workflows(scope).await? {
            let wanted = wish.workflows.is_empty() || wish.workflows.contains(&workflow.id);
            if workflow.integration == integration.id
                && wanted
                && let Some(release) = self.wished(scope, wish, &workflow).await?
            {
                releases.push(release);
            }
        }
        if let Some(missing) =
            wish.workflows.iter().find(|id| !releases.iter().any(|release| release.workflow == **id))
        {
            let message = format!("integration `{}` has no released workflow `{missing}`", integration.id);
            return Err(Error::not_found("workflow-unknown", message));
        }
        if releases.is_empty() {
            let message =
                format!("integration `{}` has no released workflow yet; release one first", integration.id);
            return Err(Error::invalid("nothing-to-install", message));
        }
        let connections = self.choose(scope, wish, &releases).await?;
        let session = InstallSession {
            id: self.context.ids.next(),
            user: wish.user,
            integration: integration.id,
            workflows: releases.iter().map(|release| (release.workflow, release.number)).collect(),
            connections,
            link: wish.link.map(|link| link.id),
            created_at: self.context.now(),
        };
        let mut batch = Batch::new();
        batch.insert::<InstallSessions>(scope, &session.id, &session);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(Started { session, releases })
    }

    async fn wished(&self, scope: &Scope, wish: &Wish, workflow: &Workflow) -> Result<Option<StoredRelease>> {
        match wish.releases.get(&workflow.id) {
            Some(number) => Ok(Some(self.releases.stored(scope, workflow.id, *number).await?)),
            None => self.library.latest(scope, workflow).await,
        }
    }

    async fn choose(
        &self,
        scope: &Scope,
        wish: &Wish,
        releases: &[StoredRelease],
    ) -> Result<BTreeMap<String, ConnectionId>> {
        let owned = self.vault.connections(scope, wish.user).await?;
        if let Some(unknown) = wish.connections.iter().find(|id| !owned.iter().any(|known| known.id == **id))
        {
            let message = format!("user `{}` has no credential `{unknown}`", wish.user);
            return Err(Error::not_found("credential-unknown", message));
        }
        let mut chosen = BTreeMap::new();
        for app in releases.iter().flat_map(|release| release.definition.connected_apps()) {
            let all: Vec<_> = owned.iter().filter(|connection| connection.app == app).collect();
            let named: Vec<_> =
                all.iter().copied().filter(|connection| wish.connections.contains(&connection.id)).collect();
            let connection = match (named.as_slice(), all.as_slice()) {
                ([one], _) | ([], [one]) => one.id,
                ([], []) => {
                    let message = format!(
                        "user `{}` has not connected `{app}`; POST /headless/credentials first",
                        wish.user
                    );
                    return Err(Error::invalid("credential-missing", message));
                }
                _ => {
                    let message = format!(
                        "user `{}` has several credentials for `{app}`; name one in `credentialIds`",
                        wish.user
                    );
                    return Err(Error::invalid("credential-ambiguous", message));
                }
            };
            chosen.insert(app.to_owned(), connection);
        }
        Ok(chosen)
    }

    /// Takes field values, registers webhooks and makes the workflows active; only of `user`, where one is given.
    ///
    /// To its end: what was registered at a vendor is installed or taken back, even where the caller goes
    /// away meanwhile.
    pub async fn complete(
        &self,
        scope: &Scope,
        (user, id): (Option<UserId>, InstallSessionId),
        values: Values,
    ) -> Result<Vec<Installation>> {
        let (this, scope) = (self.clone(), *scope);
        let activity = |_: Option<&Installation>| true;
        finish(async move { this.complete_here(&scope, (user, id), &values, activity).await }).await
    }

    async fn complete_here(
        &self,
        scope: &Scope,
        (user, id): (Option<UserId>, InstallSessionId),
        values: &Values,
        active: impl Fn(Option<&Installation>) -> bool + Send,
    ) -> Result<Vec<Installation>> {
        let session = present(self.context.store.get::<InstallSessions>(scope, &id).await)?;
        let session = session.filter(|session| user.is_none_or(|user| user == session.record.user));
        let Some(session) = session else {
            let message = format!(
                "there is no installation `{id}` under way; start one with /headless/startInstallation"
            );
            return Err(Error::not_found("installation-unknown", message));
        };
        let Versioned { record: session, version } = session;
        let link = match session.link {
            Some(link) => Some((link, self.unused(scope, link).await?)),
            None => None,
        };
        let existing = self.of_user(scope, session.user).await?;
        let mut planned = Vec::new();
        for (workflow, number) in &session.workflows {
            let compiled = self.releases.get(scope, *workflow, *number).await?;
            let release = &compiled.release;
            let none = BTreeMap::new();
            let given = values.get(workflow).unwrap_or(&none);
            let config = configure(&release.definition, given)?;
            let known = existing.iter().find(|installation| installation.workflow == *workflow);
            let now = self.context.now();
            let apps = release.definition.connected_apps();
            let connections = session.connections.iter().filter(|(app, _)| apps.contains(&app.as_str()));
            let installation = Installation {
                id: known.map_or_else(|| self.context.ids.next(), |known| known.id),
                user: session.user,
                workflow: *workflow,
                release: *number,
                connections: connections.map(|(app, id)| (app.clone(), *id)).collect(),
                config,
                active: active(known),
                subscription: None,
                hears: None,
                entrance: self.entrance(&release.definition, known),
                created_at: known.map_or(now, |known| known.created_at),
                updated_at: now,
            };
            let definition = release.definition.clone();
            planned.push(Planned { definition, installation, connection: None, fed: None });
        }
        if let Err(error) = self.register(scope, &mut planned).await {
            self.unregister(scope, &planned).await;
            return Err(error);
        }
        let about = (session.integration, existing.as_slice());
        if let Err(error) = self.keep(scope, Under { session: (id, version), link }, &planned, about).await {
            self.unregister(scope, &planned).await;
            return Err(error);
        }
        let installations: Vec<_> = planned.into_iter().map(|plan| plan.installation).collect();
        self.retire(scope, &existing, &installations).await?;
        Ok(installations)
    }

    /// The version of a link that nobody has used yet.
    async fn unused(&self, scope: &Scope, link: InstallLinkId) -> Result<Version> {
        let found = self.context.store.get::<InstallLinks>(scope, &link).await?;
        let used = || Error::invalid("link-used", "this link was used already; ask for a new one");
        found.map(|found| found.version).ok_or_else(used)
    }

    /// ONE COMMIT: the session's end and that of its link, every installation, with what finds it, when it ticks and
    /// where it polls, and the runs of deploy-time flows.
    async fn keep(
        &self,
        scope: &Scope,
        Under { session: (session, version), link }: Under,
        planned: &[Planned],
        (integration, existing): (IntegrationId, &[Installation]),
    ) -> Result<()> {
        let told = self.tell_of_installing(scope, integration, planned, existing).await?;
        let keys: Vec<_> =
            planned.iter().map(|plan| (plan.installation.user, plan.installation.id)).collect();
        for _ in 0..MAX_CONFLICTS {
            let mut batch = Batch::new();
            batch.remove::<InstallSessions>(scope, &session, version);
            if let Some((link, version)) = link {
                batch.remove::<InstallLinks>(scope, &link, version);
            }
            for plan in planned {
                let known = existing.iter().find(|installation| installation.id == plan.installation.id);
                self.write(scope, plan, known, &mut batch).await?;
                self.schedule(scope, plan, &mut batch).await?;
            }
            let following = Following {
                changed: keys.clone(),
                beginnings: told.clone(),
                leaving: self.tell_isv_of_installing(scope, integration, planned, existing).await?,
                ..Following::default()
            };
            match self.commit(scope, batch, following).await? {
                Ok(()) => return Ok(()),
                // A tick or a poll came between: mark or position is another now.
                Err(CommitError::Conflict { table, .. })
                    if table == ScheduleMarks::NAME || table == PollerTable::NAME => {}
                Err(error) => return Err(changed_meanwhile(error, session)),
            }
        }
        Err(busy(session))
    }

    /// Makes or removes the mark of an installation's schedule. One whose times stay keeps its mark: what fell due
    /// while it was paused is still due. New times count from now.
    async fn schedule(&self, scope: &Scope, plan: &Planned, batch: &mut Batch) -> Result<()> {
        let Installation { user, id, active, .. } = plan.installation;
        let key = (user, id);
        let known = self.context.store.get::<ScheduleMarks>(scope, &key).await?;
        let Trigger::Schedule(timing) = &plan.definition.trigger else {
            if let Some(known) = known {
                batch.remove::<ScheduleMarks>(scope, &key, known.version);
            }
            return Ok(());
        };
        let kept = known.as_ref().filter(|known| known.record.timing == *timing);
        let handled = kept.map_or_else(|| self.context.now(), |known| known.record.handled);
        let mark = ScheduleMark { user, timing: timing.clone(), active, handled };
        match known {
            Some(known) => batch.replace::<ScheduleMarks>(scope, &key, &mark, known.version),
            None => batch.insert::<ScheduleMarks>(scope, &key, &mark),
        }
        Ok(())
    }

    /// Where requests come in: as before, or at a fresh address.
    fn entrance(&self, definition: &Definition, known: Option<&Installation>) -> Option<Entrance> {
        let (Trigger::Request { .. } | Trigger::Preprocess { .. }) = definition.trigger else { return None };
        let before = known.and_then(|known| known.entrance.clone());
        Some(before.unwrap_or_else(|| Entrance {
            path_token: hex::encode(self.context.ids.bytes::<16>()),
            secret: format!("whsec_{}", BASE64_STANDARD.encode(self.context.ids.bytes::<32>())),
        }))
    }

    async fn register(&self, scope: &Scope, planned: &mut [Planned]) -> Result<()> {
        // Workflows installed together may share a webhook that none of them has in the store yet.
        let mut made: Vec<Subscription> = Vec::new();
        for plan in planned {
            let Trigger::App { app, trigger, options, .. } = &plan.definition.trigger else { continue };
            let options = options::filled(options, &plan.installation.config);
            let connection = match plan.installation.connections.get(app) {
                Some(id) => Some(self.vault.connection(scope, plan.installation.user, *id).await?.record),
                None => None,
            };
            plan.connection.clone_from(&connection);
            if let Some(connection) = &connection {
                plan.installation.hears = self.app_hooks.hears(scope, connection, trigger).await?;
            }
            let shared = connection.as_ref().and_then(|connection: &Connection| {
                let same = |known: &&Subscription| {
                    (known.connection, &known.trigger, &known.options) == (connection.id, trigger, &options)
                };
                made.iter().find(same)
            });
            if let Some(subscription) = shared {
                plan.installation.subscription = Some(subscription.id);
                continue;
            }
            if let Some(fed) = self
                .subscriptions
                .feed(scope, connection.as_ref(), (&plan.definition.trigger, &options))
                .await?
            {
                plan.installation.subscription = Some(fed.subscription.id);
                made.push(fed.subscription.clone());
                plan.fed = Some(fed);
            }
        }
        Ok(())
    }

    /// Takes back what `register` made.
    async fn unregister(&self, scope: &Scope, planned: &[Planned]) {
        for plan in planned {
            let Some(Fed { subscription, made: true }) = &plan.fed else { continue };
            let removed = match self.vault.connection(scope, subscription.user, subscription.connection).await
            {
                Ok(connection) => self.subscriptions.remove(scope, &connection.record, subscription).await,
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                tracing::warn!(
                    subscription = %subscription.id, error = &error as &dyn std::error::Error,
                    "a webhook could not be taken back after a failed installation; its deliveries start nothing"
                );
            }
        }
    }

    async fn write(
        &self,
        scope: &Scope,
        plan: &Planned,
        known: Option<&Installation>,
        batch: &mut Batch,
    ) -> Result<()> {
        let installation = &plan.installation;
        let user = installation.user;
        let key = self.trigger_key(scope, &plan.definition, installation);
        if let Some(known) = known {
            let before = self.releases.get(scope, known.workflow, known.release).await?;
            let old = self.trigger_key(scope, &before.release.definition, known);
            if let Some(old) = old
                && Some(old) != key
            {
                batch.delete::<InstallationsByTrigger>(scope, &(old, known.id));
            }
        }
        if let Some(left) = known.and_then(|known| known.entrance.as_ref())
            && installation.entrance.is_none()
        {
            batch.delete::<RequestPaths>(&Deployment, &path_key(&left.path_token));
        }
        if let Some(entrance) = &installation.entrance {
            let target = RequestTarget { scope: *scope, user, installation: installation.id };
            batch.put::<RequestPaths>(&Deployment, &path_key(&entrance.path_token), &target);
        }
        batch.put::<Installations>(scope, &(user, installation.id), installation);
        batch.put::<InstallationsByWorkflow>(
            scope,
            &(installation.workflow, user, installation.id),
            &Present {},
        );
        if let Some(key) = key {
            let target = TriggerTarget { user, workflow: installation.workflow };
            batch.put::<InstallationsByTrigger>(scope, &(key, installation.id), &target);
        }
        self.pollers.place(scope, &plan.definition, installation, plan.connection.as_ref(), batch).await
    }

    /// Removes subscriptions that earlier versions of these installations used and nobody uses any more.
    async fn retire(&self, scope: &Scope, before: &[Installation], after: &[Installation]) -> Result<()> {
        for old in before {
            let Some(new) = after.iter().find(|new| new.id == old.id) else { continue };
            if let Some(id) = old.subscription
                && new.subscription != Some(id)
            {
                self.subscriptions.release(scope, id, old.id).await?;
            }
        }
        Ok(())
    }

    /// Removes a user's copy of a workflow, and its webhook where nobody else uses it. Runs under way go on, and
    /// those of deploy-time flows begin in the same commit: a removal is told of exactly once.
    pub async fn remove(&self, scope: &Scope, user: UserId, workflow: WorkflowId) -> Result<()> {
        let Versioned { record: installation, version } = self.copy(scope, user, workflow).await?;
        let beginnings = self.tell_of_removing(scope, &installation).await?;
        let leaving = self.tell_isv_of_removing(scope, &installation).await?;
        self.take_away(scope, &installation, version, (beginnings, leaving)).await
    }

    /// Removes a copy of a user who is being erased: as [`Self::remove`], and nobody is told, since nothing of the
    /// user's can run any more.
    pub async fn withdraw(&self, scope: &Scope, user: UserId, workflow: WorkflowId) -> Result<()> {
        let Versioned { record: installation, version } = self.copy(scope, user, workflow).await?;
        self.take_away(scope, &installation, version, (Vec::new(), Leaving::none())).await
    }

    async fn take_away(
        &self,
        scope: &Scope,
        installation: &Installation,
        version: Version,
        (beginnings, leaving): (Vec<Beginning>, Leaving),
    ) -> Result<()> {
        let Installation { user, workflow, .. } = *installation;
        let compiled = self.releases.get(scope, workflow, installation.release).await?;
        let mut batch = Batch::new();
        batch.remove::<Installations>(scope, &(user, installation.id), version);
        batch.delete::<InstallationsByWorkflow>(scope, &(workflow, user, installation.id));
        // A tick that is being accepted holds on to its mark, and is refused from here on.
        batch.delete::<ScheduleMarks>(scope, &(user, installation.id));
        if let Some(key) = self.trigger_key(scope, &compiled.release.definition, installation) {
            batch.delete::<InstallationsByTrigger>(scope, &(key, installation.id));
        }
        if let Some(entrance) = &installation.entrance {
            batch.delete::<RequestPaths>(&Deployment, &path_key(&entrance.path_token));
        }
        self.pollers.remove(scope, installation.id, &mut batch);
        let following = Following {
            changed: vec![(user, installation.id)],
            let_go: self.acceptor.release_keys(scope, installation.id, &mut batch).await?,
            beginnings,
            leaving,
        };
        let removed = self.commit(scope, batch, following).await?;
        removed.map_err(|error| changed_meanwhile(error, installation.id))?;
        if let Some(subscription) = installation.subscription {
            self.subscriptions.release(scope, subscription, installation.id).await?;
        }
        Ok(())
    }

    fn trigger_key(
        &self,
        scope: &Scope,
        definition: &Definition,
        installation: &Installation,
    ) -> Option<[u8; 16]> {
        let store = &self.context.store;
        match &definition.trigger {
            Trigger::Event { event } => Some(custom_key(store, scope, installation.user, event)),
            Trigger::App { .. } => Some(match (installation.subscription, &installation.hears) {
                (Some(id), _) => subscription_key(store, scope, id),
                (None, Some(Hears { app, trigger, account })) => {
                    app_key(store, scope, (app, trigger, account))
                }
                (None, None) => poll_key(store, scope, installation.id),
            }),
            Trigger::Schedule(_) => Some(schedule_key(store, scope, installation.id)),
            // Their runs begin in the very commit of what they are told of.
            Trigger::Installed | Trigger::Removed => None,
            Trigger::Request { .. } | Trigger::Preprocess { .. } => {
                Some(request_key(store, scope, installation.id))
            }
            Trigger::Call { .. } => Some(call_key(store, scope, installation.user, installation.workflow)),
        }
    }
}

fn busy(id: impl fmt::Display) -> Error {
    let message = format!("`{id}` was changed by others {MAX_CONFLICTS} times meanwhile; try again");
    Error::conflict("installation-changed", message)
}

/// What a commit about an installation, or one under way, failed with.
fn changed_meanwhile(error: CommitError, id: impl fmt::Display) -> Error {
    if error.is_conflict() {
        let message = format!(
            "installation `{id}` was changed by somebody else at the same time; look at it and try again"
        );
        return Error::conflict("installation-changed", message);
    }
    Error::Commit(error)
}

/// The values of a definition's fields: what was given, else the default; every fault names the field.
fn configure(definition: &Definition, given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>> {
    let mut config = BTreeMap::new();
    for field in &definition.fields {
        let value = given.get(&field.name).filter(|value| !value.is_null()).or(field.default.as_ref());
        match value {
            Some(value) if fits(field, value) => {
                config.insert(field.name.clone(), value.clone());
            }
            Some(value) => {
                let message = format!(
                    "field `{}` (`{}`) cannot be {value}; it takes {}",
                    field.name,
                    field.title,
                    takes(field)
                );
                return Err(Error::invalid("field-invalid", message));
            }
            None if field.required => {
                let message = format!(
                    "field `{}` (`{}`) of workflow `{}` needs a value",
                    field.name, field.title, definition.name
                );
                return Err(Error::invalid("field-missing", message));
            }
            None => {
                config.insert(field.name.clone(), Value::Null);
            }
        }
    }
    if let Some(unknown) =
        given.keys().find(|name| !definition.fields.iter().any(|field| field.name == **name))
    {
        let message = format!("workflow `{}` has no field `{unknown}`; leave it out", definition.name);
        return Err(Error::invalid("field-invalid", message));
    }
    Ok(config)
}

/// Whether a field can have this value.
pub(crate) fn fits(field: &ConfigField, value: &Value) -> bool {
    match &field.kind {
        FieldKind::Text => value.is_string(),
        FieldKind::Number => value.is_number(),
        FieldKind::Boolean => value.is_boolean(),
        FieldKind::Choice { options } => options.iter().any(|option| option.value == *value),
    }
}

/// What values a field takes, in words.
pub(crate) fn takes(field: &ConfigField) -> String {
    match &field.kind {
        FieldKind::Text => "text".to_owned(),
        FieldKind::Number => "a number".to_owned(),
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Choice { options } => {
            let values: Vec<_> = options.iter().map(|option| option.value.to_string()).collect();
            format!("one of {}", values.join(", "))
        }
    }
}
