//! The vendor's HTTP surface: tokens, rate limits, faults and echo around the endpoints.
//!
//! Every request passes `surround`, which records it, so that a refused request is on record too.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Json, Path, Query, Request, State as Shelf},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Fault, Shared, catalogue, oauth,
    order::STATUSES,
    stores::{Refusal, Store},
};
use crate::record::Recorded;

const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
const QUOTA: u64 = 150;
const WINDOW: Duration = Duration::from_secs(30);
const STATUS_PAGE: &str = "/api-docs/getting-started/api-status-codes";

pub(super) type App = Shelf<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/stores/{hash}/v2/orders", get(list_orders).post(create_order))
        .route("/stores/{hash}/v2/orders/{id}", get(get_order).put(update_order))
        .route("/stores/{hash}/v2/store", get(store_information))
        .route("/stores/{hash}/v2/order_statuses", get(order_statuses))
        .route("/stores/{hash}/v3/hooks", get(list_hooks).post(create_hook))
        .route("/stores/{hash}/v3/hooks/{id}", get(get_hook).put(update_hook).delete(delete_hook))
        .merge(catalogue::router())
        .fallback(any(unknown_path))
        .layer(from_fn_with_state(Arc::clone(&shared), surround))
        .merge(oauth::router())
        .with_state(shared)
}

/// Records, authenticates, counts, and lets faults happen.
async fn surround(Shelf(shared): App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large").into_response();
    };
    let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
    let record = |status: StatusCode| {
        let body = body.clone();
        let recorded =
            Recorded { method: method.clone(), uri: uri.clone(), headers: headers.clone(), body, status };
        shared.state().requests.push(recorded);
    };
    let (fault, gate, echo) = {
        let mut state = shared.state();
        let gate = state.faults.gate(method.as_str(), uri.path());
        (state.faults.take(method.as_str(), uri.path()), gate, state.echo)
    };
    if let Some(answer) = fault.as_ref().and_then(refuse) {
        record(answer.status());
        return answer;
    }
    let mut answer = match admit(&shared, uri.path(), &headers) {
        Ok(limits) => {
            let mut answer = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
            answer.headers_mut().extend(limits);
            answer
        }
        Err(refusal) => refusal.into_response(),
    };
    if echo {
        answer = echo_secrets(answer, &headers, &body).await;
    }
    record(answer.status());
    if let Some(gate) = gate {
        gate.pass().await;
    }
    match fault {
        Some(Fault::NoAnswer) => std::future::pending().await,
        Some(Fault::Slow { by }) => {
            // A deadline on something that never comes is the fault itself, not a wait for a state.
            tokio::time::timeout(by, std::future::pending::<()>()).await.unwrap_or_default();
            answer
        }
        Some(Fault::Garbage) => (StatusCode::OK, "<html>502 Bad Gateway").into_response(),
        Some(Fault::HangUp) => {
            let broken = futures_util::stream::iter([
                Ok(Bytes::from_static(b"{\"id\": 1")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ]);
            Body::from_stream(broken).into_response()
        }
        _ => answer,
    }
}

/// The answer of a fault that keeps the call from being carried out.
fn refuse(fault: &Fault) -> Option<Response> {
    let answer = match fault {
        Fault::RateLimited { reset } => {
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response();
            (limit_headers(0, *reset), refusal).into_response()
        }
        Fault::Overloaded => Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response(),
        Fault::Unavailable => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response()
        }
        Fault::Broken => {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
        }
        Fault::Redirect { location } => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location.clone())]).into_response()
        }
        Fault::NoAnswer | Fault::Slow { .. } | Fault::Garbage | Fault::HangUp => return None,
    };
    Some(answer)
}

/// The token and the store's quota.
fn admit(shared: &Shared, path: &str, headers: &HeaderMap) -> Result<HeaderMap, Refusal> {
    let hash = path.strip_prefix("/stores/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let now = shared.now();
    let mut state = shared.state();
    let token = headers.get("x-auth-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    let installed = state.desk.account(token) == Some(hash);
    let Some(store) = state.stores.get_mut(hash).filter(|store| installed || store.token == token) else {
        let title = "Unauthorized - the v3 Auth client ID or token in the request are not a valid combination for this store.";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, title));
    };
    if store.window_ends <= now {
        store.window_ends = now + WINDOW;
        store.requests_left = QUOTA;
    }
    // The quota is reported, not enforced: the simulated clock stands still while a test runs, so a window would
    // never end, and a client that heeds what is left would wait for it. Tests that want a 429 ask for the fault.
    store.requests_left = store.requests_left.saturating_sub(1).max(QUOTA / 2);
    Ok(limit_headers(store.requests_left, store.window_ends.since(now)))
}

