//! `/users`.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::records::User;

use super::{lenient, workflows::known};
use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    users::Wish,
};

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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    /// Only those who have installed this workflow.
    parent_workflow_id: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let mut users = services.users.all(&scope).await?;
    if let Some(workflow) = &filter.parent_workflow_id {
        let workflow = services.library.workflow(&scope, known(workflow)?).await?;
        let copies = services.installer.of_workflow(&scope, workflow.id).await?;
        users.retain(|user| copies.iter().any(|copy| copy.user == user.id));
    }
    Ok(Json(json!({ "data": users.iter().map(shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    /// A list, or a text that holds one.
    users: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wished {
    username: Option<String>,
    full_name: Option<String>,
}

/// Makes those that can be made, and names the others.
pub(super) async fn create_batch(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Batch>,
) -> Result<Json<Value>, Failure> {
    let wished: Vec<Wished> = lenient::list(body.value.users)
        .and_then(|list| serde_json::from_value(list).map_err(|error| error.to_string()))
        .map_err(|error| {
            let message = format!("`users` must be a list of {{\"username\", \"fullName\"}}: {error}");
            Failure::new(StatusCode::BAD_REQUEST, "users-invalid", message)
        })?;
    let wishes: Vec<_> =
        wished.into_iter().map(|Wished { username, full_name }| Wish { username, full_name }).collect();
    let refused = services.users.create_all(&scope, &wishes).await?;
    let refused = refused.into_iter().map(|wish| match (wish.username, wish.full_name) {
        (Some(username), _) => json!({ "username": username }),
        (None, Some(full_name)) => json!({ "fullName": full_name }),
        (None, None) => json!({}),
    });
    Ok(Json(json!({ "message": "success", "invalidUsers": refused.collect::<Vec<_>>() })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(shape(&services.users.find(&scope, &user).await?)))
}

pub(super) async fn update(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
    body: body::Json<Wished>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    let Wished { username, full_name } = body.value;
    let changed = services.users.update(&scope, user.id, Wish { username, full_name }).await?;
    Ok(Json(shape(&changed)))
}

/// The user with everything of theirs; what stays cannot be read by anybody.
pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    services.erasure.erase(&scope, user).await?;
    Ok(Json(json!({ "success": true })))
}

pub(super) async fn delete_logs(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    services.runs.forget_all_of(&scope, user.id).await?;
    Ok(Json(json!({ "message": "Success" })))
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
