//! Apps' own webhooks: one URL for each app of an environment, which the vendor calls for every account that installed
//! the ISV's app.
//!
//! The ISV sets the keys that verify deliveries, or has registered its client, whose secret they are signed with; and gives
//! the URL to the vendor. The URL never changes. Deliveries are
//! taken in as any others (`webhook`) and parsed without a connection (`parse::app`); from there each occurrence finds
//! the installations that hear of its account. What came for accounts that nobody hears of is counted here, in memory:
//! it is no error, since a vendor calls for whoever ever installed the app.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use trunnion_core::{
    clock::Timestamp,
    manifest::{Manifest, WebhookSpec, auth::CLIENT_SECRET},
    records::{AppHook, Connection, Hears},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Deployment, KeyOwner, Versioned,
    tables::{AppHooks as Table, AppHooksByPath, AppTarget},
};

use super::webhook::path_key;
use crate::{
    context::Context,
    error::{Error, Result},
    vault::registration,
};

/// How often a change is tried again after somebody else changed the same.
const MAX_CONFLICTS: u32 = 8;

/// Keys of one name at most: the one in use, and those that it takes the place of.
const MOST_KEYS: usize = 5;

/// Accounts that nobody hears of and that are shown, the latest ones.
const SHOWN: usize = 20;

/// Keeps and shows apps' own webhooks.
#[derive(Clone, Debug)]
pub struct AppHooks {
    context: Context,
    tallies: Arc<Mutex<HashMap<(Scope, String), Tally>>>,
}

/// What came to an app's own webhook since this process started.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Occurrences that deliveries held.
    pub occurrences: u64,
    /// Those of them that had come before.
    pub repeated: u64,
    /// Those of them that no active installation hears of.
    pub unheard: u64,
    /// The accounts of those, the latest first, and when one last came.
    pub unheard_accounts: Vec<(String, Timestamp)>,
}

/// An app's own webhook, as its ISV sees it.
#[derive(Debug)]
pub struct Shown {
    /// The record.
    pub hook: Arc<AppHook>,
    /// What the vendor is to call.
    pub url: String,
    /// The triggers that are delivered there.
    pub triggers: Vec<String>,
    /// What came.
    pub tally: Tally,
}

impl AppHooks {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, tallies: Arc::default() }
    }

    /// Makes the webhook of an app where there is none yet, and sets the keys that verify its deliveries.
    pub async fn set(
        &self,
        scope: &Scope,
        app: &str,
        secrets: BTreeMap<String, Vec<String>>,
    ) -> Result<Shown> {
        let manifest = self.manifest(app)?;
        let registered = self.registered(scope, &manifest).await?;
        needed(&manifest, &secrets, registered)?;
        for _ in 0..MAX_CONFLICTS {
            let stored = self.context.store.get::<Table>(scope, &app.to_owned()).await?;
            let now = self.context.now();
            let mut batch = Batch::new();
            let hook = match stored {
                Some(Versioned { record, version }) => {
                    let hook = AppHook { secrets: secrets.clone(), updated_at: now, ..record };
                    batch.replace::<Table>(scope, &app.to_owned(), &hook, version);
                    hook
                }
                None => {
                    let hook = AppHook {
                        id: self.context.ids.next(),
                        party: self.context.ids.next(),
                        app: app.to_owned(),
                        path_token: hex::encode(self.context.ids.bytes::<16>()),
                        secrets: secrets.clone(),
                        created_at: now,
                        updated_at: now,
                    };
                    // Deliveries are sealed under it: it is durable before one can come.
                    self.context.store.keys().create(KeyOwner::User(*scope, hook.party)).await?;
                    let target = AppTarget { scope: *scope, app: app.to_owned() };
                    batch.insert::<Table>(scope, &app.to_owned(), &hook);
                    batch.insert::<AppHooksByPath>(&Deployment, &path_key(&hook.path_token), &target);
                    hook
                }
            };
            match self.context.store.commit(batch).await {
                Ok(_) => return Ok(self.shown(scope, &manifest, Arc::new(hook))),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message =
            format!("the webhook of `{app}` was changed by others {MAX_CONFLICTS} times; try again");
        Err(Error::conflict("app-webhook-changed", message))
    }

    /// The webhook of an app.
    pub async fn get(&self, scope: &Scope, app: &str) -> Result<Shown> {
        let manifest = self.manifest(app)?;
        delivered_to(&manifest)?;
        let hook = self.stored(scope, app).await?.ok_or_else(|| unset(scope, app, &manifest))?;
        Ok(self.shown(scope, &manifest, hook))
    }

    /// What an installation of `trigger` on `connection` hears of the app's own webhook; none where the trigger is not
    /// delivered there. Refused where nobody could verify a delivery, so that it would never hear anything.
    pub async fn hears(
        &self,
        scope: &Scope,
        connection: &Connection,
        trigger: &str,
    ) -> Result<Option<Hears>> {
        let app = &connection.app;
        let manifest = self.manifest(app)?;
        let Some((_, spec)) = manifest.app_webhooks().find(|(id, _)| *id == trigger) else { return Ok(None) };
        let hook = self.stored(scope, app).await?;
        let given = |hook: &AppHook| hook.secrets.contains_key(spec.verify.secret());
        let verified = match &hook {
            Some(hook) => given(hook) || self.registered(scope, &manifest).await?,
            None => false,
        };
        if !verified {
            return Err(unset(scope, app, &manifest));
        }
        let (app, account) = (app.clone(), connection.account.clone());
        Ok(Some(Hears { app, trigger: trigger.to_owned(), account }))
    }

    /// Whether deliveries are signed with the secret of a client that the ISV has registered.
    async fn registered(&self, scope: &Scope, manifest: &Manifest) -> Result<bool> {
        let by_client =
            manifest.app_webhooks().next().is_some_and(|(_, spec)| spec.verify.secret() == CLIENT_SECRET);
        Ok(by_client && registration(&self.context.store, scope, &manifest.id).await?.is_some())
    }

    /// The stored record.
    pub(super) async fn stored(&self, scope: &Scope, app: &str) -> Result<Option<Arc<AppHook>>> {
        let stored = self.context.store.recall::<Table>(scope, &app.to_owned()).await?;
        Ok(stored.map(|stored| stored.record))
    }

    /// Counts what a delivery held, with the accounts that nobody hears of.
    pub(super) fn count(
        &self,
        scope: &Scope,
        app: &str,
        came: (usize, usize),
        unheard: &[&str],
        now: Timestamp,
    ) {
        let (occurrences, repeated) = came;
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let mut tallies = self.tallies();
        let tally = tallies.entry((*scope, app.to_owned())).or_default();
        tally.occurrences += wide(occurrences);
        tally.repeated += wide(repeated);
        tally.unheard += wide(unheard.len());
        for account in unheard {
            tally.unheard_accounts.retain(|(known, _)| known != account);
            tally.unheard_accounts.insert(0, ((*account).to_owned(), now));
            tally.unheard_accounts.truncate(SHOWN);
        }
    }

    fn tallies(&self) -> MutexGuard<'_, HashMap<(Scope, String), Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, scope: &Scope, manifest: &Manifest, hook: Arc<AppHook>) -> Shown {
        let url = format!("{}/hooks/{}", self.context.public_url, hook.path_token);
        let triggers = manifest.app_webhooks().map(|(id, _)| id.to_owned()).collect();
        let tally = self.tallies().get(&(*scope, hook.app.clone())).cloned().unwrap_or_default();
        Shown { hook, url, triggers, tally }
    }

    fn manifest(&self, app: &str) -> Result<Arc<Manifest>> {
        self.context.registry.manifest(app).ok_or_else(|| {
            let known = self.context.registry.known_apps();
            let message = format!("there is no connector for the app `{app}`; this host has {known}");
            Error::not_found("app-unknown", message)
        })
    }
}