fn limit_headers(left: u64, reset: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-rate-limit-requests-left", HeaderValue::from(left));
    headers.insert("x-rate-limit-requests-quota", HeaderValue::from(QUOTA));
    headers.insert("x-rate-limit-time-window-ms", HeaderValue::from(WINDOW.as_secs() * 1000));
    let reset = u64::try_from(reset.as_millis()).unwrap_or(u64::MAX);
    headers.insert("x-rate-limit-time-reset-ms", HeaderValue::from(reset));
    headers
}

/// Every secret of the request, in the answer's headers and body: raw, percent-encoded and as base64.
async fn echo_secrets(answer: Response, headers: &HeaderMap, body: &[u8]) -> Response {
    let mut secrets: Vec<String> = ["x-auth-token", "authorization"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok().map(str::to_owned))
        .collect();
    if let Ok(Value::Object(body)) = serde_json::from_slice(body)
        && let Some(Value::Object(custom)) = body.get("headers")
    {
        secrets.extend(custom.values().filter_map(|value| value.as_str().map(str::to_owned)));
    }
    let (mut parts, body) = answer.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
    let mut echoes = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for (form, text) in
            [("raw", secret.clone()), ("percent", percent), ("base64", STANDARD.encode(secret))]
        {
            if let (Ok(name), Ok(value)) = (
                header::HeaderName::try_from(format!("x-echo-{index}-{form}")),
                HeaderValue::try_from(format!("seen {text}")),
            ) {
                parts.headers.insert(name, value);
            }
            echoes.push(json!(format!("seen {text}")));
        }
    }
    let echoed = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(mut members)) => {
            members.insert("echo".to_owned(), Value::Array(echoes));
            Bytes::from(Value::Object(members).to_string())
        }
        _ => bytes,
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(echoed))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({ "status": self.status.as_u16(), "title": self.title, "type": STATUS_PAGE });
        if !self.fields.is_empty()
            && let Some(members) = body.as_object_mut()
        {
            let fields: Map<_, _> =
                self.fields.into_iter().map(|(field, text)| (field, Value::from(text))).collect();
            members.insert("errors".to_owned(), Value::Object(fields));
        }
        (self.status, Json(body)).into_response()
    }
}

/// v2 endpoints word their errors as a list of messages.
fn v2(refusal: Refusal) -> Response {
    let message = json!([{ "status": refusal.status.as_u16(), "message": refusal.title }]);
    (refusal.status, Json(message)).into_response()
}

pub(super) fn no_store() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "The requested resource was not found.")
}

pub(super) fn with_store<T>(
    shared: &Shared,
    hash: &str,
    act: impl FnOnce(&mut Store) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    act(shared.state().stores.get_mut(hash).ok_or_else(no_store)?)
}

async fn unknown_path() -> Response {
    no_store().into_response()
}

#[derive(Deserialize)]
struct Paging {
    page: Option<usize>,
    limit: Option<usize>,
    status_id: Option<u64>,
}

async fn list_orders(Shelf(shared): App, Path(hash): Path<String>, Query(paging): Query<Paging>) -> Response {
    let limit = paging.limit.unwrap_or(50).min(250);
    let skip = paging.page.unwrap_or(1).saturating_sub(1) * limit;
    let page = with_store(&shared, &hash, |store| {
        let fits = |order: &&Value| {
            paging
                .status_id
                .is_none_or(|status| order.get("status_id").and_then(Value::as_u64) == Some(status))
        };
        Ok(store.orders().filter(fits).skip(skip).take(limit).cloned().collect::<Vec<_>>())
    });
    match page {
        Ok(orders) if orders.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(orders) => Json(orders).into_response(),
        Err(refusal) => v2(refusal),
    }
}

async fn get_order(Shelf(shared): App, Path((hash, id)): Path<(String, u64)>) -> Response {
    let order = with_store(&shared, &hash, |store| store.order(id).cloned().ok_or_else(no_store));
    order.map_or_else(v2, |order| Json(order).into_response())
}

async fn create_order(Shelf(shared): App, Path(hash): Path<String>, Json(fields): Json<Value>) -> Response {
    for field in ["products", "billing_address"] {
        if fields.get(field).is_none() {
            let message = format!("The required field '{field}' was not supplied.");
            return v2(Refusal::new(StatusCode::BAD_REQUEST, &message));
        }
    }
    let now = shared.now();
    let made = with_store(&shared, &hash, |store| {
        let (id, events) = store.create_order(&hash, &fields, now);
        Ok((store.order(id).cloned().ok_or_else(no_store)?, events))
    });
    match made {
        Ok((order, events)) => {
            shared.state().fire(&hash, &events, now);
            shared.due.notify_one();
            (StatusCode::CREATED, Json(order)).into_response()
        }
        Err(refusal) => v2(refusal),
    }
}

