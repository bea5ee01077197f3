//! What a workspace defines: events, integrations, workflows and releases.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::{definition::Definition, id::WorkflowId, problem::Problem, records};
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        etag::{Conditions, If, Seen, Tagged},
        path,
        schema::{Id, Listed, Moment},
    },
    error::Error,
};

/// A custom event to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventGiven)]
pub(super) struct PutEvent {
    /// For people.
    #[serde(default)]
    description: String,
    /// A payload as it will be sent: mappings are checked against its shape.
    #[schema(value_type = Object)]
    sample: Value,
}

/// A custom event that the ISV's server can send.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct Event {
    name: String,
    description: String,
    /// A payload as it will be sent.
    sample: Value,
    created_at: Moment,
    updated_at: Moment,
}

/// Keeps a custom event
///
/// Makes it, or changes the one of this name.
#[utoipa::path(put, path = "/events/{name}", operation_id = "putEvent",
    security(("environment_key" = [])), params(Conditions), request_body = PutEvent,
    responses((status = OK, description = "The event.", body = Event),
        (status = CONFLICT, description = "Released workflows use what the new sample no longer has, or somebody else \
            changed it in the same moment."),
        (status = PRECONDITION_FAILED, description = "It is not as the conditions say.")))]
pub(super) async fn put_event(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    If(condition): If,
    body: body::Json<PutEvent>,
) -> Result<Tagged<Json<Event>>, Failure> {
    let PutEvent { description, sample } = body.value;
    let put = services.library.put_event(&scope, &name, description, sample, &condition).await?;
    Ok(Tagged(put.version, Json(event_shape(&put.record))))
}

/// Shows a custom event
#[utoipa::path(get, path = "/events/{name}", operation_id = "getEvent",
    security(("environment_key" = [])), params(Seen),
    responses((status = OK, description = "The event.", body = Event),
        (status = NOT_MODIFIED, description = "It is as the caller has seen it.")))]
pub(super) async fn event(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Tagged<Json<Event>>, Failure> {
    let stored = services.library.stored_event(&scope, &name).await?;
    Ok(Tagged(stored.version, Json(event_shape(&stored.record))))
}

/// Lists the custom events
#[utoipa::path(get, path = "/events", operation_id = "listEvents",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every event of the workspace.", body = Listed<Event>)))]
pub(super) async fn events(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<Event>>, Failure> {
    Ok(Json(services.library.events(&scope).await?.iter().map(event_shape).collect()))
}

/// An integration to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIntegration {
    /// The app that it is around.
    #[schema(example = "bigcommerce")]
    app: String,
}

/// Workflows around one app.
#[derive(Serialize, ToSchema)]
pub(super) struct Integration {
    id: Id,
    app: String,
    created_at: Moment,
}

/// Makes an integration
#[utoipa::path(post, path = "/integrations", operation_id = "createIntegration",
    security(("environment_key" = [])), request_body = NewIntegration,
    responses((status = OK, description = "The integration.", body = Integration)))]
pub(super) async fn create_integration(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewIntegration>,
) -> Result<Json<Integration>, Failure> {
    Ok(Json(integration_shape(&services.library.create_integration(&scope, &body.value.app).await?)))
}

/// Lists the integrations
#[utoipa::path(get, path = "/integrations", operation_id = "listIntegrations",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every integration of the workspace.", body = Listed<Integration>)))]
pub(super) async fn integrations(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<Integration>>, Failure> {
    Ok(Json(services.library.integrations(&scope).await?.iter().map(integration_shape).collect()))
}

/// A workflow to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorkflow {
    integration_id: String,
    #[schema(value_type = Definition)]
    definition: Value,
}

/// A workflow with its editable definition.
#[derive(Serialize, ToSchema)]
pub(super) struct Workflow {
    id: Id,
    integration_id: Id,
    /// The draft.
    definition: Definition,
    /// The newest release's number; 0 before the first.
    latest_release: u32,
    created_at: Moment,
    /// When the draft last changed.
    updated_at: Moment,
}

/// Makes a workflow
///
/// Any well-formed definition is taken as a draft; `GET /v1/workflows/{workflow}/problems` says what keeps it from being
/// released.
#[utoipa::path(post, path = "/workflows", operation_id = "createWorkflow",
    security(("environment_key" = [])), request_body = NewWorkflow,
    responses((status = OK, description = "The workflow.", body = Workflow)))]
pub(super) async fn create_workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewWorkflow>,
) -> Result<Tagged<Json<Workflow>>, Failure> {
    let NewWorkflow { integration_id, definition } = body.value;
    let integration = path::id(&integration_id, "integration")?;
    let definition = read(&definition)?;
    let made = services.library.create_workflow(&scope, integration, definition).await?;
    Ok(Tagged(made.version, Json(shape(made.record))))
}

/// A workflow's new draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DraftGiven)]
pub(super) struct PutWorkflow {
    #[schema(value_type = Definition)]
    definition: Value,
}

