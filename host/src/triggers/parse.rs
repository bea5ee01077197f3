//! Parsing: stored deliveries become occurrences, and occurrences events.
//!
//! Leased work like a run: a delivery is removed in the very commit that accepts its occurrences, so a crash
//! at any moment parses it again, and the ledger drops what had been accepted. One that keeps failing becomes
//! a dead letter with its reason (`later`). What came to an app's own webhook is parsed for everybody at once (`app`).

mod app;
mod later;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::DeliveryId,
    limit,
    machine::{LEASE, Waits, idempotency_key},
    records::{Delivery, DeliveryBody, EventSource, Subscription},
    retry::RetryPolicy,
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Connector, Failed, Freshness, Occurrence};
use trunnion_store::{
    Batch, CommitError, Version, Versioned,
    tables::{Connections, Deliveries, Subscriptions},
};

use super::{
    accept::{Acceptor, Arrival, Seen, subscription_key},
    app_hooks::AppHooks,
};
use crate::{
    context::Context,
    error::{Error, Result, present},
    limits::Limited,
    outbox::Outbox,
    runs::{
        Queue,
        queue::{Hold, Lane},
    },
    vault::{How, Renew, Stored, Vault},
};

/// Parses deliveries.
#[derive(Clone, Debug)]
pub struct Parser {
    context: Context,
    acceptor: Acceptor,
    app_hooks: AppHooks,
    vault: Vault,
    queue: Arc<Queue>,
    outbox: Outbox,
}

/// When a delivery is to be parsed again, and in which lane.
struct Again {
    due: Timestamp,
    lane: Lane,
    /// For what it waits.
    waits: Option<Waits>,
}

/// What a delivery came to and stands on.
struct Standing {
    subscription: Arc<Subscription>,
    connection: Stored,
    connector: Connector,
}

impl Parser {
    /// Parses into `acceptor`; of what could not be parsed, `outbox` tells.
    #[must_use]
    pub const fn new(
        context: Context,
        acceptor: Acceptor,
        app_hooks: AppHooks,
        vault: Vault,
        queue: Arc<Queue>,
        outbox: Outbox,
    ) -> Self {
        Self { context, acceptor, app_hooks, vault, queue, outbox }
    }

