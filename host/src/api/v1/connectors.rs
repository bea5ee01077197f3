//! `/v1/connectors`: what this host can speak to, and for operators, which version of it.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use semver::Version;
use serde::{Deserialize, Serialize};
use trunnion_core::{manifest::Manifest, records};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Services, body,
        caller::{Anyone, Operator},
        error::Failure,
        schema::{Id, Listed, Moment},
    },
    registry::{
        Active,
        candidate::Stages,
        swap::{Kept, Swapped, Which, Wish},
    },
};

const DEFAULT_HISTORY: usize = 50;

/// A connector that is active.
#[derive(Serialize, ToSchema)]
pub(super) struct Connector {
    app: String,
    #[schema(value_type = String, example = "1.2.0")]
    version: Version,
    /// Of the component.
    digest: String,
    /// Since when it is active.
    since: Moment,
    /// What the component imports of the contract.
    imports: Vec<String>,
    /// What the connector says of itself: `host/docs/CONNECTORS.md`.
    #[schema(value_type = Object)]
    manifest: Manifest,
}

/// Lists the connectors that are active
#[utoipa::path(get, path = "/connectors", operation_id = "listConnectors",
    security(("environment_key" = []), ("operator_key" = [])),
    responses((status = OK, description = "One for each app.", body = Listed<Connector>)))]
pub(super) async fn list(
    State(services): State<Services>,
    _: Anyone,
) -> Result<Json<Listed<Connector>>, Failure> {
    let standing = services.context.registry.standing();
    let shape = |Active { connector, since }: &Active| Connector {
        app: connector.manifest().id.clone(),
        version: connector.manifest().version.clone(),
        digest: connector.digest().to_string(),
        since: Moment::of(since),
        imports: connector.imports().to_vec(),
        manifest: Manifest::clone(connector.manifest()),
    };
    Ok(Json(standing.all().map(shape).collect()))
}

/// What becomes of a component.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PushOptions {
    /// Whether it is to become the active version, or only to be kept; yes where nothing is said.
    activate: Option<bool>,
}

/// What was done about an app's connector.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectorSwap {
    app: String,
    #[schema(value_type = String, example = "1.2.0")]
    version: Version,
    digest: String,
    /// Whether that version is the active one now.
    active: bool,
    /// Whether anything changed.
    changed: bool,
    /// The component that was active before.
    #[schema(required)]
    previous: Option<String>,
    /// Bytes of the component.
    size: u64,
    stages_ms: SwapStages,
    /// From the whole component, or the wish, to the switch, in milliseconds.
    total_ms: f64,
}

/// How long each stage took, in milliseconds.
#[derive(Serialize, ToSchema)]
struct SwapStages {
    check: f64,
    compile: f64,
    probe: f64,
    survey: f64,
    switch: f64,
}

/// Adds a version of a connector
///
/// The component is checked, compiled, probed and held against what is in use of the version before; the host runs all the
/// while, and calls under way end on the version they began with.
#[utoipa::path(put, path = "/connectors/{app}/versions", operation_id = "pushConnector",
    security(("operator_key" = [])), params(PushOptions),
    request_body(content = [u8], content_type = "application/wasm", description = "The component."),
    responses((status = OK, description = "What was done.", body = ConnectorSwap),
        (status = CONFLICT, description = "It removes or changes what is in use, or another swap is under way.")))]
pub(super) async fn push(
    State(services): State<Services>,
    Path(app): Path<String>,
    Query(options): Query<PushOptions>,
    component: body::Component,
) -> Result<Json<ConnectorSwap>, Failure> {
    let wish = if options.activate.unwrap_or(true) { Wish::Activate } else { Wish::Keep };
    Ok(Json(shape(services.swaps.push(component.by, app, component.bytes, wish).await?)))
}

/// A version that is kept.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectorVersion {
    #[schema(value_type = String, example = "1.2.0")]
    version: Version,
    digest: String,
    /// Bytes of the component.
    size: u64,
    added_at: Moment,
    active: bool,
    /// Whether a rollback goes to it.
    previous: bool,
}

/// Lists the versions of a connector that are kept
#[utoipa::path(get, path = "/connectors/{app}/versions", operation_id = "listConnectorVersions",
    security(("operator_key" = [])),
    responses((status = OK, description = "Every version.", body = Listed<ConnectorVersion>)))]
