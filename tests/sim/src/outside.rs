//! Everybody outside: the ISV, the vendor's webhooks and the operator, who act as the plan says and try again what
//! was not answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use trunnion::{
    api::AllServices,
    error::Error,
    triggers::{
        accept::Seen,
        custom::{self, CustomEvent},
        verify::Request,
        webhook::NotTaken,
    },
    workflows::install::Activity,
};
use trunnion_core::{
    clock::Timestamp,
    machine::{Outcome, Status},
    scope::Scope,
};

use crate::{
    clock::BEGINNING,
    flow::{Flow, Trigger},
    plan::Act,
    seen::Cancelled,
    vendor::{DELIVERY_ID, PROOF},
    world::{Life, World},
};

/// How long somebody waits before trying again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is still to be done outside, over lives.
#[derive(Debug, Default)]
pub struct Agenda {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<(Timestamp, u64), Act>,
    under_way: BTreeMap<u64, Act>,
    counter: u64,
}

impl Agenda {
    /// As planned.
    #[must_use]
    pub fn new(acts: &[(Duration, Act)]) -> Self {
        let agenda = Self::default();
        for (after, act) in acts {
            agenda.add(BEGINNING + *after, act.clone());
        }
        agenda
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, at: Timestamp, act: Act) {
        {
            let mut state = self.state();
            state.counter += 1;
            let number = state.counter;
            state.waiting.insert((at, number), act);
        }
        self.changed.notify_one();
    }

    /// What is due, with a number to report its end by.
    pub fn due(&self, now: Timestamp) -> Option<(u64, Act)> {
        let mut state = self.state();
        let first = state.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, number), act) = first.remove_entry();
        state.under_way.insert(number, act.clone());
        Some((number, act))
    }

    /// When the next thing is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.state().waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether nobody does or will do anything.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.under_way.is_empty()
    }

    /// Returns when there is something new to do.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Something is over; whether it is to be tried again.
    fn over(&self, number: u64, again: Option<Timestamp>) {
        let act = self.state().under_way.remove(&number);
        if let (Some(act), Some(at)) = (act, again) {
            self.add(at, act);
        }
        self.changed.notify_one();
    }

    /// Something is over and needs no answer.
    pub fn forget(&self, number: u64) {
        self.over(number, None);
    }

    /// The process died: nobody who waited for its answer got one.
    pub fn cut_off(&self, world: &World, now: Timestamp) {
        let cut: Vec<_> = std::mem::take(&mut self.state().under_way).into_values().collect();
        for act in cut {
            if tries_again(world, &act) {
                self.add(now + AGAIN, act);
            }
        }
    }
}

/// Whether somebody who got no answer asks again. Who gave no key does not: twice would be two.
fn tries_again(world: &World, act: &Act) -> bool {
    match act {
        Act::Event(place) => world.state().seen.events.get(*place).is_some_and(|event| event.key.is_some()),
        Act::Deliver(_) | Act::Pause => true,
        Act::OtherBody(_) | Act::Cancel | Act::Kill | Act::Stop => false,
    }
}

/// Whoever acts, in one life.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The world.
    pub world: Arc<World>,
    /// The process that is spoken to.
    pub life: Arc<Life>,
    /// Its services.
    pub services: Arc<AllServices>,
    /// What there is to do.
    pub agenda: Arc<Agenda>,
    /// Whose environment it is.
    pub scope: Scope,
    /// The workflows.
    pub flows: Vec<Flow>,
}

/// Whether an answer came.
enum Heard {
    Answered,
    Nothing,
}

impl Outside {
    /// Does one thing, and says on the agenda what became of it.
    pub async fn act(self, number: u64, act: Act) {
        let hangs_up = {
            let mut state = self.world.state();
            let chance = state.faults.hung_up;
            state.dice.happens(chance).then(|| Duration::from_millis(state.dice.below(8)))
        };
        let asked = async {
            match &act {
                Act::Event(place) => self.send(*place).await,
                Act::OtherBody(place) => self.send_other(*place).await,
                Act::Deliver(place) => self.deliver(*place).await,
                Act::Cancel => self.cancel().await,
                Act::Pause => self.pause().await,
                Act::Kill | Act::Stop => Heard::Answered,
            }
        };
        let heard = match hangs_up {
            Some(after) => tokio::time::timeout(after, Box::pin(asked)).await.unwrap_or(Heard::Nothing),
            None => Box::pin(asked).await,
        };
        if self.life.ended() {
            return;
        }
        let again = matches!(heard, Heard::Nothing) && tries_again(&self.world, &act);
        self.agenda.over(number, again.then(|| self.world.now() + AGAIN));
    }

    /// As the handler of `POST /run/event` does it.
    async fn send(&self, place: usize) -> Heard {
        let Some(event) = self.world.state().seen.events.get(place).cloned() else { return Heard::Answered };
        let seen = event.key.as_ref().map(|key| self.seen(event.user, key, &event.payload.to_string()));
        let sent = self.accept(event.user, &event.name, event.payload, seen).await;
        if self.life.ended() {
            return Heard::Nothing;
        }
        match sent {
            Ok(runs) => {
                self.world.note(format_args!("event {} acknowledged, runs {runs:?}", event.marker));
                if let Some(event) = self.world.state().seen.events.get_mut(place) {
                    event.acknowledged = true;
                    event.runs.extend(runs);
                }
                Heard::Answered
            }
            Err(error) => {
                self.world.note(format_args!("event {} not taken: {error}", event.marker));
                // A refusal is an answer; asking again would not change it.
                if matches!(error, Error::KeyReused { .. }) { Heard::Answered } else { Heard::Nothing }
            }
        }
    }

