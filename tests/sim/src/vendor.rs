//! The vendor and its connector: stands in for a loaded component and whatever it would send.
//!
//! The vendor counts what it does and looks at no key, so that the oracle sees every repetition. It answers
//! `reconcile` truthfully where it answers at all.

mod listing;
mod manifest;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    manifest::{Manifest, Repeat},
    records::Digest,
};
use trunnion_sandbox::{
    Account, Answer as Answered, Answering, Call, Choices, Connector, Delivery, Failed, Guest, Health,
    LoadError, Loader, LookupQuery, Occurrence, Outcome, Page, Poll, Polled, Reconciled, Reply, Stage,
    Target,
};

pub use self::{listing::OVERLAP, manifest::sample};
use self::{listing::Position, manifest::manifest};
use crate::{
    faults::Fate,
    seen::{self, Answer, Asked, Class, ListedRecord, Unit},
    world::{Life, World},
};

/// The vendor's app.
pub const APP: &str = "shop";
/// Its webhook trigger.
pub const TRIGGER: &str = "changed";
/// Its polling trigger.
pub const LISTED: &str = "listed";
/// The header of a delivery's id.
pub const DELIVERY_ID: &str = "x-delivery";
/// The header that proves a delivery, and the secret in it.
pub const PROOF: (&str, &str) = ("x-proof", "the vendor's word");

/// Actions by repeat class.
pub const ACTIONS: [(&str, Repeat); 4] =
    [("put", Repeat::Safe), ("create", Repeat::Key), ("order", Repeat::Lookup), ("pay", Repeat::Never)];

/// The connector of one life.
#[derive(Debug)]
pub struct Vendor {
    world: Arc<World>,
    life: Arc<Life>,
}

/// The connector as the registry holds it.
///
/// # Errors
/// Where its manifest is not one.
pub fn connector(world: Arc<World>, life: Arc<Life>) -> Result<Connector> {
    let manifest =
        Manifest::parse(&manifest().to_string()).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let digest = Digest("5".repeat(64));
    Ok(Connector::new(Arc::new(manifest), digest, Vec::new(), Vendor { world, life }))
}

impl Vendor {
    fn class(name: &str) -> Repeat {
        ACTIONS.iter().find(|(known, _)| *known == name).map_or(Repeat::Never, |(_, repeat)| *repeat)
    }

    /// The request reaches the vendor: it is seen, and the vendor takes its time. What answers it, by its place.
    async fn reach(&self, call: &Call, input: &str, asked: Asked) -> Result<(usize, Unit), Failed> {
        self.life.living().await;
        let unit = unit(input).map_err(|error| {
            failed(CallError::InvalidInput { field: String::new(), message: format!("{error:#}") })
        })?;
        let class = Class::Action(Self::class(&call.name));
        let place = begin(&self.world, &unit, class, asked, &call.idempotency_key);
        linger(&self.world, &self.life).await;
        Ok((place, unit))
    }
}

/// What a call is for.
fn unit(input: &str) -> Result<Unit> {
    let input: Value = serde_json::from_str(input)?;
    of(&input).with_context(|| format!("{input} is not what the simulation's workflows send"))
}

/// What an input or a body of the simulation's workflows is for.
#[must_use]
pub fn of(input: &Value) -> Option<Unit> {
    Some(Unit {
        marker: input.get("marker")?.as_str()?.to_owned(),
        flow: usize::try_from(input.get("flow")?.as_u64()?).ok()?,
        step: input.get("step")?.as_str()?.to_owned(),
        item: input.get("item").and_then(Value::as_u64),
    })
}

/// Writes down that a call began; its place.
pub fn begin(world: &World, unit: &Unit, class: Class, asked: Asked, key: &str) -> usize {
    let at = world.now();
    let place = {
        let mut state = world.state();
        let life = state.life;
        let (unit, key) = (unit.clone(), key.to_owned());
        state.seen.calls.push(seen::Call { unit, class, asked, key, life, at, answer: None });
        state.seen.calls.len() - 1
    };
    world.note(format_args!("call {place} {asked:?} {unit} ({class:?}) {key}"));
    place
}

/// Writes down how a call was answered.
pub fn end(world: &World, place: usize, answer: Answer) {
    world.note(format_args!("call {place} answered {answer:?}"));
    if let Some(call) = world.state().seen.calls.get_mut(place) {
        call.answer = Some(answer);
    }
}