/// Replaces a workflow's draft
#[utoipa::path(put, path = "/workflows/{workflow}", operation_id = "putWorkflow",
    security(("environment_key" = [])), params(Conditions), request_body = PutWorkflow,
    responses((status = OK, description = "The workflow.", body = Workflow),
        (status = CONFLICT, description = "Somebody else changed it in the same moment."),
        (status = PRECONDITION_FAILED, description = "It is not as the conditions say.")))]
pub(super) async fn put_workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    If(condition): If,
    body: body::Json<PutWorkflow>,
) -> Result<Tagged<Json<Workflow>>, Failure> {
    let id: WorkflowId = path::id(&workflow, "workflow")?;
    let definition = read(&body.value.definition)?;
    let put = services.library.put_draft(&scope, id, definition, &condition).await?;
    Ok(Tagged(put.version, Json(shape(put.record))))
}

/// Shows a workflow
#[utoipa::path(get, path = "/workflows/{workflow}", operation_id = "getWorkflow",
    security(("environment_key" = [])), params(Seen),
    responses((status = OK, description = "The workflow.", body = Workflow),
        (status = NOT_MODIFIED, description = "It is as the caller has seen it.")))]
pub(super) async fn workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Tagged<Json<Workflow>>, Failure> {
    let stored = services.library.stored_workflow(&scope, path::id(&workflow, "workflow")?).await?;
    Ok(Tagged(stored.version, Json(shape(stored.record))))
}

/// Lists the workflows
#[utoipa::path(get, path = "/workflows", operation_id = "listWorkflows",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every workflow of the workspace.", body = Listed<Workflow>)))]
pub(super) async fn workflows(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<Workflow>>, Failure> {
    Ok(Json(services.library.workflows(&scope).await?.into_iter().map(shape).collect()))
}

/// Lists what keeps a draft from being released
#[utoipa::path(get, path = "/workflows/{workflow}/problems", operation_id = "listWorkflowProblems",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every problem; none where it can be released.", body = Listed<Problem>)))]
pub(super) async fn problems(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Listed<Problem>>, Failure> {
    let workflow = services.library.workflow(&scope, path::id(&workflow, "workflow")?).await?;
    Ok(Json(Listed { data: services.library.problems(&scope, &workflow).await? }))
}

/// A workflow's immutable numbered version.
#[derive(Serialize, ToSchema)]
pub(super) struct Release {
    workflow_id: Id,
    /// Counts from 1.
    number: u32,
    released_at: Moment,
    definition: Definition,
}

/// Releases a workflow's draft
///
/// Installations go on with the release they have until they are upgraded.
#[utoipa::path(post, path = "/workflows/{workflow}/releases", operation_id = "releaseWorkflow",
    security(("environment_key" = [])),
    responses((status = OK, description = "The release.", body = Release),
        (status = CONFLICT, description = "Somebody else changed the workflow in the same moment.")))]
pub(super) async fn release(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Release>, Failure> {
    let release = services.library.release(&scope, path::id(&workflow, "workflow")?).await?;
    Ok(Json(release.into()))
}

/// Lists the releases of a workflow
#[utoipa::path(get, path = "/workflows/{workflow}/releases", operation_id = "listReleases",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every release, the oldest first.", body = Listed<Release>)))]
pub(super) async fn releases(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Listed<Release>>, Failure> {
    let id = path::id(&workflow, "workflow")?;
    services.library.workflow(&scope, id).await?;
    let releases = services.library.releases(&scope, id).await?;
    Ok(Json(releases.into_iter().map(Release::from).collect()))
}

impl From<records::StoredRelease> for Release {
    fn from(release: records::StoredRelease) -> Self {
        Self {
            workflow_id: Id::of(release.workflow),
            number: release.number,
            released_at: Moment::of(release.released_at),
            definition: release.definition,
        }
    }
}

/// A definition, or everything that is wrong with its form.
fn read(definition: &Value) -> Result<Definition, Error> {
    Definition::parse(definition).map_err(|problems| Error::Invalid {
        code: "definition-malformed",
        message: format!("this is not a workflow definition: {problems}"),
        problems: problems.0,
    })
}

fn event_shape(schema: &records::EventSchema) -> Event {
    Event {
        name: schema.name.clone(),
        description: schema.description.clone(),
        sample: schema.sample.clone(),
        created_at: Moment::of(schema.created_at),
        updated_at: Moment::of(schema.updated_at),
    }
}

fn integration_shape(integration: &records::Integration) -> Integration {
    Integration {
        id: Id::of(integration.id),
        app: integration.app.clone(),
        created_at: Moment::of(integration.created_at),
    }
}

fn shape(workflow: records::Workflow) -> Workflow {
    Workflow {
        id: Id::of(workflow.id),
        integration_id: Id::of(workflow.integration),
        definition: workflow.draft,
        latest_release: workflow.latest_release,
        created_at: Moment::of(workflow.created_at),
        updated_at: Moment::of(workflow.updated_at),
    }
}