async fn update_order(
    Shelf(shared): App,
    Path((hash, id)): Path<(String, u64)>,
    Json(fields): Json<Value>,
) -> Response {
    let now = shared.now();
    match with_store(&shared, &hash, |store| store.update_order(id, &fields, now)) {
        Ok((order, events)) => {
            shared.state().fire(&hash, &events, now);
            shared.due.notify_one();
            Json(order).into_response()
        }
        Err(refusal) => v2(refusal),
    }
}

async fn store_information(Path(hash): Path<String>) -> Json<Value> {
    Json(json!({
        "id": hash,
        "account_uuid": "8d4d492f-0000-4000-8000-000000000001",
        "domain": format!("{hash}.example"),
        "secure_url": format!("https://{hash}.example"),
        "control_panel_base_url": format!("https://store-{hash}.mybigcommerce.com"),
        "status": "live",
        "name": format!("Store {hash}"),
        "admin_email": format!("owner@{hash}.example"),
        "country_code": "PT",
        "language": "en",
        "currency": "USD",
        "timezone": { "name": "Europe/Lisbon", "raw_offset": 0, "dst_offset": 3600, "dst_correction": true },
        "plan_name": "Pro",
        "plan_is_trial": false,
    }))
}

async fn order_statuses() -> Json<Value> {
    let statuses = STATUSES.iter().map(|(id, name)| {
        json!({ "id": id, "name": name, "system_label": name, "custom_label": name,
                "system_description": format!("Orders that are {}.", name.to_lowercase()), "order": id })
    });
    Json(statuses.collect())
}

#[derive(Deserialize)]
struct HookFilter {
    page: Option<usize>,
    limit: Option<usize>,
    scope: Option<String>,
    destination: Option<String>,
    is_active: Option<bool>,
}

async fn list_hooks(
    Shelf(shared): App,
    Path(hash): Path<String>,
    Query(filter): Query<HookFilter>,
) -> Result<Json<Value>, Refusal> {
    let limit = filter.limit.unwrap_or(50).clamp(1, 250);
    let page = filter.page.unwrap_or(1).max(1);
    let hooks = with_store(&shared, &hash, |store| {
        let fits = store.hooks().filter(|hook| {
            filter.scope.as_ref().is_none_or(|scope| *scope == hook.scope)
                && filter.destination.as_ref().is_none_or(|destination| *destination == hook.destination)
                && filter.is_active.is_none_or(|active| active == hook.is_active)
        });
        Ok(fits.map(|hook| hook.to_json(&hash)).collect::<Vec<_>>())
    })?;
    let (total, pages) = (hooks.len(), hooks.len().div_ceil(limit).max(1));
    let data: Vec<_> = hooks.into_iter().skip((page - 1) * limit).take(limit).collect();
    let pagination = json!({ "total": total, "count": data.len(), "per_page": limit, "current_page": page,
        "total_pages": pages, "links": { "current": format!("?page={page}&limit={limit}") } });
    Ok(Json(json!({ "data": data, "meta": { "pagination": pagination } })))
}

async fn create_hook(
    Shelf(shared): App,
    Path(hash): Path<String>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let now = shared.now();
    let hook = with_store(&shared, &hash, |store| store.create_hook(&body, now))?;
    Ok(Json(json!({ "data": hook.to_json(&hash), "meta": {} })))
}

async fn get_hook(Shelf(shared): App, Path((hash, id)): Path<(String, u64)>) -> Result<Json<Value>, Refusal> {
    let hook = with_store(&shared, &hash, |store| store.hook(id).cloned().ok_or_else(no_hook))?;
    Ok(Json(json!({ "data": hook.to_json(&hash), "meta": {} })))
}

async fn update_hook(
    Shelf(shared): App,
    Path((hash, id)): Path<(String, u64)>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let now = shared.now();
    let hook = with_store(&shared, &hash, |store| store.update_hook(id, &body, now))?;
    Ok(Json(json!({ "data": hook.to_json(&hash), "meta": {} })))
}

async fn delete_hook(
    Shelf(shared): App,
    Path((hash, id)): Path<(String, u64)>,
) -> Result<Json<Value>, Refusal> {
    let hook = with_store(&shared, &hash, |store| store.remove_hook(id).ok_or_else(no_hook))?;
    Ok(Json(json!({ "data": hook.to_json(&hash), "meta": {} })))
}

fn no_hook() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "No webhook with this id exists.")
}
