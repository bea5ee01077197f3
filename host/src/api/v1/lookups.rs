//! `/v1/users/{user}/connections/{connection}/lookups/{lookup}` and `…/actions/{action}/schema`: what there is to choose
//! in the user's own account, and the shape of an input there.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    api::{Services, body, caller::Installing, error::Failure, path, schema::Choices},
    lookups::{Asked, Wanted},
};

/// What a lookup is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = LookupQuery)]
pub(in crate::api::v1) struct Query {
    /// What a person typed.
    pub(in crate::api::v1) search: String,
    /// The `next` of the page before.
    pub(in crate::api::v1) cursor: Option<Value>,
    /// What stands beside the field, by the names that the lookup knows.
    #[schema(value_type = Object)]
    pub(in crate::api::v1) values: Map<String, Value>,
}

/// What of an input is chosen already.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ChosenInput)]
pub(super) struct Chosen {
    #[schema(value_type = Object)]
    values: Map<String, Value>,
}

/// The shape of an action's input in an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActionSchema {
    /// A JSON Schema.
    schema: Value,
}

/// Lists what there is to choose in a user's account
#[utoipa::path(post, path = "/users/{user}/connections/{connection}/lookups/{lookup}",
    operation_id = "listLookupOptions", request_body = Query,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "A page of values.", body = Choices),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn options(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path((user, connection, lookup)): Path<(String, String, String)>,
    body: body::Json<Query>,
) -> Result<Json<Choices>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let user = user.id;
    let asked = Asked { scope: &scope, user, connection: path::id(&connection, "connection")? };
    let Query { search, cursor, values } = body.value;
    let wanted = Wanted { search, cursor, values };
    Ok(Json(services.lookups.options(asked, &lookup, wanted).await?.into()))
}

/// Shows the shape of an action's input in a user's account
#[utoipa::path(post, path = "/users/{user}/connections/{connection}/actions/{action}/schema",
    operation_id = "getActionSchema", request_body = Chosen,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "Its JSON Schema.", body = ActionSchema),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn schema(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path((user, connection, action)): Path<(String, String, String)>,
    body: body::Json<Chosen>,
) -> Result<Json<ActionSchema>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let user = user.id;
    let asked = Asked { scope: &scope, user, connection: path::id(&connection, "connection")? };
    let schema = services.lookups.schema(asked, &action, body.value.values).await?;
    Ok(Json(ActionSchema { schema }))
}
