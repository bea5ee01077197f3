//! `/v1/settings`: what an environment sets for itself.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trunnion_core::clock::Timestamp;
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        etag::{Conditions, If, Seen, Tagged},
    },
    settings::InForce,
};

/// What is set. All of it is given: what is left out is as the host says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettingsGiven)]
pub(super) struct Put {
    /// Days that ended runs with their logs, and dead letters, are kept: 1 to 400; as the host says where null.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 400)]
    log_days: Option<u32>,
}

/// What is in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub(super) struct Shape {
    /// Days that ended runs with their logs, and dead letters, are kept.
    log_days: u32,
    /// Days that they are kept where the environment says nothing itself.
    host_log_days: u32,
    /// When the environment last said something; null where it never did.
    #[schema(required, format = DateTime)]
    updated_at: Option<String>,
}

/// Shows what the environment has set
#[utoipa::path(get, path = "/settings", operation_id = "getSettings",
    security(("environment_key" = [])), params(Seen),
    responses((status = OK, description = "What is in force.", body = Shape),
        (status = NOT_MODIFIED, description = "They are as the caller has seen them.")))]
pub(super) async fn get(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Tagged<Json<Shape>>, Failure> {
    Ok(shape(&services.settings.get(&scope).await?))
}

/// Sets what the environment sets for itself
#[utoipa::path(put, path = "/settings", operation_id = "putSettings",
    security(("environment_key" = [])), params(Conditions), request_body = Put,
    responses((status = OK, description = "What is in force now.", body = Shape),
        (status = CONFLICT, description = "Somebody else changed it in the same moment."),
        (status = PRECONDITION_FAILED, description = "It is not as the conditions say.")))]
pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    If(condition): If,
    body: body::Json<Put>,
) -> Result<Tagged<Json<Shape>>, Failure> {
    Ok(shape(&services.settings.put(&scope, body.value.log_days, &condition).await?))
}

fn shape(settings: &InForce) -> Tagged<Json<Shape>> {
    let InForce { own, host_log_days, version } = settings;
    let updated_at = (own.updated_at != Timestamp::ZERO).then(|| own.updated_at.to_string());
    let (log_days, host_log_days) = (own.log_days.unwrap_or(*host_log_days), *host_log_days);
    Tagged(*version, Json(Shape { log_days, host_log_days, updated_at }))
}
