//! `/v1/token-keys`: the keys that sign users' tokens. None is ever shown.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        schema::{Id, Listed, Moment},
    },
    user_tokens::Former,
};

/// How the key is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenKeyRotation)]
pub(super) struct Rotation {
    /// What becomes of tokens that former keys signed.
    former: What,
}

/// Whether tokens that former keys signed are good until they expire, or no longer.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FormerTokens)]
enum What {
    /// They are good until they expire.
    Keep,
    /// They are no longer good.
    End,
}

/// A key that signs users' tokens, or did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenKey {
    id: Id,
    created_at: Moment,
    /// When another took its place; null while it signs.
    #[schema(required)]
    retired_at: Option<Moment>,
}

/// Lists the keys that sign users' tokens
#[utoipa::path(get, path = "/token-keys", operation_id = "listTokenKeys",
    security(("environment_key" = [])),
    responses((status = OK, description = "The keys, none of which is shown.", body = Listed<TokenKey>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<TokenKey>>, Failure> {
    let keys = services.user_tokens.keys(&scope).await?;
    Ok(Json(keys.iter().map(shape).collect()))
}

/// Replaces the key that signs users' tokens
#[utoipa::path(post, path = "/token-keys", operation_id = "rotateTokenKey",
    security(("environment_key" = [])), request_body = Rotation,
    responses((status = OK, description = "The new key.", body = TokenKey),
        (status = CONFLICT, description = "Somebody else replaced it in the same moment.")))]
pub(super) async fn rotate(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Rotation>,
) -> Result<Json<TokenKey>, Failure> {
    let former = match body.value.former {
        What::Keep => Former::Kept,
        What::End => Former::Ended,
    };
    Ok(Json(shape(&services.user_tokens.rotate(&scope, former).await?)))
}

fn shape(key: &trunnion_core::records::TokenKey) -> TokenKey {
    TokenKey {
        id: Id::of(key.id),
        created_at: Moment::of(key.created_at),
        retired_at: key.retired_at.map(Moment::of),
    }
}
