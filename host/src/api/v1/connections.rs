//! `/v1/users/{user}/connections`: which credentials a user has, and how one that its vendor refuses is mended.
//!
//! Shows no secret. A mended credential lets every run and delivery go on that waited for it.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::records::Connection;
use utoipa::ToSchema;

use crate::api::{
    Services, body,
    caller::Party,
    error::Failure,
    path,
    schema::{Id, Listed, Moment},
};

/// New values of a connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConnectionUpdate)]
pub(super) struct Update {
    /// By the names that the app's connector asks for, `GET /metadata/credentials/{app}` lists; what is left out stays.
    data: BTreeMap<String, String>,
}

/// A stored credential for an app, without what proves it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(super) struct Shown {
    id: Id,
    app: String,
    /// The account's id at the vendor.
    account: String,
    /// What a person calls the account; empty where the vendor has no words for it.
    title: String,
    created_at: Moment,
    updated_at: Moment,
    /// Why the vendor refuses it; null while it works.
    #[schema(required)]
    needs_attention: Option<String>,
}

/// Lists a user's connections
#[utoipa::path(get, path = "/users/{user}/connections", operation_id = "listUserConnections",
    security(("environment_key" = []), ("user_token" = [])),
    responses((status = OK, description = "Every connection of the user.", body = Listed<Shown>)))]
pub(super) async fn list(
    State(services): State<Services>,
    party: Party,
    Path(user): Path<String>,
) -> Result<Json<Listed<Shown>>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let connections = services.vault.connections(&scope, user.id).await?;
    Ok(Json(connections.iter().map(shape).collect()))
}

/// Mends a connection
///
/// The vendor is asked first. Every run and delivery that waited for the connection goes on.
#[utoipa::path(put, path = "/users/{user}/connections/{connection}", operation_id = "updateUserConnection",
    security(("environment_key" = []), ("user_token" = [])), request_body = Update,
    responses((status = OK, description = "The connection works.", body = Shown),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn update(
    State(services): State<Services>,
    party: Party,
    Path((user, connection)): Path<(String, String)>,
    body: body::Json<Update>,
) -> Result<Json<Shown>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let id = path::id(&connection, "connection")?;
    Ok(Json(shape(&services.vault.update(&scope, user.id, id, body.value.data).await?)))
}

/// Asks the vendor whether a connection works
#[utoipa::path(post, path = "/users/{user}/connections/{connection}/check", operation_id = "checkUserConnection",
    security(("environment_key" = []), ("user_token" = [])),
    responses((status = OK, description = "The connection as it now stands.", body = Shown),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn check(
    State(services): State<Services>,
    party: Party,
    Path((user, connection)): Path<(String, String)>,
) -> Result<Json<Shown>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let id = path::id(&connection, "connection")?;
    Ok(Json(shape(&services.vault.check(&scope, user.id, id).await?)))
}

pub(super) fn shape(connection: &Connection) -> Shown {
    Shown {
        id: Id::of(connection.id),
        app: connection.app.clone(),
        account: connection.account.clone(),
        title: connection.title.clone(),
        created_at: Moment::of(connection.created_at),
        updated_at: Moment::of(connection.updated_at),
        needs_attention: connection.needs_attention.clone(),
    }
}
