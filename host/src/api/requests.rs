//! `/requests/{token}`: synchronous workflows. The path is the caller's authority.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Value, json};
use trunnion_core::{answer::Answer, id::RunId};

use super::{Services, body::Raw, error::Failure, path};
use crate::triggers::request::{Incoming, Told};

/// Methods that start a run.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Names the run in every answer.
const RUN: HeaderName = HeaderName::from_static("trunnion-run");

/// The routes.
pub fn routes() -> Router<Services> {
    Router::new()
        .route("/requests/{token}", any(receive))
        .route("/requests/{token}/runs/{run}", axum::routing::get(status))
}

async fn receive(
    State(services): State<Services>,
    Path(token): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Failure> {
    if !METHODS.contains(&method) {
        let message = "a request's method is GET, POST, PUT, PATCH or DELETE";
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message));
    }
    let headers = texts(&headers);
    let query = uri.query().unwrap_or_default();
    let incoming = Incoming { method: method.as_str(), query, headers: &headers, body: &body };
    response(services.requests.receive(&token, incoming).await?)
}

async fn status(
    State(services): State<Services>,
    Path((token, run)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let run: RunId = path::id(&run, "run")?;
    let headers = texts(&headers);
    let incoming = Incoming { method: "GET", query: "", headers: &headers, body: &[] };
    response(services.requests.status(&token, run, incoming).await?)
}

/// Headers whose values are text, which all that a workflow can use are.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn response(told: Told) -> Result<Response, Failure> {
    let Told { run, url, answer } = told;
    let mut response = match answer {
        Some(answer) => answered(answer)?,
        None => {
            let body = json!({ "run_id": run, "status": "running", "url": url });
            let mut response = (StatusCode::ACCEPTED, axum::Json(body)).into_response();
            response.headers_mut().insert(header::LOCATION, value(&url)?);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(RUN, value(&run.to_string())?);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // A workflow's words must not act as a page of this host's.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(response)
}

fn answered(answer: Answer) -> Result<Response, Failure> {
    let Answer { status, headers, body } = answer;
    let status = StatusCode::from_u16(status).map_err(|error| unsendable(&error))?;
    let kind = headers.get(header::CONTENT_TYPE.as_str()).map(|kind| kind.to_ascii_lowercase());
    let is_json = kind.as_ref().is_none_or(|kind| kind.contains("json"));
    let empty = body.is_null() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let content = match body {
        _ if empty => Body::empty(),
        // Text of another type than JSON is sent as it is.
        Value::String(text) if !is_json => Body::from(text),
        body => Body::from(body.to_string()),
    };
    let mut response = (status, content).into_response();
    if !empty && kind.is_none() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, text) in &headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|error| unsendable(&error))?;
        response.headers_mut().insert(name, value(text)?);
    }
    Ok(response)
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|error| unsendable(&error))
}

fn unsendable(error: &dyn std::error::Error) -> Failure {
    let message = format!("the answer cannot be sent: {error}; correct the workflow's `respond` step");
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}
