//! Care for webhooks: vendors silently delete or switch off those whose deliveries failed for a while, so that each is
//! asked about again and again, mended, and registered anew where it is gone.
//!
//! A reconciler: woken by a timer, without input, idempotent. It asks about a few at a time, never where a vendor's limits
//! are closed or a credential has to be mended first, and writes only what changed. A webhook that is registered anew keeps
//! its path and secret, so that deliveries on their way still find it.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use trunnion_core::{
    call::CallError,
    limit::{self, Asking, Turn},
    records::Subscription,
    scope::Scope,
};
use trunnion_sandbox::{Answer, Connector, Failed, Health};
use trunnion_store::{
    Batch, CommitError, Position, Swept, Version, Versioned,
    tables::{Connections, Subscriptions as Table},
};

use super::{Subscriptions, in_time, own_secret};
use crate::{
    error::{Error, Result, present},
    guard::unless_it_panics,
    limits::Limited,
    vault::{Stored, Vault},
};

/// Webhooks that are asked about at once.
const AT_ONCE: usize = 4;
/// Webhooks of a step.
const STEP: usize = 64;

/// Looks after registered webhooks.
#[derive(Clone, Debug)]
pub struct Care {
    subscriptions: Subscriptions,
    vault: Vault,
    interval: Duration,
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    active: usize,
    mended: usize,
    registered: usize,
    skipped: usize,
    failed: usize,
}

/// What was found of one webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Active,
    Mended,
    Registered,
    /// It cannot be asked about now.
    Skipped,
    Failed,
}

impl Care {
    /// Asks about each of `subscriptions` once in an `interval`.
    #[must_use]
    pub const fn new(subscriptions: Subscriptions, vault: Vault, interval: Duration) -> Self {
        Self { subscriptions, vault, interval }
    }

