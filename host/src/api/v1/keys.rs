//! `/v1/installations/{installation}/keys`: who holds a key of an ordered workflow, and going on without them.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{id::InstallationId, records::LineKey};

use super::runs;
use crate::{
    api::{Services, caller::Tenant, error::Failure, path},
    error::Error,
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(installation): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Failure> {
    let installation: InstallationId = path::id(&installation, "installation")?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = page.cursor.as_deref().map(|cursor| path::id::<LineKey>(cursor, "cursor")).transpose()?;
    let lines = services.runs.keys(&scope, installation, after, limit);
    let next = lines.last().filter(|_| lines.len() == limit).map(|line| line.key);
    let mut data = Vec::with_capacity(lines.len());
    for line in lines {
        let mut holders = Vec::with_capacity(line.holders.len());
        for (_, run) in line.holders {
            match services.runs.run(&scope, run).await {
                Ok(run) => holders.push(Value::Object(runs::outline(&run))),
                // A run that failed long ago may no longer be kept; its key is held all the same.
                Err(Error::NotFound { .. }) => holders.push(json!({ "id": run, "status": "failed" })),
                Err(error) => return Err(error.into()),
            }
        }
        data.push(json!({ "key": line.key, "held_by": holders, "waiting": line.waiting }));
    }
    Ok(Json(json!({ "data": data, "next_cursor": next })))
}

pub(super) async fn skip(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path((installation, key)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let installation: InstallationId = path::id(&installation, "installation")?;
    let skipped = services.runs.skip(&scope, installation, path::id(&key, "key")?).await?;
    Ok(Json(json!({ "skipped": skipped })))
}
