//! Acts: maps a step's template and performs it, through the sandbox or as a signed stream.
//!
//! Decides nothing: whatever happens goes back to the machine as a value. `Err` of these methods means that
//! the host itself could not work (its store), never that the step failed.

use serde_json::Value;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    machine::idempotency_key,
    mapping::{Environment, MappingError, UserNames},
    records::{LiveRun, LogLevel, LogLine, User},
    release::{CompiledKind, CompiledStep, Release},
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Connector, Exchange, Failed, Freshness, Reconciled};
use trunnion_store::tables::Users;

use crate::{context::Context, error::Result, streams::Streams, vault::Vault};

/// Performs steps.
#[derive(Clone, Debug)]
pub struct Actor {
    context: Context,
    vault: Vault,
    streams: Streams,
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
    /// The uncertain attempt had not been carried out.
    Absent,
}

impl Performed {
    const fn early(input: Value, error: CallError) -> Self {
        Self { input, result: Err(error), log: Vec::new() }
    }
}

impl Actor {
    /// Acts with these services.
    #[must_use]
    pub const fn new(context: Context, vault: Vault, streams: Streams) -> Self {
        Self { context, vault, streams }
    }

    /// Performs the step of index `step`, or asks what became of an uncertain attempt at it. Only actions can be
    /// asked about; what else there is may be performed again.
    pub async fn act(
        &self,
        scope: &Scope,
        run: &LiveRun,
        release: &Release,
        step: usize,
        doing: Doing,
    ) -> Result<Performed> {
        let Some(step) = release.steps.get(step) else {
            return Ok(Performed::early(Value::Null, no_step(run, step)));
        };
        let Some(user) = self.context.store.get::<Users>(scope, &run.user).await? else {
            return Ok(Performed::early(Value::Null, user_gone(run)));
        };
        let environment = environment(run, &user.record);
        match &step.kind {
            CompiledKind::Filter { condition } => Ok(match condition.holds(&environment) {
                Ok(true) => Performed {
                    input: Value::Null,
                    result: Ok(Effect::Output(Value::Bool(true))),
                    log: Vec::new(),
                },
                Ok(false) => Performed { input: Value::Null, result: Ok(Effect::Filtered), log: Vec::new() },
                Err(error) => Performed::early(Value::Null, unmapped(error)),
            }),
            CompiledKind::Stream { destination, body } => match body.render(&environment) {
                Err(error) => Ok(Performed::early(Value::Null, unmapped(error))),
                Ok(body) => {
                    let key = idempotency_key(run.id, &step.id);
                    let sent = self.streams.send(scope, destination, &key, &body).await?;
                    let log =
                        sent.exchange.iter().map(|exchange| line_of(exchange, self.context.now())).collect();
                    Ok(Performed { input: body, result: sent.result.map(Effect::Output), log })
                }
            },
            CompiledKind::Action { app, input, .. } => match input.render(&environment) {
                Err(error) => Ok(Performed::early(Value::Null, unmapped(error))),
                Ok(input) => {
                    let (connector, call) = match self.call(scope, run, step, app).await? {
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
        scope: &Scope,
        run: &LiveRun,
        step: &CompiledStep,
        app: &str,
    ) -> Result<Result<(Connector, Call), CallError>> {
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
            self.context.store.get::<trunnion_store::tables::Connections>(scope, &key).await?
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
            idempotency_key: idempotency_key(run.id, &step.id),
            attempt: run.state.attempt,
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

fn environment<'a>(run: &'a LiveRun, user: &'a User) -> Environment<'a> {
    Environment {
        trigger: &run.trigger,
        steps: &run.state.results,
        config: &run.config,
        user: UserNames { id: user.id, username: &user.username, full_name: user.full_name.as_deref() },
        run: run.id,
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