/// Writes down that something was done.
pub fn done(world: &World, key: &str) {
    *world.state().seen.done.entry(key.to_owned()).or_default() += 1;
}

/// Half of the time a request takes, in which the process may die.
pub async fn linger(world: &World, life: &Life) {
    let (time, dies) = {
        let mut state = world.state();
        let faults = state.faults.clone();
        (faults.latency(&mut state.dice) / 2, state.dice.happens(faults.death_in_call / 2))
    };
    life.sleep(time).await;
    if dies {
        world.trouble("death in a call");
        life.die().await
    }
}

/// What becomes of a request that changes something.
pub fn fate(world: &World) -> Fate {
    let mut state = world.state();
    let faults = state.faults.clone();
    faults.fate(&mut state.dice)
}

fn answered<T>(value: T) -> Answered<T> {
    Answered { value, log: Vec::new(), exchanges: Vec::new(), observations: Vec::new(), cpu: Duration::ZERO }
}

const fn failed(error: CallError) -> Failed {
    Failed { error, log: Vec::new(), exchanges: Vec::new(), observations: Vec::new(), cpu: Duration::ZERO }
}

fn outcome(unit: &Unit) -> Outcome {
    Outcome { output: json!({ "unit": unit.to_string() }).to_string(), ext: Vec::new() }
}

