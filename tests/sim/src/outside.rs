//! Everybody outside: the ISV, the vendor's webhooks and the operator, who act as the plan says and try again what
//! was not answered.

mod agenda;
mod operator;
mod requests;

use std::{sync::Arc, time::Duration};

use trunnion::{
    api::AllServices,
    error::Error,
    triggers::{
        accept::Seen,
        custom::{self, CustomEvent},
        verify::Request,
        webhook::NotTaken,
    },
};
use trunnion_core::scope::Scope;

pub use self::agenda::Agenda;
use self::agenda::{AGAIN, cut_off};
use crate::{
    plan::{Act, Plan},
    vendor::{DELIVERY_ID, PROOF},
    world::{Life, World},
};

/// Whether somebody who got no answer asks again. Who gave no key does not: twice would be two.
fn tries_again(world: &World, act: &Act) -> bool {
    match act {
        Act::Event(place) => world.state().seen.events.get(*place).is_some_and(|event| event.key.is_some()),
        Act::Request(place) => {
            world.state().seen.requests.get(*place).is_some_and(|request| request.key.is_some())
        }
        Act::Deliver(_) | Act::Activity(_) | Act::Ask(_) => true,
        Act::OtherBody(_) | Act::Cancel | Act::Skip | Act::Kill | Act::Stop => false,
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
    /// What happens.
    pub plan: Arc<Plan>,
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
            // Some leave at once, some while they wait for an answer.
            let longest = if matches!(act, Act::Request(_)) && state.dice.below(2) == 0 { 20_000 } else { 8 };
            state.dice.happens(chance).then(|| Duration::from_millis(state.dice.below(longest)))
        };
        let asked = async {
            match &act {
                Act::Event(place) => self.send(*place).await,
                Act::OtherBody(place) => self.send_other(*place).await,
                Act::Deliver(place) => self.deliver(*place).await,
                Act::Request(place) => self.request(*place).await,
                Act::Ask(place) => self.ask(*place).await,
                Act::Activity(flow) => self.activity(*flow).await,
                Act::Cancel => self.cancel().await,
                Act::Skip => self.skip().await,
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
        if let (Heard::Nothing, Act::Request(place)) = (&heard, &act) {
            cut_off(&self.world, *place, self.world.now());
        }
        let again = matches!(heard, Heard::Nothing) && tries_again(&self.world, &act);
        self.agenda.over(number, again.then(|| self.world.now() + AGAIN));
    }

    /// As the handler of `POST /run/event` does it.
    async fn send(&self, place: usize) -> Heard {
        let now = self.world.now();
        let event = self.world.state().seen.events.get_mut(place).map(|event| {
            event.sent_at.get_or_insert(now);
            event.clone()
        });
        let Some(event) = event else { return Heard::Answered };
        let seen = event.key.as_ref().map(|key| self.seen(event.user, key, &event.payload.to_string()));
        let sent = self.accept(event.user, &event.name, event.payload, seen).await;
        if self.life.ended() {
            return Heard::Nothing;
        }
        match sent {
            Ok(runs) => {
                self.world.note(format_args!("event {} acknowledged, runs {runs:?}", event.marker));
                let now = self.world.now();
                if let Some(event) = self.world.state().seen.events.get_mut(place) {
                    event.acknowledged.get_or_insert(now);
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
        let event = CustomEvent { user, username, name: name.to_owned(), data: data.into(), seen };
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
}

/// A user's name.
#[must_use]
pub fn username(user: usize) -> String {
    format!("user-{user}")
}
