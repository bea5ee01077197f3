//! Bodies: raw up to a limit, or JSON; each fault names what is wrong and the remedy.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{Services, error::Failure};

/// The raw body.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl FromRequest<Services> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Failure> {
        let limit = services.max_body_bytes;
        if let Some(length) = declared_length(request.headers())
            && length > limit as u64
        {
            return Err(too_large(limit));
        }
        match axum::body::to_bytes(request.into_body(), limit).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if is_limit(&error) => Err(too_large(limit)),
            Err(error) => {
                let message = format!("the request's body did not arrive whole: {error}; send it again");
                Err(Failure::new(StatusCode::BAD_REQUEST, "body-incomplete", message))
            }
        }
    }
}

/// A JSON body, with the bytes it was read from.
#[derive(Debug)]
pub struct Json<T> {
    /// What it says.
    pub value: T,
    /// What was sent.
    pub raw: Bytes,
}

impl<T: DeserializeOwned> FromRequest<Services> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Failure> {
        let Raw(raw) = Raw::from_request(request, services).await?;
        match serde_json::from_slice(&raw) {
            Ok(value) => Ok(Self { value, raw }),
            Err(error) => {
                let what = match error.classify() {
                    serde_json::error::Category::Data => "the body does not fit this call",
                    _ => "the body is not JSON",
                };
                let message = format!("{what}: {error}");
                Err(Failure::new(StatusCode::BAD_REQUEST, "body-malformed", message))
            }
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(axum::http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("length limit"))
}

fn too_large(limit: usize) -> Failure {
    let message = format!(
        "the body is larger than {limit} bytes; send less at once, or have the operator raise `max_body_bytes`"
    );
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
}