/// The declaration that all triggers of the app's own webhook share.
fn delivered_to(manifest: &Manifest) -> Result<&WebhookSpec> {
    let first = manifest.app_webhooks().next();
    first.map(|(_, spec)| spec).ok_or_else(|| {
        let message = format!(
            "no trigger of `{}` is delivered to one URL for the whole app; its webhooks are set up with each installation",
            manifest.id
        );
        Error::invalid("app-webhook-none", message)
    })
}

/// Refuses keys that are not exactly those that the manifest names. None need be given where a registered client's secret
/// is the key.
fn needed(manifest: &Manifest, secrets: &BTreeMap<String, Vec<String>>, registered: bool) -> Result<()> {
    let name = delivered_to(manifest)?.verify.secret();
    let fits =
        |keys: &Vec<String>| (1..=MOST_KEYS).contains(&keys.len()) && keys.iter().all(|key| !key.is_empty());
    let unknown = secrets.keys().find(|known| *known != name);
    let app = &manifest.id;
    let wrong = match (secrets.get(name), unknown) {
        (_, Some(unknown)) => format!("the webhook of `{app}` has no key `{unknown}`; it needs `{name}`"),
        (None, None) if registered => return Ok(()),
        (None, None) if name == CLIENT_SECRET => format!(
            "the webhook of `{app}` needs the key `{name}`; give it in `secrets`, or register the client with PUT \
             /v1/apps/{app}/oauth-client, whose secret it then is"
        ),
        (None, None) => format!("the webhook of `{app}` needs the key `{name}`; give it in `secrets`"),
        (Some(keys), None) if fits(keys) => return Ok(()),
        (Some(_), None) => {
            format!(
                "`{name}` has one to {MOST_KEYS} keys, none of them empty: the new one and those it replaces"
            )
        }
    };
    Err(Error::invalid("app-webhook-key-invalid", wrong))
}

fn unset(scope: &Scope, app: &str, manifest: &Manifest) -> Error {
    let name = manifest.app_webhooks().next().map_or("…", |(_, spec)| spec.verify.secret());
    let message = format!(
        "the webhook of `{app}` is not set up in {}: PUT /v1/apps/{app}/webhook with the key `{name}`, and give the URL it \
         answers to the vendor",
        scope.environment
    );
    Error::not_found("app-webhook-unset", message)
}
