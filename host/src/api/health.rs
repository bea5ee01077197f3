//! Probes: `/healthz` says that the process answers, `/readyz` that it takes work.

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use super::{Services, error::Failure};
use crate::error::Error;

/// The routes.
pub fn routes() -> Router<Services> {
    Router::new().route("/healthz", get(healthy)).route("/readyz", get(ready))
}

async fn healthy() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn ready(State(services): State<Services>) -> Result<Json<Value>, Failure> {
    services.context.store.writable().map_err(Error::Commit)?;
    services.queue.admit()?;
    let waiting = services.queue.waiting();
    Ok(Json(json!({ "status": "ready", "waiting": waiting.count, "waiting_bytes": waiting.bytes })))
}
