//! A stateful fake of Shopify's Admin GraphQL API: several shops with orders and webhook subscriptions,
//! tokens, the points bucket, errors in the vendor's own words, signed deliveries with the vendor's retries.
//!
//! The shop is the request's host, which a rewriting host passes on as `x-forwarded-host`. Deliveries go to
//! https destinations only; `route` says where those of a public origin really go, as a reverse proxy in front
//! of the host would. Time is simulated: the bucket refills, and retries fall due, when `advance` says so.
//!
//! Invariants: a delivery's body, headers and `X-Shopify-Webhook-Id` stay the same over its retries; a request
//! that is refused changes nothing; every request of the API is recorded, refused ones too.

mod deliveries;
mod faults;
mod graphql;
mod limits;
mod mutations;
mod oauth;
mod operations;
mod order;
mod routes;
mod shops;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{net::TcpListener, sync::Notify};
use trunnion_core::clock::{Clock as _, ManualClock, Timestamp};

pub use self::{
    deliveries::{Attempt, Delivery, DeliveryState, RETRY_AFTER_SECONDS, sign},
    faults::{Fault, Match},
    limits::{MAXIMUM, RESTORED_PER_SECOND},
    oauth::sign_callback,
    order::{Line, Order, sample_order},
    shops::{Shop, Subscription},
};
use crate::{
    desk::Desk,
    gate::{self, Held},
    record::Recorded,
    wait,
};

/// The only version of the API that the fake speaks.
pub const VERSION: &str = "2026-10";

/// A running fake; stops with the last clone.
#[derive(Clone)]
pub struct Shopify {
    shared: Arc<Shared>,
    base: String,
    _tasks: Arc<Tasks>,
}

/// What every part of the fake works on.
struct Shared {
    state: Mutex<State>,
    clock: ManualClock,
    /// Wakes the sender of deliveries.
    due: Notify,
    http: reqwest::Client,
}

/// Everything the fake remembers.
#[derive(Default)]
struct State {
    shops: shops::Shops,
    deliveries: deliveries::Queue,
    faults: faults::Faults,
    requests: Vec<Recorded>,
    routes: Vec<(String, String)>,
    echo: bool,
    search_lag: Duration,
    desk: Desk,
}

