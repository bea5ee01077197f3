//! Probes: `/healthz` says that the process answers, `/readyz` that it takes work.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Services, error::Failure};
use crate::error::Error;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Services> {
    OpenApiRouter::default().routes(routes!(healthy)).routes(routes!(ready))
}

/// That the process answers.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
}

/// Says that the process answers
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", security(()),
    responses((status = OK, description = "It answers.", body = Health)))]
async fn healthy() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// That the host takes work.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ready`.
    status: &'static str,
    /// How much work waits.
    waiting: usize,
    /// How much memory it takes.
    waiting_bytes: usize,
}

/// Says whether the host takes work
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", security(()),
    responses((status = OK, description = "It takes work.", body = Readiness),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting."),
        (status = INSUFFICIENT_STORAGE, description = "Its disk is full.")))]
async fn ready(State(services): State<Services>) -> Result<Json<Readiness>, Failure> {
    services.context.store.writable().map_err(Error::Commit)?;
    services.queue.admit()?;
    let waiting = services.queue.waiting();
    Ok(Json(Readiness { status: "ready", waiting: waiting.count, waiting_bytes: waiting.bytes }))
}