/// An export that no workflow of the simulation comes to.
fn absent<'a, T: Send + 'a>(export: &'static str) -> Answering<'a, T> {
    let message = format!("the simulated connector has no `{export}`");
    Box::pin(async move { Err(failed(CallError::Unavailable { message })) })
}

impl Guest for Vendor {
    fn run<'a>(&'a self, call: Call, input: &'a str) -> Answering<'a, Outcome> {
        Box::pin(async move {
            let (place, unit) = self.reach(&call, input, Asked::Perform).await?;
            let fate = fate(&self.world);
            if matches!(fate, Fate::Done | Fate::Doubtful { done: true, .. }) {
                done(&self.world, &call.idempotency_key);
            }
            linger(&self.world, &self.life).await;
            match fate {
                Fate::Done => {
                    end(&self.world, place, Answer::Done);
                    Ok(answered(outcome(&unit)))
                }
                Fate::Refused(error) | Fate::Doubtful { error, .. } => {
                    end(&self.world, place, Answer::Failed(error.clone()));
                    Err(failed(error))
                }
            }
        })
    }

    fn reconcile<'a>(&'a self, call: Call, input: &'a str, key: &'a str) -> Answering<'a, Reconciled> {
        Box::pin(async move {
            let (place, unit) = self.reach(&call, input, Asked::Reconcile).await?;
            let (unknown, was_done) = {
                let mut state = self.world.state();
                let chance = state.faults.unknown;
                (state.dice.happens(chance), state.seen.done.contains_key(key))
            };
            linger(&self.world, &self.life).await;
            if unknown {
                let message = "the vendor does not say".to_owned();
                end(&self.world, place, Answer::Failed(CallError::Uncertain { message: message.clone() }));
                return Ok(answered(Reconciled::Unknown(message)));
            }
            if was_done {
                end(&self.world, place, Answer::Done);
                return Ok(answered(Reconciled::Found(outcome(&unit))));
            }
            end(&self.world, place, Answer::Absent);
            Ok(answered(Reconciled::Absent))
        })
    }

    fn parse(&self, call: Call, delivery: Delivery) -> Answering<'_, Vec<Occurrence>> {
        Box::pin(async move {
            self.life.living().await;
            linger(&self.world, &self.life).await;
            let fails = {
                let mut state = self.world.state();
                let faults = state.faults.clone();
                faults.unparsed(&mut state.dice)
            };
            if let Some(error) = fails {
                self.world.note(format_args!("parse failed: {error}"));
                return Err(failed(error));
            }
            let trapped = |message: String| failed(CallError::Trapped { message });
            let body: Value =
                serde_json::from_slice(&delivery.body).map_err(|error| trapped(error.to_string()))?;
            let list = body.get("occurrences").and_then(Value::as_array).cloned().unwrap_or_default();
            let occurrence = |data: Value| Occurrence {
                account: call.account.clone(),
                occurrence_id: data.get("marker").map(ToString::to_string).unwrap_or_default(),
                occurred_at: None,
                data: data.to_string(),
                ext: Vec::new(),
            };
            Ok(answered(list.into_iter().map(occurrence).collect()))
        })
    }

    fn subscribe<'a>(&'a self, call: Call, target: &'a Target) -> Answering<'a, String> {
        Box::pin(async move {
            if let (Some(user), Some((_, token))) = (call.user, target.url.rsplit_once('/')) {
                self.world.state().seen.hooks.insert(user, token.to_owned());
            }
            Ok(answered("{}".to_owned()))
        })
    }

    fn check_connection(&self, call: Call) -> Answering<'_, Account> {
        let account = call.user.map(|user| user.to_string()).unwrap_or_default();
        let title = "A shop".to_owned();
        Box::pin(async move { Ok(answered(Account { id: account, title, parameters: BTreeMap::new() })) })
    }

    fn unsubscribe<'a>(&'a self, _: Call, _: &'a str) -> Answering<'a, ()> {
        Box::pin(async { Ok(answered(())) })
    }

    fn run_batch<'a>(&'a self, _: Call, _: &'a [String]) -> Answering<'a, Vec<Result<String, CallError>>> {
        absent("run-batch")
    }

    fn page<'a>(&'a self, _: Call, _: &'a str, _: Option<&'a str>) -> Answering<'a, Page> {
        absent("page")
    }

    fn check_subscription<'a>(
        &'a self,
        _: Call,
        _: &'a Target,
        _: &'a str,
    ) -> Answering<'a, (Health, String)> {
        absent("check")
    }

    fn handshake(&self, _: Call, _: Delivery) -> Answering<'_, Option<Reply>> {
        absent("handshake")
    }

    fn poll<'a>(&'a self, call: Call, poll: Poll<'a>) -> Answering<'a, Polled> {
        Box::pin(async move {
            self.life.living().await;
            linger(&self.world, &self.life).await;
            let position = Position::read(poll.cursor, poll.since);
            let now = self.world.now();
            let (fate, (page, next)) = {
                let mut state = self.world.state();
                let faults = state.faults.clone();
                let fate = faults.fate(&mut state.dice);
                let user = state.seen.users.iter().position(|user| Some(*user) == call.user);
                let theirs = state.seen.records.iter().filter(|record| Some(record.user) == user);
                let (page, next) = position.page(theirs, now);
                (fate, (page.into_iter().cloned().collect::<Vec<_>>(), next))
            };
            linger(&self.world, &self.life).await;
            if let Fate::Refused(error) | Fate::Doubtful { error, .. } = fate {
                self.world.note(format_args!("poll at {} failed: {error}", position.written()));
                return Err(failed(error));
            }
            if !page.is_empty() {
                let markers: Vec<_> = page.iter().map(|record| &record.marker).collect();
                self.world.note(format_args!("poll at {} gives {markers:?}", position.written()));
            }
            let occurrence = |record: ListedRecord| Occurrence {
                account: call.account.clone(),
                occurrence_id: record.marker,
                occurred_at: Some(record.at),
                data: record.payload.to_string(),
                ext: Vec::new(),
            };
            let occurrences = page.into_iter().map(occurrence).collect();
            Ok(answered(Polled { occurrences, cursor: next.written(), more: next.is_within_round() }))
        })
    }

    fn options<'a>(&'a self, _: Call, _: &'a LookupQuery) -> Answering<'a, Choices> {
        absent("options")
    }

    fn schema<'a>(&'a self, _: Call, _: &'a str, _: &'a str) -> Answering<'a, String> {
        absent("schema")
    }
}

/// Loads nothing: the connector is there from the start.
#[derive(Clone, Copy, Debug)]
pub struct NoLoader;

impl Loader for NoLoader {
    fn load<'a>(
        &'a self,
        _: Bytes,
        _: &'a mut (dyn FnMut(Stage) + Send),
    ) -> BoxFuture<'a, Result<Connector, LoadError>> {
        let message = "the simulation loads no components".to_owned();
        Box::pin(async move { Err(LoadError::Host { message }) })
    }

    fn retire(&self, _: &Digest) {}

    fn forget<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn max_component_bytes(&self) -> usize {
        0
    }
}
