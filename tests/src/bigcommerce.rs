//! A stateful fake of BigCommerce: several stores with orders and hooks, tokens, rate-limit headers, errors in
//! the vendor's own words, signed deliveries with the vendor's retry schedule on a simulated clock.
//!
//! The vendor delivers to https on port 443 only, and the fake insists on that too; `route` says where the
//! deliveries of a public origin really go, as a reverse proxy in front of the host would.
//!
//! Invariants: a delivery's body, hash and `webhook-id` stay the same over its retries; nothing is sent later
//! than `advance` has moved the clock to; every request of the API is recorded, refused ones
//! too.

mod catalogue;
mod deliveries;
mod faults;
mod oauth;
mod order;
mod routes;
mod stores;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};
use trunnion_core::clock::{Clock as _, ManualClock, Timestamp};

pub use self::{
    deliveries::{Attempt, Delivery, DeliveryState, RETRY_AFTER_SECONDS},
    faults::{Fault, Match},
    order::sample_order,
    stores::{Hook, Store},
};
use crate::{
    desk::Desk,
    gate::{self, Held},
    record::Recorded,
    wait,
};

/// A running fake; stops with the last clone.
#[derive(Clone)]
pub struct BigCommerce {
    shared: Arc<Shared>,
    base: String,
    _tasks: Arc<Tasks>,
}

/// What every part of the fake works on.
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: ManualClock,
    /// Wakes the sender of deliveries.
    due: Notify,
    http: reqwest::Client,
}

/// Everything the fake remembers.
#[derive(Default)]
pub(crate) struct State {
    stores: stores::Stores,
    deliveries: deliveries::Queue,
    faults: faults::Faults,
    requests: Vec<Recorded>,
    routes: Vec<(String, String)>,
    echo: bool,
    /// The app's client secret, the key of the Standard Webhooks signature.
    client_secret: String,
    desk: Desk,
    /// The store whose owner consents.
    signed_in: String,
}

