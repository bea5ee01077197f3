//! `/security/{workspace}/{environment}/alloy_public_key.pem`: what receivers verify `X-Alloy-Signature` with, for
//! anybody, as Alloy serves its own.

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use trunnion_core::{
    id::WorkspaceId,
    scope::{Environment, Scope},
};

use super::{Services, error::Failure, path};
use crate::streams::keys::Kind;

pub(super) fn routes() -> Router<Services> {
    Router::new().route("/security/{workspace}/{environment}/alloy_public_key.pem", get(alloy_key))
}

/// Where an environment's key is.
pub(super) fn alloy_key_path(scope: &Scope) -> String {
    let Scope { workspace, environment } = scope;
    format!("/security/{workspace}/{environment}/alloy_public_key.pem")
}

async fn alloy_key(
    State(services): State<Services>,
    Path((workspace, environment)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let missing = |what: String| Failure::new(StatusCode::NOT_FOUND, "public-key-unknown", what);
    let workspace: WorkspaceId = path::id(&workspace, "workspace")?;
    let environment: Environment = environment.parse().map_err(missing)?;
    let scope = Scope::new(workspace, environment);
    let key = services.destinations.public_key(&scope, Kind::Rsa).await?;
    let key = key.ok_or_else(|| missing("no stream here is signed as Alloy signs".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], key).into_response())
}
