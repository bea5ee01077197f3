//! `/v1/apps/{app}/oauth-client`: the ISV's own client at a vendor, one for each environment. Shows no secret.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::records::AppRegistration;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    vault::Registering,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    client_id: String,
    client_secret: Option<String>,
    scopes: Option<Vec<String>>,
    redirect_uri: Option<String>,
}

impl std::fmt::Debug for Client {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
    body: body::Json<Client>,
) -> Result<Json<Value>, Failure> {
    let Client { client_id, client_secret, scopes, redirect_uri } = body.value;
    let given = Registering { client_id, client_secret, scopes, redirect_uri };
    Ok(Json(shape(&services, &services.vault.register(&scope, &app, given).await?)))
}

pub(super) async fn get(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(shape(&services, services.vault.registration(&scope, &app).await?.as_ref())))
}

pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    services.vault.unregister(&scope, &app).await?;
    Ok(Json(json!({ "deleted": true })))
}

fn shape(services: &Services, registration: &AppRegistration) -> Value {
    json!({
        "app": registration.app,
        "client_id": registration.client_id,
        "scopes": registration.scopes,
        "redirect_uri": registration.redirect_uri,
        // What the ISV enters at the vendor, unless it has an address of its own.
        "callback_url": services.vault.callback_url(),
        "created_at": registration.created_at.to_string(),
        "updated_at": registration.updated_at.to_string(),
    })
}
