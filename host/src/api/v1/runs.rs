//! `/v1/runs`.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    id::{RunId, UserId, WorkflowId},
    machine::{Outcome, Status, UNTIL_WOKEN, Waits},
    payload::Payload,
    records::{Digest, EventSource, LiveRun, LogLevel},
    scope::Scope,
};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Services,
        caller::Tenant,
        error::Failure,
        path,
        schema::{Fault, Id, Moment, Page},
    },
    runs::{self, log::Newest},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// How many runs are in memory at once, each with its payloads, of which a listing shows nothing.
const READ_AT_ONCE: usize = 8;

/// How many runs one listing looks at before it answers with what it found and where to go on.
const MAX_LOOKED_AT: usize = 5_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only runs of this workflow.
    workflow_id: Option<String>,
    /// Only runs of this user, by id or username.
    user_id: Option<String>,
    /// `queued`, `waiting`, `running`, `succeeded`, `filtered`, `failed` or `cancelled`.
    status: Option<String>,
    /// At most so many; 20 where nothing is said, and never more than 100.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// Where a page before said to go on.
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

/// Lists runs
///
/// The newest first. A page may hold fewer than `limit` and still have a next one.
#[utoipa::path(get, path = "/runs", operation_id = "listRuns",
    security(("environment_key" = [])), params(Filter),
    responses((status = OK, description = "A page.", body = Page<RunOutline>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<RunOutline>>, Failure> {
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
        let Newest { runs, next } = services.runs.newest(&scope, after, READ_AT_ONCE).await?;
        looked_at += READ_AT_ONCE;
        for run in runs {
            after = Some(run.id);
            if fitting.fits(&run) {
                found.push(outline(&run));
                if found.len() == limit {
                    break;
                }
            }
        }
        if found.len() == limit {
            break after;
        }
        after = next;
        if after.is_none() || looked_at >= MAX_LOOKED_AT {
            break after;
        }
    };
    Ok(Json(Page { data: found, next_cursor: next.map(|run| run.to_string()) }))
}

/// Shows a run
///
/// With its event, each step's input and output, and its log.
#[utoipa::path(get, path = "/runs/{run}", operation_id = "getRun",
    security(("environment_key" = [])),
    responses((status = OK, description = "The run.", body = Run)))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(run): Path<String>,
) -> Result<Json<Run>, Failure> {
    let run = read(&services, &scope, &run).await?;
    let ended = run.state.ended();
    let progress = if ended { Vec::new() } else { services.runs.progress(&scope, &run).await? };
    let progress = (!ended).then(|| progress.into_iter().map(LoopProgress::from).collect());
    Ok(Json(Run { progress, ..whole(run) }))
}

async fn read(services: &Services, scope: &Scope, run: &str) -> Result<LiveRun, Failure> {
    Ok(services.runs.run(scope, path::id(run, "run")?).await?)
}

/// Cancels a run
///
/// A step that is under way is given up; one that has ended is not undone.
#[utoipa::path(post, path = "/runs/{run}/cancel", operation_id = "cancelRun",
    security(("environment_key" = [])),
    responses((status = OK, description = "The run, cancelled, or as it had ended.", body = Run),
        (status = CONFLICT, description = "It changes too quickly.")))]
pub(super) async fn cancel(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(run): Path<String>,
) -> Result<Json<Run>, Failure> {
    Ok(Json(whole(services.runs.cancel(&scope, path::id(&run, "run")?).await?)))
}

