//! A user's connections: made, looked at, mended and let go of.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::{
    clock::Timestamp,
    id::ConnectionId,
    records::{Connection, Installation},
};

use super::{Visitor, shape};
use crate::{
    api::{
        Services, body,
        caller::{Installing, Party},
        error::Failure,
        path,
    },
    lookups::{Asked, Found, Wanted},
    vault::Wish,
};

pub(super) async fn list(
    State(services): State<Services>,
    installing: Installing,
) -> Result<Json<Value>, Failure> {
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
    Ok(Json(json!({ "data": shown.collect::<Vec<_>>() })))
}

/// An installation, what people call it, and when it last ran.
struct Use {
    copy: Installation,
    name: String,
    last: Option<Timestamp>,
}

fn used(connection: &Connection, uses: &[Use]) -> Value {
    let by = || uses.iter().filter(|it| it.copy.connections.values().any(|id| *id == connection.id));
    let mut shape = shape::connection(connection);
    if let Some(members) = shape.as_object_mut() {
        members.insert("workflows".to_owned(), by().map(|it| it.name.as_str()).collect());
        let last = by().filter_map(|it| it.last).max().map(|at| at.to_string());
        members.insert("last_activity_at".to_owned(), json!(last));
    }
    shape
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    app: String,
    data: BTreeMap<String, String>,
}

pub(super) async fn connect(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Connect>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let Connect { app, data } = body.value;
    visitor.may_use(&services, &app).await?;
    let connection = services.vault.connect(&visitor.scope, visitor.user.id, &app, data).await?;
    Ok(Json(shape::connection(&connection)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    app: String,
    scheme: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

pub(super) async fn consent(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Consent>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let Consent { app, scheme, parameters } = body.value;
    visitor.may_use(&services, &app).await?;
    // The person comes back to a page of the host, which tells the modal.
    let wish = Wish { user: visitor.user.id, name: None, app, scheme, given: parameters, redirect: None };
    let url = services.vault.ask_consent(&visitor.scope, wish).await?;
    Ok(Json(json!({ "url": url })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    data: BTreeMap<String, String>,
}

pub(super) async fn update(
    State(services): State<Services>,
    installing: Installing,
    Path(connection): Path<String>,
    body: body::Json<Update>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let id = own(&services, &visitor, &connection).await?;
    let connection = services.vault.update(&visitor.scope, visitor.user.id, id, body.value.data).await?;
    Ok(Json(shape::connection(&connection)))
}

pub(super) async fn check(
    State(services): State<Services>,
    installing: Installing,
    Path(connection): Path<String>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let id = own(&services, &visitor, &connection).await?;
    let connection = services.vault.check(&visitor.scope, visitor.user.id, id).await?;
    Ok(Json(shape::connection(&connection)))
}

/// Only the user lets go of a connection: a link installs.
pub(super) async fn disconnect(
    State(services): State<Services>,
    party: Party,
    Path(connection): Path<String>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, None).await?;
    let id: ConnectionId = path::id(&connection, "connection")?;
    services.installer.disconnect(&scope, user.id, id).await?;
    Ok(Json(json!({ "deleted": true })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Query {
    search: String,
    cursor: Option<Value>,
    values: Map<String, Value>,
}

pub(super) async fn options(
    State(services): State<Services>,
    installing: Installing,
    Path((connection, lookup)): Path<(String, String)>,
    body: body::Json<Query>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let id = own(&services, &visitor, &connection).await?;
    let asked = Asked { scope: &visitor.scope, user: visitor.user.id, connection: id };
    let Query { search, cursor, values } = body.value;
    let Found { items, next } =
        services.lookups.options(asked, &lookup, Wanted { search, cursor, values }).await?;
    let data: Vec<_> =
        items.into_iter().map(|(value, title)| json!({ "value": value, "title": title })).collect();
    Ok(Json(json!({ "data": data, "next": next })))
}

/// A connection of the visitor's that the call may be about.
async fn own(services: &Services, visitor: &Visitor, id: &str) -> Result<ConnectionId, Failure> {
    let id: ConnectionId = path::id(id, "connection")?;
    let known = services.vault.connection(&visitor.scope, visitor.user.id, id).await?;
    visitor.may_use(services, &known.record.app).await?;
    Ok(id)
}
