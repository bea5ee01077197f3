//! `/v1/connectors`: what this host can speak to, and for operators, which version of it.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::records::ConnectorChange;

use crate::{
    api::{
        Services, body,
        caller::{Anyone, Operator},
        error::Failure,
    },
    registry::{
        Active,
        candidate::Stages,
        swap::{Kept, Swapped, Which, Wish},
    },
};

const DEFAULT_HISTORY: usize = 50;

pub(super) async fn list(State(services): State<Services>, _: Anyone) -> Result<Json<Value>, Failure> {
    let standing = services.context.registry.standing();
    let shape = |Active { connector, since }: &Active| {
        json!({
            "app": connector.manifest().id,
            "version": connector.manifest().version,
            "digest": connector.digest(),
            "since": since.to_string(),
            "imports": connector.imports(),
            "manifest": **connector.manifest(),
        })
    };
    Ok(Json(json!({ "data": standing.all().map(shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushOptions {
    activate: Option<bool>,
}

pub(super) async fn push(
    State(services): State<Services>,
    Path(app): Path<String>,
    Query(options): Query<PushOptions>,
    component: body::Component,
) -> Result<Json<Value>, Failure> {
    let wish = if options.activate.unwrap_or(true) { Wish::Activate } else { Wish::Keep };
    Ok(Json(shape(&services.swaps.push(component.by, app, component.bytes, wish).await?)))
}

pub(super) async fn versions(
    State(services): State<Services>,
    _: Operator,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    let shape = |Kept { version, active, previous }: &Kept| {
        json!({
            "version": version.version,
            "digest": version.digest,
            "size": version.size,
            "added_at": version.added_at.to_string(),
            "active": active,
            "previous": previous,
        })
    };
    let versions = services.swaps.versions(&app).await?;
    Ok(Json(json!({ "data": versions.iter().map(shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    digest: Option<String>,
    version: Option<semver::Version>,
}

pub(super) async fn activate(
    State(services): State<Services>,
    Operator(by): Operator,
    Path(app): Path<String>,
    body: body::Json<Choice>,
) -> Result<Json<Value>, Failure> {
    let which = match body.value {
        Choice { digest: Some(digest), version: None } => Which::Digest(digest),
        Choice { digest: None, version: Some(version) } => Which::Version(version),
        Choice { .. } => {
            let message = "the body does not fit this call: give either `digest` or `version`";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "body-malformed", message));
        }
    };
    Ok(Json(shape(&services.swaps.activate(by, app, which).await?)))
}

pub(super) async fn roll_back(
    State(services): State<Services>,
    Operator(by): Operator,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(shape(&services.swaps.roll_back(by, app).await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryOptions {
    limit: Option<usize>,
}

pub(super) async fn history(
    State(services): State<Services>,
    _: Operator,
    Path(app): Path<String>,
    Query(options): Query<HistoryOptions>,
) -> Result<Json<Value>, Failure> {
    let shape = |change: &ConnectorChange| {
        let ConnectorChange { at, by, change, version, digest, previous, reason } = change;
        json!({
            "at": at.to_string(),
            "by": by,
            "change": change,
            "version": version,
            "digest": digest,
            "previous": previous,
            "reason": reason,
        })
    };
    let limit = options.limit.unwrap_or(DEFAULT_HISTORY).max(1);
    let history = services.swaps.history(&app, limit).await?;
    Ok(Json(json!({ "data": history.iter().map(shape).collect::<Vec<_>>() })))
}

fn shape(swapped: &Swapped) -> Value {
    let Swapped { version, active, changed, previous, stages, total } = swapped;
    let Stages { check, compile, probe, survey, switch } = *stages;
    json!({
        "app": version.app,
        "version": version.version,
        "digest": version.digest,
        "active": active,
        "changed": changed,
        "previous": previous,
        "size": version.size,
        "stages_ms": {
            "check": millis(check),
            "compile": millis(compile),
            "probe": millis(probe),
            "survey": millis(survey),
            "switch": millis(switch),
        },
        "total_ms": millis(*total),
    })
}

/// Milliseconds, to a thousandth.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
