//! Acts: maps a step's template and performs it, through the sandbox or as a signed stream.
//!
//! Decides nothing: whatever happens goes back to the machine as a value. `Err` of these methods means that
//! the host itself could not work (its store), never that the step failed.

use std::time::Duration;

use serde_json::Value;
use trunnion_core::{
    answer,
    call::CallError,
    clock::Timestamp,
    machine::{RunState, idempotency_key},
    mapping::{Condition, Environment, MappingError, Results, UserNames},
    records::{LiveRun, LogLevel, LogLine, User},
    release::{self, CompiledKind, CompiledStep, Program},
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Connector, Exchange, Failed, Freshness, Reconciled};
use trunnion_store::tables::Users;

use super::{
    calls::{Called, Calls},
    routes::Routes,
};
use crate::{context::Context, error::Result, streams::Streams, vault::Vault};

/// Items of one `for_each`.
const MAX_ITEMS: usize = 10_000;

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
    pub input: Value,
    /// What came of it.
    pub result: Result<Effect, CallError>,
    /// What people read about it.
    pub log: Vec<LogLine>,
}

/// What a step that went well gave.
#[derive(Debug)]
pub enum Effect {
    /// This output.
    Output(Value),
    /// A condition that did not hold.
    Filtered,
    /// Whether a guard holds.
    Guarded(bool),
    /// A time to wait for.
    Parked(Timestamp),
    /// A list, for each of whose items something is to be done.
    Items(Vec<Value>),
    /// The uncertain attempt had not been carried out.
    Absent,
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
    pub item: Option<(&'a Value, usize)>,
    /// What leads here from the run: empty, or as in `each[3].`
    pub path: &'a str,
}

impl Place<'_> {
    /// The finished steps that can be seen from here.
    pub(super) fn results(&self) -> Results<'_> {
        Results { own: &self.state.results, outer: self.outer }
    }

    /// The key that stays the same over every attempt at this step for this item.
    fn idempotency_key(&self, step: &str) -> String {
        idempotency_key(self.run.id, &format!("{}{step}", self.path))
    }
}

impl Performed {
    const fn early(input: Value, error: CallError) -> Self {
        Self { input, result: Err(error), log: Vec::new() }
    }

    /// What rendering gave, without doing anything.
    fn rendered<T>(
        rendered: Result<T, MappingError>,
        effect: impl FnOnce(T) -> Result<Effect, CallError>,
    ) -> Self {
        let result = rendered.map_err(unmapped).and_then(effect);
        Self { input: Value::Null, result, log: Vec::new() }
    }
}

impl Actor {
    /// Acts with these services.
    #[must_use]
    pub const fn new(context: Context, vault: Vault, streams: Streams, calls: Calls, routes: Routes) -> Self {
        Self { context, vault, streams, calls, routes }
    }

