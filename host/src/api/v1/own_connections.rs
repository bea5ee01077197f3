//! `/v1/connections`: the environment's own connections, which steps name that users do not see. Shows no secret.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::records::Connection;
use utoipa::ToSchema;

use super::connections::{Shown, shape};
use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        etag::{Conditions, If, Seen, Tagged},
        schema::{Address, Deleted, Listed},
    },
    vault::Wish,
};

/// What connects an app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnConnectionGiven)]
pub(super) struct Given {
    app: String,
    /// By the names that the app's connector asks for; `GET /metadata/credentials/{app}` lists them.
    data: BTreeMap<String, String>,
}

/// A connection to be made by consent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnConsentWish)]
pub(super) struct Consent {
    app: String,
    /// The way to connect, where the app has several.
    scheme: Option<String>,
    /// What the app's address needs, such as `shop`.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Where the person goes in the end.
    redirect_url: Option<String>,
}

/// A connection of the environment's own.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnConnection {
    #[serde(flatten)]
    connection: Shown,
    /// What steps call it.
    name: String,
}

/// Lists the environment's own connections
#[utoipa::path(get, path = "/connections", operation_id = "listOwnConnections",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every one.", body = Listed<OwnConnection>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<OwnConnection>>, Failure> {
    let connections = services.vault.own_connections(&scope).await?;
    Ok(Json(connections.iter().map(|(name, connection)| named(name, connection)).collect()))
}

/// Makes or mends a connection of the environment's own
///
/// The vendor is asked first. What the host does for a connection, such as renewing its token, changes its ETag, too.
#[utoipa::path(put, path = "/connections/{name}", operation_id = "putOwnConnection",
    security(("environment_key" = [])), params(Conditions), request_body = Given,
    responses((status = OK, description = "The connection works.", body = OwnConnection),
        (status = PRECONDITION_FAILED, description = "It is not as the conditions say."),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    If(condition): If,
    body: body::Json<Given>,
) -> Result<Tagged<Json<OwnConnection>>, Failure> {
    let Given { app, data } = body.value;
    let put = services.vault.connect_own(&scope, &name, &app, data, &condition).await?;
    Ok(Tagged(put.version, Json(named(&name, &put.record))))
}

/// Shows one of the environment's own connections
#[utoipa::path(get, path = "/connections/{name}", operation_id = "getOwnConnection",
    security(("environment_key" = [])), params(Seen),
    responses((status = OK, description = "The connection, without its secrets.", body = OwnConnection),
        (status = NOT_MODIFIED, description = "It is as the caller has seen it.")))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Tagged<Json<OwnConnection>>, Failure> {
    let stored = services.vault.own_connection(&scope, &name).await?;
    Ok(Tagged(stored.version, Json(named(&name, &stored.record))))
}

/// Lets go of a connection of the environment's own
#[utoipa::path(delete, path = "/connections/{name}", operation_id = "deleteOwnConnection",
    security(("environment_key" = [])),
    responses((status = OK, description = "It is gone.", body = Deleted)))]
pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Json<Deleted>, Failure> {
    services.vault.disconnect_own(&scope, &name).await?;
    Ok(Json(Deleted { deleted: true }))
}

/// Asks the vendor whether a connection of the environment's own works
#[utoipa::path(post, path = "/connections/{name}/check", operation_id = "checkOwnConnection",
    security(("environment_key" = [])),
    responses((status = OK, description = "The connection as it now stands.", body = OwnConnection),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn check(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
) -> Result<Json<OwnConnection>, Failure> {
    let id = services.vault.own_id(&scope, &name).await?;
    Ok(Json(named(&name, &services.vault.check(&scope, Connection::OWN, id).await?)))
}

/// Begins to connect the environment's own account by consent
#[utoipa::path(post, path = "/connections/{name}/consent", operation_id = "consentToOwnConnection",
    security(("environment_key" = [])), request_body = Consent,
    responses((status = OK, description = "Where a person consents, at the vendor.", body = Address)))]
pub(super) async fn consent(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(name): Path<String>,
    body: body::Json<Consent>,
) -> Result<Json<Address>, Failure> {
    let Consent { app, scheme, parameters, redirect_url } = body.value;
    let wish = Wish {
        user: Connection::OWN,
        name: Some(name),
        app,
        scheme,
        given: parameters,
        redirect: redirect_url,
    };
    Ok(Json(Address { url: services.vault.ask_consent(&scope, wish).await? }))
}

fn named(name: &str, connection: &Connection) -> OwnConnection {
    OwnConnection { connection: shape(connection), name: name.to_owned() }
}