/// Starts a run anew with its original event
#[utoipa::path(post, path = "/runs/{run}/replay", operation_id = "replayRun",
    security(("environment_key" = [])),
    responses((status = OK, description = "The new run.", body = Run),
        (status = CONFLICT, description = "It has not ended, another workflow called it, or its installation is paused."),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting.")))]
pub(super) async fn replay(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(run): Path<String>,
) -> Result<Json<Run>, Failure> {
    let new = services.acceptor.replay(&scope, path::id(&run, "run")?).await?;
    Ok(Json(whole(services.runs.run(&scope, new).await?)))
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

/// A run without what it was about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunOutline {
    id: Id,
    /// `queued`, `waiting` (for something outside), `running`, `succeeded`, `filtered`, `failed` or `cancelled`.
    status: &'static str,
    workflow_id: Id,
    release: u32,
    user_id: Id,
    installation_id: Id,
    accepted_at: Moment,
    /// The key of its order, where its workflow is ordered and it still has a place in line.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// While it is queued: when its next attempt begins; null where another run has to end before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Moment>)]
    next_attempt_at: Option<Option<Moment>>,
    /// While it is queued: what outside it it waits for; null where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WaitingFor>)]
    waiting_for: Option<Option<WaitingFor>>,
    /// Once it has ended: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Moment>,
    /// Where it failed: the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_step: Option<String>,
    /// What it failed with, or its last attempt did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Fault>)]
    error: Option<Option<Fault>>,
    /// Where it failed: why it is kept as a dead letter; null where trying again cannot help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    dead_letter: Option<Option<String>>,
}

/// What outside a run it waits for.
#[derive(Debug, Serialize, ToSchema)]
struct WaitingFor {
    /// In words.
    what: &'static str,
    /// The connection that has to be mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<Id>,
    /// Its app.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    app: Option<Option<String>>,
    /// Since when it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Moment>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Run {
    #[serde(flatten)]
    outline: RunOutline,
    event: RunEvent,
    /// The components that it runs with, by app.
    #[schema(value_type = BTreeMap<String, String>)]
    digests: BTreeMap<String, Digest>,
    /// Attempts of the step that it is at.
    attempt: u32,
    /// How often it was taken from the dead letters.
    redrives: u32,
    /// The run that this one replays.
    #[schema(required)]
    replay_of: Option<Id>,
    /// The runs that replay this one.
    replays: Vec<Id>,
    /// The steps that are done, in order.
    steps: Vec<RunStep>,
    /// How far the loops have come that it is in; absent once it has ended, since its steps then say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Vec<LoopProgress>>,
    log: Vec<LogLine>,
}

/// How far a loop has come, by what is durable.
#[derive(Debug, Serialize, ToSchema)]
struct LoopProgress {
    /// The `for_each` or `batch`, by its id.
    step: String,
    /// Where it goes through a vendor's listing: pages that are done.
    #[schema(required)]
    pages: Option<u64>,
    /// Items that went well; of a listing, those of pages that are done.
    succeeded: u64,
    /// Items that failed so far.
    failed: u64,
    /// Items that a filter ended.
    filtered: u64,
}

impl From<runs::Progress> for LoopProgress {
    fn from(runs::Progress { step, pages, succeeded, failed, filtered }: runs::Progress) -> Self {
        Self { step, pages, succeeded, failed, filtered }
    }
}

/// What started a run.
#[derive(Debug, Serialize, ToSchema)]
struct RunEvent {
    id: Id,
    /// Where it came from; `source` says which way, and the other members depend on it.
    #[schema(value_type = Object)]
    source: EventSource,
    /// Its payload: `trigger` in mappings.
    #[schema(value_type = serde_json::Value)]
    data: Payload,
}

/// A step that is done.
#[derive(Debug, Serialize, ToSchema)]
struct RunStep {
    id: String,
    /// When its last attempt began.
    started_at: Moment,
    ended_at: Moment,
    attempts: u32,
    /// What it was given, after mapping.
    #[schema(value_type = serde_json::Value)]
    input: Payload,
    /// What it gave; null where it failed.
    #[schema(value_type = serde_json::Value)]
    output: Payload,
    #[schema(required)]
    error: Option<Fault>,
}

/// A line in a run's log.
#[derive(Debug, Serialize, ToSchema)]
struct LogLine {
    at: Moment,
    /// The step that it belongs to.
    #[schema(required)]
    step: Option<String>,
    #[schema(value_type = String)]
    level: LogLevel,
    message: String,
}

pub(super) fn outline(run: &LiveRun) -> RunOutline {
    let mut shape = RunOutline {
        id: Id::of(run.id),
        status: status(run),
        workflow_id: Id::of(run.workflow),
        release: run.release,
        user_id: Id::of(run.user),
        installation_id: Id::of(run.installation),
        accepted_at: Moment::of(run.accepted_at),
        key: run.line.filter(|place| place.ordered).map(|place| place.key.to_string()),
        next_attempt_at: None,
        waiting_for: None,
        ended_at: None,
        failed_step: None,
        error: None,
        dead_letter: None,
    };
    match &run.state.status {
        Status::Queued { not_before, last_error } => {
            // What waits for another run goes on when that has ended.
            let time = (*not_before != UNTIL_WOKEN).then(|| Moment::of(not_before));
            shape.next_attempt_at = Some(time);
            shape.error = Some(last_error.as_ref().map(Fault::from));
            shape.waiting_for = Some(waiting_for(run));
        }
        Status::Leased { .. } => {}
        Status::Ended { outcome, at } => {
            shape.ended_at = Some(Moment::of(at));
            if let Outcome::Failed { step, error, dead_letter } = outcome {
                shape.failed_step = Some(step.clone());
                shape.error = Some(Some(Fault::from(error)));
                shape.dead_letter = Some(dead_letter.clone());
            }
        }
    }
    shape
}

/// What outside a run it waits for: nothing where that is nothing.
fn waiting_for(run: &LiveRun) -> Option<WaitingFor> {
    Some(match run.state.waits? {
        Waits::Limit => {
            WaitingFor { what: "its turn at the rate limit", connection_id: None, app: None, since: None }
        }
        Waits::Connection { connection, since } => {
            let app = run.connections.iter().find(|(_, id)| **id == connection).map(|(app, _)| app.clone());
            WaitingFor {
                what: "the connection",
                connection_id: Some(Id::of(connection)),
                app: Some(app),
                since: Some(Moment::of(since)),
            }
        }
    })
}

pub(super) fn whole(run: LiveRun) -> Run {
    let steps = run.state.results.iter().map(|result| RunStep {
        id: result.id.clone(),
        started_at: Moment::of(result.started_at),
        ended_at: Moment::of(result.ended_at),
        attempts: result.attempts,
        input: result.input.clone(),
        output: result.output.clone(),
        error: result.error.as_ref().map(Fault::from),
    });
    let log = run.log.iter().map(|line| LogLine {
        at: Moment::of(line.at),
        step: line.step.clone(),
        level: line.level,
        message: line.message.clone(),
    });
    Run {
        outline: outline(&run),
        steps: steps.collect(),
        progress: None,
        log: log.collect(),
        attempt: run.state.attempt,
        redrives: run.state.redrives,
        replay_of: run.replay_of.map(Id::of),
        replays: run.replays.iter().map(Id::of).collect(),
        digests: run.digests,
        event: RunEvent { id: Id::of(run.event), source: run.source, data: run.trigger },
    }
}
