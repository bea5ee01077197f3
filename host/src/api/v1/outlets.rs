//! `/v1/outlets`: where operational events and errors go.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    records::{EventBridge, EventType},
    scope::Scope,
};
use utoipa::ToSchema;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    outbox::outlets,
};

/// The environment's outlets; those that are closed are null.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outlets {
    /// Where operational events go.
    #[schema(required)]
    events: Option<Events>,
    /// Where runs' errors go, as Alloy streams them.
    #[schema(required)]
    errors: Option<Errors>,
    /// The event bus that runs' errors are put on.
    #[schema(required)]
    event_bridge: Option<ShownBridge>,
}

/// Where operational events go.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventsOutlet)]
pub(super) struct Events {
    /// The stream's name.
    stream: String,
    /// Only events of these types; all, where it names none.
    #[serde(default)]
    types: BTreeSet<EventType>,
}

/// Where runs' errors go.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ErrorsOutlet)]
pub(super) struct Errors {
    /// The stream's name.
    stream: String,
}

/// An event bus at AWS, and the key that may put events there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventBridgeGiven)]
pub(super) struct Bridge {
    /// In which region, such as `eu-central-1`.
    region: String,
    /// The bus, by name or ARN; the account's default one where absent.
    #[serde(default = "default_bus")]
    event_bus: String,
    /// Each event's `source`; `trunnion` where absent.
    #[serde(default = "default_source")]
    source: String,
    /// Another endpoint than the region's own.
    endpoint: Option<String>,
    /// The access key's id.
    access_key_id: String,
    /// The access key's secret, which is never shown.
    secret_access_key: String,
    /// Where the key is a temporary one; never shown.
    session_token: Option<String>,
}

/// An event bus, without what proves who puts events there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventBridge)]
struct ShownBridge {
    region: String,
    event_bus: String,
    source: String,
    #[schema(required)]
    endpoint: Option<String>,
    access_key_id: String,
}

fn default_bus() -> String {
    "default".to_owned()
}

fn default_source() -> String {
    "trunnion".to_owned()
}

/// Shows where operational events and errors go
#[utoipa::path(get, path = "/outlets", operation_id = "listOutlets",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn all(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    show(&services, &scope).await
}

/// Says where operational events go
///
/// To a stream: its URL, secret and signatures are the stream's.
#[utoipa::path(put, path = "/outlets/events", operation_id = "putEventsOutlet",
    security(("environment_key" = [])), request_body = Events,
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn events(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Events>,
) -> Result<Json<Outlets>, Failure> {
    let Events { stream, types } = body.value;
    services.outlets.events_to(&scope, stream, types).await?;
    show(&services, &scope).await
}

/// Says where runs' errors go
///
/// To a stream, as Alloy streams them.
#[utoipa::path(put, path = "/outlets/errors", operation_id = "putErrorsOutlet",
    security(("environment_key" = [])), request_body = Errors,
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn errors(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Errors>,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.errors_to(&scope, body.value.stream).await?;
    show(&services, &scope).await
}

/// Says on which event bus runs' errors are put
///
/// At AWS, under a key of the ISV's own.
#[utoipa::path(put, path = "/outlets/event-bridge", operation_id = "putEventBridge",
    security(("environment_key" = [])), request_body = Bridge,
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn event_bridge(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Bridge>,
) -> Result<Json<Outlets>, Failure> {
    let Bridge { region, event_bus, source, endpoint, access_key_id, secret_access_key, session_token } =
        body.value;
    let bridge =
        EventBridge { region, event_bus, source, endpoint, access_key_id, secret_access_key, session_token };
    services.outlets.event_bridge_to(&scope, bridge).await?;
    show(&services, &scope).await
}

/// Tells operational events to nobody any more
///
/// What is on its way already still goes.
#[utoipa::path(delete, path = "/outlets/events", operation_id = "deleteEventsOutlet",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn close_events(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.close(&scope, outlets::EVENTS).await?;
    show(&services, &scope).await
}

/// Streams runs' errors no more
///
/// What is on its way already still goes.
#[utoipa::path(delete, path = "/outlets/errors", operation_id = "deleteErrorsOutlet",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn close_errors(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.close(&scope, outlets::ERRORS).await?;
    show(&services, &scope).await
}

/// Puts runs' errors on no event bus any more
///
/// Its key is forgotten.
#[utoipa::path(delete, path = "/outlets/event-bridge", operation_id = "deleteEventBridge",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every outlet as it is now.", body = Outlets)))]
pub(super) async fn close_event_bridge(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.close(&scope, outlets::EVENT_BRIDGE).await?;
    show(&services, &scope).await
}

async fn show(services: &Services, scope: &Scope) -> Result<Json<Outlets>, Failure> {
    let outlets::All { events, errors, event_bridge } = services.outlets.all(scope).await?;
    let shown = |bridge: EventBridge| {
        let EventBridge { region, event_bus, source, endpoint, access_key_id, .. } = bridge;
        ShownBridge { region, event_bus, source, endpoint, access_key_id }
    };
    Ok(Json(Outlets {
        events: events.map(|(stream, types)| Events { stream, types }),
        errors: errors.map(|stream| Errors { stream }),
        event_bridge: event_bridge.map(shown),
    }))
}
