//! Replaying: the connector is called as in the recording, and a vendor on this machine answers from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    clock::{Clock, ManualClock, Random, SeededRandom, Timestamp},
    manifest::{Manifest, TriggerSpec},
};
use trunnion_sandbox::{Answer, Call, EgressOptions, Exchange, Failed, Poll};

use super::{Asked, Called, Cassette, Ending, Error, Exchanged, masking::Mask};
use crate::{
    author::{
        credential::Credential,
        loading::Loading,
        vendor::{self, Play, Said, Vendor},
        workshop::Workshop,
    },
    schema::{Misfit, Schema},
};

/// Pages after which a listing or round has no end.
const MAX_PAGES: usize = 1_000;
/// What the vendor says to a request that the cassette does not have; never taken for the vendor's own.
const NOT_RECORDED: u16 = 599;

/// Calls the connector as `cassette` says and has it answered from there: everything in which the two differ.
pub async fn replay(
    loading: &Loading,
    manifest: &Manifest,
    cassette: &Cassette,
) -> Result<Vec<String>, Error> {
    if !cassette.call.is_of(manifest) {
        return Err(Error::Unknown { app: manifest.id.clone(), what: cassette.call.to_string() });
    }
    let (ended, mut differences) = replayed(loading, manifest, cassette).await?;
    differences.extend(difference(&cassette.ends, &ended));
    Ok(differences)
}

/// What the call comes to when it is answered from the cassette, and what was asked otherwise than recorded.
pub(super) async fn replayed(
    loading: &Loading,
    manifest: &Manifest,
    cassette: &Cassette,
) -> Result<(Ending, Vec<String>), Error> {
    let mut credential = Credential::stand_in(manifest, manifest.connection.schemes.first());
    credential.parameters.extend(cassette.parameters.clone());
    credential.account.clone_from(&cassette.account);
    let player = Arc::new(Player::new(credential.clone(), cassette.exchanges.clone()));
    let vendor =
        Vendor::start(Arc::<Player>::clone(&player) as Arc<dyn Play>).await.map_err(Error::Vendor)?;
    let egress =
        EgressOptions { rewrites: vendor.rewrites(manifest, &credential), ..EgressOptions::default() };
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(cassette.now_ms)));
    let random = Arc::new(SeededRandom::new(cassette.seed));
    let workshop = loading.open(egress, clock, random).await?;
    let called = call(&workshop, &credential, cassette, &|call| player.expect(call)).await;
    Ok((called.ending?, player.differences()))
}

/// A vendor that is there, instead of the one on the tape.
#[derive(Debug)]
pub struct Live {
    /// What may leave, and to where.
    pub egress: EgressOptions,
    /// On whose behalf.
    pub credential: Credential,
}

/// Makes the cassette's call against a vendor that is there, and says in which way it ended otherwise. What it answers
/// may differ in every value, and must have the form that its schema says.
pub async fn against(
    loading: &Loading,
    live: &Live,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    cassette: &Cassette,
) -> Result<Vec<String>, Error> {
    let workshop = loading.open(live.egress.clone(), clock, random).await?;
    let manifest = workshop.manifest();
    if !cassette.call.is_of(manifest) {
        return Err(Error::Unknown { app: manifest.id.clone(), what: cassette.call.to_string() });
    }
    let called = call(&workshop, &live.credential, cassette, &|_| {}).await;
    let ended = called.ending?;
    Ok(match (&cassette.ends, &ended) {
        (Ending::Output(_), Ending::Output(output)) => misfits(manifest, &cassette.call, output),
        (expected, ended) => difference(expected, ended).into_iter().collect(),
    })
}

/// Where an action's output is not as its schema says.
fn misfits(manifest: &Manifest, called: &Called, output: &Value) -> Vec<String> {
    let Called::Action(id) = called else { return Vec::new() };
    let schema = manifest.action(id).and_then(|action| Schema::new(&action.output).ok());
    let misfits = schema.map(|schema| schema.misfits(output)).unwrap_or_default();
    misfits
        .into_iter()
        .map(|Misfit { at, message }| format!("the output does not fit its schema at `{at}`: {message}"))
        .collect()
}

fn difference(expected: &Ending, ended: &Ending) -> Option<String> {
    let text = |ending: &Ending| serde_json::to_string(ending).unwrap_or_default();
    (expected != ended).then(|| format!("it ended as {}, the cassette says {}", text(ended), text(expected)))
}

/// What a call came to.
pub(super) struct Ended {
    pub(super) ending: Result<Ending, Error>,
    pub(super) exchanges: Vec<Exchange>,
}

