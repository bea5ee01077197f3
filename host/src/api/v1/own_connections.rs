//! `/v1/connections`: the environment's own connections, which steps name that users do not see. Shows no secret.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::records::Connection;

use super::connections::shape;
use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    vault::Wish,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    app: String,
    data: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    app: String,
    scheme: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    redirect_url: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let connections = services.vault.own_connections(&scope).await?;
    let rows: Vec<_> = connections.iter().map(|(name, connection)| named(name, connection)).collect();
    Ok(Json(json!({ "data": rows })))
}

pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    body: body::Json<Given>,
) -> Result<Json<Value>, Failure> {
    let Given { app, data } = body.value;
    Ok(Json(named(&name, &services.vault.connect_own(&scope, &name, &app, data).await?)))
}

pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    services.vault.disconnect_own(&scope, &name).await?;
    Ok(Json(json!({ "deleted": true })))
}

pub(super) async fn check(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let id = services.vault.own_id(&scope, &name).await?;
    Ok(Json(named(&name, &services.vault.check(&scope, Connection::OWN, id).await?)))
}

pub(super) async fn consent(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    body: body::Json<Consent>,
) -> Result<Json<Value>, Failure> {
    let Consent { app, scheme, parameters, redirect_url } = body.value;
    let wish = Wish {
        user: Connection::OWN,
        name: Some(name),
        app,
        scheme,
        given: parameters,
        redirect: redirect_url,
    };
    Ok(Json(json!({ "url": services.vault.ask_consent(&scope, wish).await? })))
}

fn named(name: &str, connection: &Connection) -> Value {
    let mut row = shape(connection);
    if let Some(members) = row.as_object_mut() {
        members.insert("name".to_owned(), json!(name));
    }
    row
}
