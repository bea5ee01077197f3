//! Credentials: `POST /headless/credentials`, a user's list, and the address where a user consents.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::lenient;
use crate::{
    api::{
        Services, body,
        caller::{Installing, Party},
        error::Failure,
        path,
    },
    vault::Wish,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewCredential {
    user_id: Option<String>,
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
    Installing { party, .. }: Installing,
    body: body::Json<NewCredential>,
) -> Result<Json<Value>, Failure> {
    let NewCredential { user_id, credential } = body.value;
    connect(&services, &party, user_id.as_deref(), credential).await
}

/// The older form, by path.
pub(super) async fn create_of(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path(user): Path<String>,
    body: body::Json<NewCredential>,
) -> Result<Json<Value>, Failure> {
    connect(&services, &party, Some(&user), body.value.credential).await
}

async fn connect(
    services: &Services,
    party: &Party,
    user: Option<&str>,
    credential: Value,
) -> Result<Json<Value>, Failure> {
    // One official client sends the credential as a JSON text.
    let credential: Credential = serde_json::from_value(lenient::object(credential)).map_err(|error| {
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
    let (scope, user) = party.of(services, user).await?;
    let connection = services.vault.connect(&scope, user.id, &credential.app, given).await?;
    Ok(Json(json!({ "success": true, "credentialId": connection.id })))
}

pub(super) async fn list(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
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

pub(super) async fn delete(
    State(services): State<Services>,
    party: Party,
    Path((user, credential)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    services.installer.disconnect(&scope, user.id, path::id(&credential, "credential")?).await?;
    Ok(Json(json!({ "success": true })))
}

/// `userId`, `app` and what else the app's address needs, such as `shop`. `redirectUrl` is where the user goes in the
/// end; Alloy's `credentialName` means nothing here.
type Asked = BTreeMap<String, String>;

pub(super) async fn consent(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Query(mut asked): Query<Asked>,
) -> Result<Json<Value>, Failure> {
    let user = asked.remove("userId");
    let url = consent_url(&services, &party, user.as_deref(), asked).await?;
    Ok(Json(json!({ "oauthUrl": url, "data": { "oauthUrl": url } })))
}

pub(super) async fn ask_consent(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    body: body::Json<Asked>,
) -> Result<Json<Value>, Failure> {
    let mut asked = body.value;
    let user = asked.remove("userId");
    let url = consent_url(&services, &party, user.as_deref(), asked).await?;
    Ok(Json(json!({ "oauthUrl": url, "data": { "oauthUrl": url } })))
}

/// The older form, by path.
pub(super) async fn consent_of(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path((user, app)): Path<(String, String)>,
    Query(mut asked): Query<Asked>,
) -> Result<Json<Value>, Failure> {
    asked.insert("app".to_owned(), app);
    let url = consent_url(&services, &party, Some(&user), asked).await?;
    Ok(Json(json!({ "oauthUrl": url, "redirectUrl": url, "url": url })))
}

async fn consent_url(
    services: &Services,
    party: &Party,
    user: Option<&str>,
    mut asked: Asked,
) -> Result<String, Failure> {
    let Some(app) = asked.remove("app") else {
        let message = "`app` is missing; name the app that the user connects";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "credential-incomplete", message));
    };
    let (scope, user) = party.of(services, user).await?;
    let (scheme, redirect) = (asked.remove("scheme"), asked.remove("redirectUrl"));
    let wish = Wish { user: user.id, name: None, app, scheme, given: asked, redirect };
    Ok(services.vault.ask_consent(&scope, wish).await?)
}
