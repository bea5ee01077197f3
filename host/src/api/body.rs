//! Bodies: raw up to a limit, or JSON; each fault names what is wrong and the remedy.

use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::{Services, error::Failure};

/// Bytes of a body beyond the limit that are read, and dropped, before the connection is given up.
const MAX_PASSED_OVER: usize = 64 << 20;

/// The raw body.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl FromRequest<Services> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Failure> {
        let limit = services.max_body_bytes;
        let mut stream = request.into_body().into_data_stream();
        let mut body = BytesMut::new();
        let mut passed_over = 0;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| {
                let message = format!("the request's body did not arrive whole: {error}; send it again");
                Failure::new(StatusCode::BAD_REQUEST, "body-incomplete", message)
            })?;
            if passed_over == 0 && body.len() + chunk.len() <= limit {
                body.extend_from_slice(&chunk);
                continue;
            }
            // A client that still writes would not read an early answer, so the rest is read and dropped.
            passed_over += chunk.len();
            if passed_over > MAX_PASSED_OVER {
                break;
            }
        }
        if passed_over > 0 { Err(too_large(limit)) } else { Ok(Self(body.freeze())) }
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

fn too_large(limit: usize) -> Failure {
    let message = format!(
        "the body is larger than {limit} bytes; send less at once, or have the operator raise `max_body_bytes`"
    );
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
}