pub(super) async fn versions(
    State(services): State<Services>,
    _: Operator,
    Path(app): Path<String>,
) -> Result<Json<Listed<ConnectorVersion>>, Failure> {
    let shape = |Kept { version, active, previous }: Kept| ConnectorVersion {
        digest: version.digest.to_string(),
        size: version.size,
        added_at: Moment::of(version.added_at),
        version: version.version,
        active,
        previous,
    };
    Ok(Json(services.swaps.versions(&app).await?.into_iter().map(shape).collect()))
}

/// The version to activate: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConnectorChoice)]
pub(super) struct Choice {
    digest: Option<String>,
    #[schema(value_type = Option<String>, example = "1.2.0")]
    version: Option<Version>,
}

/// Activates a version of a connector
#[utoipa::path(post, path = "/connectors/{app}/activate", operation_id = "activateConnector",
    security(("operator_key" = [])), request_body = Choice,
    responses((status = OK, description = "What was done.", body = ConnectorSwap),
        (status = CONFLICT, description = "It removes or changes what is in use, or another swap is under way.")))]
pub(super) async fn activate(
    State(services): State<Services>,
    Operator(by): Operator,
    Path(app): Path<String>,
    body: body::Json<Choice>,
) -> Result<Json<ConnectorSwap>, Failure> {
    let which = match body.value {
        Choice { digest: Some(digest), version: None } => Which::Digest(digest),
        Choice { digest: None, version: Some(version) } => Which::Version(version),
        Choice { .. } => {
            let message = "the body does not fit this call: give either `digest` or `version`";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "body-malformed", message));
        }
    };
    Ok(Json(shape(services.swaps.activate(by, app, which).await?)))
}

/// Goes back to the version that was active before
#[utoipa::path(post, path = "/connectors/{app}/rollback", operation_id = "rollBackConnector",
    security(("operator_key" = [])),
    responses((status = OK, description = "What was done.", body = ConnectorSwap),
        (status = CONFLICT, description = "There is none, it cannot take over, or another swap is under way.")))]
pub(super) async fn roll_back(
    State(services): State<Services>,
    Operator(by): Operator,
    Path(app): Path<String>,
) -> Result<Json<ConnectorSwap>, Failure> {
    Ok(Json(shape(services.swaps.roll_back(by, app).await?)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryOptions {
    /// At most so many; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<usize>,
}

/// Something that was done, or refused, about a connector.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectorChange {
    at: Moment,
    /// Whose key asked for it; null where a component came with the data directory.
    #[schema(required)]
    by: Option<KeyHolder>,
    /// What was done.
    #[schema(value_type = String)]
    change: records::ConnectorChangeKind,
    #[schema(required, value_type = Option<String>)]
    version: Option<Version>,
    digest: String,
    /// The component that was active before.
    #[schema(required)]
    previous: Option<String>,
    /// Why it was refused, or where it came from.
    #[schema(required)]
    reason: Option<String>,
}

/// A key that was used.
#[derive(Serialize, ToSchema)]
struct KeyHolder {
    id: Id,
    /// What a person calls it.
    name: String,
}

/// Lists what was done about a connector
#[utoipa::path(get, path = "/connectors/{app}/history", operation_id = "listConnectorHistory",
    security(("operator_key" = [])), params(HistoryOptions),
    responses((status = OK, description = "The newest first.", body = Listed<ConnectorChange>)))]
pub(super) async fn history(
    State(services): State<Services>,
    _: Operator,
    Path(app): Path<String>,
    Query(options): Query<HistoryOptions>,
) -> Result<Json<Listed<ConnectorChange>>, Failure> {
    let shape = |records::ConnectorChange { at, by, change, version, digest, previous, reason }| {
        let by = by.map(|records::KeyHolder { id, name }| KeyHolder { id: Id::of(id), name });
        let previous = previous.map(|digest| digest.to_string());
        let digest = digest.to_string();
        ConnectorChange { at: Moment::of(at), by, change, version, digest, previous, reason }
    };
    let limit = options.limit.unwrap_or(DEFAULT_HISTORY).max(1);
    Ok(Json(services.swaps.history(&app, limit).await?.into_iter().map(shape).collect()))
}

fn shape(swapped: Swapped) -> ConnectorSwap {
    let Swapped { version, active, changed, previous, stages, total } = swapped;
    let Stages { check, compile, probe, survey, switch } = stages;
    ConnectorSwap {
        app: version.app,
        version: version.version,
        digest: version.digest.to_string(),
        active,
        changed,
        previous: previous.map(|digest| digest.to_string()),
        size: version.size,
        stages_ms: SwapStages {
            check: millis(check),
            compile: millis(compile),
            probe: millis(probe),
            survey: millis(survey),
            switch: millis(switch),
        },
        total_ms: millis(total),
    }
}

/// Milliseconds, to a thousandth.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
