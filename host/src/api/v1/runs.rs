//! `/v1/runs`.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::{
    call::CallError,
    id::{RunId, UserId, WorkflowId},
    machine::{Outcome, Status, StepResult, UNTIL_WOKEN, Waits},
    records::LiveRun,
    scope::Scope,
};

use crate::{
    api::{Services, caller::Tenant, error::Failure, path},
    runs::Progress,
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// How many runs are in memory at once, each with its payloads, of which a listing shows nothing.
const READ_AT_ONCE: usize = 8;

/// How many runs one listing looks at before it answers with what it found and where to go on.
const MAX_LOOKED_AT: usize = 5_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    workflow_id: Option<String>,
    user_id: Option<String>,
    status: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

struct Fitting {
    workflow: Option<WorkflowId>,
    user: Option<UserId>,
    status: Option<String>,
}

impl Fitting {
    fn fits(&self, run: &LiveRun) -> bool {
        self.workflow.is_none_or(|workflow| workflow == run.workflow)
            && self.user.is_none_or(|user| user == run.user)
            && self.status.as_deref().is_none_or(|wanted| wanted == status(run))
    }
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let mut after = filter.cursor.as_deref().map(|cursor| path::id::<RunId>(cursor, "cursor")).transpose()?;
    if let Some(status) = &filter.status
        && !STATUSES.contains(&status.as_str())
    {
        let message = format!("`{status}` is not a run's status; use one of {}", STATUSES.join(", "));
        return Err(Failure::new(StatusCode::BAD_REQUEST, "status-unknown", message));
    }
    let fitting = Fitting {
        workflow: filter.workflow_id.as_deref().map(|id| path::id(id, "workflow")).transpose()?,
        user: match &filter.user_id {
            Some(user) => Some(services.users.find(&scope, user).await?.id),
            None => None,
        },
        status: filter.status,
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    let next = loop {
        let page = services.runs.newest(&scope, after, READ_AT_ONCE).await?;
        let last = page.len() < READ_AT_ONCE;
        looked_at += page.len();
        for run in page {
            after = Some(run.id);
            if fitting.fits(&run) {
                found.push(outline(&run));
                if found.len() == limit {
                    break;
                }
            }
        }
        if found.len() == limit || (looked_at >= MAX_LOOKED_AT && !last) {
            break after;
        }
        if last {
            break None;
        }
    };
    Ok(Json(json!({ "data": found, "next_cursor": next })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(run): Path<String>,
) -> Result<Json<Value>, Failure> {
    let run = read(&services, &scope, &run).await?;
    let mut shape = whole(&run);
    if let (Value::Object(shape), false) = (&mut shape, run.state.ended()) {
        let progress = services.runs.progress(&scope, &run).await?;
        shape.insert("progress".to_owned(), progress.iter().map(so_far).collect());
    }
    Ok(Json(shape))
}

async fn read(services: &Services, scope: &Scope, run: &str) -> Result<LiveRun, Failure> {
    Ok(services.runs.run(scope, path::id(run, "run")?).await?)
}

pub(super) async fn cancel(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(run): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(whole(&services.runs.cancel(&scope, path::id(&run, "run")?).await?)))
}

pub(super) async fn replay(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(run): Path<String>,
) -> Result<Json<Value>, Failure> {
    let new = services.acceptor.replay(&scope, path::id(&run, "run")?).await?;
    Ok(Json(whole(&services.runs.run(&scope, new).await?)))
}

const STATUSES: [&str; 7] = ["queued", "waiting", "running", "succeeded", "filtered", "failed", "cancelled"];

const fn status(run: &LiveRun) -> &'static str {
    match &run.state.status {
        // For something outside: a rate limit, a credential to be mended.
        Status::Queued { .. } if run.state.waits.is_some() => "waiting",
        Status::Queued { .. } => "queued",
        Status::Leased { .. } => "running",
        Status::Ended { outcome: Outcome::Succeeded, .. } => "succeeded",
        Status::Ended { outcome: Outcome::Filtered { .. }, .. } => "filtered",
        Status::Ended { outcome: Outcome::Failed { .. }, .. } => "failed",
        Status::Ended { outcome: Outcome::Cancelled, .. } => "cancelled",
    }
}

pub(super) fn outline(run: &LiveRun) -> Map<String, Value> {
    let mut shape = Map::new();
    let mut put = |name: &str, value: Value| shape.insert(name.to_owned(), value);
    put("id", json!(run.id));
    put("status", json!(status(run)));
    put("workflow_id", json!(run.workflow));
    put("release", json!(run.release));
    put("user_id", json!(run.user));
    put("installation_id", json!(run.installation));
    put("accepted_at", json!(run.accepted_at.to_string()));
    if let Some(place) = run.line.filter(|place| place.ordered) {
        put("key", json!(place.key));
    }
    match &run.state.status {
        Status::Queued { not_before, last_error } => {
            // What waits for another run goes on when that has ended.
            let time = (*not_before != UNTIL_WOKEN).then(|| not_before.to_string());
            put("next_attempt_at", json!(time));
            put("error", json!(last_error.as_ref().map(error)));
            put("waiting_for", waiting_for(run));
        }
        Status::Leased { .. } => {}
        Status::Ended { outcome, at } => {
            put("ended_at", json!(at.to_string()));
            if let Outcome::Failed { step, error: cause, dead_letter } = outcome {
                put("failed_step", json!(step));
                put("error", error(cause));
                put("dead_letter", json!(dead_letter));
            }
        }
    }
    shape
}

/// What outside a run it waits for: null where that is nothing.
fn waiting_for(run: &LiveRun) -> Value {
    match run.state.waits {
        None => Value::Null,
        Some(Waits::Limit) => json!({ "what": "its turn at the rate limit" }),
        Some(Waits::Connection { connection, since }) => {
            let app = run.connections.iter().find(|(_, id)| **id == connection).map(|(app, _)| app);
            json!({ "what": "the connection", "connection_id": connection, "app": app, "since": since.to_string() })
        }
    }
}

pub(super) fn whole(run: &LiveRun) -> Value {
    let mut shape = outline(run);
    let mut put = |name: &str, value: Value| shape.insert(name.to_owned(), value);
    put("event", json!({ "id": run.event, "source": run.source, "data": run.trigger }));
    put("digests", json!(run.digests));
    put("attempt", json!(run.state.attempt));
    put("redrives", json!(run.state.redrives));
    put("replay_of", json!(run.replay_of));
    put("replays", json!(run.replays));
    put("steps", json!(run.state.results.iter().map(step).collect::<Vec<_>>()));
    let lines = run.log.iter().map(|line| {
        json!({ "at": line.at.to_string(), "step": line.step, "level": line.level, "message": line.message })
    });
    put("log", Value::Array(lines.collect()));
    Value::Object(shape)
}

/// How far a loop has come.
fn so_far(Progress { step, pages, succeeded, failed, filtered }: &Progress) -> Value {
    json!({ "step": step, "pages": pages, "succeeded": succeeded, "failed": failed, "filtered": filtered })
}

fn step(result: &StepResult) -> Value {
    json!({
        "id": result.id,
        "started_at": result.started_at.to_string(),
        "ended_at": result.ended_at.to_string(),
        "attempts": result.attempts,
        "input": result.input,
        "output": result.output,
        "error": result.error.as_ref().map(error),
    })
}

pub(super) fn error(error: &CallError) -> Value {
    json!({ "kind": error.kind(), "message": error.to_string() })
}
