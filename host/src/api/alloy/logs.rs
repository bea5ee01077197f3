//! `/workflows/{id}/logs`, `/errors` and `/analytics`: a workflow's ended runs.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    machine::{Outcome, Status},
    payload::Payload,
    records::LiveRun,
    scope::Scope,
};
use utoipa::{IntoParams, ToSchema};

use super::{required, shapes::block_id, workflows::known};
use crate::{
    api::{
        Services,
        caller::Tenant,
        error::Failure,
        path,
        schema::{Id, Listed, Moment},
    },
    runs::{log::Wanted, notices::Totals},
};

/// Alloy's documented page size, and its largest.
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 30;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only those of this user, by id or username.
    user_id: Option<String>,
    /// Counts from 0.
    #[serde(default)]
    #[param(minimum = 0, required = false)]
    page: usize,
    /// At most so many; 10 where nothing is said, and never more than 30.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// `desc`, the newest first, or `asc`.
    order: Option<String>,
    /// Whether only failed ones are wanted: there is such a parameter, unless it says no.
    error: Option<String>,
}

/// An ended run of a workflow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execution {
    execution_id: Id,
    started_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<Moment>,
    /// Always true of one that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<bool>,
    /// `success` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// What it failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    user_id: Id,
    results: Vec<BlockResult>,
}

/// What a block came to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BlockResult {
    block_id: String,
    /// The step's id.
    block: String,
    started_at: Moment,
    stopped_at: Moment,
    /// A list of items for each output.
    data: [[Item; 1]; 1],
}

/// An item that a block gave.
#[derive(Serialize, ToSchema)]
#[schema(as = ExecutionItem)]
struct Item {
    #[schema(value_type = serde_json::Value)]
    json: Payload,
    /// The execution's id.
    id: Id,
}

/// What a run failed with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecutionError {
    workflow_id: Id,
    /// The step's id.
    block: String,
    error_occurred_at: Moment,
    message: String,
    execution_id: Id,
}

/// The new execution.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rerun {
    /// `success`.
    message: &'static str,
    execution_uuid: Id,
}

/// What a workflow's ended runs come to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Analytics {
    /// Steps that called an app and are done.
    total_app_actions: u64,
    total_workflow_runs: u64,
    total_errors: u64,
}

/// Lists a workflow's ended runs
#[utoipa::path(get, path = "/workflows/{workflow}/logs", operation_id = "listWorkflowLogs",
    security(("environment_key" = [])), params(Page),
    responses((status = OK, description = "A page; empty past the end.", body = Listed<Execution>)))]
pub(super) async fn logs(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<Execution>>, Failure> {
    let failed = page.error.as_deref().is_some_and(|said| !matches!(said, "false" | "0"));
    let runs = list(&services, &scope, &workflow, page, failed).await?;
    Ok(Json(runs.iter().map(execution).collect()))
}

/// Lists what a workflow's runs failed with
#[utoipa::path(get, path = "/workflows/{workflow}/errors", operation_id = "listWorkflowErrors",
    security(("environment_key" = [])), params(Page),
    responses((status = OK, description = "A page; empty past the end.", body = Listed<ExecutionError>)))]
pub(super) async fn errors(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<ExecutionError>>, Failure> {
    let runs = list(&services, &scope, &workflow, page, true).await?;
    let shape = |run: &LiveRun| match &run.state.status {
        Status::Ended { outcome: Outcome::Failed { step, error, .. }, at } => Some(ExecutionError {
            workflow_id: Id::of(run.workflow),
            block: step.clone(),
            error_occurred_at: Moment::of(at),
            message: error.to_string(),
            execution_id: Id::of(run.id),
        }),
        _ => None,
    };
    Ok(Json(runs.iter().filter_map(shape).collect()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ForUser {
    /// The user, by id or username.
    user_id: Option<String>,
}

/// Starts an execution anew with its original event
#[utoipa::path(post, path = "/workflows/{workflow}/rerun/{execution}", operation_id = "rerunWorkflowExecution",
    security(("environment_key" = [])), params(ForUser),
    responses((status = OK, description = "It begins.", body = Rerun),
        (status = CONFLICT, description = "It has not ended, another workflow called it, or the user's copy is paused."),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting.")))]
pub(super) async fn rerun(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path((workflow, execution)): Path<(String, String)>,
    Query(query): Query<ForUser>,
) -> Result<Json<Rerun>, Failure> {
    let user = services.users.find(&scope, required(query.user_id.as_deref())?).await?;
    let workflow = known(&workflow)?;
    let run = services.runs.run(&scope, path::id(&execution, "execution")?).await?;
    if run.workflow != workflow || run.user != user.id {
        let message =
            format!("workflow `{workflow}` has no execution `{execution}` of user `{}`", user.username);
        return Err(Failure::new(StatusCode::NOT_FOUND, "run-unknown", message));
    }
    let new = services.acceptor.replay(&scope, run.id).await?;
    Ok(Json(Rerun { message: "success", execution_uuid: Id::of(new) }))
}

/// Counts a workflow's ended runs
#[utoipa::path(get, path = "/workflows/{workflow}/analytics", operation_id = "getWorkflowAnalytics",
    security(("environment_key" = [])), params(ForUser),
    responses((status = OK, description = "Of all users or of one.", body = Analytics)))]
pub(super) async fn analytics(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Analytics>, Failure> {
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    let user = match &query.user_id {
        Some(user) => Some(services.users.find(&scope, user).await?.id),
        None => None,
    };
    let Totals { runs, failed, app_steps } = services.runs.totals(&scope, workflow.id, user).await?;
    Ok(Json(Analytics { total_app_actions: app_steps, total_workflow_runs: runs, total_errors: failed }))
}

async fn list(
    services: &Services,
    scope: &Scope,
    workflow: &str,
    page: Page,
    failed: bool,
) -> Result<Vec<LiveRun>, Failure> {
    let workflow = known(workflow)?;
    services.library.workflow(scope, workflow).await?;
    let user = match &page.user_id {
        Some(user) => Some(services.users.find(scope, user).await?.id),
        None => None,
    };
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let wanted = Wanted {
        workflow,
        user,
        failed,
        ascending: page.order.as_deref() == Some("asc"),
        skip: page.page.saturating_mul(limit),
        limit,
    };
    Ok(services.runs.ended(scope, &wanted).await?)
}

/// Alloy's Execution: outputs nest as lists of items, one list for each output of a block.
fn execution(run: &LiveRun) -> Execution {
    let results = run.state.results.iter().map(|result| BlockResult {
        block_id: block_id(run.workflow, &result.id),
        block: result.id.clone(),
        started_at: Moment::of(result.started_at),
        stopped_at: Moment::of(result.ended_at),
        data: [[Item { json: result.output.clone(), id: Id::of(run.id) }]],
    });
    let mut shape = Execution {
        execution_id: Id::of(run.id),
        started_at: Moment::of(run.accepted_at),
        stopped_at: None,
        finished: None,
        status: None,
        error: None,
        user_id: Id::of(run.user),
        results: results.collect(),
    };
    if let Status::Ended { outcome, at } = &run.state.status {
        shape.stopped_at = Some(Moment::of(at));
        shape.finished = Some(true);
        shape.status = Some(if matches!(outcome, Outcome::Failed { .. }) { "error" } else { "success" });
        if let Outcome::Failed { error, .. } = outcome {
            shape.error = Some(error.to_string());
        }
    }
    shape
}
