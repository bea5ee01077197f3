//! `/workflows`: a user's copies, paused and let go on.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{
    id::{UserId, WorkflowId},
    scope::Scope,
};

use crate::{
    api::{
        Services, body,
        caller::{Party, Tenant},
        error::Failure,
        path,
    },
    workflows::install::Activity,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Which {
    user_id: Option<String>,
    workflow_id: Option<String>,
    workflow_name: Option<String>,
}

pub(super) async fn activate(
    State(services): State<Services>,
    party: Party,
    body: body::Json<Which>,
) -> Result<Json<Value>, Failure> {
    set(&services, &party, body.value, Activity::Active).await?;
    Ok(Json(json!({ "activated": true })))
}

pub(super) async fn deactivate(
    State(services): State<Services>,
    party: Party,
    body: body::Json<Which>,
) -> Result<Json<Value>, Failure> {
    set(&services, &party, body.value, Activity::Paused).await?;
    Ok(Json(json!({ "activated": false })))
}

pub(super) async fn deactivate_all(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    for copy in services.installer.of_user(&scope, user.id).await? {
        services.installer.set_active(&scope, user.id, copy.workflow, Activity::Paused).await?;
    }
    Ok(Json(json!({ "message": "Success" })))
}

async fn set(services: &Services, party: &Party, which: Which, activity: Activity) -> Result<(), Failure> {
    let (scope, user) = party.of(services, which.user_id.as_deref()).await?;
    let workflow = match (&which.workflow_id, &which.workflow_name) {
        (Some(id), _) => path::id(id, "workflow")?,
        (None, Some(name)) => named(services, &scope, user.id, name).await?,
        (None, None) => {
            let message = "the body needs `workflowId` or `workflowName`";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "workflow-missing", message));
        }
    };
    Ok(services.installer.set_active(&scope, user.id, workflow, activity).await?)
}

/// The workflow of this name among those that the user has installed.
async fn named(services: &Services, scope: &Scope, user: UserId, name: &str) -> Result<WorkflowId, Failure> {
    for copy in services.installer.of_user(scope, user).await? {
        let compiled = services.releases.get(scope, copy.workflow, copy.release).await?;
        if compiled.release.definition.name == name {
            return Ok(copy.workflow);
        }
    }
    let message = format!("user `{user}` has not installed a workflow of the name `{name}`");
    Err(Failure::new(StatusCode::NOT_FOUND, "installation-unknown", message))
}