    async fn send_other(&self, place: usize) -> Heard {
        let Some(event) = self.world.state().seen.events.get(place).cloned() else { return Heard::Answered };
        let Some(key) = &event.key else { return Heard::Answered };
        let mut payload = event.payload.clone();
        if let Some(payload) = payload.as_object_mut() {
            payload.insert("marker".to_owned(), format!("other-{}", event.marker).into());
        }
        let seen = self.seen(event.user, key, &payload.to_string());
        let sent = self.accept(event.user, &event.name, payload, Some(seen)).await;
        if !self.life.ended() {
            let accepted = sent.is_ok();
            self.world.note(format_args!("another body under key {key}: accepted {accepted}"));
            if let (true, Some(event)) = (accepted, self.world.state().seen.events.get_mut(place)) {
                event.displaced = true;
            }
        }
        Heard::Answered
    }

    fn seen(&self, user: usize, key: &str, body: &str) -> Seen {
        let name = format!("{user} {key}");
        let key = self.services.context.store.keyed_hash(&self.scope, "idempotency-key", name.as_bytes());
        Seen { key, body_hash: Some(body.to_owned()) }
    }

    async fn accept(
        &self,
        user: usize,
        name: &str,
        data: serde_json::Value,
        seen: Option<Seen>,
    ) -> Result<Vec<trunnion_core::id::RunId>, Error> {
        let services = &self.services;
        services.acceptor.admit()?;
        let username = username(user);
        let user = services.users.find(&self.scope, &username).await?.id;
        let event = CustomEvent { user, username, name: name.to_owned(), data, seen };
        let accepted =
            custom::accept(&services.context, &services.library, &services.acceptor, &self.scope, event)
                .await?;
        Ok(accepted.runs)
    }

    async fn deliver(&self, place: usize) -> Heard {
        let (delivery, token) = {
            let state = self.world.state();
            let Some(delivery) = state.seen.deliveries.get(place).cloned() else { return Heard::Answered };
            let user = state.seen.users.get(delivery.user);
            let token = user.and_then(|user| state.seen.hooks.get(user)).cloned();
            (delivery, token)
        };
        let Some(token) = token else { return Heard::Answered };
        let body = serde_json::json!({ "occurrences": delivery.occurrences }).to_string();
        let headers =
            [(DELIVERY_ID.to_owned(), delivery.id.clone()), (PROOF.0.to_owned(), PROOF.1.to_owned())];
        let url = format!("https://host.example/hooks/{token}");
        let request = Request { method: "POST", url: &url, headers: &headers, body: body.as_bytes() };
        let received = self.services.ingress.receive(&token, request).await;
        if self.life.ended() {
            return Heard::Nothing;
        }
        match received {
            Ok(received) => {
                self.world.note(format_args!("{} acknowledged: {received:?}", delivery.id));
                if let Some(delivery) = self.world.state().seen.deliveries.get_mut(place) {
                    delivery.acknowledged = true;
                }
                Heard::Answered
            }
            Err(refused @ (NotTaken::Unknown | NotTaken::Unverified(_))) => {
                self.world.note(format_args!("{} refused: {refused}", delivery.id));
                if let Some(delivery) = self.world.state().seen.deliveries.get_mut(place) {
                    delivery.refused = Some(refused.to_string());
                }
                Heard::Answered
            }
            Err(NotTaken::Failed(error)) => {
                self.world.note(format_args!("{} not taken: {error}", delivery.id));
                Heard::Nothing
            }
        }
    }

    /// Pauses whatever polls.
    async fn pause(&self) -> Heard {
        let mut polling = Vec::new();
        {
            let state = self.world.state();
            for (flow, workflow) in self.flows.iter().zip(&state.seen.workflows) {
                if flow.trigger == Trigger::Poll {
                    polling.extend(state.seen.users.iter().map(|user| (*user, *workflow)));
                }
            }
        }
        for (user, workflow) in polling {
            let paused =
                self.services.installer.set_active(&self.scope, user, workflow, Activity::Paused).await;
            if self.life.ended() || paused.is_err() {
                return Heard::Nothing;
            }
        }
        self.world.note("pollers paused");
        Heard::Answered
    }

    async fn cancel(&self) -> Heard {
        let run = {
            let mut state = self.world.state();
            let state = &mut *state;
            let runs: Vec<_> =
                state.seen.events.iter().flat_map(|event| event.runs.iter().copied()).collect();
            state.dice.pick(&runs).copied()
        };
        let Some(run) = run else { return Heard::Answered };
        let cancelled = self.services.runs.cancel(&self.scope, run).await;
        if self.life.ended() {
            return Heard::Nothing;
        }
        match cancelled {
            Ok(read) => {
                let too_late = matches!(&read.state.status, Status::Ended { outcome, .. } if *outcome != Outcome::Cancelled);
                self.world.note(format_args!("run {run} cancelled, too late {too_late}"));
                let mut state = self.world.state();
                let calls = state.seen.calls.len();
                state.seen.cancelled.push(Cancelled { run, too_late, calls });
            }
            Err(error) => self.world.note(format_args!("run {run} not cancelled: {error}")),
        }
        Heard::Answered
    }
}

/// A user's name.
#[must_use]
pub fn username(user: usize) -> String {
    format!("user-{user}")
}
