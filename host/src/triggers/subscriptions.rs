//! Subscriptions: webhooks registered at vendors, from installation to removal.
//!
//! A subscription's record, path and secret are durable before the vendor hears of them, so that a delivery
//! that comes at once finds its way; a registration that fails leaves nothing behind.

pub mod care;

use std::{fmt, sync::Arc};

use serde_json::Value;
use trunnion_core::{
    definition::Trigger,
    id::{InstallationId, SubscriptionId},
    machine::idempotency_key,
    manifest::{Manifest, Registration},
    records::{Connection, Installation, Subscription},
    scope::Scope,
};
use trunnion_sandbox::{Call, Connector, Freshness, Target};
use trunnion_store::{
    Batch, CommitError, Deployment, Select,
    tables::{Connections, Installations, PathTarget, Subscriptions as Table, SubscriptionsByPath},
};

use super::webhook::path_key;
use crate::{
    context::Context,
    error::{Error, Result},
    vault::{How, Renew, Vault},
};

/// The secret that the host makes for each subscription.
const OWN_SECRET: &str = "subscription";

/// What a person has to register at the vendor.
#[derive(Clone)]
pub struct ByHand {
    /// What the vendor is to call.
    pub url: String,
    /// The name of the secret that verifies deliveries.
    pub secret_name: String,
    /// The secret, where it is the subscription's own; otherwise the connection already has it.
    pub secret: Option<String>,
}

impl fmt::Debug for ByHand {
    /// Leaves the secret and the URL, which carries one, out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand").field("secret_name", &self.secret_name).finish_non_exhaustive()
    }
}

/// Registers and removes webhooks.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    context: Context,
    vault: Vault,
}

/// A subscription that feeds an installation, and whether it was made for it.
#[derive(Debug)]
pub struct Fed {
    /// The subscription.
    pub subscription: Subscription,
    /// Whether this call registered it, so that a later failure must remove it again.
    pub made: bool,
}

impl Subscriptions {
    /// Over `context`, with the credentials of `vault`.
    #[must_use]
    pub const fn new(context: Context, vault: Vault) -> Self {
        Self { context, vault }
    }

    /// The subscription for `trigger` with these options on `connection`: the one another installation uses, or a new one.
    /// `None` for triggers that need none.
    pub async fn feed(
        &self,
        scope: &Scope,
        connection: Option<&Connection>,
        (trigger, options): (&Trigger, &Value),
    ) -> Result<Option<Fed>> {
        let Trigger::App { app, trigger, .. } = trigger else { return Ok(None) };
        let manifest = self.context.registry.manifest(app);
        let needs_none = |manifest: &Manifest| {
            let per_app = manifest.app_webhooks().any(|(id, _)| id == trigger);
            per_app || manifest.poll(trigger).is_some()
        };
        let connection = connection.ok_or_else(|| {
            Error::invalid("credential-missing", format!("installing needs a credential for `{app}`"))
        })?;
        if manifest.is_some_and(|manifest| needs_none(&manifest)) {
            return Ok(None);
        }
        let used = self.used(scope, connection, (trigger, options)).await?;
        if let Some(subscription) = used {
            return Ok(Some(Fed { subscription, made: false }));
        }
        let subscription = self.register(scope, connection, (trigger, options)).await?;
        Ok(Some(Fed { subscription, made: true }))
    }

    /// The subscription of this connection and trigger that an installation stands on.
    async fn used(
        &self,
        scope: &Scope,
        connection: &Connection,
        (trigger, options): (&str, &Value),
    ) -> Result<Option<Subscription>> {
        let store = &self.context.store;
        for entry in store.list::<Installations>(scope, Select::all().prefix(&connection.user)).await? {
            let Some(id) = entry.record.subscription else { continue };
            let Some(stored) = store.get::<Table>(scope, &id).await? else { continue };
            let Subscription { connection: on, trigger: of, options: with, .. } = &stored.record;
            if (*on, of.as_str(), with) == (connection.id, trigger, options) {
                return Ok(Some(stored.record));
            }
        }
        Ok(None)
    }

    async fn register(
        &self,
        scope: &Scope,
        connection: &Connection,
        (trigger, options): (&str, &Value),
    ) -> Result<Subscription> {
        let app = &connection.app;
        let settled = self.context.registry.settled().await;
        let connector =
            self.context.registry.active(app).ok_or_else(|| {
                Error::Internal(format!("the connector of `{app}` is not loaded; put it back"))
            })?;
        let Some(webhook) = connector.manifest().webhook(trigger) else {
            return Err(Error::invalid(
                "trigger-unknown",
                format!("the connector of `{app}` has no webhook trigger `{trigger}`"),
            ));
        };
        if let Some(fault) = webhook.faults(connector.manifest(), options).into_iter().next() {
            let message = format!("the options of `{trigger}` do not fit: {}: {}", fault.at, fault.message);
            return Err(Error::invalid("trigger-options-unfit", message));
        }
        let mut subscription = Subscription {
            id: self.context.ids.next(),
            user: connection.user,
            connection: connection.id,
            app: app.clone(),
            trigger: trigger.to_owned(),
            options: options.clone(),
            path_token: hex::encode(self.context.ids.bytes::<16>()),
            secret: hex::encode(self.context.ids.bytes::<32>()),
            state: Value::Null,
            digest: connector.digest().clone(),
            created_at: self.context.now(),
        };
        let route = PathTarget { scope: *scope, subscription: subscription.id };
        let mut batch = Batch::new();
        batch.insert::<Table>(scope, &subscription.id, &subscription);
        batch.insert::<SubscriptionsByPath>(&Deployment, &path_key(&subscription.path_token), &route);
        let version = self.context.store.commit(batch).await.map_err(Error::Commit)?;
        drop(settled);

        if webhook.registration == Registration::Manual {
            // The person reads the URL from the installation, and tells the vendor.
            return Ok(subscription);
        }
        let target = self.target(&subscription);
        let call = self.call(scope, connection, &subscription, "subscribe");
        let own = own_secret(&subscription);
        let perform = |call| connector.subscribe(call, &target);
        match self.vault.call_anew(connection, call, in_time(&own), perform).await? {
            Ok(answer) => {
                subscription.state = serde_json::from_str(&answer.value).map_err(|error| {
                    Error::Internal(format!(
                        "the connector of `{app}` gave a subscription state that is not JSON: {error}"
                    ))
                })?;
                let mut batch = Batch::new();
                batch.replace::<Table>(scope, &subscription.id, &subscription, version);
                self.context.store.commit(batch).await.map_err(Error::Commit)?;
                Ok(subscription)
            }
            Err(failed) => {
                self.forget(scope, &subscription).await?;
                let message = format!(
                    "the webhook for `{trigger}` could not be registered at `{app}`: {}",
                    failed.error
                );
                Err(Error::Vendor { message, error: failed.error })
            }
        }
    }