struct Tasks(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl fmt::Debug for BigCommerce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BigCommerce").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Shared {
    /// The state; a panicking test elsewhere must not hide its own message behind a poisoned lock.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl BigCommerce {
    /// Starts on a free loopback port, without stores.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("the fake BigCommerce needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                client_secret: "bigcommerce-client-secret".to_owned(),
                ..State::default()
            }),
            clock: ManualClock::new(wait::wall_clock()),
            due: Notify::new(),
            http,
        });
        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                complain(&format!("the fake BigCommerce stopped: {error}"));
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

    /// Opens a store that answers to `token`.
    pub fn add_store(&self, hash: &str, token: &str) {
        self.shared.state().stores.add(hash, token);
    }

    /// Registers an app of the vendor's store.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.shared.state().desk.add_client(id, secret);
    }

    /// Whoever consents from now on is the owner of this store.
    pub fn sign_in(&self, hash: &str) {
        hash.clone_into(&mut self.shared.state().signed_in);
    }

    /// Withdraws a store's token; calls with the old one are 401 from now on.
    pub fn change_token(&self, hash: &str, token: &str) {
        self.shared.state().stores.change_token(hash, token);
    }

    /// Deliveries to `public` (an https origin) go to `local` (`http://127.0.0.1:PORT`). Replaces an earlier route.
    pub fn route(&self, public: &str, local: &str) {
        let mut state = self.shared.state();
        state.routes.retain(|(origin, _)| origin != public);
        state.routes.push((public.trim_end_matches('/').to_owned(), local.trim_end_matches('/').to_owned()));
    }

    /// A shopper's order comes into being with this status (0: incomplete, 11: awaiting fulfilment); hooks fire.
    pub fn create_order(&self, hash: &str, status: u64) -> Result<u64> {
        let now = self.shared.now();
        let id = {
            let mut state = self.shared.state();
            let (id, events) = state.stores.create_order(hash, &sample_order(status), now)?;
            state.fire(hash, &events, now);
            id
        };
        self.shared.due.notify_one();
        Ok(id)
    }

    /// An order changes its status at the vendor; hooks fire.
    pub fn set_status(&self, hash: &str, order: u64, status: u64) -> Result<()> {
        let now = self.shared.now();
        {
            let mut state = self.shared.state();
            let events =
                state.stores.update_order(hash, order, &serde_json::json!({ "status_id": status }), now)?;
            state.fire(hash, &events, now);
        }
        self.shared.due.notify_one();
        Ok(())
    }

    /// An order as it stands.
    #[must_use]
    pub fn order(&self, hash: &str, id: u64) -> Option<Value> {
        self.shared.state().stores.get(hash).and_then(|store| store.order(id).cloned())
    }

    /// An order's `status_id`.
    #[must_use]
    pub fn status_of(&self, hash: &str, id: u64) -> Option<u64> {
        self.order(hash, id)?.get("status_id")?.as_u64()
    }

    /// A store as it stands.
    #[must_use]
    pub fn store(&self, hash: &str) -> Option<Store> {
        self.shared.state().stores.get(hash).cloned()
    }

    /// A store's hooks.
    #[must_use]
    pub fn hooks(&self, hash: &str) -> Vec<Hook> {
        self.shared.state().stores.get(hash).map(|store| store.hooks().cloned().collect()).unwrap_or_default()
    }

    /// Switches a store's hooks off, as the vendor does when their deliveries have failed for two days.
    pub fn switch_hooks_off(&self, hash: &str) {
        self.shared.state().stores.switch_hooks_off(hash);
    }

    /// Every request so far, in order of their answers.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// Forgets recorded requests.
    pub fn forget_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// Every delivery so far, with its attempts.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.all().to_vec()
    }

    /// The delivery about this order and event that waits to be sent.
    #[must_use]
    pub fn waiting(&self, order: u64, scope: &str) -> Option<String> {
        let state = self.shared.state();
        let of_order = state.deliveries.all().iter().rev().find(|delivery| {
            delivery.order == order
                && delivery.scope == scope
                && matches!(delivery.state, DeliveryState::Pending { .. })
        });
        of_order.map(|delivery| delivery.id.clone())
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

    /// Whether every secret received is echoed back in headers and bodies, raw and in the usual encodings.
    pub fn set_echo(&self, echo: bool) {
        self.shared.state().echo = echo;
    }

    /// Sends a delivery again with the same body and hash, as the vendor sometimes does.
    pub fn repeat_delivery(&self, id: &str) -> Result<String> {
        let now = self.shared.now();
        let copy = self.shared.state().deliveries.repeat(id, now)?;
        self.shared.due.notify_one();
        Ok(copy)
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

    /// Moves the simulated clock; deliveries that fall due are sent.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.due.notify_one();
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Waits until nothing is due or under way any more.
    pub async fn settled(&self) -> Result<()> {
        wait::until("the fake BigCommerce's due deliveries", || async {
            let now = self.shared.now();
            self.shared.state().deliveries.idle(now).then_some(())
        })
        .await
    }

    /// Waits until a delivery about this order has been answered 2xx; gives the delivery.
    pub async fn delivered(&self, order: u64, scope: &str) -> Result<Delivery> {
        wait::until(&format!("`{scope}` about order {order} to be accepted by the host"), || async {
            self.deliveries().into_iter().find(|delivery| {
                delivery.scope == scope
                    && delivery.order == order
                    && delivery.state == DeliveryState::Delivered
            })
        })
        .await
    }
}

impl State {
    fn fire(&mut self, hash: &str, events: &[stores::HookEvent], now: Timestamp) {
        let Some(store) = self.stores.get(hash) else { return };
        for event in events {
            for hook in store.hooks().filter(|hook| hook.wants(&event.scope)) {
                self.deliveries.add(hash, store.id, hook, event, now);
            }
        }
    }
}

/// A line for whoever reads the test's output.
#[expect(clippy::print_stderr, reason = "a fake has no other place to report to")]
fn complain(message: &str) {
    eprintln!("{message}");
}
