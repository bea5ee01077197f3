//! `/v1/dead-letters`: what exhausted its retries; looked at, had to go on, or let go.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{clock::Timestamp, id::Id, scope::Scope};

use super::runs;
use crate::{
    api::{Services, body, caller::Tenant, error::Failure, path},
    runs::dead::{Kind, Letter, LetterWork, Redriven, Wanted},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// Letters that one call has go on.
const DEFAULT_REDRIVES: usize = 100;
const MAX_REDRIVES: usize = 1_000;

/// Which letters. In the query of a listing, in the body of a redrive.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    workflow_id: Option<String>,
    user_id: Option<String>,
    app: Option<String>,
    kind: Option<String>,
    error: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let (wanted, after) = wanted(&services, &scope, filter).await?;
    let page = services.dead_letters.list(&scope, &wanted, after, limit).await?;
    let data: Vec<_> = page.letters.iter().map(outline).collect();
    Ok(Json(json!({ "data": data, "next_cursor": page.next })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(letter): Path<String>,
) -> Result<Json<Value>, Failure> {
    let letter = services.dead_letters.one(&scope, path::id(&letter, "dead letter")?).await?;
    let mut shape = outline(&letter);
    let (name, whole) = match &letter.work {
        LetterWork::Run(run) => ("run", run.as_deref().map_or(Value::Null, runs::whole)),
        LetterWork::Callback { run, url, .. } => ("callback", json!({ "run_id": run, "url": url })),
        LetterWork::Notice(notice) => ("notice", notice.body.clone()),
        LetterWork::Batch(batch) => ("batch", json!({ "stream": batch.stream, "items": batch.items })),
        LetterWork::Delivery(delivery, _) => (
            "delivery",
            json!({
                "id": delivery.id,
                "subscription_id": delivery.subscription,
                "received_at": delivery.received_at.to_string(),
                "method": delivery.method,
                "url": delivery.url,
                "headers": delivery.headers,
                "body": delivery.body,
                "attempts": delivery.attempts,
            }),
        ),
    };
    if let Some(shape) = shape.as_object_mut() {
        shape.insert(name.to_owned(), whole);
    }
    Ok(Json(shape))
}

pub(super) async fn redrive(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(letter): Path<String>,
) -> Result<Json<Value>, Failure> {
    let id: Id = path::id(&letter, "dead letter")?;
    services.dead_letters.redrive(&scope, id).await?;
    Ok(Json(json!({ "id": id, "redriven": true })))
}

pub(super) async fn redrive_all(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    filter: body::Json<Filter>,
) -> Result<Json<Value>, Failure> {
    let filter = filter.value;
    let limit = filter.limit.unwrap_or(DEFAULT_REDRIVES).clamp(1, MAX_REDRIVES);
    let (wanted, after) = wanted(&services, &scope, filter).await?;
    let Redriven { ids, refused, next } =
        services.dead_letters.redrive_all(&scope, &wanted, after, limit).await?;
    let refused: Vec<_> = refused
        .iter()
        .map(|(id, error)| json!({ "id": id, "code": error.code(), "message": error.to_string() }))
        .collect();
    Ok(Json(json!({ "redriven": ids, "refused": refused, "next_cursor": next })))
}

pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(letter): Path<String>,
) -> Result<StatusCode, Failure> {
    services.dead_letters.delete(&scope, path::id(&letter, "dead letter")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn wanted(services: &Services, scope: &Scope, filter: Filter) -> Result<(Wanted, Option<Id>), Failure> {
    let invalid = |message: String| Failure::new(StatusCode::BAD_REQUEST, "filter-invalid", message);
    let moment = |name: &str, text: Option<String>| -> Result<Option<Timestamp>, Failure> {
        let Some(text) = text else { return Ok(None) };
        text.parse().map(Some).map_err(|error| invalid(format!("`{name}`: {error}")))
    };
    let kind = match filter.kind.as_deref() {
        None => None,
        Some("run") => Some(Kind::Run),
        Some("delivery") => Some(Kind::Delivery),
        Some("callback") => Some(Kind::Callback),
        Some("notice") => Some(Kind::Notice),
        Some("batch") => Some(Kind::Batch),
        Some(other) => {
            let message =
                format!("`kind` is `run`, `delivery`, `callback`, `notice` or `batch`, not `{other}`");
            return Err(invalid(message));
        }
    };
    let user = match &filter.user_id {
        Some(user) => Some(services.users.find(scope, user).await?.id),
        None => None,
    };
    let wanted = Wanted {
        workflow: filter.workflow_id.as_deref().map(|id| path::id(id, "workflow")).transpose()?,
        user,
        app: filter.app,
        kind,
        error: filter.error,
        from: moment("from", filter.from)?,
        to: moment("to", filter.to)?,
    };
    let after = filter.cursor.as_deref().map(|cursor| path::id(cursor, "cursor")).transpose()?;
    Ok((wanted, after))
}

fn outline(letter: &Letter) -> Value {
    let work = match &letter.work {
        LetterWork::Run(run) => {
            let workflow = run.as_ref().map(|run| run.workflow);
            json!({ "kind": "run", "run_id": letter.id, "workflow_id": workflow, "user_id": letter.user })
        }
        LetterWork::Callback { run, url, .. } => {
            json!({ "kind": "callback", "run_id": run, "user_id": letter.user, "url": url })
        }
        LetterWork::Delivery(delivery, app) => json!({
            "kind": "delivery",
            "delivery_id": delivery.id,
            "subscription_id": delivery.subscription,
            "app": app,
            // What came to an app's own webhook is no single user's.
            "user_id": delivery.app.is_none().then_some(letter.user).flatten(),
        }),
        LetterWork::Notice(notice) => json!({
            "kind": "notice",
            "stream": notice.stream,
            "type": notice.body.get("type"),
            "user_id": letter.user,
        }),
        LetterWork::Batch(batch) => {
            json!({ "kind": "batch", "stream": batch.stream, "items": batch.items.len() })
        }
    };
    json!({
        "id": letter.id,
        "at": letter.at.to_string(),
        "reason": letter.reason,
        "error": letter.error().map(runs::error),
        "work": work,
    })
}
