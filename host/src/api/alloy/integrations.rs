//! `/integrations`: what a user can install and has installed.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use trunnion_core::{id::IntegrationId, records::Integration};
use utoipa::IntoParams;

use super::shapes::{self, UserIntegration};
use crate::api::{
    Services,
    caller::Installing,
    error::Failure,
    schema::{Listed, One},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ForUser {
    /// The user, by id or username; not needed with a user token.
    user_id: Option<String>,
}

/// Lists what a user can install and has installed
#[utoipa::path(get, path = "/integrations", operation_id = "listUserIntegrations",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), params(ForUser),
    responses((status = OK, description = "Every integration; by an install link, its own.", body = Listed<UserIntegration>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    Query(query): Query<ForUser>,
) -> Result<Json<Listed<UserIntegration>>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let mut data = Vec::new();
    let shown = |integration: &Integration| link.is_none_or(|link| link.integration == integration.id);
    for integration in services.library.integrations(&scope).await?.into_iter().filter(shown) {
        data.push(shapes::integration(&services, &scope, &integration, user.id).await?);
    }
    Ok(Json(Listed { data }))
}

/// Shows an integration as a user sees it
#[utoipa::path(get, path = "/integrations/{integration}", operation_id = "getUserIntegration",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), params(ForUser),
    responses((status = OK, description = "The integration.", body = One<UserIntegration>)))]
pub(super) async fn one(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    Path(integration): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<One<UserIntegration>>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let integrations = services.library.integrations(&scope).await?;
    let id = integration.parse::<IntegrationId>().ok();
    let shown = |known: &&Integration| link.is_none_or(|link| link.integration == known.id);
    let named = |known: &&Integration| Some(known.id) == id || known.app == integration;
    let found = integrations.iter().filter(shown).find(named);
    match found {
        Some(found) => Ok(Json(One { data: shapes::integration(&services, &scope, found, user.id).await? })),
        None => {
            let message = format!("there is no integration `{integration}`");
            Err(Failure::new(StatusCode::NOT_FOUND, "integration-unknown", message))
        }
    }
}
