//! `/v1/users/{user}/connections/{connection}/lookups/{lookup}` and `…/actions/{action}/schema`: what there is to choose
//! in the user's own account, and the shape of an input there.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{Services, body, caller::Installing, error::Failure, path},
    lookups::{Asked, Found, Wanted},
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Query {
    search: String,
    cursor: Option<Value>,
    values: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Chosen {
    values: Map<String, Value>,
}

pub(super) async fn options(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path((user, connection, lookup)): Path<(String, String, String)>,
    body: body::Json<Query>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let user = user.id;
    let asked = Asked { scope: &scope, user, connection: path::id(&connection, "connection")? };
    let Query { search, cursor, values } = body.value;
    let wanted = Wanted { search, cursor, values };
    let Found { items, next } = services.lookups.options(asked, &lookup, wanted).await?;
    let data: Vec<_> =
        items.into_iter().map(|(value, title)| json!({ "value": value, "title": title })).collect();
    Ok(Json(json!({ "data": data, "next": next })))
}

pub(super) async fn schema(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path((user, connection, action)): Path<(String, String, String)>,
    body: body::Json<Chosen>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let user = user.id;
    let asked = Asked { scope: &scope, user, connection: path::id(&connection, "connection")? };
    let schema = services.lookups.schema(asked, &action, body.value.values).await?;
    Ok(Json(json!({ "schema": schema })))
}
