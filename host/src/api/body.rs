//! Bodies: raw up to a limit, or JSON; each fault names what is wrong and the remedy.

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, FromRequestParts, Request},
    http::StatusCode,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use trunnion_core::records::KeyHolder;

use super::{Services, caller::Operator, error::Failure};

/// Bytes of a body beyond the limit that are read, and dropped, before the connection is given up.
const MAX_PASSED_OVER: usize = 64 << 20;

/// The raw body.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl FromRequest<Services> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Failure> {
        read(request.into_body(), services.max_body_bytes, "max_body_bytes").await.map(Self)
    }
}

/// A component from an operator: larger than other bodies may be, so it is kept for nobody else.
#[derive(Debug)]
pub struct Component {
    /// Who sent it.
    pub by: KeyHolder,
    /// Its bytes.
    pub bytes: Bytes,
}

impl FromRequest<Services> for Component {
    type Rejection = Failure;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, services).await;
        let limit = services.swaps.max_component_bytes();
        // Whoever may not send one has it read and dropped, to be able to read the answer.
        let read = read(body, if operator.is_ok() { limit } else { 0 }, "sandbox.max_component_bytes").await;
        let Operator(by) = operator?;
        Ok(Self { by, bytes: read? })
    }
}

/// The body, up to `limit`, which the configuration calls `setting`.
async fn read(body: Body, limit: usize, setting: &str) -> Result<Bytes, Failure> {
    // What is declared too large is not even begun to be kept, and what is not is kept in one piece.
    let declared = body.size_hint().exact().map_or(0, |size| usize::try_from(size).unwrap_or(usize::MAX));
    let mut stream = body.into_data_stream();
    let mut body = BytesMut::with_capacity(if declared > limit { 0 } else { declared });
    let mut passed_over = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the request's body did not arrive whole: {error}; send it again");
            Failure::new(StatusCode::BAD_REQUEST, "body-incomplete", message)
        })?;
        if passed_over == 0 && declared <= limit && body.len() + chunk.len() <= limit {
            body.extend_from_slice(&chunk);
            continue;
        }
        // A client that still writes would not read an early answer, so the rest is read and dropped.
        passed_over += chunk.len();
        body = BytesMut::new();
        if passed_over > MAX_PASSED_OVER {
            break;
        }
    }
    if passed_over > 0 { Err(too_large(limit, setting)) } else { Ok(body.freeze()) }
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

fn too_large(limit: usize, setting: &str) -> Failure {
    let message = format!(
        "the body is larger than {limit} bytes; send less at once, or have the operator raise `{setting}`"
    );
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
}
