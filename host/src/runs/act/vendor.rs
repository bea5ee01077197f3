//! What a connector is asked: finds connector and credential, heeds the vendor's limits before and after, and turns what
//! it says into what the machine and the reader need.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    limit,
    payload::Payload,
    records::{Connection, LiveRun, LogLevel, LogLine},
    release::Target,
};
use trunnion_sandbox::{Answer, Call, Connector, Exchange, Failed, Freshness, Page, Reconciled};
use trunnion_store::{Versioned, tables::Connections};

use super::{Actor, Effect, MAX_GROUPED, Place, wait::Limits};
use crate::{error::Result, limits::Limited, vault::How};

/// What a call needs.
struct Ready {
    connector: Connector,
    connection: Versioned<Arc<Connection>>,
    call: Call,
}

/// Who is asked: a connector's action, on the user's connection or one of the environment's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whom<'a> {
    pub(super) app: &'a str,
    pub(super) action: &'a str,
    pub(super) own: Option<&'a str>,
}

impl<'a> From<&'a Target> for Whom<'a> {
    fn from(target: &'a Target) -> Self {
        let Target { app, action, connection } = target;
        Self { app, action, own: connection.as_deref() }
    }
}

/// What a connector is asked, with JSON.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// To carry an action out.
    Run(&'a str),
    /// To carry it out for each of these; and what to make of the answers.
    Each(&'a [String], &'a (dyn Fn(Vec<Result<String, CallError>>) -> Effect + Sync)),
    /// What became of an uncertain attempt.
    Reconcile(&'a str),
    /// For a page of a list, at the cursor of the place.
    Page(&'a str),
}

impl Actor {
    /// Asks the connector, unless the vendor's limit or the credential has to be waited for.
    pub(super) async fn ask(
        &self,
        place: &Place<'_>,
        step: &str,
        whom: Whom<'_>,
        asked: Asked<'_>,
    ) -> Result<(Result<Effect, CallError>, Vec<LogLine>)> {
        let Ready { connector, connection, call } = match self.call(place, step, whom).await? {
            Ok(ready) => ready,
            Err(error) => return Ok((Err(error), Vec::new())),
        };
        if let Some(reason) = &connection.record.needs_attention {
            let error = CallError::AuthExpired { message: reason.clone() };
            return Ok((self.wait_for(place, &connection.record, error).map(Effect::Held), Vec::new()));
        }
        let drawn = limit::drawn_from(connector.manifest(), Some(&call.name));
        let limits = (Limited::Connection(*place.scope, connection.record.id), drawn.as_slice());
        if let Some(wait) = self.wait_at_limit(place, &limits) {
            return Ok((Ok(Effect::Held(wait)), Vec::new()));
        }
        let how = How::READY;
        let (answered, connection) = match asked {
            Asked::Run(input) => {
                let run = |call| connector.run_action(call, input);
                let (answered, used) = self.vault.call(connection, call, how, run).await?;
                (answered.map(|answer| answer.map(|text| output(&text))), used)
            }
            Asked::Each(items, judge) => {
                let run = |call| connector.run_batch(call, items);
                let (answered, used) = self.vault.call(connection, call, how, run).await?;
                (answered.map(|answer| answer.map(|said| Ok(judge(said)))), used)
            }
            Asked::Reconcile(input) => {
                let key = call.idempotency_key.clone();
                let look = |call| connector.reconcile(call, input, &key);
                let (answered, used) = self.vault.call(connection, call, how, look).await?;
                (answered.map(|answer| answer.map(became)), used)
            }
            Asked::Page(input) => {
                let page = |call| connector.page(call, input, place.cursor);
                let (answered, used) = self.vault.call(connection, call, how, page).await?;
                (answered.map(|answer| answer.map(|page| read(page, place.cursor))), used)
            }
        };
        self.told(place, &limits, &connection, answered).await
    }

    /// Turns a call's end into what the machine and the reader need, notes what it says about the vendor's limits
    /// and a credential that expired.
    async fn told(
        &self,
        place: &Place<'_>,
        limits: &Limits<'_>,
        connection: &Versioned<Arc<Connection>>,
        answered: Result<Answer<Result<Effect, CallError>>, Failed>,
    ) -> Result<(Result<Effect, CallError>, Vec<LogLine>)> {
        let (result, lines, exchanges, observations) = match answered {
            Ok(Answer { value, log, exchanges, observations, .. }) => (value, log, exchanges, observations),
            Err(Failed { error, log, exchanges, observations, .. }) => {
                (Err(error), log, exchanges, observations)
            }
        };
        let now = self.context.now();
        let mut log: Vec<_> = exchanges.iter().map(|exchange| line_of(exchange, now)).collect();
        log.extend(lines.into_iter().map(|line| LogLine {
            at: now,
            step: None,
            level: line.level,
            message: line.message,
        }));
        let result = match self.limited(limits, &observations, result) {
            Err(CallError::AuthExpired { message }) => {
                self.vault.needs_attention(place.scope, connection, &message).await?;
                let error = CallError::AuthExpired { message };
                self.wait_for(place, &connection.record, error).map(Effect::Held)
            }
            other => other,
        };
        Ok((result, log))
    }

    async fn call(
        &self,
        place: &Place<'_>,
        step: &str,
        Whom { app, action, own }: Whom<'_>,
    ) -> Result<Result<Ready, CallError>> {
        let Place { scope, run, .. } = *place;
        let connector = match self.connector(run, app).await {
            Ok(connector) => connector,
            Err(error) => return Ok(Err(error)),
        };
        let missing = || {
            let message =
                format!("the credential for `{app}` was removed; connect again and reinstall the workflow");
            Ok(Err(CallError::AuthExpired { message }))
        };
        let connection = match own {
            Some(name) => match self.vault.own(scope, name).await? {
                Some(connection) => connection,
                None => return Ok(Err(no_own(name))),
            },
            None => {
                let Some(id) = run.connections.get(app) else { return missing() };
                match self.context.store.recall::<Connections>(scope, &(run.user, *id)).await? {
                    Some(connection) => connection,
                    None => return missing(),
                }
            }
        };
        let whose =
            if own.is_some() { (None, Freshness::Fresh) } else { (Some(run.user), Freshness::MayBeWarm) };
        let call = Call {
            scope: *scope,
            user: whose.0,
            connection: Some(connection.record.id),
            name: action.to_owned(),
            parameters: connection.record.parameters.clone(),
            account: connection.record.account.clone(),
            idempotency_key: place.idempotency_key(step),
            attempt: place.state.attempt,
            // The vault puts them in.
            secrets: Arc::default(),
            deadline: None,
            instance: whose.1,
        };
        Ok(Ok(Ready { connector, connection, call }))
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

/// The ISV's own connection is not there: nothing of the user's helps, and it may be made any time.
fn no_own(name: &str) -> CallError {
    let message = format!(
        "the environment has no connection `{name}` of its own; make it with PUT /v1/connections/{name}"
    );
    CallError::Unavailable { message }
}

/// A page as the output of the step that read it.
#[derive(Serialize)]
struct PageRead {
    items: Vec<Box<RawValue>>,
    next: Option<String>,
}

fn read(Page { items, next }: Page, cursor: Option<&str>) -> Result<Effect, CallError> {
    let trapped = |message: String| CallError::Trapped { message };
    if items.len() > MAX_GROUPED {
        return Err(trapped(format!("a page of {} items; at most {MAX_GROUPED} are taken", items.len())));
    }
    if next.is_some() && next.as_deref() == cursor {
        return Err(trapped(
            "the listing gave the cursor that it was asked with, and would never end".to_owned(),
        ));
    }
    // Parsed one by one: a page may be large.
    let items = items.iter().map(|item| to_raw_value(&serde_json::from_str::<Value>(item)?));
    let page = items.collect::<Result<_, _>>().and_then(|items| Payload::of(&PageRead { items, next }));
    page.map(Effect::Output).map_err(|error| trapped(format!("an item of the page is not JSON: {error}")))
}

pub(super) fn line_of(exchange: &Exchange, at: Timestamp) -> LogLine {
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
