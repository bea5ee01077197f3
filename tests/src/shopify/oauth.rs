//! Installing an app: the shop's owner consents, is sent back with a signed query, and the code becomes an offline token,
//! which lasts, or with `expiring` ends and is renewed.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::{
    Json, Router,
    extract::{RawQuery, State as Shelf},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Shared, routes::shop_of};
use crate::{
    desk::{Members, Renewal, form, member, send_back},
    wait,
};

/// Seconds that an expiring token lasts.
const LIFETIME: u64 = 3_600;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/admin/oauth/authorize", get(authorize))
        .route("/admin/oauth/access_token", post(access_token))
}

/// `hmac` of a callback: over its other parameters, sorted, in the form that queries have.
#[must_use]
pub fn sign_callback(client_secret: &str, query: &[(&str, &str)]) -> String {
    let mut sorted = query.to_vec();
    sorted.sort_unstable();
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(sorted).finish();
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.as_bytes());
    hex::encode(hmac::sign(&key, text.as_bytes()))
}

async fn authorize(
    Shelf(shared): Shelf<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = form(query.unwrap_or_default().as_bytes());
    let name = shop_of(&headers).unwrap_or_default();
    let mut state = shared.state();
    let Some(domain) = state.shops.get(&name).map(super::Shop::domain) else {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    };
    // Scopes stand between commas; whoever writes spaces asks for one scope that there is not.
    if member(&query, "scope").contains(' ') {
        return (StatusCode::BAD_REQUEST, "invalid_scope").into_response();
    }
    let code = match state.desk.consent(&query, &name) {
        Ok(code) => code,
        Err(refused) => return (StatusCode::BAD_REQUEST, Json(refused)).into_response(),
    };
    let timestamp = (wait::wall_clock().as_millis() / 1_000).to_string();
    let mut back = vec![
        ("code", code.as_str()),
        ("host", "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvYWRh"),
        ("shop", domain.as_str()),
        ("state", member(&query, "state")),
        ("timestamp", timestamp.as_str()),
    ];
    let signature = sign_callback(state.desk.secret(member(&query, "client_id")).unwrap_or_default(), &back);
    back.insert(0, ("hmac", &signature));
    send_back(member(&query, "redirect_uri"), &back)
}

async fn access_token(
    Shelf(shared): Shelf<Arc<Shared>>,
    headers: HeaderMap,
    Json(asked): Json<Members>,
) -> Response {
    let mut state = shared.state();
    let granted = match state.desk.grant(&asked, Renewal::Replaced) {
        Ok(granted) if Some(&granted.account) == shop_of(&headers).as_ref() => granted,
        Ok(_) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_request" }))).into_response();
        }
        Err(refused) => return (StatusCode::BAD_REQUEST, Json(refused)).into_response(),
    };
    let access = state.desk.access_for(&granted.account);
    let mut answer = json!({ "access_token": access, "scope": "write_orders,write_products" });
    let ends = member(&asked, "expiring") == "1" || member(&asked, "grant_type") == "refresh_token";
    if let Some(members) = answer.as_object_mut().filter(|_| ends) {
        let refresh = state.desk.refresh_for(granted);
        members.insert("expires_in".to_owned(), LIFETIME.into());
        members.insert("refresh_token".to_owned(), Value::from(refresh));
        members.insert("refresh_token_expires_in".to_owned(), 7_776_000.into());
    }
    Json(answer).into_response()
}
