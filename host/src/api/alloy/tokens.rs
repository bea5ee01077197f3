//! `GET /users/{user}/token`: what a user's browser carries, for the ISV's server alone to ask for.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use crate::api::{Services, caller::Tenant, error::Failure};

/// What a user's browser carries.
#[derive(Serialize, ToSchema)]
pub(super) struct UserToken {
    /// A JWT, good for an hour; to be sent as `X-Alloy-User-Token`.
    token: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what the handler reads")]
struct Origins {
    /// On whose pages the token may be used: several with commas, or several times. On any page where none is named.
    origins: Option<String>,
}

/// Issues a user's token
///
/// For the ISV's server alone to ask for.
#[utoipa::path(get, path = "/users/{user}/token", operation_id = "getUserToken",
    security(("environment_key" = [])), params(Origins),
    responses((status = OK, description = "The token: an hour, on pages of these origins, or of any.", body = UserToken)))]
pub(super) async fn issue(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<UserToken>, Failure> {
    let query = query.unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "origins");
    let origins =
        asked.flat_map(|(_, value)| value.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>());
    let origins = origins.filter(|origin| !origin.is_empty()).collect();
    let user = services.users.find(&scope, &user).await?;
    Ok(Json(UserToken { token: services.user_tokens.issue(&scope, &user, origins).await? }))
}
