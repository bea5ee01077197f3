//! `/v1/streams`: where streams go, how they are signed, and what receivers verify them with.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Deserializer, Serialize};
use trunnion_core::{
    records::{BatchRule, Signature, StreamDestination},
    scope::Scope,
};
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        etag::{Conditions, If, Seen, Tagged},
        public_keys::alloy_key_path,
        schema::{Listed, Moment},
    },
    streams::{destinations::Wanted, keys::Kind},
};

/// How long a replaced secret still signs where nothing is said: a day, in which receivers are told the new one.
const OVERLAP_HOURS: u32 = 24;

/// Where a stream goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StreamGiven)]
pub(super) struct Put {
    #[schema(example = "https://api.acme.example/streams")]
    url: String,
    /// How what is sent is signed; by Standard Webhooks' secret where nothing is said.
    signatures: Option<BTreeSet<Signature>>,
    /// Null: what steps send goes in a request each. Absent: as before.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<BatchRule>)]
    batch: Option<Option<BatchRule>>,
}

/// What was said, be it null.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<BatchRule>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Where a stream goes and what verifies it.
#[derive(Serialize, ToSchema)]
pub(super) struct Stream {
    name: String,
    url: String,
    signatures: BTreeSet<Signature>,
    /// What verifies `v1a` signatures, where the stream has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    public_key: Option<Option<String>>,
    /// What verifies `X-Alloy-Signature`, where the stream has it: a PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    alloy_public_key: Option<Option<String>>,
    /// Where anybody gets that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    alloy_public_key_url: Option<String>,
    /// Until when the replaced secret signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_secret_signs_until: Option<Moment>,
    /// How what several runs send is gathered; null where each is sent by itself.
    #[schema(required)]
    batch: Option<BatchRule>,
    /// Since when nothing but failures came of it.
    #[schema(required)]
    failing_since: Option<Moment>,
    /// Where it takes nothing any more until it is enabled.
    #[schema(required)]
    disabled: Option<Disabled>,
    created_at: Moment,
    updated_at: Moment,
}

/// When a destination was switched off, and why.
#[derive(Serialize, ToSchema)]
pub(super) struct Disabled {
    at: Moment,
    reason: String,
}

/// A stream with the secret that receivers verify it with.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamWithSecret {
    #[serde(flatten)]
    stream: Stream,
    /// `whsec_…`, as Standard Webhooks has it.
    secret: String,
}

/// Says where a stream goes
///
/// Makes the stream, with a secret, or changes the one of this name.
#[utoipa::path(put, path = "/streams/{name}", operation_id = "putStream",
    security(("environment_key" = [])), params(Conditions), request_body = Put,
    responses((status = OK, description = "The stream.", body = StreamWithSecret),
        (status = CONFLICT, description = "Somebody else changed it in the same moment."),
        (status = PRECONDITION_FAILED, description = "It is not as the conditions say.")))]
pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    If(condition): If,
    body: body::Json<Put>,
) -> Result<Tagged<Json<StreamWithSecret>>, Failure> {
    let Put { url, signatures, batch } = body.value;
    let wanted = Wanted { url, signatures, batch };
    let put = services.destinations.put(&scope, &name, wanted, &condition).await?;
    Ok(Tagged(put.version, Json(with_secret(&services, &scope, &put.record).await?)))
}

/// Shows a stream
#[utoipa::path(get, path = "/streams/{name}", operation_id = "getStream",
    security(("environment_key" = [])), params(Seen),
    responses((status = OK, description = "The stream, without its secret.", body = Stream),
        (status = NOT_MODIFIED, description = "It is as the caller has seen it.")))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Tagged<Json<Stream>>, Failure> {
    let stored = services.destinations.one(&scope, &name).await?;
    Ok(Tagged(stored.version, Json(shape(&services, &scope, &stored.record).await?)))
}

/// Lists the streams
#[utoipa::path(get, path = "/streams", operation_id = "listStreams",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every stream, without secrets.", body = Listed<Stream>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<Stream>>, Failure> {
    let mut data = Vec::new();
    for destination in services.destinations.all(&scope).await? {
        data.push(shape(&services, &scope, &destination).await?);
    }
    Ok(Json(Listed { data }))
}

/// How a secret is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretRotation)]
pub(super) struct Rotate {
    /// Hours in which the replaced secret signs as well; 24 where nothing is said.
    #[serde(default = "usual_overlap")]
    #[schema(default = 24)]
    overlap_hours: u32,
}

const fn usual_overlap() -> u32 {
    OVERLAP_HOURS
}

/// Replaces a stream's secret
///
/// For a while both sign, so that receivers can be told the new one.
#[utoipa::path(post, path = "/streams/{name}/rotate-secret", operation_id = "rotateStreamSecret",
    security(("environment_key" = [])), request_body = Rotate,
    responses((status = OK, description = "The stream with its new secret.", body = StreamWithSecret),
        (status = CONFLICT, description = "Somebody else changed it in the same moment.")))]
pub(super) async fn rotate(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    body: body::Json<Rotate>,
) -> Result<Tagged<Json<StreamWithSecret>>, Failure> {
    let overlap = Duration::from_secs(u64::from(body.value.overlap_hours) * 3600);
    let rotated = services.destinations.rotate(&scope, &name, overlap).await?;
    Ok(Tagged(rotated.version, Json(with_secret(&services, &scope, &rotated.record).await?)))
}

/// Switches a stream's destination on again
///
/// Where it was switched off, since it took nothing for days or said that it is gone. What was given up meanwhile is among
/// the dead letters.
#[utoipa::path(post, path = "/streams/{name}/enable", operation_id = "enableStream",
    security(("environment_key" = [])),
    responses((status = OK, description = "The stream as it is now.", body = Stream),
        (status = CONFLICT, description = "Somebody else changed it in the same moment.")))]
pub(super) async fn enable(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Tagged<Json<Stream>>, Failure> {
    let enabled = services.destinations.enable(&scope, &name).await?;
    Ok(Tagged(enabled.version, Json(shape(&services, &scope, &enabled.record).await?)))
}

async fn with_secret(
    services: &Services,
    scope: &Scope,
    destination: &StreamDestination,
) -> Result<StreamWithSecret, Failure> {
    let stream = shape(services, scope, destination).await?;
    Ok(StreamWithSecret { stream, secret: destination.secret.clone() })
}

async fn shape(
    services: &Services,
    scope: &Scope,
    destination: &StreamDestination,
) -> Result<Stream, Failure> {
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
    let former = former.as_ref().filter(|former| former.until > services.context.now());
    let mut stream = Stream {
        name: name.clone(),
        url: url.clone(),
        signatures: signatures.iter().copied().collect(),
        public_key: None,
        alloy_public_key: None,
        alloy_public_key_url: None,
        former_secret_signs_until: former.map(|former| Moment::of(former.until)),
        batch: *batch,
        failing_since: failing_since.map(Moment::of),
        disabled: disabled
            .as_ref()
            .map(|off| Disabled { at: Moment::of(off.at), reason: off.reason.clone() }),
        created_at: Moment::of(created_at),
        updated_at: Moment::of(updated_at),
    };
    if signatures.contains(&Signature::StandardAsymmetric) {
        stream.public_key = Some(services.destinations.public_key(scope, Kind::Ed25519).await?);
    }
    if signatures.contains(&Signature::Alloy) {
        stream.alloy_public_key = Some(services.destinations.public_key(scope, Kind::Rsa).await?);
        let public_url = &services.context.public_url;
        stream.alloy_public_key_url = Some(format!("{public_url}{}", alloy_key_path(scope)));
    }
    Ok(stream)
}
