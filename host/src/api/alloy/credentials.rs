//! Credentials: `POST /headless/credentials` and a user's list.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::events::unquoted;
use crate::api::{Services, body, caller::Tenant, error::Failure};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewCredential {
    user_id: String,
    credential: Value,
}

#[derive(Debug, Deserialize)]
struct Credential {
    #[serde(rename = "type")]
    app: String,
    data: BTreeMap<String, Value>,
}

pub(super) async fn create(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewCredential>,
) -> Result<Json<Value>, Failure> {
    let NewCredential { user_id, credential } = body.value;
    // One official client sends the credential as a JSON text.
    let credential: Credential = serde_json::from_value(unquoted(credential)).map_err(|error| {
        let message = format!("`credential` must be {{\"type\": APP, \"data\": {{…}}}}: {error}");
        Failure::new(StatusCode::BAD_REQUEST, "credential-invalid", message)
    })?;
    let mut given = BTreeMap::new();
    for (name, value) in credential.data {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => {
                let message = format!("`credential.data.{name}` must be text");
                return Err(Failure::new(StatusCode::BAD_REQUEST, "credential-invalid", message));
            }
        };
        given.insert(name, text);
    }
    let user = services.users.find(&scope, &user_id).await?;
    let connection = services.vault.connect(&scope, user.id, &credential.app, given).await?;
    Ok(Json(json!({ "success": true, "credentialId": connection.id })))
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    let connections = services.vault.connections(&scope, user.id).await?;
    let shape = |connection: &trunnion_core::records::Connection| {
        json!({
            "credentialId": connection.id,
            "type": connection.app,
            "createdAt": connection.created_at.to_string(),
            "updatedAt": connection.updated_at.to_string(),
        })
    };
    Ok(Json(json!({ "data": connections.iter().map(shape).collect::<Vec<_>>() })))
}
