//! What a workspace defines: events, integrations, workflows and releases.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trunnion_core::{
    clock::Timestamp,
    definition::Definition,
    id::WorkflowId,
    records::{EventSchema, Integration, StoredRelease, Workflow},
};

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        etag::{If, Tagged},
        path,
    },
    error::Error,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutEvent {
    #[serde(default)]
    description: String,
    sample: Value,
}

pub(super) async fn put_event(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    If(condition): If,
    body: body::Json<PutEvent>,
) -> Result<Tagged<Json<Value>>, Failure> {
    let PutEvent { description, sample } = body.value;
    let put = services.library.put_event(&scope, &name, description, sample, &condition).await?;
    Ok(Tagged(put.version, Json(event_shape(&put.record))))
}

pub(super) async fn event(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Tagged<Json<Value>>, Failure> {
    let stored = services.library.stored_event(&scope, &name).await?;
    Ok(Tagged(stored.version, Json(event_shape(&stored.record))))
}

pub(super) async fn events(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let events = services.library.events(&scope).await?;
    Ok(Json(json!({ "data": events.iter().map(event_shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIntegration {
    app: String,
}

pub(super) async fn create_integration(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewIntegration>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(integration_shape(&services.library.create_integration(&scope, &body.value.app).await?)))
}

pub(super) async fn integrations(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let integrations = services.library.integrations(&scope).await?;
    Ok(Json(json!({ "data": integrations.iter().map(integration_shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorkflow {
    integration_id: String,
    definition: Value,
}

pub(super) async fn create_workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewWorkflow>,
) -> Result<Tagged<Json<Value>>, Failure> {
    let NewWorkflow { integration_id, definition } = body.value;
    let integration = path::id(&integration_id, "integration")?;
    let definition = read(&definition)?;
    let made = services.library.create_workflow(&scope, integration, definition).await?;
    Ok(Tagged(made.version, Json(shape(&made.record))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutWorkflow {
    definition: Value,
}

pub(super) async fn put_workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    If(condition): If,
    body: body::Json<PutWorkflow>,
) -> Result<Tagged<Json<Value>>, Failure> {
    let id: WorkflowId = path::id(&workflow, "workflow")?;
    let definition = read(&body.value.definition)?;
    let put = services.library.put_draft(&scope, id, definition, &condition).await?;
    Ok(Tagged(put.version, Json(shape(&put.record))))
}

pub(super) async fn workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Tagged<Json<Value>>, Failure> {
    let stored = services.library.stored_workflow(&scope, path::id(&workflow, "workflow")?).await?;
    Ok(Tagged(stored.version, Json(shape(&stored.record))))
}

pub(super) async fn workflows(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let workflows = services.library.workflows(&scope).await?;
    Ok(Json(json!({ "data": workflows.iter().map(shape).collect::<Vec<_>>() })))
}

pub(super) async fn problems(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Value>, Failure> {
    let workflow = services.library.workflow(&scope, path::id(&workflow, "workflow")?).await?;
    Ok(Json(json!({ "data": services.library.problems(&scope, &workflow).await? })))
}

pub(super) async fn release(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Value>, Failure> {
    let release = services.library.release(&scope, path::id(&workflow, "workflow")?).await?;
    Ok(Json(json!({
        "workflow_id": release.workflow,
        "number": release.number,
        "released_at": release.released_at.to_string(),
        "definition": release.definition,
    })))
}

/// The releases of a workflow.
#[derive(Debug, Serialize)]
pub(super) struct ReleaseList {
    /// Oldest first.
    data: Vec<ReleaseShape>,
}

/// A release.
#[derive(Debug, Serialize)]
pub(super) struct ReleaseShape {
    /// Of which workflow.
    workflow_id: WorkflowId,
    /// Its number; the first is 1.
    number: u32,
    /// When it was released.
    released_at: String,
    /// What it does.
    definition: Definition,
}

pub(super) async fn releases(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<ReleaseList>, Failure> {
    let id = path::id(&workflow, "workflow")?;
    services.library.workflow(&scope, id).await?;
    let releases = services.library.releases(&scope, id).await?;
    let shape = |StoredRelease { workflow, number, released_at, definition, .. }| ReleaseShape {
        workflow_id: workflow,
        number,
        released_at: Timestamp::to_string(&released_at),
        definition,
    };
    Ok(Json(ReleaseList { data: releases.into_iter().map(shape).collect() }))
}

/// A definition, or everything that is wrong with its form.
fn read(definition: &Value) -> Result<Definition, Error> {
    Definition::parse(definition).map_err(|problems| Error::Invalid {
        code: "definition-malformed",
        message: format!("this is not a workflow definition: {problems}"),
        problems: problems.0,
    })
}

fn event_shape(schema: &EventSchema) -> Value {
    json!({
        "name": schema.name,
        "description": schema.description,
        "sample": schema.sample,
        "created_at": schema.created_at.to_string(),
        "updated_at": schema.updated_at.to_string(),
    })
}

fn integration_shape(integration: &Integration) -> Value {
    json!({ "id": integration.id, "app": integration.app, "created_at": integration.created_at.to_string() })
}

fn shape(workflow: &Workflow) -> Value {
    json!({
        "id": workflow.id,
        "integration_id": workflow.integration,
        "definition": workflow.draft,
        "latest_release": workflow.latest_release,
        "created_at": workflow.created_at.to_string(),
        "updated_at": workflow.updated_at.to_string(),
    })
}
