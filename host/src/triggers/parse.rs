//! Parsing: stored deliveries become occurrences, and occurrences events.
//!
//! Leased work like a run: a delivery is removed in the very commit that accepts its occurrences, so a crash
//! at any moment parses it again, and the ledger drops what had been accepted. One that keeps failing becomes
//! a dead letter with its reason.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::DeliveryId,
    machine::{LEASE, idempotency_key},
    records::{Connection, DeadLetter, DeadWork, Delivery, DeliveryBody, EventSource, Subscription},
    retry::{RetryPolicy, retryable},
    scope::Scope,
};
use trunnion_sandbox::{Call, Connector, Freshness, Occurrence};
use trunnion_store::{
    Batch, CommitError, Version,
    tables::{Connections, DeadLetters, Deliveries, Subscriptions},
};

use super::accept::{Acceptor, Arrival, Seen, subscription_key};
use crate::{
    context::Context,
    error::{Error, Result},
    runs::{
        Queue, Work,
        queue::{Hold, Lane},
    },
    vault,
};

/// Parses deliveries.
#[derive(Clone, Debug)]
pub struct Parser {
    context: Context,
    acceptor: Acceptor,
    queue: Arc<Queue>,
}

/// When a delivery is to be parsed again, and in which lane.
struct Again {
    due: Timestamp,
    lane: Lane,
}

/// What a delivery came to and stands on.
struct Standing {
    subscription: Arc<Subscription>,
    connection: Arc<Connection>,
    connector: Connector,
}

impl Parser {
    /// Parses into `acceptor`.
    #[must_use]
    pub const fn new(context: Context, acceptor: Acceptor, queue: Arc<Queue>) -> Self {
        Self { context, acceptor, queue }
    }

    /// Takes up a delivery whose time has come: leases it durably, then parses it.
    pub async fn resume(&self, scope: Scope, id: DeliveryId) -> Result<()> {
        // It may be in somebody's hands here, with a parse that takes longer than a lease: they go on with it.
        let Some(hold) = self.queue.hold(id.0) else { return Ok(()) };
        let Some(stored) = self.context.store.get::<Deliveries>(&scope, &id).await? else { return Ok(()) };
        let mut delivery = stored.record;
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
        let again = self.attempt(scope, delivery, version).await?;
        // Whoever takes it up must find it in nobody's hands.
        drop(hold);
        if let Some(Again { due, lane }) = again {
            self.queue.push_at_to(due, lane, Work::DeliveryDue { scope, id, user });
        }
        Ok(())
    }

    async fn attempt(&self, scope: Scope, delivery: Delivery, version: Version) -> Result<Option<Again>> {
        if delivery.attempts > RetryPolicy::parse().attempts {
            let message = "the host process died while parsing it, again and again".to_owned();
            return self.bury(scope, delivery, version, CallError::Trapped { message }).await;
        }
        let standing = match self.standing(&scope, &delivery).await? {
            Ok(standing) => standing,
            Err(error) => return self.failed(scope, delivery, version, (error, Lane::Open)).await,
        };
        let lane = Lane::Connection(standing.connection.id);
        let occurrences = match self.call(&scope, &delivery, &standing).await {
            Ok(occurrences) => occurrences,
            Err(error) => return self.failed(scope, delivery, version, (error, lane)).await,
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
        Ok(Ok(Standing { subscription, connection: connection.record, connector }))
    }

    async fn call(
        &self,
        scope: &Scope,
        delivery: &Delivery,
        standing: &Standing,
    ) -> Result<Vec<Occurrence>, CallError> {
        let Standing { subscription, connection, connector } = standing;
        let body = match &delivery.body {
            DeliveryBody::Text(text) => text.clone().into_bytes(),
            DeliveryBody::Base64(text) => BASE64_STANDARD.decode(text).map_err(|error| {
                CallError::Trapped { message: format!("the stored body cannot be read: {error}") }
            })?,
        };
        let subscription_secret = ("subscription".to_owned(), subscription.secret.clone());
        let call = Call {
            scope: *scope,
            user: Some(connection.user),
            connection: Some(connection.id),
            name: subscription.trigger.clone(),
            parameters: connection.parameters.clone(),
            account: connection.account.clone(),
            idempotency_key: idempotency_key(delivery.id.0.into(), "parse"),
            attempt: delivery.attempts,
            secrets: vault::secrets_of(connection, [subscription_secret]),
            deadline: None,
            instance: Freshness::Fresh,
        };
        let delivery = trunnion_sandbox::Delivery {
            method: delivery.method.clone(),
            url: delivery.url.clone(),
            headers: delivery.headers.clone(),
            body,
        };
        connector.parse(call, delivery).await.map(|answer| answer.value).map_err(|failed| {
            for line in &failed.log {
                tracing::debug!(
                    app = subscription.app,
                    message = line.message,
                    "the connector said while parsing"
                );
            }
            failed.error
        })
    }

    fn arrivals(
        &self,
        scope: &Scope,
        delivery: &Delivery,
        standing: &Standing,
        occurrences: Vec<Occurrence>,
    ) -> Result<Vec<Arrival>, CallError> {
        let Standing { subscription, connection, .. } = standing;
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

    async fn failed(
        &self,
        scope: Scope,
        mut delivery: Delivery,
        version: Version,
        (error, lane): (CallError, Lane),
    ) -> Result<Option<Again>> {
        let policy = RetryPolicy::parse();
        // A wrong parse of a good delivery is the likeliest fault, and the next connector version mends it: so
        // even what cannot be retried is kept as a dead letter, never dropped.
        let again = retryable(&error)
            .then(|| policy.next(&error, delivery.attempts, jitter(&self.context)))
            .flatten();
        let Some(delay) = again else { return self.bury(scope, delivery, version, error).await };
        let due = self.context.now() + delay;
        tracing::info!(delivery = %delivery.id, attempt = delivery.attempts, %error, "parsing failed; it will be tried again");
        delivery.not_before = due;
        delivery.last_error = Some(error);
        let mut batch = Batch::new();
        batch.replace::<Deliveries>(&scope, &delivery.id, &delivery, version);
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(Some(Again { due, lane })),
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    async fn bury(
        &self,
        scope: Scope,
        delivery: Delivery,
        version: Version,
        error: CallError,
    ) -> Result<Option<Again>> {
        tracing::warn!(delivery = %delivery.id, %error, "parsing was given up; the delivery is among the dead letters");
        let (id, attempts) = (delivery.id, delivery.attempts);
        let reason = format!("parsing failed after {attempts} attempts: {error}");
        let letter = DeadLetter {
            at: self.context.now(),
            reason,
            work: DeadWork::Delivery { delivery: Box::new(delivery) },
        };
        let mut batch = Batch::new();
        batch.remove::<Deliveries>(&scope, &id, version);
        batch.insert::<DeadLetters>(&scope, &id.0, &letter);
        match self.context.store.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

fn jitter(context: &Context) -> u8 {
    let [chance] = context.ids.bytes::<1>();
    chance
}
