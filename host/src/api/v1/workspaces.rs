//! `/v1/workspaces`: for operators.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{
    Services, body,
    caller::Operator,
    error::Failure,
    schema::{Id, Listed, Moment},
};

/// A workspace to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorkspace {
    /// Unique on this host.
    #[schema(example = "acmeco")]
    name: String,
}

/// A workspace with its first keys, which are shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeWorkspace {
    id: Id,
    name: String,
    keys: EnvironmentKeys,
}

/// A key for each environment.
#[derive(Serialize, ToSchema)]
struct EnvironmentKeys {
    development: String,
    production: String,
}

/// A workspace: one ISV.
#[derive(Serialize, ToSchema)]
pub(super) struct Workspace {
    id: Id,
    name: String,
    created_at: Moment,
}

/// Makes a workspace
///
/// Its keys are shown this once.
#[utoipa::path(post, path = "/workspaces", operation_id = "createWorkspace",
    security(("operator_key" = [])), request_body = NewWorkspace,
    responses((status = OK, description = "The workspace with its keys.", body = MadeWorkspace),
        (status = CONFLICT, description = "There is a workspace of this name.")))]
pub(super) async fn create(
    State(services): State<Services>,
    _: Operator,
    body: body::Json<NewWorkspace>,
) -> Result<Json<MadeWorkspace>, Failure> {
    let made = services.access.create_workspace(&body.value.name).await?;
    let keys = EnvironmentKeys { development: made.development, production: made.production };
    Ok(Json(MadeWorkspace { id: Id::of(made.workspace.id), name: made.workspace.name, keys }))
}

/// Lists every workspace
#[utoipa::path(get, path = "/workspaces", operation_id = "listWorkspaces",
    security(("operator_key" = [])),
    responses((status = OK, description = "Every workspace.", body = Listed<Workspace>)))]
pub(super) async fn list(
    State(services): State<Services>,
    _: Operator,
) -> Result<Json<Listed<Workspace>>, Failure> {
    let workspaces = services.access.workspaces().await?;
    let shape = |workspace: trunnion_core::records::Workspace| Workspace {
        id: Id::of(workspace.id),
        name: workspace.name,
        created_at: Moment::of(workspace.created_at),
    };
    Ok(Json(workspaces.into_iter().map(shape).collect()))
}
