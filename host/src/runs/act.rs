//! Acts: maps a step's template and performs it, through the sandbox or as a signed stream.
//!
//! Decides nothing: whatever happens goes back to the machine as a value. `Err` of these methods means that
//! the host itself could not work (its store), never that the step failed.

mod batch;
mod vendor;
mod wait;

use std::time::Duration;

use serde_json::{Value, json};
use trunnion_core::{
    answer,
    call::CallError,
    clock::Timestamp,
    machine::{RunState, idempotency_key},
    mapping::{Condition, Environment, MappingError, Results, UserNames},
    payload::{List, Part, Payload},
    records::{LiveRun, LogLevel, LogLine, User},
    release::{self, CompiledKind, Items, Program},
    scope::Scope,
};
use trunnion_store::tables::Users;

pub use self::batch::Group;
pub(super) use self::batch::{Sent, groups};
use self::vendor::{Asked, Whom, line_of};
pub(crate) use self::wait::UNDECLARED;
pub use self::wait::Wait;
use super::{
    calls::{Called, Calls},
    routes::Routes,
};
use crate::{
    context::Context,
    error::Result,
    limits::Limited,
    outbox::Leaving,
    streams::{Companions, Origin, Streams, Taken, batches::Item},
    vault::Vault,
};

/// Items of one `for_each`, which are done one by one.
const MAX_ITEMS: usize = 10_000;
/// Items of one `batch`, or of one page.
const MAX_GROUPED: usize = 100_000;

/// Performs steps.
#[derive(Clone, Debug)]
pub struct Actor {
    context: Context,
    vault: Vault,
    streams: Streams,
    calls: Calls,
    routes: Routes,
}

/// What is done about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is performed.
    Perform,
    /// The vendor is asked whether an earlier attempt was carried out.
    Reconcile,
}

/// What performing a step gave.
#[derive(Debug)]
pub struct Performed {
    /// What the step was given, after mapping; null where mapping failed.
    pub input: Payload,
    /// What came of it.
    pub result: Result<Effect, CallError>,
    /// What people read about it.
    pub log: Vec<LogLine>,
    /// What leaves the host with the commit that records it.
    pub leaving: Leaving,
}

/// What a step that went well gave.
#[derive(Debug)]
pub enum Effect {
    /// This output.
    Output(Payload),
    /// This output, which leaves nothing for the step behind it.
    Sufficed(Payload),
    /// A condition that did not hold.
    Filtered,
    /// Whether a guard holds.
    Guarded(bool),
    /// A time to wait for.
    Parked(Timestamp),
    /// A list, for each of whose items something is to be done.
    Items(Payload),
    /// As [`Effect::Items`], where the list stands in the run as it is: `Place::list` shows it. It may be large, so it is
    /// not copied.
    ItemsInPlace,
    /// A vendor's list, for each of whose pages something is to be done.
    Pages,
    /// The uncertain attempt had not been carried out.
    Absent,
    /// It was not carried out, and has to wait for something outside the run.
    Held(Wait),
}

/// Where a step stands: in the run itself, or in an item of a `for_each`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose run it is.
    pub scope: &'a Scope,
    /// The run.
    pub run: &'a LiveRun,
    /// The steps here.
    pub program: &'a Program,
    /// Where they are.
    pub state: &'a RunState,
    /// The results around the `for_each`.
    pub outer: Option<&'a Results<'a>>,
    /// The item and its index.
    pub item: Option<(Part<'a>, usize)>,
    /// The items that are sent together, where they are.
    pub group: Option<Group<'a>>,
    /// What leads here from the run: empty, or as in `each[3].`
    pub path: &'a str,
    /// In a page of a vendor's list: the cursor it is asked for with; none for the first.
    pub cursor: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// The finished steps that can be seen from here.
    pub(super) fn results(&self) -> Results<'a> {
        Results { own: &self.state.results, outer: self.outer }
    }

    /// What templates are rendered with here.
    pub(super) fn environment(&self, user: UserNames<'a>) -> Environment<'a> {
        Environment {
            trigger: self.run.trigger.whole(),
            steps: self.results(),
            item: self.item,
            config: &self.run.config,
            user,
            run: self.run.id,
        }
    }

    /// The list that a loop goes through, where it stands in the run as it is.
    pub(super) fn list(&self, step: usize) -> Option<List<'a>> {
        let CompiledKind::ForEach { items, .. } = &self.program.steps.get(step)?.kind else { return None };
        let found = match items {
            Items::Given(items) => {
                // No list stands in what a user is called.
                let user = UserNames { id: self.run.user, username: "", full_name: None };
                items.found(&self.environment(user))?
            }
            Items::OfPage => self.state.results.last()?.output.get("items")?,
            Items::Refused => self.state.results.last()?.output.get("refused")?,
        };
        found.list()
    }

    /// The key that stays the same over every attempt at this step for this item.
    fn idempotency_key(&self, step: &str) -> String {
        idempotency_key(self.run.id, &format!("{}{step}", self.path))
    }
}

