//! Deliveries of webhooks: signed with the app's secret, retried on the vendor's schedule; a subscription
//! whose delivery failed to the last is deleted.
//!
//! Attempt times are the simulated clock's. A delivery's body, headers, signature and destination never
//! change: the vendor's signature covers no time, and a retry goes where the first attempt went.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::task::JoinSet;
use trunnion_core::clock::Timestamp;

use super::{
    Shared, VERSION,
    order::{Order, iso},
    shops::{Shop, Subscription},
};

/// Eight retries over four hours, ever further apart: seconds after each failed attempt. The vendor publishes
/// count and span, not the steps.
pub const RETRY_AFTER_SECONDS: [u64; 8] = [10, 30, 90, 270, 810, 2_430, 3_660, 7_100];

/// A receiver that has not answered by then has failed.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// A receiver that has not taken the connection by then has failed.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How many deliveries are under way at once.
const PARALLEL: usize = 32;

/// One webhook delivery and what became of it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `X-Shopify-Webhook-Id`.
    pub id: String,
    /// The shop it is about.
    pub shop: String,
    /// The subscription it belongs to.
    pub subscription: u64,
    /// `orders/create`, …
    pub topic: String,
    /// The order it is about.
    pub order: u64,
    /// Where to.
    pub uri: String,
    /// Every header, the signature among them.
    pub headers: Vec<(&'static str, String)>,
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
    /// The receiver's answer; absent where it could not be reached in time.
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
    /// Given up; its subscription is deleted.
    Exhausted,
}

/// Every delivery.
#[derive(Debug, Default)]
pub(super) struct Queue {
    all: Vec<Delivery>,
    paused: bool,
}

/// `X-Shopify-Hmac-SHA256`: base64 of the HMAC over the raw body.
#[must_use]
pub fn sign(client_secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, body))
}

/// `ORDERS_CREATE` as headers write it.
fn header_topic(topic: &str) -> String {
    topic.to_lowercase().replacen('_', "/", 1)
}

fn uuid(kind: u32, number: usize) -> String {
    format!("{kind:08x}-7b1d-4d5e-8c7a-{number:012x}")
}

impl Queue {
    pub(super) fn all(&self) -> &[Delivery] {
        &self.all
    }

    pub(super) fn add(&mut self, shop: &Shop, subscription: &Subscription, order: &Order, now: Timestamp) {
        let mut payload = order.to_rest();
        if let Some(members) = payload.as_object_mut()
            && !subscription.include_fields.is_empty()
        {
            members.retain(|name, _| subscription.include_fields.contains(name));
        }
        let body = payload.to_string();
        let (id, topic) = (uuid(0xb545_57e4, self.all.len()), header_topic(&subscription.topic));
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Shopify-Topic", topic.clone()),
            ("X-Shopify-Hmac-SHA256", sign(&shop.client_secret, body.as_bytes())),
            ("X-Shopify-Shop-Domain", shop.domain()),
            ("X-Shopify-API-Version", VERSION.to_owned()),
            ("X-Shopify-Webhook-Id", id.clone()),
            ("X-Shopify-Triggered-At", iso(now)),
            ("X-Shopify-Event-Id", uuid(0x98d1_0a2f, usize::try_from(order.id).unwrap_or_default())),
        ];
        headers.extend(subscription.name.clone().map(|name| ("X-Shopify-Name", name)));
        self.all.push(Delivery {
            id,
            shop: shop.name.clone(),
            subscription: subscription.id,
            topic,
            order: order.id,
            uri: subscription.uri.clone(),
            headers,
            body,
            attempts: Vec::new(),
            state: DeliveryState::Pending { next_at: now },
        });
    }

    pub(super) fn get(&self, id: &str) -> Result<&Delivery> {
        let found = self.all.iter().find(|delivery| delivery.id == id);
        found.with_context(|| format!("the fake made no delivery `{id}`"))
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

    /// Books an attempt; shop and subscription where the delivery is given up.
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
            delivery.state = DeliveryState::Pending { next_at: at + Duration::from_secs(*seconds) };
            return None;
        }
        delivery.state = DeliveryState::Exhausted;
        Some((delivery.shop.clone(), delivery.subscription))
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
    let status = post(&shared, &delivery).await;
    let mut state = shared.state();
    if let Some((shop, subscription)) = state.deliveries.book(&delivery.id, Attempt { at, status })
        && let Some(shop) = state.shops.get_mut(&shop)
    {
        shop.remove_subscription(subscription);
    }
    status
}

/// Sends a delivery without booking it: the receiver's answer.
pub(super) async fn post(shared: &Shared, delivery: &Delivery) -> Option<u16> {
    let url = resolve(&shared.state().routes, &delivery.uri);
    let mut request = shared.http.post(url);
    for (name, value) in &delivery.headers {
        request = request.header(*name, value);
    }
    let answer = request.body(delivery.body.clone()).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// Where a public destination really is.
fn resolve(routes: &[(String, String)], destination: &str) -> String {
    let route =
        routes.iter().find_map(|(public, local)| Some((destination.strip_prefix(public.as_str())?, local)));
    route.map_or_else(|| destination.to_owned(), |(path, local)| format!("{local}{path}"))
}

impl Delivery {
    /// A header's value; empty where absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The payload as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}
