//! `/v1/installations/{installation}/keys`: who holds a key of an ordered workflow, and going on without them.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::{id::InstallationId, records::LineKey};
use utoipa::{IntoParams, ToSchema};

use super::runs::{self, RunOutline};
use crate::{
    api::{
        Services,
        caller::Tenant,
        error::Failure,
        path,
        schema::{Id, Page},
    },
    error::Error,
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// At most so many; 20 where nothing is said, and never more than 100.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// Where a page before said to go on.
    cursor: Option<String>,
}

/// A key of an ordered workflow on which runs wait.
#[derive(Serialize, ToSchema)]
pub(super) struct HeldKey {
    /// 32 hex digits: a keyed hash, since keys may name persons.
    key: String,
    /// The runs that hold it.
    held_by: Vec<Holder>,
    /// How many runs wait.
    waiting: usize,
}

/// A run that holds a key.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = KeyHoldingRun)]
enum Holder {
    /// A run.
    Run(Box<RunOutline>),
    /// One that failed so long ago that it is no longer kept; its key is held all the same.
    Forgotten {
        id: Id,
        /// `failed`.
        status: &'static str,
    },
}

/// Lists the keys of an ordered workflow that are held
#[utoipa::path(get, path = "/installations/{installation}/keys", operation_id = "listHeldKeys",
    security(("environment_key" = [])), params(Paging),
    responses((status = OK, description = "A page.", body = Page<HeldKey>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(installation): Path<String>,
    Query(page): Query<Paging>,
) -> Result<Json<Page<HeldKey>>, Failure> {
    let installation: InstallationId = path::id(&installation, "installation")?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = page.cursor.as_deref().map(|cursor| path::id::<LineKey>(cursor, "cursor")).transpose()?;
    let lines = services.runs.keys(&scope, installation, after, limit);
    let next = lines.last().filter(|_| lines.len() == limit).map(|line| line.key);
    let mut data = Vec::with_capacity(lines.len());
    for line in lines {
        let mut held_by = Vec::with_capacity(line.holders.len());
        for (_, run) in line.holders {
            match services.runs.run(&scope, run).await {
                Ok(run) => held_by.push(Holder::Run(Box::new(runs::outline(&run)))),
                Err(Error::NotFound { .. }) => {
                    held_by.push(Holder::Forgotten { id: Id::of(run), status: "failed" });
                }
                Err(error) => return Err(error.into()),
            }
        }
        data.push(HeldKey { key: line.key.to_string(), held_by, waiting: line.waiting });
    }
    Ok(Json(Page { data, next_cursor: next.map(|key| key.to_string()) }))
}

/// A run that no longer holds a key.
#[derive(Serialize, ToSchema)]
pub(super) struct SkippedRun {
    skipped: Id,
}

/// Goes on without the failed run that holds a key
///
/// The runs that wait for the key go on.
#[utoipa::path(post, path = "/installations/{installation}/keys/{key}/skip", operation_id = "skipHeldKey",
    security(("environment_key" = [])),
    responses((status = OK, description = "The run that was passed over.", body = SkippedRun),
        (status = CONFLICT, description = "A run that holds the key goes on by itself, or changes too quickly.")))]
pub(super) async fn skip(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path((installation, key)): Path<(String, String)>,
) -> Result<Json<SkippedRun>, Failure> {
    let installation: InstallationId = path::id(&installation, "installation")?;
    let skipped = services.runs.skip(&scope, installation, path::id(&key, "key")?).await?;
    Ok(Json(SkippedRun { skipped: Id::of(skipped) }))
}
