//! `/integrations`: what a user can install and has installed.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{id::IntegrationId, records::Integration};

use super::shapes;
use crate::api::{Services, caller::Installing, error::Failure};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForUser {
    user_id: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let mut found = Vec::new();
    let shown = |integration: &Integration| link.is_none_or(|link| link.integration == integration.id);
    for integration in services.library.integrations(&scope).await?.into_iter().filter(shown) {
        found.push(shapes::integration(&services, &scope, &integration, user.id).await?);
    }
    Ok(Json(json!({ "data": found })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    Path(integration): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let integrations = services.library.integrations(&scope).await?;
    let id = integration.parse::<IntegrationId>().ok();
    let shown = |known: &&Integration| link.is_none_or(|link| link.integration == known.id);
    let named = |known: &&Integration| Some(known.id) == id || known.app == integration;
    let found = integrations.iter().filter(shown).find(named);
    match found {
        Some(found) => {
            Ok(Json(json!({ "data": shapes::integration(&services, &scope, found, user.id).await? })))
        }
        None => {
            let message = format!("there is no integration `{integration}`");
            Err(Failure::new(StatusCode::NOT_FOUND, "integration-unknown", message))
        }
    }
}