    /// Performs the step of index `step`, or asks what became of an uncertain attempt at it. Only actions can be
    /// asked about; what else there is may be performed again.
    pub async fn act(&self, place: Place<'_>, step: usize, doing: Doing) -> Result<Performed> {
        let Place { scope, run, .. } = place;
        let Some(step) = place.program.steps.get(step) else {
            return Ok(Performed::early(Value::Null, no_step(run, step)));
        };
        let Some(user) = self.context.store.recall::<Users>(scope, &run.user).await? else {
            return Ok(Performed::early(Value::Null, user_gone(run)));
        };
        let environment = environment(&place, &user.record);
        match &step.kind {
            CompiledKind::Filter { condition } => {
                Ok(Performed::rendered(condition.holds(&environment), |holds| {
                    Ok(if holds { Effect::Output(Value::Bool(true)) } else { Effect::Filtered })
                }))
            }
            CompiledKind::Guard { way, conditions } => {
                Ok(Performed::rendered(guarded(*way, conditions, &environment), |holds| {
                    Ok(Effect::Guarded(holds))
                }))
            }
            CompiledKind::Set { value } => {
                Ok(Performed::rendered(value.render(&environment), |value| Ok(Effect::Output(value))))
            }
            CompiledKind::Delay { seconds } => {
                let now = self.context.now();
                // What it computed when it began to wait holds, whatever it would compute now.
                if let Some(until) = place.state.parked {
                    let effect =
                        if until <= now { Effect::Output(Value::Null) } else { Effect::Parked(until) };
                    return Ok(Performed { input: Value::Null, result: Ok(effect), log: Vec::new() });
                }
                Ok(Performed::rendered(seconds.render(&environment), |seconds| delayed(&seconds, now)))
            }
            CompiledKind::Call { workflow, input } => {
                let called = Called { workflow: *workflow, step: &step.id };
                if let Some(result) = self.calls.became(&place, called).await? {
                    return Ok(Performed { input: Value::Null, result, log: Vec::new() });
                }
                match input.render(&environment) {
                    Err(error) => Ok(Performed::early(Value::Null, unmapped(error))),
                    Ok(input) => {
                        let result = self.calls.begin(&place, called, input.clone()).await?;
                        Ok(Performed { input, result, log: Vec::new() })
                    }
                }
            }
            CompiledKind::ForEach { items, .. } => {
                Ok(Performed::rendered(items.render(&environment), |items| listed(items, &step.id)))
            }
            CompiledKind::Route => {
                let result = self.routes.route(&place).await?;
                Ok(Performed { input: Value::Null, result, log: Vec::new() })
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
            CompiledKind::Stream { destination, body } => match body.render(&environment) {
                Err(error) => Ok(Performed::early(Value::Null, unmapped(error))),
                Ok(body) => {
                    let key = place.idempotency_key(&step.id);
                    let sent = self.streams.send(scope, destination, &key, &body).await?;
                    let log =
                        sent.exchange.iter().map(|exchange| line_of(exchange, self.context.now())).collect();
                    Ok(Performed { input: body, result: sent.result.map(Effect::Output), log })
                }
            },
            CompiledKind::Action { app, input, .. } => match input.render(&environment) {
                Err(error) => Ok(Performed::early(Value::Null, unmapped(error))),
                Ok(input) => {
                    let (connector, call) = match self.call(&place, step, app).await? {
                        Ok(ready) => ready,
                        Err(error) => return Ok(Performed::early(input, error)),
                    };
                    let text = input.to_string();
                    let answered = match doing {
                        Doing::Perform => {
                            let answered = connector.run_action(call, &text).await;
                            answered.map(|answer| answer.map(|text| output(&text)))
                        }
                        Doing::Reconcile => {
                            let key = call.idempotency_key.clone();
                            let answered = connector.reconcile(call, &text, &key).await;
                            answered.map(|answer| answer.map(became))
                        }
                    };
                    self.told(scope, run, app, input, answered).await
                }
            },
        }
    }

    /// Turns a call's end into what the machine and the reader need, and notes a credential that expired.
    async fn told(
        &self,
        scope: &Scope,
        run: &LiveRun,
        app: &str,
        input: Value,
        answered: Result<Answer<Result<Effect, CallError>>, Failed>,
    ) -> Result<Performed> {
        let (result, lines, exchanges) = match answered {
            Ok(Answer { value, log, exchanges, .. }) => (value, log, exchanges),
            Err(Failed { error, log, exchanges, .. }) => (Err(error), log, exchanges),
        };
        if let (Err(CallError::AuthExpired { message }), Some(connection)) =
            (&result, run.connections.get(app))
        {
            self.vault.needs_attention(scope, run.user, *connection, message).await?;
        }
        let now = self.context.now();
        let mut log: Vec<_> = exchanges.iter().map(|exchange| line_of(exchange, now)).collect();
        log.extend(lines.into_iter().map(|line| LogLine {
            at: now,
            step: None,
            level: line.level,
            message: line.message,
        }));
        Ok(Performed { input, result, log })
    }

    async fn call(
        &self,
        place: &Place<'_>,
        step: &CompiledStep,
        app: &str,
    ) -> Result<Result<(Connector, Call), CallError>> {
        let Place { scope, run, .. } = *place;
        let CompiledKind::Action { action, .. } = &step.kind else {
            let message = format!("step `{}` is not an action", step.id);
            return Ok(Err(CallError::Denied { message }));
        };
        let connector = match self.connector(run, app).await {
            Ok(connector) => connector,
            Err(error) => return Ok(Err(error)),
        };
        let missing = || {
            let message =
                format!("the credential for `{app}` was removed; connect again and reinstall the workflow");
            Ok(Err(CallError::AuthExpired { message }))
        };
        let Some(id) = run.connections.get(app) else { return missing() };
        let key = (run.user, *id);
        let Some(connection) =
            self.context.store.recall::<trunnion_store::tables::Connections>(scope, &key).await?
        else {
            return missing();
        };
        let secrets = self.vault.secrets(&connection);
        let connection = connection.record;
        let call = Call {
            scope: *scope,
            user: Some(run.user),
            connection: Some(connection.id),
            name: action.clone(),
            parameters: connection.parameters.clone(),
            account: connection.account.clone(),
            idempotency_key: place.idempotency_key(&step.id),
            attempt: place.state.attempt,
            secrets,
            deadline: None,
            instance: Freshness::MayBeWarm,
        };
        Ok(Ok((connector, call)))
    }

    /// The connector that the run fixed at accept. Another version may mean something else by the same input, so
    /// where that one cannot be had, the step fails.
    async fn connector(&self, run: &LiveRun, app: &str) -> Result<Connector, CallError> {
        let registry = &self.context.registry;
        let unavailable = |message| CallError::Unavailable { message };
        let Some(digest) = run.digests.get(app) else {
            // The run was accepted before there was a connector for this app.
            return registry.active(app).ok_or_else(|| {
                unavailable(format!("there is no connector of `{app}`; an operator has to push one"))
            });
        };
        registry.by_digest(app, digest).await.map_err(|gone| {
            unavailable(format!(
                "the version of the connector of `{app}` that this run began with is gone: {gone}"
            ))
        })
    }
}

fn environment<'a>(place: &'a Place<'a>, user: &'a User) -> Environment<'a> {
    Environment {
        trigger: &place.run.trigger,
        steps: place.results(),
        item: place.item,
        config: &place.run.config,
        user: UserNames { id: user.id, username: &user.username, full_name: user.full_name.as_deref() },
        run: place.run.id,
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

fn listed(items: Value, step: &str) -> Result<Effect, CallError> {
    let wrong = |message: String| CallError::InvalidInput { field: "/items".to_owned(), message };
    match items {
        Value::Array(items) if items.len() > MAX_ITEMS => Err(wrong(format!(
            "`{step}` was given {} items, at most {MAX_ITEMS} are allowed; divide the list, or filter it first",
            items.len()
        ))),
        Value::Array(items) => Ok(Effect::Items(items)),
        other => Err(wrong(format!("`{step}` takes a list; it was given {}", kind_of(&other)))),
    }
}

fn answered(status: &Value, headers: &Value, body: Value) -> Result<Effect, CallError> {
    let wrong = |field: String, message: String| CallError::InvalidInput { field, message };
    let answer = answer::Answer::compose(status, headers, body)
        .map_err(|refused| wrong(refused.at, refused.message))?;
    let output = serde_json::to_value(answer).map_err(|error| wrong(String::new(), error.to_string()))?;
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

fn output(text: &str) -> Result<Effect, CallError> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(Effect::Output(value)),
        Err(error) => {
            Err(CallError::Trapped { message: format!("the action's output is not JSON: {error}") })
        }
    }
}

fn became(reconciled: Reconciled) -> Result<Effect, CallError> {
    match reconciled {
        Reconciled::Found(outcome) => output(&outcome.output),
        Reconciled::Absent => Ok(Effect::Absent),
        Reconciled::Unknown(message) => Err(CallError::Uncertain { message }),
    }
}

fn unmapped(error: MappingError) -> CallError {
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

fn line_of(exchange: &Exchange, at: Timestamp) -> LogLine {
    let Exchange { method, host, path, status, problem, duration_ms } = exchange;
    let (level, outcome) = match (status, problem) {
        (Some(status), _) if *status < 400 => (LogLevel::Info, status.to_string()),
        (Some(status), _) => (LogLevel::Warn, status.to_string()),
        (None, Some(problem)) => (LogLevel::Warn, problem.clone()),
        (None, None) => (LogLevel::Warn, "no answer".to_owned()),
    };
    LogLine {
        at,
        step: None,
        level,
        message: format!("{method} {host}{path} → {outcome} ({duration_ms} ms)"),
    }
}
