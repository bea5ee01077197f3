//! A user's copy of a workflow: removed, upgraded; and the link by which a user installs without the ISV's pages.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::id::IntegrationId;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::workflows::known;
use crate::api::{
    Services,
    caller::{Party, Tenant},
    error::Failure,
    path,
    schema::{Address, Deleted},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ForUser {
    /// The user, by id or username; not needed with a user token.
    user_id: Option<String>,
}

/// That it was upgraded.
#[derive(Serialize, ToSchema)]
pub(super) struct Upgraded {
    /// Always true.
    upgraded: bool,
}

/// Removes a user's copy of a workflow
#[utoipa::path(delete, path = "/workflows/{workflow}", operation_id = "deleteWorkflow",
    security(("environment_key" = []), ("user_token" = [])), params(ForUser),
    responses((status = OK, description = "It is gone.", body = Deleted),
        (status = CONFLICT, description = "It changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn remove(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Deleted>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    services.installer.remove(&scope, user.id, known(&workflow)?).await?;
    Ok(Json(Deleted { deleted: true }))
}

/// Upgrades a user's copy of a workflow to the newest release
///
/// Refused where users would be asked for something new.
#[utoipa::path(put, path = "/workflows/{workflow}/upgrade", operation_id = "upgradeWorkflow",
    security(("environment_key" = []), ("user_token" = [])), params(ForUser),
    responses((status = OK, description = "It runs the newest release.", body = Upgraded),
        (status = CONFLICT, description = "It changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn upgrade(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Upgraded>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    services.installer.upgrade(&scope, user.id, known(&workflow)?).await?;
    Ok(Json(Upgraded { upgraded: true }))
}

/// Makes a link by which a user installs without the ISV's pages
///
/// For the ISV's server alone: whoever has the link installs as the user.
#[utoipa::path(get, path = "/users/{user}/integrations/{integration}/install-url", operation_id = "getInstallUrl",
    security(("environment_key" = [])),
    responses((status = OK, description = "The link: seven days, one installation.", body = Address)))]
pub(super) async fn link(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path((user, integration)): Path<(String, String)>,
) -> Result<Json<Address>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    let integration = path::id::<IntegrationId>(&integration, "integration")?;
    services.library.integration(&scope, integration).await?;
    let token = services.user_tokens.issue_link(&scope, &user, integration).await?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("integrationId", &integration.to_string())
        .append_pair("token", &token)
        .append_pair("forgeMode", "engaged")
        .append_pair("alwaysShowCredentials", "true")
        .finish();
    Ok(Json(Address { url: format!("{}/embedded-install?{query}", services.context.public_url) }))
}
