//! The vendor's HTTP surface: tokens and rate limits around the endpoints. Every request is recorded.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Json, Path, RawQuery, Request, State as Shelf},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Map, Value, json};

use super::{
    Shared, State, oauth,
    portals::{Portal, Refusal, refusal},
    search::search,
    settings,
};
use crate::record::Recorded;

const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

type App = Shelf<Arc<Shared>>;
type Answer = Result<(StatusCode, Json<Value>), Refusal>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/account-info/v3/details", get(details))
        .route("/crm/v3/objects/{kind}", post(create))
        .route("/crm/v3/objects/{kind}/search", post(find))
        .route("/crm/v3/objects/{kind}/batch/upsert", post(upsert))
        .route("/crm/v3/objects/{kind}/{id}", get(read).patch(update).delete(delete))
        .route("/crm/v4/objects/{from}/{id}/associations/default/{to}/{other}", put(associate))
        .route("/crm/v4/objects/{from}/{id}/associations/{to}/{other}", put(associate))
        .merge(settings::router())
        .layer(from_fn_with_state(Arc::clone(&shared), surround))
        .merge(oauth::router())
        .with_state(shared)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, category, message } = self;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({
            "status": "error", "message": message, "category": category,
            "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
        });
        (status, Json(body)).into_response()
    }
}

