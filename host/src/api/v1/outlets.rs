//! `/v1/outlets`: where operational events and errors go.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    records::{EventBridge, EventType},
    scope::Scope,
};

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    outbox::outlets,
};

/// The environment's outlets; those that are closed are null.
#[derive(Debug, Serialize)]
pub(super) struct Outlets {
    /// Where operational events go.
    events: Option<Events>,
    /// Where runs' errors go, as Alloy streams them.
    errors: Option<Errors>,
    /// The event bus that runs' errors are put on.
    event_bridge: Option<ShownBridge>,
}

/// Where operational events go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Events {
    /// The stream's name.
    stream: String,
    /// Only events of these types; all, where it names none.
    #[serde(default)]
    types: BTreeSet<EventType>,
}

/// Where runs' errors go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Errors {
    /// The stream's name.
    stream: String,
}

/// An event bus at AWS, and the key that may put events there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Serialize)]
struct ShownBridge {
    region: String,
    event_bus: String,
    source: String,
    endpoint: Option<String>,
    access_key_id: String,
}

fn default_bus() -> String {
    "default".to_owned()
}

fn default_source() -> String {
    "trunnion".to_owned()
}

pub(super) async fn all(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    show(&services, &scope).await
}

pub(super) async fn events(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Events>,
) -> Result<Json<Outlets>, Failure> {
    let Events { stream, types } = body.value;
    services.outlets.events_to(&scope, stream, types).await?;
    show(&services, &scope).await
}

pub(super) async fn errors(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Errors>,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.errors_to(&scope, body.value.stream).await?;
    show(&services, &scope).await
}

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

pub(super) async fn close_events(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.close(&scope, outlets::EVENTS).await?;
    show(&services, &scope).await
}

pub(super) async fn close_errors(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Outlets>, Failure> {
    services.outlets.close(&scope, outlets::ERRORS).await?;
    show(&services, &scope).await
}

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
