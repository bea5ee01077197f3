//! `/users`.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::records;
use utoipa::{IntoParams, ToSchema};

use super::{lenient, workflows::known};
use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        schema::{Done, Id, Listed, Success},
    },
    users::Wish,
};

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewUser {
    /// The ISV's name for the user; unique in the environment, and not 24 hex digits.
    username: String,
    /// What a person calls the user.
    full_name: Option<String>,
}

/// The new user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeUser {
    user_id: Id,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    user_id: Id,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<String>,
}

/// Makes a user
#[utoipa::path(post, path = "/users", operation_id = "createUser",
    security(("environment_key" = [])), request_body = NewUser,
    responses((status = OK, description = "The new user.", body = MadeUser),
        (status = CONFLICT, description = "There is a user of this name.")))]
pub(super) async fn create(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<NewUser>,
) -> Result<Json<MadeUser>, Failure> {
    let NewUser { username, full_name } = body.value;
    let user = services.users.create(&scope, &username, full_name).await?;
    Ok(Json(MadeUser { user_id: Id::of(user.id) }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those who have installed this workflow.
    parent_workflow_id: Option<String>,
}

/// Lists the users
#[utoipa::path(get, path = "/users", operation_id = "listUsers",
    security(("environment_key" = [])), params(Filter),
    responses((status = OK, description = "Every user of the environment.", body = Listed<User>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Listed<User>>, Failure> {
    let mut users = services.users.all(&scope).await?;
    if let Some(workflow) = &filter.parent_workflow_id {
        let workflow = services.library.workflow(&scope, known(workflow)?).await?;
        let copies = services.installer.of_workflow(&scope, workflow.id).await?;
        users.retain(|user| copies.iter().any(|copy| copy.user == user.id));
    }
    Ok(Json(users.into_iter().map(shape).collect()))
}

/// Users to be made, at most 1000.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UserBatch)]
pub(super) struct Batch {
    /// A list, or a text that holds one.
    #[schema(value_type = Vec<Wished>)]
    users: Value,
}

/// What a user is to be called; what is left out stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserNames)]
pub(super) struct Wished {
    username: Option<String>,
    full_name: Option<String>,
}

/// What became of many users.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeUsers {
    /// `success`.
    message: &'static str,
    /// Those that could not be made.
    invalid_users: Vec<InvalidUser>,
}

/// A user that could not be made, by whatever names it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InvalidUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<String>,
}

/// Makes many users
///
/// Makes those that can be made, and names the others.
#[utoipa::path(post, path = "/users/batch", operation_id = "createUsers",
    security(("environment_key" = [])), request_body = Batch,
    responses((status = OK, description = "Those that can be made are.", body = MadeUsers),
        (status = CONFLICT, description = "Somebody else made one of them in the same moment.")))]
pub(super) async fn create_batch(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Batch>,
) -> Result<Json<MadeUsers>, Failure> {
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
        (Some(username), _) => InvalidUser { username: Some(username), full_name: None },
        (None, full_name) => InvalidUser { username: None, full_name },
    });
    Ok(Json(MadeUsers { message: "success", invalid_users: refused.collect() }))
}

/// Shows a user
#[utoipa::path(get, path = "/users/{user}", operation_id = "getUser",
    security(("environment_key" = [])),
    responses((status = OK, description = "The user.", body = User)))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<User>, Failure> {
    Ok(Json(shape(services.users.find(&scope, &user).await?)))
}

/// Renames a user
#[utoipa::path(put, path = "/users/{user}", operation_id = "updateUser",
    security(("environment_key" = [])), request_body = Wished,
    responses((status = OK, description = "The user.", body = User),
        (status = CONFLICT, description = "There is a user of this name, or somebody else changed this one in the same moment.")))]
pub(super) async fn update(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
    body: body::Json<Wished>,
) -> Result<Json<User>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    let Wished { username, full_name } = body.value;
    let changed = services.users.update(&scope, user.id, Wish { username, full_name }).await?;
    Ok(Json(shape(changed)))
}

/// Erases a user
///
/// With everything of theirs; what stays cannot be read by anybody.
#[utoipa::path(delete, path = "/users/{user}", operation_id = "deleteUser",
    security(("environment_key" = [])),
    responses((status = OK, description = "The user is gone.", body = Success),
        (status = CONFLICT, description = "Something of theirs changes too quickly.")))]
pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Success>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    services.erasure.erase(&scope, user).await?;
    Ok(Json(Success { success: true }))
}

/// Deletes a user's logs
///
/// The user's ended runs, their dead letters, and what the ISV has not taken yet of their errors.
#[utoipa::path(delete, path = "/users/{user}/logs", operation_id = "deleteUserLogs",
    security(("environment_key" = [])),
    responses((status = OK, description = "They are gone.", body = Done),
        (status = CONFLICT, description = "A run of theirs changes too quickly.")))]
pub(super) async fn delete_logs(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
) -> Result<Json<Done>, Failure> {
    let user = services.users.find(&scope, &user).await?;
    services.runs.forget_all_of(&scope, user.id).await?;
    Ok(Json(Done { message: "Success" }))
}

fn shape(user: records::User) -> User {
    User { user_id: Id::of(user.id), username: user.username, full_name: user.full_name }
}
