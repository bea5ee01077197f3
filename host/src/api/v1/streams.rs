//! `/v1/streams`: where streams go, how they are signed, and what receivers verify them with.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use trunnion_core::{
    records::{BatchRule, Signature, StreamDestination},
    scope::Scope,
};

use crate::{
    api::{Services, body, caller::Tenant, error::Failure, public_keys::alloy_key_path},
    streams::{destinations::Wanted, keys::Kind},
};

/// How long a replaced secret still signs where nothing is said: a day, in which receivers are told the new one.
const OVERLAP_HOURS: u32 = 24;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    url: String,
    signatures: Option<BTreeSet<Signature>>,
    /// Null: what steps send goes in a request each. Absent: as before.
    #[serde(default, deserialize_with = "said")]
    batch: Option<Option<BatchRule>>,
}

/// What was said, be it null.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<BatchRule>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    body: body::Json<Put>,
) -> Result<Json<Value>, Failure> {
    let Put { url, signatures, batch } = body.value;
    let destination = services.destinations.put(&scope, &name, Wanted { url, signatures, batch }).await?;
    Ok(Json(with_secret(&services, &scope, &destination).await?))
}

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let destination = services.destinations.one(&scope, &name).await?;
    Ok(Json(shape(&services, &scope, &destination).await?.into()))
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let mut data = Vec::new();
    for destination in services.destinations.all(&scope).await? {
        data.push(shape(&services, &scope, &destination).await?);
    }
    Ok(Json(json!({ "data": data })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    #[serde(default = "usual_overlap")]
    overlap_hours: u32,
}

const fn usual_overlap() -> u32 {
    OVERLAP_HOURS
}

pub(super) async fn rotate(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    body: body::Json<Rotate>,
) -> Result<Json<Value>, Failure> {
    let overlap = Duration::from_secs(u64::from(body.value.overlap_hours) * 3600);
    let destination = services.destinations.rotate(&scope, &name, overlap).await?;
    Ok(Json(with_secret(&services, &scope, &destination).await?))
}

pub(super) async fn enable(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let destination = services.destinations.enable(&scope, &name).await?;
    Ok(Json(shape(&services, &scope, &destination).await?.into()))
}

async fn with_secret(
    services: &Services,
    scope: &Scope,
    destination: &StreamDestination,
) -> Result<Value, Failure> {
    let mut shape = shape(services, scope, destination).await?;
    shape.insert("secret".to_owned(), json!(destination.secret));
    Ok(shape.into())
}

async fn shape(
    services: &Services,
    scope: &Scope,
    destination: &StreamDestination,
) -> Result<Map<String, Value>, Failure> {
    let StreamDestination {
        name,
        url,
        former,
        signatures,
        failing_since,
        disabled,
        batch,
        created_at,
        updated_at,
        ..
    } = destination;
    let mut shape = Map::new();
    let mut put = |member: &str, value: Value| shape.insert(member.to_owned(), value);
    put("name", json!(name));
    put("url", json!(url));
    put("signatures", json!(signatures));
    if signatures.contains(&Signature::StandardAsymmetric) {
        put("public_key", json!(services.destinations.public_key(scope, Kind::Ed25519).await?));
    }
    if signatures.contains(&Signature::Alloy) {
        put("alloy_public_key", json!(services.destinations.public_key(scope, Kind::Rsa).await?));
        let public_url = &services.context.public_url;
        put("alloy_public_key_url", json!(format!("{public_url}{}", alloy_key_path(scope))));
    }
    if let Some(former) = former.as_ref().filter(|former| former.until > services.context.now()) {
        put("former_secret_signs_until", json!(former.until.to_string()));
    }
    put("batch", json!(batch));
    put("failing_since", json!(failing_since.map(|since| since.to_string())));
    let disabled = disabled.as_ref();
    put("disabled", json!(disabled.map(|off| json!({ "at": off.at.to_string(), "reason": off.reason }))));
    put("created_at", json!(created_at.to_string()));
    put("updated_at", json!(updated_at.to_string()));
    Ok(shape)
}