impl Performed {
    const fn early(input: Payload, error: CallError) -> Self {
        Self { input, result: Err(error), log: Vec::new(), leaving: Leaving::none() }
    }

    const fn in_place() -> Self {
        Self {
            input: Payload::NULL,
            result: Ok(Effect::ItemsInPlace),
            log: Vec::new(),
            leaving: Leaving::none(),
        }
    }

    /// It waits for its batch: the run goes on, whatever becomes of the batch.
    fn gathered(input: Payload, item: Item, at: Timestamp) -> Self {
        let message = format!("put into a batch of stream `{}`", item.stream);
        let log = vec![LogLine { at, step: None, level: LogLevel::Info, message }];
        let output = json!({ "batched": true, "item": item.id }).into();
        Self { input, result: Ok(Effect::Output(output)), log, leaving: Leaving::item(item) }
    }

    const fn held(input: Payload, wait: Wait) -> Self {
        Self { input, result: Ok(Effect::Held(wait)), log: Vec::new(), leaving: Leaving::none() }
    }

    /// What rendering gave, without doing anything.
    fn rendered<T>(
        rendered: Result<T, MappingError>,
        effect: impl FnOnce(T) -> Result<Effect, CallError>,
    ) -> Self {
        let result = rendered.map_err(unmapped).and_then(effect);
        Self { input: Payload::NULL, result, log: Vec::new(), leaving: Leaving::none() }
    }
}

impl Actor {
    /// Acts with these services.
    #[must_use]
    pub const fn new(context: Context, vault: Vault, streams: Streams, calls: Calls, routes: Routes) -> Self {
        Self { context, vault, streams, calls, routes }
    }

    /// The credentials it acts with.
    #[must_use]
    pub(super) const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Performs the step of index `step`, or asks what became of an uncertain attempt at it. Only actions can be
    /// asked about; what else there is may be performed again. `in_place` is what `Place::list` gives for it.
    pub async fn act(
        &self,
        place: Place<'_>,
        step: usize,
        doing: Doing,
        in_place: Option<&List<'_>>,
    ) -> Result<Performed> {
        let Place { scope, run, .. } = place;
        let Some(user) = self.context.store.recall::<Users>(scope, &run.user).await? else {
            return Ok(Performed::early(Payload::NULL, user_gone(run)));
        };
        let User { id, username, full_name, .. } = &*user.record;
        let user = UserNames { id: *id, username, full_name: full_name.as_deref() };
        self.act_for(user, place, step, doing, in_place).await
    }

