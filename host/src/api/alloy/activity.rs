//! A user's copies of workflows, paused and let go on.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::{Party, Tenant},
        error::Failure,
        path,
        schema::Done,
    },
    workflows::install::Activity,
};

/// A user's copy of a workflow, by the workflow's id or name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WhichWorkflow)]
pub(super) struct Which {
    /// The user, by id or username; not needed with a user token.
    user_id: Option<String>,
    workflow_id: Option<String>,
    workflow_name: Option<String>,
}

/// Whether it is active now.
#[derive(Serialize, ToSchema)]
pub(super) struct Activated {
    activated: bool,
}

/// Lets a user's copy of a workflow go on
#[utoipa::path(put, path = "/workflows/activate", operation_id = "activateWorkflow",
    security(("environment_key" = []), ("user_token" = [])), request_body = Which,
    responses((status = OK, description = "It is active.", body = Activated),
        (status = CONFLICT, description = "It changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn activate(
    State(services): State<Services>,
    party: Party,
    body: body::Json<Which>,
) -> Result<Json<Activated>, Failure> {
    set(&services, &party, body.value, Activity::Active).await?;
    Ok(Json(Activated { activated: true }))
}

/// Pauses a user's copy of a workflow
#[utoipa::path(put, path = "/workflows/deactivate", operation_id = "deactivateWorkflow",
    security(("environment_key" = []), ("user_token" = [])), request_body = Which,
    responses((status = OK, description = "It is paused.", body = Activated),
        (status = CONFLICT, description = "It changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn deactivate(
    State(services): State<Services>,
    party: Party,
    body: body::Json<Which>,
) -> Result<Json<Activated>, Failure> {
    set(&services, &party, body.value, Activity::Paused).await?;
    Ok(Json(Activated { activated: false }))
}

/// Pauses every workflow of a user
#[utoipa::path(put, path = "/users/{user}/deactivate-workflows", operation_id = "deactivateUserWorkflows",
    security(("environment_key" = [])),
    responses((status = OK, description = "They are paused.", body = Done),
        (status = CONFLICT, description = "One changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn deactivate_all(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Done>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    for copy in services.installer.of_user(&scope, user.id).await? {
        services.installer.set_active(&scope, user.id, copy.workflow, Activity::Paused).await?;
    }
    Ok(Json(Done { message: "Success" }))
}

async fn set(services: &Services, party: &Party, which: Which, activity: Activity) -> Result<(), Failure> {
    let (scope, user) = party.of(services, which.user_id.as_deref()).await?;
    let workflow = match (&which.workflow_id, &which.workflow_name) {
        (Some(id), _) => path::id(id, "workflow")?,
        (None, Some(name)) => services.installer.named(&scope, user.id, name).await?.workflow,
        (None, None) => {
            let message = "the body needs `workflowId` or `workflowName`";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "workflow-missing", message));
        }
    };
    Ok(services.installer.set_active(&scope, user.id, workflow, activity).await?)
}
