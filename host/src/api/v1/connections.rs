//! `/v1/users/{user}/connections`: which credentials a user has, and how one that its vendor refuses is mended.
//!
//! Shows no secret. A mended credential lets every run and delivery go on that waited for it.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::records::Connection;

use crate::api::{Services, body, caller::Party, error::Failure, path};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    data: BTreeMap<String, String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    party: Party,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let connections = services.vault.connections(&scope, user.id).await?;
    Ok(Json(json!({ "data": connections.iter().map(shape).collect::<Vec<_>>() })))
}

pub(super) async fn update(
    State(services): State<Services>,
    party: Party,
    Path((user, connection)): Path<(String, String)>,
    body: body::Json<Update>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let id = path::id(&connection, "connection")?;
    Ok(Json(shape(&services.vault.update(&scope, user.id, id, body.value.data).await?)))
}

pub(super) async fn check(
    State(services): State<Services>,
    party: Party,
    Path((user, connection)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let id = path::id(&connection, "connection")?;
    Ok(Json(shape(&services.vault.check(&scope, user.id, id).await?)))
}

pub(super) fn shape(connection: &Connection) -> Value {
    json!({
        "id": connection.id,
        "app": connection.app,
        "account": connection.account,
        "title": connection.title,
        "created_at": connection.created_at.to_string(),
        "updated_at": connection.updated_at.to_string(),
        "needs_attention": connection.needs_attention,
    })
}