struct Tasks(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl fmt::Debug for Shopify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shopify").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Shared {
    /// The state; a panicking test elsewhere must not hide its own message behind a poisoned lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Shopify {
    /// Starts on a free loopback port, without shops.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("the fake Shopify needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("Shopify-Captain-Hook")
            .connect_timeout(deliveries::CONNECT_TIMEOUT)
            .timeout(deliveries::TIMEOUT)
            .build()?;
        let clock = ManualClock::new(wait::wall_clock());
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), clock, due: Notify::new(), http });
        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                complain(&format!("the fake Shopify stopped: {error}"));
            }
        });
        let sender = tokio::spawn(deliveries::send_due(Arc::clone(&shared)));
        Ok(Self { shared, base, _tasks: Arc::new(Tasks(vec![server, sender])) })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Opens `NAME.myshopify.com` with an app that has this token and this secret.
    pub fn add_shop(&self, name: &str, token: &str, client_secret: &str) {
        let mut state = self.shared.state();
        let shop = Shop::new(name, token, client_secret, state.shops.len(), self.shared.now());
        state.shops.insert(name.to_owned(), shop);
    }

    /// Registers an app of the vendor's store, or gives it another secret.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.shared.state().desk.add_client(id, secret);
    }

    /// Ends the tokens that consent gave at a shop, as time does.
    pub fn end_access(&self, name: &str) {
        self.shared.state().desk.end_access(name);
    }

    /// What the token endpoint was asked for, in order: `authorization_code`, `refresh_token`.
    #[must_use]
    pub fn grants(&self) -> Vec<String> {
        self.shared.state().desk.asked().to_vec()
    }

    /// Signs deliveries of a shop with another secret from now on.
    pub fn sign_with(&self, name: &str, client_secret: &str) -> Result<()> {
        self.with_shop(name, |shop| client_secret.clone_into(&mut shop.client_secret))
    }

    /// Withdraws a shop's token; calls with the old one are 401 from now on.
    pub fn change_token(&self, name: &str, token: &str) -> Result<()> {
        self.with_shop(name, |shop| token.clone_into(&mut shop.token))
    }

    /// Deliveries to `public` (an https origin) go to `local` (`http://127.0.0.1:PORT`). Replaces an earlier route.
    pub fn route(&self, public: &str, local: &str) {
        let mut state = self.shared.state();
        state.routes.retain(|(origin, _)| origin != public);
        state.routes.push((public.trim_end_matches('/').to_owned(), local.trim_end_matches('/').to_owned()));
    }

    /// A shopper orders; webhooks are delivered. Gives the order's number.
    pub fn create_order(&self, name: &str) -> Result<u64> {
        let now = self.shared.now();
        let made = self.with_shop(name, |shop| shop.create_order(&sample_order(), now))?;
        let Ok(order) = made else { anyhow::bail!("the fake refuses its own sample order") };
        self.shared.state().fire(name, &order, now);
        self.shared.due.notify_one();
        Ok(order.id)
    }

    /// A shopper orders, and the shop's signed webhook about it is taken: the delivery, with the whole payload.
    pub async fn order_created(&self, name: &str) -> Result<Delivery> {
        let order = self.create_order(name)?;
        self.delivered(order).await
    }

    /// A shop's orders, oldest first.
    #[must_use]
    pub fn orders(&self, name: &str) -> Vec<Order> {
        self.shared.state().shops.get(name).map(|shop| shop.orders().cloned().collect()).unwrap_or_default()
    }

    /// An order as it stands.
    #[must_use]
    pub fn order(&self, name: &str, id: u64) -> Option<Order> {
        self.shared.state().shops.get(name)?.order(id).cloned()
    }

    /// A shop's things of a kind (`Customer`, `Product`), as GraphQL has them.
    #[must_use]
    pub fn things(&self, name: &str, kind: &str) -> Vec<serde_json::Value> {
        let state = self.shared.state();
        state.shops.get(name).map(|shop| shop.things.of(kind).cloned().collect()).unwrap_or_default()
    }

    /// How many of a stock item are at a location; none where nobody has said.
    #[must_use]
    pub fn stock(&self, name: &str, item: &str, location: &str) -> Option<i64> {
        self.shared.state().shops.get(name)?.things.stock(item, location)
    }

    /// A shop's webhook subscriptions.
    #[must_use]
    pub fn subscriptions(&self, name: &str) -> Vec<Subscription> {
        let state = self.shared.state();
        state.shops.get(name).map(|shop| shop.subscriptions().cloned().collect()).unwrap_or_default()
    }

    /// Deletes a subscription, as the vendor does and as merchants can.
    pub fn delete_subscription(&self, name: &str, id: u64) -> Result<()> {
        let gone = self.with_shop(name, |shop| shop.remove_subscription(id))?;
        anyhow::ensure!(gone, "shop `{name}` has no subscription {id}");
        Ok(())
    }

    /// Takes every point out of a shop's bucket; they come back as `advance` moves the clock.
    pub fn drain(&self, name: &str) -> Result<()> {
        let now = self.shared.now();
        self.with_shop(name, |shop| shop.bucket.drain(now))
    }

    /// Searches find an order only when it is this old; listings find it at once.
    pub fn set_search_lag(&self, lag: Duration) {
        self.shared.state().search_lag = lag;
    }

    /// Every request so far, in order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// Every request to one shop that asked for this field of the query or mutation.
    #[must_use]
    pub fn calls(&self, name: &str, root: &str) -> Vec<Recorded> {
        let asked = |request: &Recorded| {
            let roots = graphql::prepare(&request.body).map(|operation| operation.names());
            routes::shop_of(&request.headers).as_deref() == Some(name)
                && roots.is_ok_and(|roots| roots.iter().any(|known| known == root))
        };
        self.requests().into_iter().filter(asked).collect()
    }

    /// The shop that a request went to.
    #[must_use]
    pub fn shop_of(request: &Recorded) -> Option<String> {
        routes::shop_of(&request.headers)
    }

    /// Every delivery so far, with its attempts.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.all().to_vec()
    }

    /// The next `times` matching calls meet `fault`.
    pub fn fail_next(&self, times: u32, matching: Match, fault: Fault) {
        self.shared.state().faults.add(times, matching, fault);
    }

    /// Keeps the answer of the next matching call waiting; the call itself is carried out.
    #[must_use]
    pub fn hold_next(&self, matching: Match) -> Held {
        let (gate, held) = gate::gate();
        self.shared.state().faults.hold(matching, gate);
        held
    }

    /// Whether every token received is echoed back in headers and bodies, raw and in the usual encodings.
    pub fn set_echo(&self, echo: bool) {
        self.shared.state().echo = echo;
    }

    /// Sends a delivery once more, as the vendor does when an answer got lost: the receiver's answer.
    pub async fn repeat_delivery(&self, id: &str) -> Result<Option<u16>> {
        let delivery = self.shared.state().deliveries.get(id)?.clone();
        Ok(deliveries::post(&self.shared, &delivery).await)
    }

    /// Keeps deliveries until `deliver` sends them one by one, or lets them go again.
    pub fn pause_deliveries(&self, paused: bool) {
        self.shared.state().deliveries.pause(paused);
        self.shared.due.notify_one();
    }

    /// Sends a paused delivery at once: the receiver's answer, as soon as it is there.
    pub async fn deliver(&self, id: &str) -> Result<Option<u16>> {
        let taken = self.shared.state().deliveries.take(id)?;
        Ok(deliveries::send(Arc::clone(&self.shared), taken).await)
    }

    /// Moves the simulated clock; buckets refill, and deliveries that fall due are sent.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.due.notify_one();
    }

    /// Waits until nothing is due or under way any more.
    pub async fn settled(&self) -> Result<()> {
        wait::until("the fake Shopify's due deliveries", || async {
            let now = self.shared.now();
            self.shared.state().deliveries.idle(now).then_some(())
        })
        .await
    }

    /// Waits until a delivery about this order has been answered 2xx; gives the delivery.
    pub async fn delivered(&self, order: u64) -> Result<Delivery> {
        wait::until(&format!("order {order} to be accepted by the host"), || async {
            self.deliveries()
                .into_iter()
                .find(|delivery| delivery.order == order && delivery.state == DeliveryState::Delivered)
        })
        .await
    }

    fn with_shop<T>(&self, name: &str, act: impl FnOnce(&mut Shop) -> T) -> Result<T> {
        let mut state = self.shared.state();
        let shop = state.shops.get_mut(name);
        Ok(act(shop.with_context(|| format!("the fake has no shop `{name}`; add_shop it"))?))
    }
}

impl State {
    /// Queues the deliveries of an order's creation.
    fn fire(&mut self, name: &str, order: &Order, now: Timestamp) {
        let Some(shop) = self.shops.get(name) else { return };
        for subscription in shop.subscriptions().filter(|known| known.topic == "ORDERS_CREATE") {
            self.deliveries.add(shop, subscription, order, now);
        }
    }
}

/// A line for whoever reads the test's output.
#[expect(clippy::print_stderr, reason = "a fake has no other place to report to")]
fn complain(message: &str) {
    eprintln!("{message}");
}