/// Makes the call; `made` hears of each call before it is made, since pages are calls of their own.
pub(super) async fn call(
    workshop: &Workshop,
    credential: &Credential,
    cassette: &Cassette,
    made: &(dyn Fn(&Call) + Send + Sync),
) -> Ended {
    let connector = workshop.connector();
    let new = |name: &str| {
        let call = workshop.call(name, credential);
        made(&call);
        call
    };
    let input = cassette.input.to_string();
    let mut ended = Ended { ending: Ok(Ending::Output(Value::Null)), exchanges: Vec::new() };
    match &cassette.call {
        Called::Check => {
            let checked = ended.keep(connector.check_connection(new("")).await);
            if let Some(account) = checked {
                let output =
                    json!({ "id": account.id, "title": account.title, "parameters": account.parameters });
                ended.ending = Ok(Ending::Output(output));
            }
        }
        Called::Action(id) => {
            if let Some(output) = ended.keep(connector.run_action(new(id), &input).await) {
                ended.ending = parsed(&output).map(Ending::Output);
            }
        }
        Called::Listing(id) => {
            let (mut items, mut next) = (Vec::new(), None);
            for _ in 0..MAX_PAGES {
                let paged = connector.page(new(id), &input, next.as_deref()).await;
                let Some(page) = ended.keep(paged) else { return ended };
                items.extend(page.items.iter().map(|item| parsed(item)));
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            ended.ending = items.into_iter().collect::<Result<Value, _>>().map(Ending::Output);
        }
        Called::Poll(id) => {
            let (mut occurrences, mut cursor) = (Vec::new(), None::<String>);
            for _ in 0..MAX_PAGES {
                let sample = || workshop.manifest().trigger(id).and_then(TriggerSpec::sample_options_text);
                let options = (!cassette.input.is_null()).then(|| input.clone()).or_else(sample);
                let poll = Poll {
                    cursor: cursor.as_deref(),
                    since: workshop.now(),
                    look_back: None,
                    options: options.as_deref(),
                };
                let polled = connector.poll(new(id), poll).await;
                let Some(polled) = ended.keep(polled) else { return ended };
                occurrences.extend(polled.occurrences.iter().map(|one| {
                    parsed(&one.data).map(|data| json!({ "id": one.occurrence_id, "data": data }))
                }));
                cursor = Some(polled.cursor);
                if !polled.more {
                    break;
                }
            }
            ended.ending = occurrences.into_iter().collect::<Result<Value, _>>().map(Ending::Output);
        }
    }
    ended
}

impl Ended {
    /// Notes what was exchanged; the value, where the call ended well.
    fn keep<T>(&mut self, answered: Result<Answer<T>, Failed>) -> Option<T> {
        match answered {
            Ok(Answer { value, exchanges, .. }) => {
                self.exchanges.extend(exchanges);
                Some(value)
            }
            Err(Failed { error, exchanges, .. }) => {
                self.exchanges.extend(exchanges);
                self.ending = Ok(Ending::Error(CallError::kind(&error).to_owned()));
                None
            }
        }
    }
}

fn parsed(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|_| Error::NotJson(text.to_owned()))
}

/// The vendor that answers from a cassette.
struct Player {
    credential: Credential,
    state: Mutex<State>,
}

struct State {
    /// What is hidden in the call under way.
    mask: Mask,
    waiting: Vec<Exchanged>,
    differences: Vec<String>,
}

impl Player {
    fn new(credential: Credential, exchanges: Vec<Exchanged>) -> Self {
        let state = State { mask: Mask::new(&credential, ""), waiting: exchanges, differences: Vec::new() };
        Self { credential, state: Mutex::new(state) }
    }

    fn expect(&self, call: &Call) {
        self.state().mask = Mask::new(&self.credential, &call.idempotency_key);
    }

    /// What was asked otherwise, and what was not asked.
    fn differences(&self) -> Vec<String> {
        let mut state = self.state();
        let unasked: Vec<String> = state
            .waiting
            .drain(..)
            .map(|Exchanged { request, .. }| format!("it did not ask `{} {}`", request.method, request.url))
            .collect();
        let mut differences = std::mem::take(&mut state.differences);
        differences.extend(unasked);
        differences
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn says(&self, arrived: &vendor::Asked) -> Said {
        let mut state = self.state();
        let asked = state.mask.asked(&Asked::of(arrived));
        if let Some(at) = state.waiting.iter().position(|recorded| matches(&recorded.request, &asked)) {
            let Exchanged { answer, .. } = state.waiting.remove(at);
            let body = answer.body.map(|body| body.text()).unwrap_or_default();
            return Said::Answer {
                status: answer.status,
                headers: answer.headers.into_iter().collect(),
                body: body.into(),
            };
        }
        let text = serde_json::to_string(&asked).unwrap_or_default();
        let near = state
            .waiting
            .iter()
            .find(|one| one.request.method == asked.method && one.request.url == asked.url);
        let near = near
            .map(|one| format!("; recorded is {}", serde_json::to_string(&one.request).unwrap_or_default()));
        state.differences.push(format!("it asked {text}, which is not recorded{}", near.unwrap_or_default()));
        Said::Answer { status: NOT_RECORDED, headers: Vec::new(), body: "not recorded".into() }
    }
}

impl Play for Player {
    fn answer(&self, asked: vendor::Asked) -> BoxFuture<'_, Said> {
        let said = self.says(&asked);
        Box::pin(async move { said })
    }
}

/// Whether a request is the recorded one; it may have further headers.
fn matches(recorded: &Asked, asked: &Asked) -> bool {
    recorded.method == asked.method
        && recorded.url == asked.url
        && recorded.body == asked.body
        && recorded.headers.iter().all(|(name, value)| asked.headers.get(name) == Some(value))
}
