//! `/v1/settings`: what an environment sets for itself.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trunnion_core::clock::Timestamp;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        etag::{If, Tagged},
    },
    settings::InForce,
};

/// What is set. All of it is given: what is left out is as the host says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// Days that ended runs with their logs, and dead letters, are kept: 1 to 400; as the host says where null.
    #[serde(default)]
    log_days: Option<u32>,
}

/// What is in force.
#[derive(Debug, Serialize)]
pub(super) struct Shape {
    /// Days that ended runs with their logs, and dead letters, are kept.
    log_days: u32,
    /// Days that they are kept where the environment says nothing itself.
    host_log_days: u32,
    /// When the environment last said something; null where it never did.
    updated_at: Option<String>,
}

pub(super) async fn get(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Tagged<Json<Shape>>, Failure> {
    Ok(shape(&services.settings.get(&scope).await?))
}

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