/// Records and authenticates; searches say nothing of their quota.
async fn surround(Shelf(shared): App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return refusal(413, "PAYLOAD_TOO_LARGE", "Payload too large").into_response();
    };
    let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
    let known = shared.state().portal(&headers).is_some();
    let mut answer = if known {
        next.run(Request::from_parts(parts, Body::from(body.clone()))).await
    } else {
        let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication";
        refusal(401, "INVALID_AUTHENTICATION", message).into_response()
    };
    if !uri.path().ends_with("/search") {
        for (name, value) in [
            ("x-hubspot-ratelimit-max", "100"),
            ("x-hubspot-ratelimit-remaining", "99"),
            ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    let status = answer.status();
    shared.state().requests.push(Recorded { method, uri, headers, body, status });
    answer
}

impl State {
    /// The portal that a request's token opens.
    fn portal(&mut self, headers: &HeaderMap) -> Option<(&mut Portal, &mut super::deliveries::App)> {
        let token = token(headers);
        let Self { portals, app, desk, .. } = self;
        let installed = desk.account(token).and_then(|portal| portal.parse().ok());
        let portal = match installed {
            Some(id) => portals.get_mut(id).ok(),
            None => portals.of_token(token),
        };
        portal.map(|portal| (portal, app))
    }
}

fn token(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

/// Does something with the portal of the request's token.
fn with<T>(
    shared: &Shared,
    headers: &HeaderMap,
    act: impl FnOnce(&mut Portal, &mut super::deliveries::App) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut state = shared.state();
    let withdrawn = || refusal(401, "INVALID_AUTHENTICATION", "The token was withdrawn");
    let (portal, app) = state.portal(headers).ok_or_else(withdrawn)?;
    act(portal, app)
}

async fn details(Shelf(shared): App, headers: HeaderMap) -> Answer {
    let id = with(&shared, &headers, |portal, _| Ok(portal.id))?;
    let body = json!({ "portalId": id, "accountType": "STANDARD", "timeZone": "UTC", "uiDomain": "app.hubspot.com" });
    Ok((StatusCode::OK, Json(body)))
}

async fn create(
    Shelf(shared): App,
    headers: HeaderMap,
    Path(kind): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let now = shared.now();
    let object = with(&shared, &headers, |portal, app| {
        let ends = ends(&body)?;
        let id = portal.create(&kind, body.get("properties").unwrap_or(&Value::Null), now)?;
        for (to, other) in ends {
            portal.associate((&kind, id), (&to, other))?;
        }
        app.tell(portal.id, &kind, "creation", id, now, &[]);
        Ok(portal.object(&kind, id).map(|object| object.json(&kind, &[])))
    })?;
    Ok((StatusCode::CREATED, Json(json!(object))))
}

/// What a new object is associated with, by HubSpot's own association types.
fn ends(body: &Value) -> Result<Vec<(String, u64)>, Refusal> {
    let bad = |message: &str| refusal(400, "VALIDATION_ERROR", message);
    let mut ends = Vec::new();
    for association in body.get("associations").and_then(Value::as_array).into_iter().flatten() {
        let kind = association.pointer("/types/0/associationTypeId").and_then(Value::as_u64);
        let to = match kind {
            Some(202 | 16) => "contacts",
            Some(190 | 339) => "companies",
            Some(214 | 28) => "deals",
            Some(228) => "tickets",
            _ => return Err(bad("No such association type")),
        };
        let id = association.pointer("/to/id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        ends.push((to.to_owned(), id.ok_or_else(|| bad("`to.id` is no id"))?));
    }
    Ok(ends)
}

/// The values of one name in a query.
fn values(query: Option<&str>, name: &str) -> Vec<String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

fn place(portal: &Portal, kind: &str, id: &str, query: Option<&str>) -> Result<u64, Refusal> {
    let missing = || refusal(404, "OBJECT_NOT_FOUND", format!("Object not found. objectId: {id}"));
    match values(query, "idProperty").first() {
        Some(property) => portal.find(kind, property, id).ok_or_else(missing),
        None => id.parse().map_err(|_| missing()),
    }
}

async fn read(
    Shelf(shared): App,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Answer {
    let asked = values(query.as_deref(), "properties");
    let object = with(&shared, &headers, |portal, _| {
        let place = place(portal, &kind, &id, query.as_deref())?;
        let object = portal.object(&kind, place).map(|object| object.json(&kind, &asked));
        object.ok_or_else(|| refusal(404, "OBJECT_NOT_FOUND", format!("Object not found. objectId: {id}")))
    })?;
    Ok((StatusCode::OK, Json(object)))
}

async fn update(
    Shelf(shared): App,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    Json(body): Json<Value>,
) -> Answer {
    let now = shared.now();
    let object = with(&shared, &headers, |portal, app| {
        let place = place(portal, &kind, &id, query.as_deref())?;
        let properties = body.get("properties").unwrap_or(&Value::Null);
        portal.update(&kind, place, properties, now)?;
        for (name, value) in properties.as_object().into_iter().flat_map(Map::iter) {
            let value = value.as_str().unwrap_or_default();
            app.tell(
                portal.id,
                &kind,
                "propertyChange",
                place,
                now,
                &[("propertyName", name), ("propertyValue", value)],
            );
        }
        Ok(portal.object(&kind, place).map(|object| object.json(&kind, &[])))
    })?;
    Ok((StatusCode::OK, Json(json!(object))))
}

async fn delete(
    Shelf(shared): App,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let now = shared.now();
    with(&shared, &headers, |portal, app| {
        let place = place(portal, &kind, &id, None)?;
        portal.delete(&kind, place)?;
        app.tell(portal.id, &kind, "deletion", place, now, &[]);
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(
    Shelf(shared): App,
    headers: HeaderMap,
    Path(kind): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let (now, lag) = (shared.now(), shared.state().index_lag);
    let page = with(&shared, &headers, |portal, _| search(portal, &kind, &body, (now, lag)))?;
    Ok((StatusCode::OK, Json(page)))
}

/// Each input has its own outcome; 207 where one was refused.
async fn upsert(
    Shelf(shared): App,
    headers: HeaderMap,
    Path(kind): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let now = shared.now();
    let none = Vec::new();
    let inputs = body.get("inputs").and_then(Value::as_array).unwrap_or(&none);
    if inputs.is_empty() || inputs.len() > 100 {
        return Err(refusal(400, "VALIDATION_ERROR", "A batch has 1 to 100 inputs"));
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
        let properties = input.get("properties").unwrap_or(&Value::Null);
        let kept = with(&shared, &headers, |portal, app| {
            let (id, new) = portal.upsert(&kind, (text("idProperty"), text("id")), properties, now)?;
            if new {
                app.tell(portal.id, &kind, "creation", id, now, &[]);
            }
            Ok((portal.object(&kind, id).map(|object| object.json(&kind, &[])), new))
        });
        let trace = input.get("objectWriteTraceId");
        match kept {
            Ok((object, new)) => {
                let mut object = json!(object);
                if let Some(members) = object.as_object_mut() {
                    members.insert("new".to_owned(), json!(new));
                    members.extend(trace.map(|trace| ("objectWriteTraceId".to_owned(), trace.clone())));
                }
                results.push(object);
            }
            Err(Refusal { category, message, .. }) => errors.push(json!({
                "status": "error", "category": category, "message": message,
                "context": { "objectWriteTraceId": trace.into_iter().collect::<Vec<_>>() },
            })),
        }
    }
    let at = now.to_string();
    let mut answer = json!({ "status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at });
    if errors.is_empty() {
        return Ok((StatusCode::OK, Json(answer)));
    }
    if let Some(members) = answer.as_object_mut() {
        members.insert("numErrors".to_owned(), json!(errors.len()));
        members.insert("errors".to_owned(), Value::Array(errors));
    }
    Ok((StatusCode::MULTI_STATUS, Json(answer)))
}

async fn associate(
    Shelf(shared): App,
    headers: HeaderMap,
    Path((from, id, to, other)): Path<(String, u64, String, u64)>,
) -> Answer {
    with(&shared, &headers, |portal, _| portal.associate((&from, id), (&to, other)))?;
    let at = shared.now().to_string();
    Ok((
        StatusCode::OK,
        Json(json!({ "status": "COMPLETE", "results": [], "startedAt": at, "completedAt": at })),
    ))
}
