//! Deliveries of webhooks: signed, retried on the vendor's schedule, given up after its last.
//!
//! Attempt times are the simulated clock's. A delivery's body, hash and `webhook-id` never change; the
//! timestamp and so the signature are each attempt's own.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use trunnion_core::clock::Timestamp;

use super::{
    Shared,
    stores::{Hook, HookEvent},
};

/// The vendor's schedule: seconds after each failed attempt; after the last the hook is deactivated.
pub const RETRY_AFTER_SECONDS: [u64; 11] = [60, 180, 300, 600, 900, 1800, 3600, 7200, 21600, 50400, 86400];

/// How many deliveries are under way at once.
const PARALLEL: usize = 32;

/// One webhook delivery and what became of it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The `webhook-id`.
    pub id: String,
    /// The store it is about.
    pub store_hash: String,
    /// The hook it belongs to.
    pub hook: u64,
    /// The event.
    pub scope: String,
    /// The order it is about.
    pub order: u64,
    /// Where to.
    pub destination: String,
    /// The hook's own headers.
    pub headers: BTreeMap<String, String>,
    /// The payload, byte for byte.
    pub body: String,
    /// Every attempt so far.
    pub attempts: Vec<Attempt>,
    /// Where it stands.
    pub state: DeliveryState,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, on the simulated clock.
    pub at: Timestamp,
    /// The receiver's answer; absent where it could not be reached.
    pub status: Option<u16>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its time.
    Pending {
        /// When.
        next_at: Timestamp,
    },
    /// On its way.
    Sending,
    /// Answered 2xx.
    Delivered,
    /// Given up; its hook is no longer active.
    Exhausted,
}

/// Every delivery.
#[derive(Debug, Default)]
pub(super) struct Queue {
    all: Vec<Delivery>,
    paused: bool,
}

impl Queue {
    pub(super) fn all(&self) -> &[Delivery] {
        &self.all
    }

    pub(super) fn add(&mut self, hash: &str, store_id: u64, hook: &Hook, event: &HookEvent, now: Timestamp) {
        let mut payload = json!({
            "scope": event.scope,
            "store_id": store_id.to_string(),
            "data": event.data,
            "hash": "",
            "created_at": now.as_secs(),
            "producer": format!("stores/{hash}"),
        });
        // Two events about one order in one second differ only here.
        let salted = format!("{payload}{}", self.all.len());
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes());
        if let Some(place) = payload.get_mut("hash") {
            *place = Value::from(hex::encode(sum));
        }
        self.all.push(Delivery {
            id: format!("msg_{:08}", self.all.len()),
            store_hash: hash.to_owned(),
            hook: hook.id,
            scope: event.scope.clone(),
            order: event.order,
            destination: hook.destination.clone(),
            headers: hook.headers.clone(),
            body: payload.to_string(),
            attempts: Vec::new(),
            state: DeliveryState::Pending { next_at: now },
        });
    }

    pub(super) fn repeat(&mut self, id: &str, now: Timestamp) -> Result<String> {
        let first = self.all.iter().find(|delivery| delivery.id == id);
        let mut copy = first.with_context(|| format!("the fake made no delivery `{id}`"))?.clone();
        copy.id = format!("msg_{:08}", self.all.len());
        copy.attempts.clear();
        copy.state = DeliveryState::Pending { next_at: now };
        let id = copy.id.clone();
        self.all.push(copy);
        Ok(id)
    }

    pub(super) const fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Takes a waiting delivery, due or not.
    pub(super) fn take(&mut self, id: &str) -> Result<Delivery> {
        let waiting = self
            .all
            .iter_mut()
            .find(|delivery| delivery.id == id && matches!(delivery.state, DeliveryState::Pending { .. }));
        let delivery = waiting.with_context(|| format!("no delivery `{id}` waits to be sent"))?;
        delivery.state = DeliveryState::Sending;
        Ok(delivery.clone())
    }

    pub(super) fn idle(&self, now: Timestamp) -> bool {
        self.all.iter().all(|delivery| match delivery.state {
            DeliveryState::Pending { next_at } => next_at > now,
            DeliveryState::Sending => false,
            DeliveryState::Delivered | DeliveryState::Exhausted => true,
        })
    }

    /// Takes what is due, at most `limit`.
    fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<Delivery> {
        let limit = if self.paused { 0 } else { limit };
        let due = self.all.iter_mut().filter(
            |delivery| matches!(delivery.state, DeliveryState::Pending { next_at } if next_at <= now),
        );
        due.take(limit)
            .map(|delivery| {
                delivery.state = DeliveryState::Sending;
                delivery.clone()
            })
            .collect()
    }

    /// Books an attempt; `Some(hook)` where the delivery is given up.
    fn book(&mut self, id: &str, attempt: Attempt) -> Option<(String, u64)> {
        let delivery = self.all.iter_mut().find(|delivery| delivery.id == id)?;
        let accepted = attempt.status.is_some_and(|status| (200..300).contains(&status));
        let at = attempt.at;
        delivery.attempts.push(attempt);
        if accepted {
            delivery.state = DeliveryState::Delivered;
            return None;
        }
        if let Some(seconds) = RETRY_AFTER_SECONDS.get(delivery.attempts.len() - 1) {
            delivery.state =
                DeliveryState::Pending { next_at: at + std::time::Duration::from_secs(*seconds) };
            return None;
        }
        delivery.state = DeliveryState::Exhausted;
        Some((delivery.store_hash.clone(), delivery.hook))
    }
}

/// Sends what is due whenever it is woken, for as long as the fake lives.
pub(super) async fn send_due(shared: Arc<Shared>) {
    let mut under_way = JoinSet::new();
    loop {
        let free = PARALLEL - under_way.len();
        let due = shared.state().deliveries.take_due(shared.now(), free);
        let full = due.len() == free;
        for delivery in due {
            let shared = Arc::clone(&shared);
            under_way.spawn(async move { send(shared, delivery).await });
        }
        tokio::select! {
            Some(_) = under_way.join_next() => {}
            () = shared.due.notified(), if !full => {}
        }
    }
}

/// One attempt: the receiver's answer, booked.
pub(super) async fn send(shared: Arc<Shared>, delivery: Delivery) -> Option<u16> {
    let at = shared.now();
    let (url, signature) = {
        let state = shared.state();
        let url = resolve(&state.routes, &delivery.destination);
        (url, sign(&state.client_secret, &delivery, at))
    };
    let mut request = shared
        .http
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &delivery.id)
        .header("webhook-timestamp", at.as_secs().to_string())
        .header("webhook-signature", signature);
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    let status = request.body(delivery.body).send().await.ok().map(|answer| answer.status().as_u16());
    let mut state = shared.state();
    if let Some((hash, hook)) = state.deliveries.book(&delivery.id, Attempt { at, status })
        && let Some(store) = state.stores.get_mut(&hash)
    {
        store.deactivate_hook(hook);
    }
    status
}

/// The Standard Webhooks signature over `{id}.{seconds}.{body}`.
fn sign(secret: &str, delivery: &Delivery, at: Timestamp) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let content = format!("{}.{}.{}", delivery.id, at.as_secs(), delivery.body);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, content.as_bytes())))
}

/// Where a public destination really is.
fn resolve(routes: &[(String, String)], destination: &str) -> String {
    let route =
        routes.iter().find_map(|(public, local)| Some((destination.strip_prefix(public.as_str())?, local)));
    route.map_or_else(|| destination.to_owned(), |(path, local)| format!("{local}{path}"))
}
