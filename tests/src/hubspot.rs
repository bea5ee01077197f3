//! A stateful fake of HubSpot: many portals with contacts, companies, deals, tickets and notes, and one app that they have
//! installed, whose webhook is called for all of them in signed batches of up to a hundred events.
//!
//! A portal is known by its token. What changes is an event; `deliver` sends what has gathered, all portals mixed, and
//! gives what was answered, so a test says when. The search's index is late by as much as is told. Time is simulated.
//!
//! Invariants: a request that is refused changes nothing; every request of the API is recorded, refused ones too; an event
//! keeps its id over its repetitions, and only its attempt differs.

mod deliveries;
mod oauth;
mod portals;
mod routes;
mod search;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::net::TcpListener;
use trunnion_core::clock::{Clock as _, ManualClock, Timestamp};

use self::{deliveries::App, portals::Portals};
pub use self::{
    deliveries::{Batch, MOST_EVENTS, sign},
    portals::Object,
};
use crate::{desk::Desk, record::Recorded, wait};

/// A running fake; stops with the last clone.
#[derive(Clone)]
pub struct HubSpot {
    shared: Arc<Shared>,
    base: String,
    http: reqwest::Client,
    _server: Arc<Server>,
}

/// What every part of the fake works on.
struct Shared {
    state: Mutex<State>,
    clock: ManualClock,
}

/// Everything the fake remembers.
#[derive(Default)]
struct State {
    portals: Portals,
    app: App,
    requests: Vec<Recorded>,
    index_lag: Duration,
    desk: Desk,
    /// The portal of whoever consents.
    signed_in: u64,
}

struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for HubSpot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSpot").field("base", &self.base).finish_non_exhaustive()
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

impl HubSpot {
    /// Starts on a free loopback port, with an app of this secret and without portals.
    pub async fn start(client_secret: &str) -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("the fake HubSpot needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let state = State { app: App::new(client_secret), ..State::default() };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), clock: ManualClock::new(wait::wall_clock()) });
        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { shared, base, http, _server: Arc::new(Server(server)) })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Opens a portal whose private app has this token.
    pub fn add_portal(&self, id: u64, token: &str) {
        self.shared.state().portals.add(id, token);
    }

    /// Registers the app at the token endpoint.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.shared.state().desk.add_client(id, secret);
    }

    /// Whoever consents from now on is of this portal.
    pub fn sign_in(&self, portal: u64) {
        self.shared.state().signed_in = portal;
    }

    /// Ends the tokens that consent gave at a portal, as time does.
    pub fn end_access(&self, portal: u64) {
        self.shared.state().desk.end_access(&portal.to_string());
    }

    /// What the token endpoint was asked for, in order: `authorization_code`, `refresh_token`.
    #[must_use]
    pub fn grants(&self) -> Vec<String> {
        self.shared.state().desk.asked().to_vec()
    }

    /// Has the app's webhook call `target`, whose public origin is really at `local` (`http://127.0.0.1:PORT`).
    pub fn subscribe(&self, target: &str, public: &str, local: &str) {
        self.shared.state().app.route(target, public, local);
    }

    /// Somebody makes an object in the portal: an event.
    pub fn create(&self, portal: u64, kind: &str, properties: &Value) -> Result<u64> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let State { portals, app, .. } = &mut *state;
        let id = portals.get_mut(portal)?.create(kind, properties, now)?;
        app.tell(portal, kind, "creation", id, now, &[]);
        Ok(id)
    }

    /// Somebody sets a property: an event.
    pub fn set(&self, portal: u64, kind: &str, id: u64, (name, value): (&str, &str)) -> Result<()> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let State { portals, app, .. } = &mut *state;
        portals.get_mut(portal)?.set(kind, id, name, value, now)?;
        app.tell(
            portal,
            kind,
            "propertyChange",
            id,
            now,
            &[("propertyName", name), ("propertyValue", value)],
        );
        Ok(())
    }

    /// Somebody deletes an object: an event.
    pub fn delete(&self, portal: u64, kind: &str, id: u64) -> Result<()> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let State { portals, app, .. } = &mut *state;
        portals.get_mut(portal)?.delete(kind, id)?;
        app.tell(portal, kind, "deletion", id, now, &[]);
        Ok(())
    }

    /// Something happens in a portal that nobody here has.
    pub fn happens_elsewhere(&self, portal: u64) {
        let now = self.shared.now();
        self.shared.state().app.tell(portal, "contacts", "creation", 1, now, &[]);
    }

    /// Sends every event that has gathered, in batches of all portals mixed; what was answered.
    pub async fn deliver(&self) -> Result<Vec<Batch>> {
        let (events, target) = {
            let mut state = self.shared.state();
            (state.app.take(), state.app.target()?)
        };
        let mut sent = Vec::new();
        for events in events.chunks(MOST_EVENTS) {
            let body = Value::Array(events.to_vec()).to_string();
            sent.push(target.send(&self.http, body, wait::wall_clock()).await?);
        }
        Ok(sent)
    }

    /// Somebody makes a contact, and the app's signed webhook about it is taken: the event, as it was sent.
    pub async fn contact_created(&self, portal: u64, email: &str) -> Result<Value> {
        let contact = self.create(portal, "contacts", &serde_json::json!({ "email": email }))?;
        let sent = self.deliver().await?;
        anyhow::ensure!(sent.iter().all(|batch| batch.status == 200), "the host refused: {sent:?}");
        let mut events = sent.iter().flat_map(Batch::events);
        let event = events.find(|event| event.get("objectId").and_then(Value::as_u64) == Some(contact));
        event.with_context(|| format!("contact {contact} was not among what was sent"))
    }

    /// Sends a batch once more: the next attempt.
    pub async fn deliver_again(&self, batch: &Batch) -> Result<Batch> {
        let target = self.shared.state().app.target()?;
        target.send(&self.http, batch.next_attempt(), wait::wall_clock()).await
    }

    /// An object as it stands.
    #[must_use]
    pub fn object(&self, portal: u64, kind: &str, id: u64) -> Option<Object> {
        self.shared.state().portals.get_mut(portal).ok()?.object(kind, id).cloned()
    }

    /// Objects of a kind in a portal.
    #[must_use]
    pub fn objects(&self, portal: u64, kind: &str) -> Vec<Object> {
        self.shared.state().portals.get_mut(portal).map(|portal| portal.objects(kind)).unwrap_or_default()
    }

    /// Searches find an object only when its last change is this old.
    pub fn set_index_lag(&self, lag: Duration) {
        self.shared.state().index_lag = lag;
    }

    /// Lets simulated time pass.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Every request so far, refused ones too.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }
}
