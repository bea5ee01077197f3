//! `/workflows/{id}/logs`, `/errors` and `/analytics`: a workflow's ended runs.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::{
    machine::{Outcome, Status},
    records::LiveRun,
    scope::Scope,
};

use super::{required, shapes::block_id, workflows::known};
use crate::{
    api::{Services, caller::Tenant, error::Failure, path},
    runs::{log::Wanted, notices::Totals},
};

/// Alloy's documented page size, and its largest.
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 30;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    user_id: Option<String>,
    #[serde(default)]
    page: usize,
    limit: Option<usize>,
    order: Option<String>,
    /// Whether only failed ones are wanted: there is such a parameter, unless it says no.
    error: Option<String>,
}

pub(super) async fn logs(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Failure> {
    let failed = page.error.as_deref().is_some_and(|said| !matches!(said, "false" | "0"));
    let runs = list(&services, &scope, &workflow, page, failed).await?;
    Ok(Json(json!({ "data": runs.iter().map(execution).collect::<Vec<_>>() })))
}

pub(super) async fn errors(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Failure> {
    let runs = list(&services, &scope, &workflow, page, true).await?;
    let shape = |run: &LiveRun| match &run.state.status {
        Status::Ended { outcome: Outcome::Failed { step, error, .. }, at } => Some(json!({
            "workflowId": run.workflow,
            "block": step,
            "errorOccurredAt": at.to_string(),
            "message": error.to_string(),
            "executionId": run.id,
        })),
        _ => None,
    };
    Ok(Json(json!({ "data": runs.iter().filter_map(shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForUser {
    user_id: Option<String>,
}

/// Starts an execution anew with its original event.
pub(super) async fn rerun(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path((workflow, execution)): Path<(String, String)>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, required(query.user_id.as_deref())?).await?;
    let workflow = known(&workflow)?;
    let run = services.runs.run(&scope, path::id(&execution, "execution")?).await?;
    if run.workflow != workflow || run.user != user.id {
        let message =
            format!("workflow `{workflow}` has no execution `{execution}` of user `{}`", user.username);
        return Err(Failure::new(StatusCode::NOT_FOUND, "run-unknown", message));
    }
    let new = services.acceptor.replay(&scope, run.id).await?;
    Ok(Json(json!({ "message": "success", "executionUuid": new })))
}

/// What a workflow's ended runs come to, of all users or of one.
pub(super) async fn analytics(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    let user = match &query.user_id {
        Some(user) => Some(services.users.find(&scope, user).await?.id),
        None => None,
    };
    let Totals { runs, failed, app_steps } = services.runs.totals(&scope, workflow.id, user).await?;
    Ok(Json(json!({ "totalAppActions": app_steps, "totalWorkflowRuns": runs, "totalErrors": failed })))
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
fn execution(run: &LiveRun) -> Value {
    let results: Vec<_> = run
        .state
        .results
        .iter()
        .map(|result| {
            let item = json!({ "json": result.output, "id": run.id });
            json!({
                "blockId": block_id(run.workflow, &result.id),
                "block": result.id,
                "startedAt": result.started_at.to_string(),
                "stoppedAt": result.ended_at.to_string(),
                "data": [[item]],
            })
        })
        .collect();
    let mut shape = Map::new();
    let mut put = |name: &str, value: Value| shape.insert(name.to_owned(), value);
    put("executionId", json!(run.id));
    put("startedAt", json!(run.accepted_at.to_string()));
    if let Status::Ended { outcome, at } = &run.state.status {
        put("stoppedAt", json!(at.to_string()));
        put("finished", json!(true));
        put("status", json!(if matches!(outcome, Outcome::Failed { .. }) { "error" } else { "success" }));
        if let Outcome::Failed { error, .. } = outcome {
            put("error", json!(error.to_string()));
        }
    }
    put("userId", json!(run.user));
    put("results", Value::Array(results));
    Value::Object(shape)
}
