//! A user's copies of workflows, paused and let go on.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

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
        (None, Some(name)) => services.installer.named(&scope, user.id, name).await?.workflow,
        (None, None) => {
            let message = "the body needs `workflowId` or `workflowName`";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "workflow-missing", message));
        }
    };
    Ok(services.installer.set_active(&scope, user.id, workflow, activity).await?)
}
