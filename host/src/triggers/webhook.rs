//! Vendors' deliveries in: verified, made durable, answered. No guest runs before the answer.
//!
//! Invariant: `Received::Stored` means that the raw bytes are on disk, together with the ledger entry that
//! recognises their repetition.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use trunnion_core::{
    id::{DeliveryId, SubscriptionId, UserId},
    machine::LEASE,
    manifest::{DedupKey, Verification, WebhookSpec, auth::CLIENT_SECRET},
    records::{AppHook, Delivery, DeliveryBody, LedgerEntry, Subscription},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Deployment, Store,
    tables::{AppHooks, AppHooksByPath, Connections, Deliveries, Ledger, Subscriptions, SubscriptionsByPath},
};

use super::{
    gate::{Gate, Pass},
    verify::{Keys, Refusal, Request, verify},
};
use crate::{
    context::Context,
    error::{Error, Result},
    finish::finish,
    runs::{Queue, queue::Lane},
    vault::registration,
};

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is durable and will be parsed.
    Stored(DeliveryId),
    /// It had been stored before.
    Duplicate,
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// No subscription has this path.
    #[error("there is no subscription at this path; it may have been removed")]
    Unknown,
    /// It is not the vendor's.
    #[error(transparent)]
    Unverified(#[from] Refusal),
    /// The host cannot take it now.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Takes deliveries in.
#[derive(Clone, Debug)]
pub struct Ingress {
    context: Context,
    queue: Arc<Queue>,
    gate: Gate,
}

/// What a vendor calls.
#[derive(Debug)]
enum Hook {
    /// A connection's own subscription.
    Subscription(Arc<Subscription>),
    /// The app's, for all accounts.
    App(Arc<AppHook>),
}

impl Hook {
    fn id(&self) -> SubscriptionId {
        match self {
            Self::Subscription(subscription) => subscription.id,
            Self::App(hook) => hook.id,
        }
    }

    fn app(&self) -> &str {
        match self {
            Self::Subscription(subscription) => &subscription.app,
            Self::App(hook) => &hook.app,
        }
    }

    /// Whose turn its deliveries take.
    fn user(&self) -> UserId {
        match self {
            Self::Subscription(subscription) => subscription.user,
            Self::App(hook) => hook.party,
        }
    }

    fn lane(&self) -> Lane {
        match self {
            Self::Subscription(subscription) => Lane::Connection(subscription.connection),
            Self::App(_) => Lane::Open,
        }
    }
}

/// The store key of a hook path's token.
#[must_use]
pub fn path_key(token: &str) -> [u8; 16] {
    let hash = digest(&SHA256, token.as_bytes());
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    key
}

impl Ingress {
    /// Takes deliveries into `queue`, in the order of `gate`.
    #[must_use]
    pub const fn new(context: Context, queue: Arc<Queue>, gate: Gate) -> Self {
        Self { context, queue, gate }
    }

    /// Verifies a delivery to the hook of `token` and makes it durable.
    pub async fn receive(&self, token: &str, request: Request<'_>) -> Result<Received, NotTaken> {
        let (scope, hook) = self.hook(token).await?.ok_or(NotTaken::Unknown)?;
        let user = hook.user();
        let pass = self.gate.enter(&scope, user).await;
        let spec = self.spec(&hook)?;
        let secrets = self.secrets(&scope, &hook).await?;
        verify(&spec.verify, &secrets, request, self.context.now())?;
        self.queue.admit_user(&scope, user)?;
        Ok(self.keep(&scope, &hook, &spec, (request, pass)).await?)
    }

    /// What a path's token names.
    async fn hook(&self, token: &str) -> Result<Option<(Scope, Hook)>> {
        let store = &self.context.store;
        let key = path_key(token);
        if let Some(route) = store.recall::<SubscriptionsByPath>(&Deployment, &key).await? {
            let route = route.record;
            let subscription = store.recall::<Subscriptions>(&route.scope, &route.subscription).await?;
            return Ok(
                subscription.map(|subscription| (route.scope, Hook::Subscription(subscription.record)))
            );
        }
        let Some(route) = store.recall::<AppHooksByPath>(&Deployment, &key).await? else { return Ok(None) };
        let route = route.record;
        let hook = store.recall::<AppHooks>(&route.scope, &route.app).await?;
        Ok(hook.map(|hook| (route.scope, Hook::App(hook.record))))
    }

    fn spec(&self, hook: &Hook) -> Result<WebhookSpec> {
        let app = hook.app();
        let manifest = self.context.registry.manifest(app).ok_or_else(|| {
            Error::Internal(format!(
                "the connector of `{app}` is not loaded; put it back into the connectors directory"
            ))
        })?;
        let (spec, what) = match hook {
            Hook::Subscription(subscription) => {
                let Subscription { trigger, options, .. } = &**subscription;
                let spec = manifest.webhook(trigger).map(|spec| spec.with_options(options));
                (spec.transpose(), format!("the webhook `{trigger}`"))
            }
            Hook::App(_) => (
                Ok(manifest.app_webhooks().next().map(|(_, spec)| spec.clone())),
                "a webhook for all accounts".to_owned(),
            ),
        };
        let unfit =
            |problem| Error::Internal(format!("the options of {what} of `{app}` do not fit: {problem}"));
        spec.map_err(unfit)?.ok_or_else(|| {
            Error::Internal(format!("the connector of `{app}` no longer has {what}; bring it back"))
        })
    }

    async fn secrets(&self, scope: &Scope, hook: &Hook) -> Result<Keys> {
        let mut keys = match hook {
            Hook::App(hook) => hook.secrets.clone(),
            Hook::Subscription(subscription) => {
                let key = (subscription.user, subscription.connection);
                let connection = self.context.store.recall::<Connections>(scope, &key).await?;
                let secrets =
                    connection.map(|connection| connection.record.secrets.clone()).unwrap_or_default();
                let own = ("subscription".to_owned(), subscription.secret.clone());
                secrets.into_iter().chain([own]).map(|(name, key)| (name, vec![key])).collect()
            }
        };
        // What vendors sign with the client's secret, they sign with the former one for a while.
        if !keys.contains_key(CLIENT_SECRET)
            && let Some(registered) = registration(&self.context.store, scope, hook.app()).await?
        {
            let secrets = registered.signing_secrets(self.context.now()).map(str::to_owned).collect();
            keys.insert(CLIENT_SECRET.to_owned(), secrets);
        }
        Ok(keys)
    }

    async fn keep(
        &self,
        scope: &Scope,
        hook: &Hook,
        spec: &WebhookSpec,
        (request, pass): (Request<'_>, Pass),
    ) -> Result<Received> {
        let store = &self.context.store;
        let now = self.context.now();
        let ledger_key = delivery_key(store, scope, hook.id(), &spec.dedup, request);
        // A header that proves the vendor by being a secret ends here: guests read deliveries.
        let secret_header = match &spec.verify {
            Verification::SecretHeader { header, .. } => Some(header),
            Verification::Hmac { .. } | Verification::Configured => None,
        };
        let keep = |name: &str| secret_header.is_none_or(|secret| !secret.eq_ignore_ascii_case(name));
        let leased = self.queue.keeps(scope, hook.user());
        let delivery = Delivery {
            id: self.context.ids.next(),
            subscription: hook.id(),
            user: hook.user(),
            app: match hook {
                Hook::Subscription(_) => None,
                Hook::App(hook) => Some(hook.app.clone()),
            },
            method: request.method.to_owned(),
            url: request.url.to_owned(),
            headers: request.headers.iter().filter(|(name, _)| keep(name)).cloned().collect(),
            body: match std::str::from_utf8(request.body) {
                Ok(text) => DeliveryBody::Text(text.to_owned()),
                Err(_) => DeliveryBody::Base64(BASE64_STANDARD.encode(request.body)),
            },
            received_at: now,
            // Where it is soon parsed, the first lease is part of this commit.
            attempts: u32::from(leased),
            not_before: if leased { now + LEASE } else { now },
            last_error: None,
            waits: None,
            limited_since: None,
        };
        let mut batch = Batch::new();
        batch.insert::<Ledger>(
            scope,
            &ledger_key,
            &LedgerEntry { at: now, body_hash: None, event: None, run: None },
        );
        batch.insert::<Deliveries>(scope, &delivery.id, &delivery);
        let id = delivery.id;
        // To its end: a vendor that hangs up does not take the commit back, and a delivery that is durable but not in
        // the queue would wait for the next start. Others prepare theirs while this waits for the disk.
        drop(pass);
        let (context, queue, scope) = (self.context.clone(), Arc::clone(&self.queue), *scope);
        let lane = hook.lane();
        let kept = finish(async move {
            let version = context.store.commit(batch).await?;
            queue.push_received(lane, scope, delivery, version);
            Ok(())
        });
        match kept.await {
            Ok(()) => Ok(Received::Stored(id)),
            Err(CommitError::Conflict { .. }) => Ok(Received::Duplicate),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

/// What recognises a repetition, by the manifest's declaration. A delivery without the declared id is
/// recognised by its whole body, so that a vendor that leaves it out cannot make two from one.
fn delivery_key(
    store: &Store,
    scope: &Scope,
    hook: SubscriptionId,
    dedup: &DedupKey,
    request: Request<'_>,
) -> [u8; 16] {
    let declared = match dedup {
        DedupKey::Header { name } => request.header(name).map(str::to_owned),
        DedupKey::Body { pointer } => serde_json::from_slice::<Value>(request.body)
            .ok()
            .and_then(|body| body.pointer(pointer).filter(|value| !value.is_null()).map(ToString::to_string)),
        DedupKey::BodyHash | DedupKey::Configured => None,
    };
    let mut name = hook.as_bytes().to_vec();
    match declared {
        Some(declared) => {
            name.push(b'd');
            name.extend_from_slice(declared.as_bytes());
        }
        None => {
            name.push(b'h');
            name.extend_from_slice(digest(&SHA256, request.body).as_ref());
        }
    }
    store.keyed_hash(scope, "delivery", &name)
}
