//! `/v1/backup`: for operators.

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::api::{Services, caller::Operator, error::Failure};

/// The backup's bytes, as they are read: an answer that breaks off is no backup.
pub(super) async fn take(State(services): State<Services>, _: Operator) -> Result<Response, Failure> {
    let pieces = services.backups.take().await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(pieces)).into_response())
}