    /// As [`Actor::act`], for whom mappings call `user`.
    pub(super) async fn act_for(
        &self,
        user: UserNames<'_>,
        place: Place<'_>,
        step: usize,
        doing: Doing,
        in_place: Option<&List<'_>>,
    ) -> Result<Performed> {
        let Place { scope, run, .. } = place;
        let Some(step) = place.program.steps.get(step) else {
            return Ok(Performed::early(Payload::NULL, no_step(run, step)));
        };
        let environment = place.environment(user);
        match &step.kind {
            CompiledKind::Filter { condition } => {
                Ok(Performed::rendered(condition.holds(&environment), |holds| {
                    Ok(if holds { Effect::Output(Value::Bool(true).into()) } else { Effect::Filtered })
                }))
            }
            CompiledKind::Guard { way, conditions } => {
                Ok(Performed::rendered(guarded(*way, conditions, &environment), |holds| {
                    Ok(Effect::Guarded(holds))
                }))
            }
            CompiledKind::Set { value } => {
                Ok(Performed::rendered(value.payload(&environment), |value| Ok(Effect::Output(value))))
            }
            CompiledKind::Delay { seconds } => {
                let now = self.context.now();
                // What it computed when it began to wait holds, whatever it would compute now.
                if let Some(until) = place.state.parked {
                    let effect =
                        if until <= now { Effect::Output(Payload::NULL) } else { Effect::Parked(until) };
                    return Ok(Performed {
                        input: Payload::NULL,
                        result: Ok(effect),
                        log: Vec::new(),
                        leaving: Leaving::none(),
                    });
                }
                Ok(Performed::rendered(seconds.render(&environment), |seconds| delayed(&seconds, now)))
            }
            CompiledKind::Call { workflow, input } => {
                let called = Called { workflow: *workflow, step: &step.id };
                if let Some(result) = self.calls.became(&place, called).await? {
                    return Ok(Performed {
                        input: Payload::NULL,
                        result,
                        log: Vec::new(),
                        leaving: Leaving::none(),
                    });
                }
                match input.payload(&environment) {
                    Err(error) => Ok(Performed::early(Payload::NULL, unmapped(error))),
                    Ok(input) => {
                        let result = self.calls.begin(&place, called, input.clone()).await?;
                        Ok(Performed { input, result, log: Vec::new(), leaving: Leaving::none() })
                    }
                }
            }
            CompiledKind::ForEach { items: Items::Given(items), group, .. } => {
                let most = if group.is_some() { MAX_GROUPED } else { MAX_ITEMS };
                if in_place.is_some_and(|items| items.len() <= most) {
                    return Ok(Performed::in_place());
                }
                Ok(Performed::rendered(items.payload(&environment), |items| listed(items, most, &step.id)))
            }
            CompiledKind::ForEach { items: Items::OfPage | Items::Refused, .. } => Ok(match in_place {
                Some(_) => Performed::in_place(),
                None => Performed::rendered(Ok(json!([])), |none| Ok(Effect::Items(none.into()))),
            }),
            CompiledKind::Route => {
                let result = self.routes.route(&place).await?;
                Ok(Performed { input: Payload::NULL, result, log: Vec::new(), leaving: Leaving::none() })
            }
            CompiledKind::Respond { answer } => {
                let parts = || {
                    let below = |part: &str| {
                        let part = part.to_owned();
                        move |error: MappingError| MappingError {
                            at: format!("/{part}{}", error.at),
                            ..error
                        }
                    };
                    let status = answer.status.render(&environment).map_err(below("status"))?;
                    let headers = answer.headers.render(&environment).map_err(below("headers"))?;
                    Ok((status, headers, answer.body.render(&environment).map_err(below("body"))?))
                };
                Ok(Performed::rendered(parts(), |(status, headers, body)| answered(&status, &headers, body)))
            }
            CompiledKind::Stream { destination, body, event } => match body.payload(&environment) {
                Err(error) => Ok(Performed::early(Payload::NULL, unmapped(error))),
                Ok(body) => {
                    let limits = (Limited::Destination(*scope, destination.clone()), UNDECLARED.as_slice());
                    if let Some(wait) = self.wait_at_limit(&place, &limits) {
                        return Ok(Performed::held(body, wait));
                    }
                    let key = place.idempotency_key(&step.id);
                    let companions = Companions::WithAlloy;
                    let origin =
                        Origin { workflow: run.workflow, user: run.user, run: run.id, event, companions };
                    let sent = match self.streams.take(scope, destination, &key, body.whole(), origin).await?
                    {
                        Taken::Sent(sent) => sent,
                        Taken::Gathered(item) => {
                            return Ok(Performed::gathered(body, item, self.context.now()));
                        }
                    };
                    let now = self.context.now();
                    let log = sent.exchange.iter().map(|exchange| line_of(exchange, now)).collect();
                    let result =
                        self.limited(&limits, &[], sent.result.map(|said| Effect::Output(said.into())));
                    Ok(Performed { input: body, result, log, leaving: Leaving::none() })
                }
            },
            CompiledKind::Action { app, action, connection, input } => match input.payload(&environment) {
                Err(error) => Ok(Performed::early(Payload::NULL, unmapped(error))),
                Ok(input) => {
                    let text = input.to_text();
                    let asked = match doing {
                        Doing::Perform => Asked::Run(&text),
                        Doing::Reconcile => Asked::Reconcile(&text),
                    };
                    let whom = Whom { app, action, own: connection.as_deref() };
                    let (result, log) = self.ask(&place, &step.id, whom, asked).await?;
                    Ok(Performed { input, result, log, leaving: Leaving::none() })
                }
            },
            CompiledKind::Pages { .. } => Ok(Performed {
                input: Payload::NULL,
                result: Ok(Effect::Pages),
                log: Vec::new(),
                leaving: Leaving::none(),
            }),
            CompiledKind::Page { target, input } => match input.payload(&environment) {
                Err(error) => Ok(Performed::early(Payload::NULL, unmapped(error))),
                Ok(input) => {
                    let text = input.to_text();
                    let asked = Asked::Page(&text);
                    let (result, log) = self.ask(&place, &step.id, Whom::from(target), asked).await?;
                    Ok(Performed { input, result, log, leaving: Leaving::none() })
                }
            },
            CompiledKind::Send { target, input } => {
                self.send(&place, &step.id, Whom::from(target), input, &environment).await
            }
            CompiledKind::Again { target, input } => {
                self.again(&place, &step.id, Whom::from(target), input, &environment).await
            }
        }
    }
}

