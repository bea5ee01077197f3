//! `/integrations`: what a user can install and has installed.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::{
    definition::{Definition, EventBlock, Step, StepKind},
    id::{IntegrationId, UserId, WorkflowId},
    machine::idempotency_key,
    records::{Installation, Integration, StoredRelease},
    scope::Scope,
};

use crate::{
    api::{Services, caller::Installing, error::Failure},
    triggers::request::request_url,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForUser {
    user_id: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let mut shapes = Vec::new();
    let shown = |integration: &Integration| link.is_none_or(|link| link.integration == integration.id);
    for integration in services.library.integrations(&scope).await?.into_iter().filter(shown) {
        shapes.push(shape(&services, &scope, &integration, user.id).await?);
    }
    Ok(Json(json!({ "data": shapes })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    Path(integration): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let integrations = services.library.integrations(&scope).await?;
    let id = integration.parse::<IntegrationId>().ok();
    let shown = |known: &&Integration| link.is_none_or(|link| link.integration == known.id);
    let named = |known: &&Integration| Some(known.id) == id || known.app == integration;
    let found = integrations.iter().filter(shown).find(named);
    match found {
        Some(found) => Ok(Json(json!({ "data": shape(&services, &scope, found, user.id).await? }))),
        None => {
            let message = format!("there is no integration `{integration}`");
            Err(Failure::new(StatusCode::NOT_FOUND, "integration-unknown", message))
        }
    }
}

async fn shape(
    services: &Services,
    scope: &Scope,
    integration: &Integration,
    user: UserId,
) -> Result<Value, Failure> {
    let installed = services.installer.of_user(scope, user).await?;
    let mut workflows = Vec::new();
    for workflow in services.library.workflows(scope).await? {
        if workflow.integration == integration.id
            && let Some(release) = services.library.latest(scope, &workflow).await?
        {
            let copy = installed.iter().find(|copy| copy.workflow == workflow.id);
            workflows.push(workflow_shape(services, &release, copy));
        }
    }
    let any = workflows.iter().any(|workflow| workflow.get("installed") == Some(&Value::Bool(true)));
    Ok(json!({
        "integrationId": integration.id,
        "app": integration.app,
        "installed": any,
        "icon": icon(services, &integration.app),
        "workflows": workflows,
    }))
}

fn workflow_shape(services: &Services, release: &StoredRelease, copy: Option<&Installation>) -> Value {
    let mut shape = Map::new();
    let mut put = |name: &str, value: Value| shape.insert(name.to_owned(), value);
    put("workflowId", json!(release.workflow));
    put("name", json!(release.definition.name));
    put("installed", json!(copy.is_some()));
    put("version", json!(release.number));
    if let Some(copy) = copy {
        put("installedVersion", json!(copy.release));
        if let Some(entrance) = &copy.entrance {
            put("requestUrl", json!(request_url(&services.context.public_url, entrance)));
        }
    }
    put("active", json!(copy.is_some_and(|copy| copy.active)));
    put("blocks", blocks(services, release.workflow, &release.definition));
    Value::Object(shape)
}

/// A workflow's blocks as Alloy shows them: the trigger first.
fn blocks(services: &Services, workflow: WorkflowId, definition: &Definition) -> Value {
    let EventBlock { name, kind } = definition.trigger.event_block();
    let trigger = block(services, workflow, "trigger", &name, &kind);
    // A step with the environment's own connection is hidden from users.
    let hidden = |step: &Step| {
        matches!(
            &step.kind,
            StepKind::Action { connection: Some(_), .. } | StepKind::Batch { connection: Some(_), .. }
        )
    };
    let shown = definition.every_step().into_iter().filter(|(_, step)| !hidden(step));
    let steps = shown.map(|(_, step)| {
        let (name, kind) = match &step.kind {
            StepKind::Action { app, action, .. } | StepKind::Batch { app, action, .. } => {
                (action, app.as_str())
            }
            StepKind::Stream { destination, .. } => (destination, "dataStream"),
            StepKind::Filter { .. } => (&step.id, "filter"),
            StepKind::Branch { .. } => (&step.id, "branch"),
            StepKind::ForEach { .. } => (&step.id, "forEach"),
            StepKind::Set { .. } => (&step.id, "set"),
            StepKind::Delay { .. } => (&step.id, "delay"),
            StepKind::Call { .. } => (&step.id, "call"),
            StepKind::Respond { .. } => (&step.id, "respond"),
        };
        block(services, workflow, &step.id, name, kind)
    });
    Value::Array(std::iter::once(trigger).chain(steps).collect())
}

fn block(services: &Services, workflow: WorkflowId, step: &str, name: &str, kind: &str) -> Value {
    json!({ "name": name, "id": block_id(workflow, step), "type": kind, "icon": icon(services, kind) })
}

/// A block's UUID: the same for the same step of the same workflow.
pub(super) fn block_id(workflow: WorkflowId, step: &str) -> String {
    idempotency_key(workflow.0.into(), step)
}

fn icon(services: &Services, app: &str) -> String {
    services.context.registry.manifest(app).map(|manifest| manifest.icon.clone()).unwrap_or_default()
}
