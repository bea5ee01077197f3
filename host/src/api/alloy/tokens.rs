//! `GET /users/{user}/token`: what a user's browser carries, for the ISV's server alone to ask for.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::api::{Services, caller::Tenant, error::Failure};

/// `origins` (any number of times, or with commas) says on whose pages the token may be used. Clients also send a
/// `userId` that says nothing more than the path.
pub(super) async fn issue(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Failure> {
    let query = query.unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "origins");
    let origins =
        asked.flat_map(|(_, value)| value.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>());
    let origins = origins.filter(|origin| !origin.is_empty()).collect();
    let user = services.users.find(&scope, &user).await?;
    Ok(Json(json!({ "token": services.user_tokens.issue(&scope, &user, origins).await? })))
}
