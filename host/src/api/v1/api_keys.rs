//! `/v1/keys`: API keys, made (and shown once), listed and revoked.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    id::{ApiKeyId, WorkspaceId},
    records::{ApiKey, Authority},
    scope::{Environment, Scope},
};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Filter, Holder},
    api::{Services, body, caller::Anyone, error::Failure, path, schema},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// A key that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What a person calls it: 1 to 100 characters.
    name: String,
    /// Whether it is an environment's, which is what is meant where absent, or an operator's.
    #[serde(default)]
    authority: Kind,
    /// The workspace; with an environment's key only its own, and may be left out.
    #[schema(value_type = Option<schema::Id>)]
    workspace_id: Option<WorkspaceId>,
    /// The environment; with an environment's key only its own, and may be left out.
    environment: Option<Environment>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = KeyAuthority)]
pub(super) enum Kind {
    /// Everything inside one environment.
    #[default]
    Environment,
    /// Runs the host.
    Operator,
}

/// A key, without itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct Shape {
    /// Names the key; it is not the key.
    #[schema(value_type = schema::Id)]
    id: ApiKeyId,
    /// What a person calls it.
    name: String,
    /// What it may do.
    authority: Kind,
    /// The workspace; null for an operator's key.
    #[schema(value_type = Option<schema::Id>, required)]
    workspace_id: Option<WorkspaceId>,
    /// The environment; null for an operator's key.
    #[schema(required)]
    environment: Option<Environment>,
    /// Its last characters; null for keys that were made before these were kept.
    #[schema(required)]
    ends_in: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// The day it was last used, as `2026-01-31` in UTC; null where it never was.
    #[schema(required, format = Date)]
    last_used_on: Option<String>,
    /// When it was revoked; null while it holds.
    #[schema(required, format = DateTime)]
    revoked_at: Option<String>,
}

/// A new key. Its `key` is never shown again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(super) struct Made {
    /// What it is.
    #[serde(flatten)]
    shape: Shape,
    /// The key itself.
    key: String,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyPage)]
pub(super) struct Page {
    /// Keys, oldest first, revoked ones too.
    data: Vec<Shape>,
    /// Names the next page; null on the last.
    #[schema(value_type = Option<schema::Id>, required)]
    next_cursor: Option<ApiKeyId>,
}

/// Which keys are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Those of this workspace's environment; goes with `environment`.
    #[param(value_type = Option<schema::Id>)]
    workspace_id: Option<WorkspaceId>,
    /// Those of this environment; goes with `workspace_id`.
    environment: Option<Environment>,
    /// How many: 1 to 100, 20 where absent.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Makes an API key
///
/// An operator's key makes keys of any environment and of operators, an environment's key those of its own environment.
/// The key itself is shown once.
#[utoipa::path(post, path = "/keys", operation_id = "createKey",
    security(("environment_key" = []), ("operator_key" = [])), request_body = NewKey,
    responses((status = OK, description = "The key, which is never shown again.", body = Made)))]
pub(super) async fn create(
    State(services): State<Services>,
    Anyone(by): Anyone,
    body: body::Json<NewKey>,
) -> Result<impl IntoResponse, Failure> {
    let authority = authority(&by, &body.value)?;
    let made = services.access.create_key(authority, &body.value.name).await?;
    let made = Made { shape: shape(&made.record), key: made.key };
    Ok((AppendHeaders([(header::CACHE_CONTROL, "no-store")]), Json(made)))
}

/// Lists API keys
///
/// The oldest first, revoked ones too: with an environment's key those of its environment, with an operator's all.
#[utoipa::path(get, path = "/keys", operation_id = "listKeys",
    security(("environment_key" = []), ("operator_key" = [])), params(Wanted),
    responses((status = OK, description = "A page.", body = Page)))]
pub(super) async fn list(
    State(services): State<Services>,
    Anyone(by): Anyone,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Failure> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let filter = Filter {
        environment: environment(wanted.workspace_id, wanted.environment)?,
        after: wanted.cursor.as_deref().map(|cursor| path::id(cursor, "cursor")).transpose()?,
    };
    let mut keys = services.access.keys(by.authority, filter, limit + 1).await?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next_cursor = keys.last().filter(|_| more).map(|key| key.id);
    Ok(Json(Page { data: keys.iter().map(shape).collect(), next_cursor }))
}

/// Revokes an API key
///
/// At once, and for good.
#[utoipa::path(delete, path = "/keys/{api_key}", operation_id = "revokeKey",
    security(("environment_key" = []), ("operator_key" = [])),
    responses((status = OK, description = "The key as it is now.", body = Shape),
        (status = CONFLICT, description = "It is the last key that could make another, or was changed in the same moment.")))]
pub(super) async fn revoke(
    State(services): State<Services>,
    Anyone(by): Anyone,
    Path(key): Path<String>,
) -> Result<Json<Shape>, Failure> {
    let revoked = services.access.revoke_key(by.authority, path::id(&key, "key")?).await?;
    Ok(Json(shape(&revoked)))
}

/// What the new key may do, which is nothing that its maker may not.
fn authority(by: &Holder, wanted: &NewKey) -> Result<Authority, Failure> {
    let forbidden = |message: &str| Failure::new(StatusCode::FORBIDDEN, "wrong-authority", message);
    match (by.authority, wanted.authority) {
        (Authority::Operator, Kind::Operator) => Ok(Authority::Operator),
        (Authority::Operator, Kind::Environment) => {
            let scope = environment(wanted.workspace_id, wanted.environment)?.ok_or_else(|| {
                let message = "name the environment that the key is for as `workspace_id` and `environment`, or make an \
                               operator's with `\"authority\": \"operator\"`";
                Failure::new(StatusCode::BAD_REQUEST, "api-key-environment-missing", message)
            })?;
            Ok(Authority::Environment { scope })
        }
        (Authority::Environment { .. }, Kind::Operator) => {
            Err(forbidden("only an operator's key makes operators' keys"))
        }
        (Authority::Environment { scope }, Kind::Environment) => {
            let own = wanted.workspace_id.is_none_or(|id| id == scope.workspace)
                && wanted.environment.is_none_or(|it| it == scope.environment);
            if own {
                return Ok(Authority::Environment { scope });
            }
            Err(forbidden(
                "an environment's key makes keys of its own environment; use the other one's key or an operator's",
            ))
        }
    }
}

/// An environment is named by both or not at all.
fn environment(
    workspace: Option<WorkspaceId>,
    environment: Option<Environment>,
) -> Result<Option<Scope>, Failure> {
    match (workspace, environment) {
        (Some(workspace), Some(environment)) => Ok(Some(Scope::new(workspace, environment))),
        (None, None) => Ok(None),
        _ => {
            let message = "`workspace_id` and `environment` go together: name both or neither";
            Err(Failure::new(StatusCode::BAD_REQUEST, "api-key-environment-missing", message))
        }
    }
}

fn shape(key: &ApiKey) -> Shape {
    let (authority, scope) = match key.authority {
        Authority::Operator => (Kind::Operator, None),
        Authority::Environment { scope } => (Kind::Environment, Some(scope)),
    };
    Shape {
        id: key.id,
        name: key.name.clone(),
        authority,
        workspace_id: scope.map(|scope| scope.workspace),
        environment: scope.map(|scope| scope.environment),
        ends_in: key.ends_in.clone(),
        created_at: key.created_at.to_string(),
        last_used_on: key.last_used.map(|day| day.to_string().chars().take_while(|it| *it != 'T').collect()),
        revoked_at: key.revoked_at.map(|at| at.to_string()),
    }
}
