//! Installing the app: somebody of a portal consents, and the code becomes a token of half an hour and one that renews it,
//! which stays.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{RawQuery, State as Shelf},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::Shared;
use crate::desk::{Renewal, form, member, send_back};

/// Seconds that a token lasts.
const LIFETIME: u64 = 1_800;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/oauth/authorize", get(authorize)).route("/oauth/v3/token", post(token))
}

async fn authorize(Shelf(shared): Shelf<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let query = form(query.unwrap_or_default().as_bytes());
    let mut state = shared.state();
    let portal = state.signed_in.to_string();
    match state.desk.consent(&query, &portal) {
        Ok(code) => {
            let back = [("code", code.as_str()), ("state", member(&query, "state"))];
            send_back(member(&query, "redirect_uri"), &back)
        }
        Err(refused) => (StatusCode::BAD_REQUEST, Json(refused)).into_response(),
    }
}

async fn token(
    Shelf(shared): Shelf<Arc<Shared>>,
    body: Bytes,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let asked = form(&body);
    let mut state = shared.state();
    let granted = state.desk.grant(&asked, Renewal::Kept);
    let granted = granted.map_err(|refused| (StatusCode::BAD_REQUEST, Json(refused)))?;
    let hub: Option<u64> = granted.account.parse().ok();
    let access = state.desk.access_for(&granted.account);
    Ok(Json(json!({
        "access_token": access, "refresh_token": state.desk.refresh_for(granted), "token_type": "bearer",
        "expires_in": LIFETIME, "hub_id": hub, "user_id": 26, "scopes": ["oauth"],
    })))
}
