//! From a service's error to a status and a body: RFC 9457 problems on `/v1`, `{"message"}` elsewhere.
//!
//! A handler's error travels as a response extension until the surface's layer writes it, so that one handler
//! error has one meaning and two forms.

use std::time::Duration;

use axum::{
    Json,
    body::to_bytes,
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use trunnion_core::{call::CallError, problem::Problem};
use trunnion_store::{CommitError, keys::KeyError};

use crate::error::Error;

/// When to come back after the disk was full: room is made by people, or by what runs beside the host.
const FULL: Duration = Duration::from_secs(30);

/// The most that the framework says of a refusal.
const MAX_WORDS: usize = 4_096;

/// A request that was not carried out.
#[derive(Clone, Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    problems: Vec<Problem>,
    stage: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of the edge itself.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), problems: Vec::new(), stage: None, retry_after: None }
    }

    /// The same, for a caller who may come again then.
    #[must_use]
    pub fn again_in(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What people read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = error.code();
        let message = match &error {
            // What to do is said there, and names no secret.
            Error::Commit(full @ CommitError::Full { .. }) => full.to_string(),
            Error::Key(full @ KeyError::Full { .. }) => full.to_string(),
            _ => error.to_string(),
        };
        let status = match &error {
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::Invalid { .. } | Error::ConnectorRefused { .. } => StatusCode::BAD_REQUEST,
            Error::Conflict { .. } | Error::ConnectorInUse { .. } => StatusCode::CONFLICT,
            Error::Unmet { .. } => StatusCode::PRECONDITION_FAILED,
            Error::KeyReused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            // What the user gave is wrong, not the vendor's service.
            Error::Vendor {
                error:
                    CallError::AuthExpired { .. }
                    | CallError::InvalidInput { .. }
                    | CallError::NotFound { .. }
                    | CallError::Rejected { .. },
                ..
            } => StatusCode::BAD_REQUEST,
            Error::Vendor { error: CallError::RateLimited { .. }, .. }
            | Error::Busy { .. }
            | Error::UserBusy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::Vendor { .. } => StatusCode::BAD_GATEWAY,
            Error::Commit(CommitError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Commit(CommitError::Full { .. }) | Error::Key(KeyError::Full { .. }) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Error::Commit(_) | Error::Read(_) | Error::Key(_) | Error::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        if status.is_server_error() {
            tracing::error!(
                code,
                error = &error as &dyn std::error::Error,
                "a request could not be carried out"
            );
        }
        let retry_after = match &error {
            Error::Busy { retry_after } | Error::UserBusy { retry_after } => Some(*retry_after),
            Error::Commit(CommitError::Full { .. }) | Error::Key(KeyError::Full { .. }) => Some(FULL),
            Error::Vendor { error, .. } => error.retry_after(),
            _ => None,
        };
        let stage = match &error {
            Error::ConnectorRefused { stage, .. } => Some(*stage),
            _ => None,
        };
        let problems = match error {
            Error::Invalid { problems, .. } | Error::ConnectorInUse { uses: problems, .. } => problems,
            _ => Vec::new(),
        };
        Self { status, code, message, problems, stage, retry_after }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// No route: names what was asked for.
pub async fn no_route(method: Method, OriginalUri(uri): OriginalUri) -> Failure {
    let message = format!("there is no `{method} {}`", uri.path());
    Failure::new(StatusCode::NOT_FOUND, "route-unknown", message)
}

/// What the framework refuses before a handler sees it (a query or path that does not fit) has words for people, and none
/// of our forms until here. For surfaces whose every answer is JSON.
pub async fn from_framework(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let plain = kind.is_some_and(|kind| kind.starts_with("text/plain"));
    if !status.is_client_error() || !plain || response.extensions().get::<Failure>().is_some() {
        return response;
    }
    let words = to_bytes(response.into_body(), MAX_WORDS).await.unwrap_or_default();
    Failure::new(status, "request-malformed", String::from_utf8_lossy(&words)).into_response()
}

/// Writes failures as RFC 9457 problems.
pub async fn as_problem(response: Response) -> Response {
    write(response, "application/problem+json", |failure| {
        let mut problem = json!({
            "type": format!("urn:trunnion:error:{}", failure.code),
            "title": failure.status.canonical_reason(),
            "status": failure.status.as_u16(),
            "detail": failure.message,
            "code": failure.code,
            "errors": failure.problems,
        });
        if let (Some(stage), Some(members)) = (failure.stage, problem.as_object_mut()) {
            members.insert("stage".to_owned(), json!(stage));
        }
        problem
    })
}

/// Writes failures as `{"message"}`.
pub async fn as_message(response: Response) -> Response {
    write(response, "application/json", |failure| json!({ "message": failure.message }))
}

fn write(
    mut response: Response,
    content_type: &'static str,
    form: impl Fn(&Failure) -> serde_json::Value,
) -> Response {
    let failure = match response.extensions_mut().remove::<Failure>() {
        Some(failure) => failure,
        // What the router itself refuses (a method that a route does not have) has no body.
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED && !has_type(&response) => Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "this path does not take this method",
        ),
        None => return response,
    };
    let mut written = (failure.status, Json(form(&failure))).into_response();
    let headers = written.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // What was said beside the failure stands: which methods there are, where the caller's limit is.
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH && !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after) = failure.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    written
}

fn has_type(response: &Response) -> bool {
    response.headers().contains_key(header::CONTENT_TYPE)
}
