//! Custom events: `GET /events` and `POST /run/event`.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    triggers::{
        accept::Seen,
        custom::{self, CustomEvent},
    },
};

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let events = services.library.events(&scope).await?;
    let shape = |event: &trunnion_core::records::EventSchema| json!({ "name": event.name, "description": event.description, "body": event.sample });
    Ok(Json(json!({ "data": events.iter().map(shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunEvent {
    event: String,
    user_id: String,
    data: Value,
}

pub(super) async fn run(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    headers: HeaderMap,
    body: body::Json<RunEvent>,
) -> Result<Json<Value>, Failure> {
    services.acceptor.admit()?;
    let body::Json { value: RunEvent { event, user_id, data }, raw } = body;
    let user = services.users.find(&scope, &user_id).await?;
    let seen = match headers.get("idempotency-key") {
        None => None,
        Some(key) => {
            let mut name = user.id.as_bytes().to_vec();
            name.extend_from_slice(key.as_bytes());
            let key = services.context.store.keyed_hash(&scope, "idempotency-key", &name);
            Some(Seen { key, body_hash: Some(hex::encode(digest(&SHA256, &raw))) })
        }
    };
    let event =
        CustomEvent { user: user.id, username: user.username, name: event, data: unquoted(data), seen };
    custom::accept(&services.context, &services.library, &services.acceptor, &scope, event).await?;
    Ok(Json(json!({ "message": "Event successfully triggered" })))
}

/// A JSON text that holds a JSON object stands for the object: one official client sends it so.
pub(super) fn unquoted(value: Value) -> Value {
    match &value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ Value::Object(_)) => inner,
            _ => value,
        },
        _ => value,
    }
}

/// What a query's `userId` must be.
pub(super) fn required(user_id: Option<&String>) -> Result<&str, Failure> {
    user_id.map(String::as_str).ok_or_else(|| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            "user-missing",
            "the query needs `userId`: a user's id or username",
        )
    })
}
