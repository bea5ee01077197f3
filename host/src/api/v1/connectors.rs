//! `/v1/connectors`: what this host can speak to.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::api::{Services, caller::Anyone, error::Failure};

pub(super) async fn list(State(services): State<Services>, _: Anyone) -> Result<Json<Value>, Failure> {
    let connectors = services.context.registry.all();
    let shape = |connector: &trunnion_sandbox::Connector| {
        json!({
            "app": connector.manifest().id,
            "version": connector.manifest().version,
            "digest": connector.digest(),
            "imports": connector.imports(),
            "manifest": **connector.manifest(),
        })
    };
    Ok(Json(json!({ "data": connectors.iter().map(shape).collect::<Vec<_>>() })))
}