    /// Takes up a delivery whose time has come: leases it durably, then parses it.
    pub async fn resume(&self, scope: Scope, id: DeliveryId) -> Result<()> {
        // It may be in somebody's hands here, with a parse that takes longer than a lease: they go on with it.
        let Some(hold) = self.queue.hold(id.0) else { return Ok(()) };
        let stored = present(self.context.store.get::<Deliveries>(&scope, &id).await)?;
        let Some(stored) = stored else { return Ok(()) };
        let mut delivery = stored.record;
        if self.still_waits(&scope, &delivery).await? {
            let again = Again { due: delivery.not_before, lane: Lane::Open, waits: delivery.waits };
            return self.come_again(scope, id, delivery.user, (again, hold)).await;
        }
        delivery.attempts += 1;
        delivery.not_before = self.context.now() + LEASE;
        let mut batch = Batch::new();
        batch.replace::<Deliveries>(&scope, &id, &delivery, stored.version);
        match self.context.store.commit(batch).await {
            Ok(version) => self.parse(scope, delivery, version, hold).await,
            Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Parses a delivery that was leased when it came in.
    pub async fn take_up(&self, scope: Scope, delivery: Delivery, version: Version) -> Result<()> {
        let Some(hold) = self.queue.hold(delivery.id.0) else { return Ok(()) };
        self.parse(scope, delivery, version, hold).await
    }

    /// Parses a delivery that this process has leased.
    async fn parse(&self, scope: Scope, delivery: Delivery, version: Version, hold: Hold) -> Result<()> {
        let (id, user) = (delivery.id, delivery.user);
        match self.attempt(scope, delivery, version).await? {
            Some(again) => self.come_again(scope, id, user, (again, hold)).await,
            None => Ok(()),
        }
    }

    async fn attempt(&self, scope: Scope, delivery: Delivery, version: Version) -> Result<Option<Again>> {
        if delivery.attempts > RetryPolicy::parse().attempts {
            let message = "the host process died while parsing it, again and again".to_owned();
            return self.bury(scope, delivery, version, CallError::Trapped { message }).await;
        }
        if let Some(app) = delivery.app.clone() {
            return self.attempt_for_app(scope, delivery, version, &app).await;
        }
        let standing = match self.standing(&scope, &delivery).await? {
            Ok(standing) => standing,
            Err(error) => return self.failed(scope, delivery, version, (error, Lane::Open)).await,
        };
        let id = standing.connection.record.id;
        let lane = Lane::Connection(id);
        let drawn = limit::drawn_from(standing.connector.manifest(), None);
        let limits = (Limited::Connection(scope, id), drawn.as_slice());
        if let Some(wait) = self.must_wait(&delivery, &standing.connection.record, &limits) {
            return self.later(scope, delivery, version, wait).await;
        }
        let body = match body_of(&delivery) {
            Ok(body) => body,
            Err(error) => return self.failed(scope, delivery, version, (error, lane)).await,
        };
        let (answered, connection) = self.call(&scope, &delivery, &standing, body).await?;
        let occurrences = match answered {
            Ok(Answer { value, observations, .. }) => {
                self.context.limits.told(&limits.0, limits.1, &observations, None, self.context.now());
                value
            }
            Err(failed) => {
                return match self.refused(&scope, &delivery, &connection, &limits, &failed).await? {
                    Some(wait) => self.later(scope, delivery, version, wait).await,
                    None => self.failed(scope, delivery, version, (failed.error, lane)).await,
                };
            }
        };
        let arrivals = match self.arrivals(&scope, &delivery, &standing, occurrences) {
            Ok(arrivals) => arrivals,
            Err(error) => return self.failed(scope, delivery, version, (error, lane)).await,
        };
        let id = delivery.id;
        let accepted = self
            .acceptor
            .accept(&scope, arrivals, |batch| batch.remove::<Deliveries>(&scope, &id, version))
            .await?;
        tracing::debug!(delivery = %id, runs = accepted.runs.len(), duplicates = accepted.duplicates, "delivery parsed");
        Ok(None)
    }

    async fn standing(&self, scope: &Scope, delivery: &Delivery) -> Result<Result<Standing, CallError>> {
        let store = &self.context.store;
        let gone = |what: &str| {
            let message = format!("{what} of this delivery was removed after it came in");
            Ok(Err(CallError::NotFound { message }))
        };
        let Some(subscription) = store.recall::<Subscriptions>(scope, &delivery.subscription).await? else {
            return gone("the subscription");
        };
        let subscription = subscription.record;
        let key = (subscription.user, subscription.connection);
        let Some(connection) = store.recall::<Connections>(scope, &key).await? else {
            return gone("the connection");
        };
        let Some(connector) = self.context.registry.active(&subscription.app) else {
            let message = format!("the connector of `{}` is not loaded; put it back", subscription.app);
            return Ok(Err(CallError::Unavailable { message }));
        };
        Ok(Ok(Standing { subscription, connection, connector }))
    }

    async fn call(
        &self,
        scope: &Scope,
        delivery: &Delivery,
        standing: &Standing,
        body: Vec<u8>,
    ) -> Result<(Result<Answer<Vec<Occurrence>>, Failed>, Stored)> {
        let Standing { subscription, connection: stored, connector } = standing;
        let connection = &stored.record;
        let own = [("subscription".to_owned(), subscription.secret.clone())];
        let call = Call {
            scope: *scope,
            user: Some(connection.user),
            connection: Some(connection.id),
            name: subscription.trigger.clone(),
            parameters: connection.parameters.clone(),
            account: connection.account.clone(),
            idempotency_key: idempotency_key(delivery.id.0.into(), "parse"),
            attempt: delivery.attempts,
            // The vault puts them in.
            secrets: Arc::default(),
            deadline: None,
            instance: Freshness::Fresh,
        };
        let delivery = trunnion_sandbox::Delivery {
            method: delivery.method.clone(),
            url: delivery.url.clone(),
            headers: delivery.headers.clone(),
            body,
        };
        let how = How { renew: Renew::WhenRefused, more: &own };
        let perform = |call| connector.parse(call, delivery.clone());
        let (answered, used) = self.vault.call(stored.clone(), call, how, perform).await?;
        let answered = answered.inspect_err(|failed| {
            for line in &failed.log {
                tracing::debug!(
                    app = subscription.app,
                    message = line.message,
                    "the connector said while parsing"
                );
            }
        });
        Ok((answered, used))
    }

    fn arrivals(
        &self,
        scope: &Scope,
        delivery: &Delivery,
        standing: &Standing,
        occurrences: Vec<Occurrence>,
    ) -> Result<Vec<Arrival>, CallError> {
        let Standing { subscription, connection: Versioned { record: connection, .. }, .. } = standing;
        let store = &self.context.store;
        let trigger = subscription_key(store, scope, subscription.id);
        let arrival = |occurrence: Occurrence| {
            if occurrence.account != connection.account {
                let message = format!(
                    "the connector of `{}` gave an occurrence of another account than the connection's; \
                     per-connection webhooks carry the connection's own account",
                    subscription.app
                );
                return Err(CallError::Trapped { message });
            }
            let data = serde_json::from_str(&occurrence.data).map_err(|error| CallError::Trapped {
                message: format!("an occurrence's data is not JSON: {error}"),
            })?;
            let mut name = subscription.id.as_bytes().to_vec();
            name.extend_from_slice(occurrence.occurrence_id.as_bytes());
            Ok(Arrival {
                source: EventSource::Webhook {
                    app: subscription.app.clone(),
                    trigger: subscription.trigger.clone(),
                    subscription: subscription.id,
                    delivery: delivery.id,
                    occurrence: occurrence.occurrence_id,
                },
                data,
                trigger,
                seen: Some(Seen { key: store.keyed_hash(scope, "occurrence", &name), body_hash: None }),
                unmatched: None,
            })
        };
        occurrences.into_iter().map(arrival).collect()
    }
}

fn body_of(delivery: &Delivery) -> Result<Vec<u8>, CallError> {
    match &delivery.body {
        DeliveryBody::Text(text) => Ok(text.clone().into_bytes()),
        DeliveryBody::Base64(text) => BASE64_STANDARD.decode(text).map_err(|error| CallError::Trapped {
            message: format!("the stored body cannot be read: {error}"),
        }),
    }
}