    /// What a person has to register for the subscription of this id; none where the connector does that.
    pub async fn by_hand(&self, scope: &Scope, id: SubscriptionId) -> Result<Option<ByHand>> {
        let Some(stored) = self.context.store.recall::<Table>(scope, &id).await? else { return Ok(None) };
        let Subscription { app, trigger, options, path_token, secret, .. } = &*stored.record;
        let manifest = self.context.registry.manifest(app);
        let webhook = manifest.as_ref().and_then(|manifest| manifest.webhook(trigger));
        let webhook = webhook.filter(|webhook| webhook.registration == Registration::Manual);
        let webhook = webhook.and_then(|webhook| webhook.with_options(options).ok());
        Ok(webhook.map(|webhook| {
            let named = webhook.verify.secret();
            ByHand {
                url: format!("{}/hooks/{path_token}", self.context.public_url),
                secret_name: named.to_owned(),
                secret: (named == OWN_SECRET).then(|| secret.clone()),
            }
        }))
    }

    /// Removes a subscription at the vendor and here. The vendor's failure is logged: the path is gone either
    /// way, so its deliveries are refused.
    pub async fn remove(
        &self,
        scope: &Scope,
        connection: &Connection,
        subscription: &Subscription,
    ) -> Result<()> {
        let manual = |connector: &Connector| {
            let webhook = connector.manifest().webhook(&subscription.trigger);
            webhook.is_some_and(|webhook| webhook.registration == Registration::Manual)
        };
        if let Some(connector) = self.context.registry.active(&subscription.app)
            && !manual(&connector)
        {
            let call = self.call(scope, connection, subscription, "unsubscribe");
            let (own, state) = (own_secret(subscription), subscription.state.to_string());
            let perform = |call| connector.unsubscribe(call, &state);
            if let Err(failed) = self.vault.call_anew(connection, call, in_time(&own), perform).await? {
                tracing::warn!(
                    subscription = %subscription.id, app = subscription.app, error = %failed.error,
                    "the vendor did not remove a webhook; its deliveries will be refused"
                );
            }
        }
        self.forget(scope, subscription).await
    }

    /// Removes a subscription that `leaving` stood on, unless another installation stands on it.
    pub async fn release(&self, scope: &Scope, id: SubscriptionId, leaving: InstallationId) -> Result<()> {
        let store = &self.context.store;
        let Some(subscription) = store.get::<Table>(scope, &id).await? else { return Ok(()) };
        let subscription = subscription.record;
        let entries = store.list::<Installations>(scope, Select::all().prefix(&subscription.user)).await?;
        let stands =
            |other: &Installation| other.subscription == Some(subscription.id) && other.id != leaving;
        if entries.iter().any(|entry| stands(&entry.record)) {
            return Ok(());
        }
        match store.get::<Connections>(scope, &(subscription.user, subscription.connection)).await? {
            Some(connection) => self.remove(scope, &connection.record, &subscription).await,
            None => self.forget(scope, &subscription).await,
        }
    }

    async fn forget(&self, scope: &Scope, subscription: &Subscription) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete::<Table>(scope, &subscription.id);
        batch.delete::<SubscriptionsByPath>(&Deployment, &path_key(&subscription.path_token));
        match self.context.store.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Where the vendor shall deliver.
    fn target(&self, subscription: &Subscription) -> Target {
        let url = format!("{}/hooks/{}", self.context.public_url, subscription.path_token);
        Target { url, options: subscription.options.to_string() }
    }

    fn call(&self, scope: &Scope, connection: &Connection, subscription: &Subscription, what: &str) -> Call {
        Call {
            scope: *scope,
            user: Some(connection.user),
            connection: Some(connection.id),
            name: subscription.trigger.clone(),
            parameters: connection.parameters.clone(),
            account: connection.account.clone(),
            idempotency_key: idempotency_key(subscription.id.0.into(), what),
            attempt: 1,
            // The vault puts them in.
            secrets: Arc::default(),
            deadline: None,
            instance: Freshness::Fresh,
        }
    }
}

/// The secret that the host made for a subscription.
fn own_secret(subscription: &Subscription) -> [(String, String); 1] {
    [(OWN_SECRET.to_owned(), subscription.secret.clone())]
}

const fn in_time(more: &[(String, String)]) -> How<'_> {
    How { renew: Renew::InTime, more }
}