    /// Looks after them until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        // So that hosts that were started together do not ask together.
        let [chance] = self.subscriptions.context.ids.bytes::<1>();
        let mut wait = self.interval / 2 + self.interval * u32::from(chance) / 512;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
            wait = self.interval;
            let round = tokio::select! {
                round = self.round() => round,
                // What was asked and not written is asked again.
                () = shutdown.cancelled() => return,
            };
            match round {
                Ok(round) => tracing::debug!(?round, "registered webhooks were looked after"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not every registered webhook was looked after; the next round tries again"
                ),
            }
        }
    }

    async fn round(&self) -> Result<Round> {
        let mut round = Round::default();
        let mut position = Position::default();
        loop {
            let page = self.subscriptions.context.store.sweep::<Table>(&position, STEP).await?;
            let Some(last) = page.last() else { return Ok(round) };
            position = Position::after::<Table>(&last.place, &last.key);
            let looked_after = stream::iter(page).map(|swept| self.one(swept)).buffer_unordered(AT_ONCE);
            for found in looked_after.collect::<Vec<_>>().await {
                let count = match found? {
                    Found::Active => &mut round.active,
                    Found::Mended => &mut round.mended,
                    Found::Registered => &mut round.registered,
                    Found::Skipped => &mut round.skipped,
                    Found::Failed => &mut round.failed,
                };
                *count += 1;
            }
        }
    }

    async fn one(&self, Swept { place: scope, version, record, .. }: Swept<Table>) -> Result<Found> {
        // Of an erased user there is nothing to look after, and one that is being registered has no state yet.
        let Some(subscription) = record.filter(|record| !record.state.is_null()) else {
            return Ok(Found::Skipped);
        };
        let context = &self.subscriptions.context;
        let key = (subscription.user, subscription.connection);
        let Some(connection) = present(context.store.recall::<Connections>(&scope, &key).await)? else {
            return Ok(Found::Skipped);
        };
        let Some(connector) = context.registry.active(&subscription.app) else { return Ok(Found::Skipped) };
        if connection.record.needs_attention.is_some() || !self.may_ask(&scope, &connector, &connection) {
            return Ok(Found::Skipped);
        }
        let asked = self.ask(&scope, &connector, &connection, Versioned { version, record: subscription });
        // Boxed: a round holds several, each with a whole call in it.
        unless_it_panics(Box::pin(asked)).await.unwrap_or(Ok(Found::Failed))
    }

    fn may_ask(&self, scope: &Scope, connector: &Connector, connection: &Stored) -> bool {
        let drawn = limit::drawn_from(connector.manifest(), None);
        let of = Limited::Connection(*scope, connection.record.id);
        let context = &self.subscriptions.context;
        context.limits.turn(&of, &drawn, Asking::First, context.now()) == Turn::Now
    }

    async fn ask(
        &self,
        scope: &Scope,
        connector: &Connector,
        connection: &Stored,
        Versioned { version, record: mut subscription }: Versioned<Subscription>,
    ) -> Result<Found> {
        let target = self.subscriptions.target(&subscription);
        let call = |what| self.subscriptions.call(scope, &connection.record, &subscription, what);
        let (own, state) = (own_secret(&subscription), subscription.state.to_string());
        let perform = |call| connector.check_subscription(call, &target, &state);
        let (checked, used) =
            self.vault.call(connection.clone(), call("check"), in_time(&own), perform).await?;
        let (found, state) = match self.told(scope, connector, &used, checked).await? {
            Ok((Health::Active, state)) => (Found::Active, state),
            Ok((Health::Mended, state)) => (Found::Mended, state),
            Ok((Health::Gone, _)) => {
                let perform = |call| connector.subscribe(call, &target);
                let (made, used) = self.vault.call(used, call("subscribe"), in_time(&own), perform).await?;
                match self.told(scope, connector, &used, made).await? {
                    Ok(state) => (Found::Registered, state),
                    Err(error) => return Ok(failed(&subscription, &error)),
                }
            }
            Err(error) => return Ok(failed(&subscription, &error)),
        };
        let state = serde_json::from_str(&state).map_err(|error| {
            let app = &subscription.app;
            Error::Internal(format!(
                "the connector of `{app}` gave a subscription state that is not JSON: {error}"
            ))
        })?;
        if found != Found::Active {
            tracing::info!(subscription = %subscription.id, app = subscription.app, ?found, "a webhook was put right");
        }
        if subscription.state != state {
            subscription.state = state;
            return self.keep(scope, connector, connection, (&subscription, version), found).await;
        }
        Ok(found)
    }

    /// Writes a new state in place of the very record that was read. Where that was removed meanwhile, what was
    /// registered anew is taken back: nobody else knows of it.
    async fn keep(
        &self,
        scope: &Scope,
        connector: &Connector,
        connection: &Stored,
        (subscription, version): (&Subscription, Version),
        found: Found,
    ) -> Result<Found> {
        let mut batch = Batch::new();
        batch.replace::<Table>(scope, &subscription.id, subscription, version);
        match self.subscriptions.context.store.commit(batch).await {
            Ok(_) => Ok(found),
            Err(CommitError::Conflict { .. }) if found == Found::Registered => {
                let call = self.subscriptions.call(scope, &connection.record, subscription, "unsubscribe");
                let (own, state) = (own_secret(subscription), subscription.state.to_string());
                let perform = |call| connector.unsubscribe(call, &state);
                let unsubscribed =
                    self.vault.call_anew(&connection.record, call, in_time(&own), perform).await?;
                if let Err(failed) = unsubscribed {
                    tracing::warn!(
                        subscription = %subscription.id, app = subscription.app, error = %failed.error,
                        "the vendor did not remove a webhook; its deliveries will be refused"
                    );
                }
                Ok(Found::Skipped)
            }
            Err(CommitError::Conflict { .. }) => Ok(Found::Skipped),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Takes in what a call says about the vendor's limits and a credential that expired.
    async fn told<T>(
        &self,
        scope: &Scope,
        connector: &Connector,
        connection: &Stored,
        answered: Result<Answer<T>, Failed>,
    ) -> Result<Result<T, CallError>> {
        let (result, observations) = match answered {
            Ok(Answer { value, observations, .. }) => (Ok(value), observations),
            Err(Failed { error, observations, .. }) => (Err(error), observations),
        };
        let drawn = limit::drawn_from(connector.manifest(), None);
        let of = Limited::Connection(*scope, connection.record.id);
        let context = &self.subscriptions.context;
        // The next round comes again; nobody waits here.
        let _until = context.limits.told(&of, &drawn, &observations, result.as_ref().err(), context.now());
        if let Err(CallError::AuthExpired { message }) = &result {
            self.vault.needs_attention(scope, connection, message).await?;
        }
        Ok(result)
    }
}

fn failed(subscription: &Subscription, error: &CallError) -> Found {
    tracing::warn!(
        subscription = %subscription.id, app = subscription.app, %error,
        "a webhook could not be looked after; the next round tries again"
    );
    Found::Failed
}
