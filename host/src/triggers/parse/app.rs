//! Deliveries to an app's own webhook: parsed once, for everybody.
//!
//! There is no connection yet, so the guest has only the delivery: each occurrence names its trigger and account, and
//! goes to every installation that hears of them. Those of accounts that nobody hears of are counted and let go.

use trunnion_core::{
    call::CallError,
    machine::idempotency_key,
    records::{AppHook, Delivery, EventSource},
    scope::Scope,
};
use trunnion_sandbox::{Call, Freshness, Occurrence, Secrets};
use trunnion_store::{Batch, CommitError, Version, tables::Deliveries};

use super::{Again, Parser, body_of};
use crate::{
    error::{Error, Result},
    runs::queue::Lane,
    triggers::accept::{Accepted, Arrival, Seen, app_key},
};

/// The named text of an occurrence that says which trigger it belongs to.
const TRIGGER: &str = "trigger";

/// An occurrence's account, and what it becomes.
struct Told {
    account: String,
    arrival: Arrival,
}

impl Parser {
    /// As `attempt`, for a delivery to the own webhook of `app`.
    pub(super) async fn attempt_for_app(
        &self,
        scope: Scope,
        delivery: Delivery,
        version: Version,
        app: &str,
    ) -> Result<Option<Again>> {
        let told = match self.told(&scope, &delivery, app).await? {
            Ok(told) => told,
            Err(error) => return self.failed(scope, delivery, version, (error, Lane::Open)).await,
        };
        let accounts: Vec<_> = told.iter().map(|told| told.account.clone()).collect();
        let arrivals = told.into_iter().map(|told| told.arrival).collect();
        let accepted = self.accept_in_parts(&scope, arrivals, (&delivery, version)).await?;
        let unheard: Vec<_> = accepted
            .unmatched
            .iter()
            .filter_map(|position| accounts.get(*position))
            .map(String::as_str)
            .collect();
        let came = (accounts.len(), accepted.duplicates);
        self.app_hooks.count(&scope, app, came, &unheard, self.context.now());
        let (runs, duplicates) = (accepted.runs.len(), accepted.duplicates);
        tracing::debug!(delivery = %delivery.id, runs, duplicates, unheard = unheard.len(), "delivery parsed for all accounts");
        Ok(None)
    }

    /// Accepts what a delivery held. ONE COMMIT, with which the delivery goes; where that would be too large for the
    /// store, several, of which the last removes it: a crash between them parses it again, and the ledger knows the rest.
    async fn accept_in_parts(
        &self,
        scope: &Scope,
        arrivals: Vec<Arrival>,
        (delivery, version): (&Delivery, Version),
    ) -> Result<Accepted> {
        let mut all = Accepted::default();
        let mut done = 0;
        let mut parts = vec![arrivals];
        while let Some(part) = parts.pop() {
            let last = parts.is_empty();
            let length = part.len();
            let also = |batch: &mut Batch| {
                if last {
                    batch.remove::<Deliveries>(scope, &delivery.id, version);
                }
            };
            match self.acceptor.accept(scope, part.clone(), also).await {
                Ok(accepted) => {
                    all.runs.extend(accepted.runs);
                    all.duplicates += accepted.duplicates;
                    all.unmatched.extend(accepted.unmatched.into_iter().map(|position| position + done));
                    done += length;
                }
                Err(Error::Commit(CommitError::TooLarge { .. })) if length > 1 => {
                    let mut first = part;
                    let second = first.split_off(length / 2);
                    parts.push(second);
                    parts.push(first);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    async fn told(
        &self,
        scope: &Scope,
        delivery: &Delivery,
        app: &str,
    ) -> Result<Result<Vec<Told>, CallError>> {
        let Some(hook) = self.app_hooks.stored(scope, app).await? else {
            let message = format!("the webhook of `{app}` was removed after this delivery came in");
            return Ok(Err(CallError::NotFound { message }));
        };
        let Some(connector) = self.context.registry.active(app) else {
            let message = format!("the connector of `{app}` is not loaded; put it back");
            return Ok(Err(CallError::Unavailable { message }));
        };
        let body = match body_of(delivery) {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        let call = Call {
            scope: *scope,
            user: None,
            connection: None,
            // No single trigger's: the guest says of each occurrence whose it is.
            name: String::new(),
            parameters: std::collections::BTreeMap::new(),
            account: String::new(),
            idempotency_key: idempotency_key(delivery.id.0.into(), "parse"),
            attempt: delivery.attempts,
            secrets: std::sync::Arc::new(Secrets::new([])),
            deadline: None,
            instance: Freshness::Fresh,
        };
        let given = trunnion_sandbox::Delivery {
            method: delivery.method.clone(),
            url: delivery.url.clone(),
            headers: delivery.headers.clone(),
            body,
        };
        let occurrences = match connector.parse(call, given).await {
            Ok(answer) => answer.value,
            Err(failed) => {
                for line in &failed.log {
                    tracing::debug!(app, message = line.message, "the connector said while parsing");
                }
                return Ok(Err(failed.error));
            }
        };
        let manifest = connector.manifest();
        let known = |trigger: &str| manifest.app_webhooks().any(|(id, _)| id == trigger);
        let told =
            occurrences.into_iter().map(|occurrence| self.tell(scope, (delivery, &hook), &known, occurrence));
        Ok(told.collect())
    }

    fn tell(
        &self,
        scope: &Scope,
        (delivery, hook): (&Delivery, &AppHook),
        known: &dyn Fn(&str) -> bool,
        occurrence: Occurrence,
    ) -> Result<Told, CallError> {
        let Occurrence { account, occurrence_id, data, ext, .. } = occurrence;
        let app = &hook.app;
        let trapped = |message: String| CallError::Trapped { message };
        let named = ext.into_iter().find(|(name, _)| name == TRIGGER).map(|(_, trigger)| trigger);
        let Some(trigger) = named.filter(|trigger| known(trigger)) else {
            return Err(trapped(format!(
                "the connector of `{app}` gave an occurrence that names none of the triggers it declares `per_app`"
            )));
        };
        if account.is_empty() {
            return Err(trapped(format!(
                "the connector of `{app}` gave an occurrence of `{trigger}` without an account, so that it is nobody's"
            )));
        }
        let data = serde_json::from_str(&data)
            .map_err(|error| trapped(format!("an occurrence's data is not JSON: {error}")))?;
        let store = &self.context.store;
        let place = app_key(store, scope, (app, &trigger, &account));
        let name = [hook.id.as_bytes().as_slice(), &place, occurrence_id.as_bytes()].concat();
        let arrival = Arrival {
            source: EventSource::Webhook {
                app: app.clone(),
                trigger,
                subscription: hook.id,
                delivery: delivery.id,
                occurrence: occurrence_id,
            },
            data,
            trigger: place,
            seen: Some(Seen { key: store.keyed_hash(scope, "occurrence", &name), body_hash: None }),
            unmatched: None,
        };
        Ok(Told { account, arrival })
    }
}
