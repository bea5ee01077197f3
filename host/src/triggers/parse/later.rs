//! Deliveries that could not be parsed: when they are tried again, what they wait for, and when they are given up.
//!
//! As for a step of a run, being refused for now and waiting for a credential are no attempts.

use std::sync::Arc;

use serde_json::json;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{DeliveryId, UserId},
    limit::{Asking, Turn},
    machine::{LONGEST_LIMITED, Waits},
    records::{Connection, DeadLetter, DeadWork, Delivery},
    retry::{RetryPolicy, retryable},
    scope::Scope,
};
use trunnion_sandbox::Failed;
use trunnion_store::{
    Batch, CommitError, Version, Versioned,
    tables::{DeadLetters, Deliveries},
};

use super::{Again, Parser};
use crate::{
    context::Context,
    error::{Error, Result},
    limits::{Drawn, Limited},
    outbox::Happening,
    runs::{
        Work,
        act::Wait,
        queue::{Hold, Lane},
    },
};

impl Parser {
    /// Has a delivery come again at its time, and when the connection that it waits for is mended.
    pub(super) async fn come_again(
        &self,
        scope: Scope,
        id: DeliveryId,
        user: UserId,
        (again, hold): (Again, Hold),
    ) -> Result<()> {
        // Whoever takes it up must find it in nobody's hands.
        drop(hold);
        let Again { due, lane, waits } = again;
        let work = || Work::DeliveryDue { scope, id, user };
        self.queue.push_at_to(due, lane, work());
        let Some(Waits::Connection { connection, .. }) = waits else { return Ok(()) };
        self.vault.go_on_when_mended(&scope, user, connection, work()).await
    }

    /// Whether a delivery waits for a connection that is not mended yet.
    pub(super) async fn still_waits(&self, scope: &Scope, delivery: &Delivery) -> Result<bool> {
        let Some(Waits::Connection { connection, .. }) = delivery.waits else { return Ok(false) };
        Ok(delivery.not_before > self.context.now()
            && !self.vault.is_usable(scope, delivery.user, connection).await?)
    }

    /// Why a delivery cannot be parsed now, where that is known beforehand.
    pub(super) fn must_wait(
        &self,
        delivery: &Delivery,
        connection: &Connection,
        (of, drawn): &(Limited, &Drawn<'_>),
    ) -> Option<Wait> {
        // Most deliveries are parsed without asking the vendor, so only one that was refused itself waits.
        if let (Some(reason), Some(Waits::Connection { .. })) = (&connection.needs_attention, delivery.waits)
        {
            return self.unmended(delivery, connection, reason);
        }
        let asking = if delivery.waits == Some(Waits::Limit) { Asking::Again } else { Asking::First };
        match self.context.limits.turn(of, drawn, asking, self.context.now()) {
            Turn::Now => None,
            Turn::At(until) => Some(Wait { until, waits: Waits::Limit, error: None }),
        }
    }

    /// What a delivery waits for whose parsing was refused; none where it failed for itself, or for too long.
    pub(super) async fn refused(
        &self,
        scope: &Scope,
        delivery: &Delivery,
        connection: &Versioned<Arc<Connection>>,
        (of, drawn): &(Limited, &Drawn<'_>),
        failed: &Failed,
    ) -> Result<Option<Wait>> {
        let Failed { error, observations, .. } = failed;
        let now = self.context.now();
        if let Some(until) = self.context.limits.told(of, drawn, observations, Some(error), now) {
            let too_long = delivery.limited_since.is_some_and(|since| now.since(since) >= LONGEST_LIMITED);
            let wait = Wait { until, waits: Waits::Limit, error: Some(error.clone()) };
            return Ok((!too_long).then_some(wait));
        }
        let CallError::AuthExpired { message } = error else { return Ok(None) };
        self.vault.needs_attention(scope, connection, message).await?;
        Ok(self.unmended(delivery, &connection.record, message))
    }

    fn unmended(&self, delivery: &Delivery, connection: &Connection, reason: &str) -> Option<Wait> {
        let now = self.context.now();
        let since = match delivery.waits {
            Some(Waits::Connection { connection: id, since }) if id == connection.id => since,
            _ => now,
        };
        let until: Timestamp = since + self.vault.attention().patience();
        let error = CallError::AuthExpired { message: reason.to_owned() };
        let waits = Waits::Connection { connection: connection.id, since };
        (until > now).then_some(Wait { until, waits, error: Some(error) })
    }

    /// Gives the lease back: the delivery was not parsed, and that is no attempt.
    pub(super) async fn later(
        &self,
        scope: Scope,
        mut delivery: Delivery,
        version: Version,
        wait: Wait,
    ) -> Result<Option<Again>> {
        let Wait { until, waits, error } = wait;
        if matches!(error, Some(CallError::RateLimited { .. })) {
            delivery.limited_since.get_or_insert(self.context.now());
        }
        delivery.attempts = delivery.attempts.saturating_sub(1);
        delivery.not_before = until;
        delivery.waits = Some(waits);
        delivery.last_error = error.or(delivery.last_error);
        let mut batch = Batch::new();
        batch.replace::<Deliveries>(&scope, &delivery.id, &delivery, version);
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(Some(Again { due: until, lane: Lane::Open, waits: Some(waits) })),
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    pub(super) async fn failed(
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
        (delivery.waits, delivery.limited_since) = (None, None);
        let mut batch = Batch::new();
        batch.replace::<Deliveries>(&scope, &delivery.id, &delivery, version);
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(Some(Again { due, lane, waits: None })),
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    pub(super) async fn bury(
        &self,
        scope: Scope,
        mut delivery: Delivery,
        version: Version,
        error: CallError,
    ) -> Result<Option<Again>> {
        tracing::warn!(delivery = %delivery.id, %error, "parsing was given up; the delivery is among the dead letters");
        let (id, attempts) = (delivery.id, delivery.attempts);
        // What came to an app's own webhook is no single user's.
        let user = delivery.app.is_none().then_some(delivery.user);
        let about = json!({ "kind": "delivery", "delivery_id": id, "user_id": user });
        let happening = Happening::dead_letter(id.0, Some(delivery.user), &error, about);
        let leaving = self.outbox.event(&scope, happening).await?;
        let reason = format!("parsing failed after {attempts} attempts: {error}");
        delivery.last_error = Some(error);
        let letter = DeadLetter {
            at: self.context.now(),
            reason,
            work: DeadWork::Delivery { delivery: Box::new(delivery) },
        };
        let mut batch = Batch::new();
        batch.remove::<Deliveries>(&scope, &id, version);
        batch.insert::<DeadLetters>(&scope, &id.0, &letter);
        leaving.add_to(&mut batch, &scope);
        match self.context.store.commit(batch).await {
            Ok(_) => {
                self.outbox.go(&scope, leaving);
                Ok(None)
            }
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

fn jitter(context: &Context) -> u8 {
    let [chance] = context.ids.bytes::<1>();
    chance
}
