//! `/v1/backup`: for operators.

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::api::{Services, caller::Operator, error::Failure};

/// Takes a backup
///
/// The backup's bytes, as they are read: an answer that breaks off is no backup. `trunnion backup` calls this.
#[utoipa::path(get, path = "/backup", operation_id = "takeBackup",
    security(("operator_key" = [])),
    responses((status = OK, description = "The backup.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = CONFLICT, description = "Another backup is under way.")))]
pub(super) async fn take(State(services): State<Services>, _: Operator) -> Result<Response, Failure> {
    let pieces = services.backups.take().await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(pieces)).into_response())
}