/// Whether a way is gone: its condition holds, or none of the others' where it is the way for that.
fn guarded(
    way: usize,
    conditions: &[Condition],
    environment: &Environment<'_>,
) -> Result<bool, MappingError> {
    for condition in conditions {
        if condition.holds(environment)? != (way > 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn delayed(seconds: &Value, now: Timestamp) -> Result<Effect, CallError> {
    let wrong = || CallError::InvalidInput {
        field: "/seconds".to_owned(),
        message: format!("a delay takes a number of seconds from 0 to a year; it was given {seconds}"),
    };
    let seconds = seconds.as_f64().filter(|seconds| release::delay_fits(*seconds)).ok_or_else(wrong)?;
    let delay = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    Ok(Effect::Parked(now + delay))
}

fn listed(items: Payload, most: usize, step: &str) -> Result<Effect, CallError> {
    let wrong = |message: String| CallError::InvalidInput { field: "/items".to_owned(), message };
    match items.whole().list().map(|items| items.len()) {
        Some(count) if count > most => Err(wrong(format!(
            "`{step}` was given {count} items, at most {most} are allowed; divide the list, or filter it first"
        ))),
        Some(_) => Ok(Effect::Items(items)),
        None => Err(wrong(format!("`{step}` takes a list; it was given {}", kind_of(&items.to_value())))),
    }
}

fn answered(status: &Value, headers: &Value, body: Value) -> Result<Effect, CallError> {
    let wrong = |field: String, message: String| CallError::InvalidInput { field, message };
    let answer = answer::Answer::compose(status, headers, body)
        .map_err(|refused| wrong(refused.at, refused.message))?;
    let output = Payload::of(&answer).map_err(|error| wrong(String::new(), error.to_string()))?;
    Ok(Effect::Output(output))
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

pub(super) fn unmapped(error: MappingError) -> CallError {
    CallError::InvalidInput { field: error.at, message: error.message }
}

fn user_gone(run: &LiveRun) -> CallError {
    CallError::Denied { message: format!("user `{}` was removed; its runs end", run.user) }
}

fn no_step(run: &LiveRun, step: usize) -> CallError {
    CallError::Denied {
        message: format!("release {} of workflow `{}` has no step {step}", run.release, run.workflow),
    }
}
