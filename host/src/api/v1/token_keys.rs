//! `/v1/token-keys`: the keys that sign users' tokens. None is ever shown, but for the public halves of those that have
//! one.

use axum::{Json, extract::State};
use jsonwebtoken::jwk::Jwk;
use serde::{Deserialize, Serialize};
use trunnion_core::records::TokenAlgorithm;
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        schema::{Id, Listed, Moment},
    },
    user_tokens::{Former, Wanted},
};

/// How the key is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenKeyRotation)]
pub(super) struct Rotation {
    /// What becomes of tokens that former keys signed.
    former: What,
    /// By which algorithm the new key signs. `EdDSA` has services of yours verify tokens with public keys; where it is
    /// left out, it is as before, `HS256` at first.
    algorithm: Option<TokenAlgorithm>,
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
    /// By which algorithm it signs, and no other is taken for it.
    algorithm: TokenAlgorithm,
    created_at: Moment,
    /// When another took its place; null while it signs.
    #[schema(required)]
    retired_at: Option<Moment>,
}

/// Lists the keys that sign users' tokens
#[utoipa::path(get, path = "/token-keys", operation_id = "listTokenKeys",
    security(("environment_key" = [])),
    responses((status = OK, description = "The keys, newest first; none is shown.", body = Listed<TokenKey>)))]
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
    let Rotation { former, algorithm } = body.value;
    let former = match former {
        What::Keep => Former::Kept,
        What::End => Former::Ended,
    };
    Ok(Json(shape(&services.user_tokens.rotate(&scope, Wanted { former, algorithm }).await?)))
}

/// Public keys, as RFC 7517 has them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenKeySet)]
pub(super) struct KeySet {
    /// Those whose tokens may still hold, the newest first.
    #[schema(value_type = Vec<PublicKey>)]
    keys: Vec<Jwk>,
}

/// A public key that verifies users' tokens, as RFC 8037 has it.
#[derive(ToSchema)]
#[schema(as = TokenPublicKey)]
#[expect(dead_code, reason = "it describes what `Jwk` writes")]
struct PublicKey {
    /// `OKP`.
    kty: String,
    /// `Ed25519`.
    crv: String,
    /// The key, as base64url.
    x: String,
    /// As the header of a token has it.
    kid: String,
    /// `EdDSA`.
    alg: String,
    /// `sig`.
    #[schema(rename = "use")]
    usage: String,
}

/// Shows the public keys that verify users' tokens
///
/// A JSON Web Key Set, for services of yours that take the tokens, too: they look for the `kid` of a token's header here,
/// take no other algorithm than `EdDSA`, and check `iss`, `exp`, `workspace` and `environment`. Keys that sign by `HS256`
/// have no public half and are not in it. Fetch it anew when a `kid` is not known.
#[utoipa::path(get, path = "/token-keys/jwks", operation_id = "getTokenKeySet",
    security(("environment_key" = [])),
    responses((status = OK, description = "The keys.", body = KeySet)))]
pub(super) async fn jwks(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<KeySet>, Failure> {
    Ok(Json(KeySet { keys: services.user_tokens.public_keys(&scope).await?.keys }))
}

fn shape(key: &trunnion_core::records::TokenKey) -> TokenKey {
    TokenKey {
        id: Id::of(key.id),
        algorithm: key.signs.algorithm(),
        created_at: Moment::of(key.created_at),
        retired_at: key.retired_at.map(Moment::of),
    }
}
