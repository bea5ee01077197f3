//! `/hooks/{token}`: vendors' deliveries.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};

use super::{Services, body::Raw, error::Failure};
use crate::triggers::{
    verify::Request,
    webhook::{NotTaken, Received},
};

/// The route.
pub fn routes() -> Router<Services> {
    Router::new().route("/hooks/{token}", any(receive))
}

async fn receive(
    State(services): State<Services>,
    Path(token): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Failure> {
    let url =
        format!("{}{}", services.context.public_url, uri.path_and_query().map_or("/", |path| path.as_str()));
    // Header values that are not text cannot be signed parts of any vendor known; they are left out.
    let headers: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let request = Request { method: method.as_str(), url: &url, headers: &headers, body: &body };
    match services.ingress.receive(&token, request).await {
        // Vendors ask for an empty answer.
        Ok(Received::Stored(_) | Received::Duplicate) => Ok(StatusCode::OK.into_response()),
        Err(NotTaken::Unknown) => {
            Err(Failure::new(StatusCode::NOT_FOUND, "hook-unknown", NotTaken::Unknown.to_string()))
        }
        Err(NotTaken::Unverified(refusal)) => {
            Err(Failure::new(StatusCode::UNAUTHORIZED, "delivery-unverified", refusal.to_string()))
        }
        Err(NotTaken::Failed(error)) => Err(error.into()),
    }
}
