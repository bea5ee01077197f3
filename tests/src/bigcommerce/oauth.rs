//! Installing an app: the store's owner consents, is sent back with the store in `context`, and the code becomes a token that
//! does not expire. The exchange has to repeat scopes and context.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, State as Shelf},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::Shared;
use crate::desk::{Members, Renewal, form, member, send_back};

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/oauth2/authorize", get(authorize)).route("/oauth2/token", post(token))
}

async fn authorize(Shelf(shared): Shelf<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let query = form(query.unwrap_or_default().as_bytes());
    let mut state = shared.state();
    let store = state.signed_in.clone();
    // Whoever is signed in nowhere declines.
    if store.is_empty() {
        let why = "The owner did not allow the app.";
        let back =
            [("error", "access_denied"), ("error_description", why), ("state", member(&query, "state"))];
        return send_back(member(&query, "redirect_uri"), &back);
    }
    let code = match state.desk.consent(&query, &store) {
        Ok(code) if member(&query, "response_type") == "code" => code,
        Ok(_) => return (StatusCode::BAD_REQUEST, "unsupported_response_type").into_response(),
        Err(refused) => return (StatusCode::BAD_REQUEST, Json(refused)).into_response(),
    };
    let context = format!("stores/{store}");
    let back = [
        ("code", code.as_str()),
        ("scope", member(&query, "scope")),
        ("context", &context),
        ("account_uuid", "8d4d492f-0000-4000-8000-000000000001"),
        ("state", member(&query, "state")),
    ];
    send_back(member(&query, "redirect_uri"), &back)
}

async fn token(
    Shelf(shared): Shelf<Arc<Shared>>,
    Json(asked): Json<Members>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let bad = |refused: Value| (StatusCode::BAD_REQUEST, Json(refused));
    let mut state = shared.state();
    let granted = state.desk.grant(&asked, Renewal::Kept).map_err(bad)?;
    let (context, scope) = (format!("stores/{}", granted.account), member(&asked, "scope"));
    if member(&asked, "context") != context || !scope.contains("store_v2_default") {
        return Err(bad(json!({ "error": "invalid_request" })));
    }
    let access = state.desk.access_for(&granted.account);
    Ok(Json(json!({
        "access_token": access, "scope": scope, "context": context,
        "account_uuid": "8d4d492f-0000-4000-8000-000000000001",
        "user": { "id": 24654, "username": "owner@store.example", "email": "owner@store.example" },
    })))
}
