//! `/v1/workspaces`: for operators.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Services, body, caller::Operator, error::Failure};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorkspace {
    name: String,
}

pub(super) async fn create(
    State(services): State<Services>,
    _: Operator,
    body: body::Json<NewWorkspace>,
) -> Result<Json<Value>, Failure> {
    let made = services.access.create_workspace(&body.value.name).await?;
    Ok(Json(json!({
        "id": made.workspace.id,
        "name": made.workspace.name,
        "keys": { "development": made.development, "production": made.production },
    })))
}

pub(super) async fn list(State(services): State<Services>, _: Operator) -> Result<Json<Value>, Failure> {
    let workspaces = services.access.workspaces().await?;
    let shape = |workspace: &trunnion_core::records::Workspace| json!({ "id": workspace.id, "name": workspace.name, "created_at": workspace.created_at.to_string() });
    Ok(Json(json!({ "data": workspaces.iter().map(shape).collect::<Vec<_>>() })))
}
