//! `/users`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::records::User;

use crate::api::{Services, body, caller::Tenant, error::Failure};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewUser {
    username: String,
    full_name: Option<String>,
}

pub(super) async fn create(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewUser>,
) -> Result<Json<Value>, Failure> {
    let NewUser { username, full_name } = body.value;
    let user = services.users.create(&scope, &username, full_name).await?;
    Ok(Json(json!({ "userId": user.id })))
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let users = services.users.all(&scope).await?;
    Ok(Json(json!({ "data": users.iter().map(shape).collect::<Vec<_>>() })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(shape(&services.users.find(&scope, &user).await?)))
}

fn shape(user: &User) -> Value {
    let mut shape = Map::new();
    shape.insert("userId".to_owned(), json!(user.id));
    shape.insert("username".to_owned(), json!(user.username));
    if let Some(full_name) = &user.full_name {
        shape.insert("fullName".to_owned(), json!(full_name));
    }
    Value::Object(shape)
}
