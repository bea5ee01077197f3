//! A user's copy of a workflow: removed, upgraded; and the link by which a user installs without the ISV's pages.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::id::IntegrationId;
use url::form_urlencoded;

use super::workflows::known;
use crate::api::{
    Services,
    caller::{Party, Tenant},
    error::Failure,
    path,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForUser {
    user_id: Option<String>,
}

pub(super) async fn remove(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    services.installer.remove(&scope, user.id, known(&workflow)?).await?;
    Ok(Json(json!({ "deleted": true })))
}

pub(super) async fn upgrade(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    services.installer.upgrade(&scope, user.id, known(&workflow)?).await?;
    Ok(Json(json!({ "upgraded": true })))
}

/// For the ISV's server alone: whoever has the link installs as the user.
pub(super) async fn link(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path((user, integration)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
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
    Ok(Json(json!({ "url": format!("{}/embedded-install?{query}", services.context.public_url) })))
}
