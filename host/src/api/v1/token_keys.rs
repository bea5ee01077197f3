//! `/v1/token-keys`: the keys that sign users' tokens. None is ever shown.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::records::TokenKey;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    user_tokens::Former,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// What becomes of tokens that former keys signed.
    former: What,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Keep,
    End,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let keys = services.user_tokens.keys(&scope).await?;
    Ok(Json(json!({ "data": keys.iter().map(shape).collect::<Vec<_>>() })))
}

pub(super) async fn rotate(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Rotation>,
) -> Result<Json<Value>, Failure> {
    let former = match body.value.former {
        What::Keep => Former::Kept,
        What::End => Former::Ended,
    };
    Ok(Json(shape(&services.user_tokens.rotate(&scope, former).await?)))
}

fn shape(key: &TokenKey) -> Value {
    json!({
        "id": key.id,
        "created_at": key.created_at.to_string(),
        "retired_at": key.retired_at.map(|at| at.to_string()),
    })
}
