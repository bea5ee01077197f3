//! A user's connections: made, looked at, mended and let go of.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    clock::Timestamp,
    id::ConnectionId,
    records::{Connection, Installation},
};
use utoipa::ToSchema;

use super::{
    super::lookups::Query,
    Visitor,
    shape::{self, EmbedConnection},
};
use crate::{
    api::{
        Services, body,
        caller::{Installing, Party},
        error::Failure,
        path,
        schema::{Address, Choices, Deleted, Listed, Moment},
    },
    lookups::{Asked, Wanted},
    vault::Wish,
};

/// A user's connection and what uses it.
#[derive(Serialize, ToSchema)]
pub(super) struct UsedConnection {
    #[serde(flatten)]
    connection: EmbedConnection,
    /// The names of the installed workflows that use it.
    workflows: Vec<String>,
    /// When one of them last ran.
    #[schema(required)]
    last_activity_at: Option<Moment>,
}

/// Lists the user's connections
///
/// With what uses them. By an install link, those of its apps.
#[utoipa::path(get, path = "/connections", operation_id = "listEmbedConnections",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "Every one.", body = Listed<UsedConnection>)))]
pub(super) async fn list(
    State(services): State<Services>,
    installing: Installing,
) -> Result<Json<Listed<UsedConnection>>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let Visitor { scope, user, .. } = &visitor;
    let apps = visitor.apps(&services).await?;
    let copies = services.installer.of_user(scope, user.id).await?;
    let mut uses = Vec::with_capacity(copies.len());
    for copy in copies {
        let name =
            services.releases.get(scope, copy.workflow, copy.release).await?.release.definition.name.clone();
        let last = services.runs.last_of(scope, copy.workflow, user.id).await?;
        uses.push(Use { copy, name, last });
    }
    let connections = services.vault.connections(scope, user.id).await?;
    let shown = connections
        .iter()
        .filter(|connection| apps.as_ref().is_none_or(|apps| apps.contains(&connection.app)))
        .map(|connection| used(connection, &uses));
    Ok(Json(shown.collect()))
}

/// An installation, what people call it, and when it last ran.
struct Use {
    copy: Installation,
    name: String,
    last: Option<Timestamp>,
}

fn used(connection: &Connection, uses: &[Use]) -> UsedConnection {
    let by = || uses.iter().filter(|it| it.copy.connections.values().any(|id| *id == connection.id));
    UsedConnection {
        connection: shape::connection(connection),
        workflows: by().map(|it| it.name.clone()).collect(),
        last_activity_at: by().filter_map(|it| it.last).max().map(Moment::of),
    }
}

/// What connects an app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmbedConnect)]
pub(super) struct Connect {
    app: String,
    /// By the names that the app asks for.
    data: BTreeMap<String, String>,
}

/// Connects the user's account
///
/// The vendor is asked first.
#[utoipa::path(post, path = "/connections", operation_id = "connectEmbedded", request_body = Connect,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "It is connected.", body = EmbedConnection),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn connect(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Connect>,
) -> Result<Json<EmbedConnection>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let Connect { app, data } = body.value;
    visitor.may_use(&services, &app).await?;
    let connection = services.vault.connect(&visitor.scope, visitor.user.id, &app, data).await?;
    Ok(Json(shape::connection(&connection)))
}

/// A connection to be made by consent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmbedConsent)]
pub(super) struct Consent {
    app: String,
    /// The way to connect, where the app has several.
    scheme: Option<String>,
    /// What the app's address needs, such as `shop`.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// Begins to connect the user's account by consent
#[utoipa::path(post, path = "/consents", operation_id = "consentEmbedded", request_body = Consent,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "Where the person consents, at the vendor.", body = Address)))]

pub(super) async fn consent(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Consent>,
) -> Result<Json<Address>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let Consent { app, scheme, parameters } = body.value;
    visitor.may_use(&services, &app).await?;
    // The person comes back to a page of the host, which tells the modal.
    let wish = Wish { user: visitor.user.id, name: None, app, scheme, given: parameters, redirect: None };
    let url = services.vault.ask_consent(&visitor.scope, wish).await?;
    Ok(Json(Address { url }))
}

/// New values of a connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmbedConnectionUpdate)]
pub(super) struct Update {
    /// By the names that the app asks for; what is left out stays.
    data: BTreeMap<String, String>,
}

/// Mends a connection
///
/// The vendor is asked first.
#[utoipa::path(put, path = "/connections/{connection}", operation_id = "updateEmbedConnection", request_body = Update,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "It works.", body = EmbedConnection),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]

pub(super) async fn update(
    State(services): State<Services>,
    installing: Installing,
    Path(connection): Path<String>,
    body: body::Json<Update>,
) -> Result<Json<EmbedConnection>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let id = own(&services, &visitor, &connection).await?;
    let connection = services.vault.update(&visitor.scope, visitor.user.id, id, body.value.data).await?;
    Ok(Json(shape::connection(&connection)))
}

/// Asks the vendor whether a connection works
#[utoipa::path(post, path = "/connections/{connection}/check", operation_id = "checkEmbedConnection",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "The connection as it now stands.", body = EmbedConnection),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn check(
    State(services): State<Services>,
    installing: Installing,
    Path(connection): Path<String>,
) -> Result<Json<EmbedConnection>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let id = own(&services, &visitor, &connection).await?;
    let connection = services.vault.check(&visitor.scope, visitor.user.id, id).await?;
    Ok(Json(shape::connection(&connection)))
}

/// Lets go of a connection
///
/// What uses it no longer works. Only the user does so: a link installs.
#[utoipa::path(delete, path = "/connections/{connection}", operation_id = "disconnectEmbedded",
    security(("environment_key" = []), ("user_token" = [])),
    responses((status = OK, description = "It is gone.", body = Deleted),
        (status = CONFLICT, description = "Something that uses it changes too quickly.")))]
pub(super) async fn disconnect(
    State(services): State<Services>,
    party: Party,
    Path(connection): Path<String>,
) -> Result<Json<Deleted>, Failure> {
    let (scope, user) = party.of(&services, None).await?;
    let id: ConnectionId = path::id(&connection, "connection")?;
    services.installer.disconnect(&scope, user.id, id).await?;
    Ok(Json(Deleted { deleted: true }))
}

/// Lists what there is to choose in the user's account
#[utoipa::path(post, path = "/connections/{connection}/lookups/{lookup}", operation_id = "listEmbedLookupOptions",
    request_body = Query, security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "A page of values.", body = Choices),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn options(
    State(services): State<Services>,
    installing: Installing,
    Path((connection, lookup)): Path<(String, String)>,
    body: body::Json<Query>,
) -> Result<Json<Choices>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let id = own(&services, &visitor, &connection).await?;
    let asked = Asked { scope: &visitor.scope, user: visitor.user.id, connection: id };
    let Query { search, cursor, values } = body.value;
    Ok(Json(services.lookups.options(asked, &lookup, Wanted { search, cursor, values }).await?.into()))
}

/// A connection of the visitor's that the call may be about.
async fn own(services: &Services, visitor: &Visitor, id: &str) -> Result<ConnectionId, Failure> {
    let id: ConnectionId = path::id(id, "connection")?;
    let known = services.vault.connection(&visitor.scope, visitor.user.id, id).await?;
    visitor.may_use(services, &known.record.app).await?;
    Ok(id)
}
