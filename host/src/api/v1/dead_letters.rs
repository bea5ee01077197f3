//! `/v1/dead-letters`: what exhausted its retries; looked at, had to go on, or let go.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::{clock::Timestamp, id, records, scope::Scope};
use utoipa::{IntoParams, ToSchema};

use super::runs::{self, Run};
use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        path,
        schema::{Fault, Id, Moment, Page},
    },
    runs::dead::{Kind, Letter, LetterWork, Redriven, Wanted},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// Letters that one call has go on.
const DEFAULT_REDRIVES: usize = 100;
const MAX_REDRIVES: usize = 1_000;

/// Which letters. In the query of a listing, in the body of a redrive.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[schema(as = DeadLetterFilter)]
pub(super) struct Filter {
    /// Only runs of this workflow.
    workflow_id: Option<String>,
    /// Only those of this user, by id or username.
    user_id: Option<String>,
    /// Only deliveries of this app, and runs that failed at it.
    app: Option<String>,
    /// `run`, `delivery` or `callback`.
    kind: Option<String>,
    /// Only those whose error is of this kind, or has these words in it.
    error: Option<String>,
    /// Only those that were put here at this moment or later (RFC 3339).
    from: Option<String>,
    /// Only those that were put here before this moment (RFC 3339).
    to: Option<String>,
    /// At most so many. Of a listing 20 where nothing is said, and never more than 100; of a redrive 100, and never more
    /// than 1000.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// Where a page before said to go on.
    cursor: Option<String>,
}

/// Work that exhausted its retries.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetter {
    /// That of the run or delivery.
    id: Id,
    /// When it was put here.
    at: Moment,
    /// Why.
    reason: String,
    #[schema(required)]
    error: Option<Fault>,
    work: DeadWork,
}

/// What a dead letter is about.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum DeadWork {
    /// A run.
    Run {
        run_id: Id,
        /// Null where the run's record is no longer kept.
        workflow_id: Option<Id>,
        #[schema(required)]
        user_id: Option<Id>,
    },
    /// The answer of a run.
    Callback {
        run_id: Id,
        #[schema(required)]
        user_id: Option<Id>,
        /// Where it should have gone.
        url: String,
    },
    /// A vendor's delivery that no connector could read.
    Delivery {
        delivery_id: Id,
        subscription_id: Id,
        app: Option<String>,
        /// Null where it came to an app's own webhook.
        user_id: Option<Id>,
    },
    /// An operational event or an error, which its outlet did not take.
    Notice {
        /// Null where it goes to an event bus.
        stream: Option<String>,
        /// What it tells; null where it is an error.
        r#type: Option<String>,
        /// Whom it is about; null where that is nobody.
        user_id: Option<Id>,
    },
    /// What several runs sent, which its destination did not take.
    Batch {
        stream: String,
        /// How many.
        items: usize,
    },
}

/// A dead letter with all of its work, under the name of its kind.
#[derive(Serialize, ToSchema)]
pub(super) struct WholeDeadLetter {
    #[serde(flatten)]
    letter: DeadLetter,
    /// Null where the run's record is no longer kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Run>)]
    run: Option<Option<Box<Run>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<DeadCallback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
    /// What an operational event or an error says.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<WholeBatch>,
}

/// What several runs sent.
#[derive(Serialize, ToSchema)]
struct WholeBatch {
    stream: String,
    /// The ids of its items.
    items: Vec<Id>,
}

/// The answer of a run, which nobody took.
#[derive(Serialize, ToSchema)]
struct DeadCallback {
    run_id: Id,
    url: String,
}

/// A vendor's raw request.
#[derive(Serialize, ToSchema)]
struct Delivery {
    id: Id,
    subscription_id: Id,
    received_at: Moment,
    method: String,
    url: String,
    /// Names and values, in order.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
    /// Text, or base64 of what is none.
    #[schema(value_type = serde_json::Value)]
    body: records::DeliveryBody,
    /// How often reading it was begun.
    attempts: u32,
}

/// Lists dead letters
///
/// The newest first. A page may hold fewer than `limit` and still have a next one.
#[utoipa::path(get, path = "/dead-letters", operation_id = "listDeadLetters",
    security(("environment_key" = [])), params(Filter),
    responses((status = OK, description = "A page.", body = Page<DeadLetter>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<DeadLetter>>, Failure> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let (wanted, after) = wanted(&services, &scope, filter).await?;
    let page = services.dead_letters.list(&scope, &wanted, after, limit).await?;
    let next_cursor = page.next.map(|id| id.to_string());
    Ok(Json(Page { data: page.letters.iter().map(outline).collect(), next_cursor }))
}

/// Shows a dead letter with its work
#[utoipa::path(get, path = "/dead-letters/{letter}", operation_id = "getDeadLetter",
    security(("environment_key" = [])),
    responses((status = OK, description = "The letter.", body = WholeDeadLetter)))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(letter): Path<String>,
) -> Result<Json<WholeDeadLetter>, Failure> {
    let letter = services.dead_letters.one(&scope, path::id(&letter, "dead letter")?).await?;
    let mut whole = WholeDeadLetter {
        letter: outline(&letter),
        run: None,
        callback: None,
        delivery: None,
        notice: None,
        batch: None,
    };
    match letter.work {
        LetterWork::Run(run) => whole.run = Some(run.map(|run| Box::new(runs::whole(*run)))),
        LetterWork::Callback { run, url, .. } => {
            whole.callback = Some(DeadCallback { run_id: Id::of(run), url });
        }
        LetterWork::Notice(notice) => whole.notice = Some(notice.body),
        LetterWork::Batch(batch) => {
            whole.batch = Some(WholeBatch {
                stream: batch.stream,
                items: batch.items.into_iter().map(Id::of).collect(),
            });
        }
        LetterWork::Delivery(delivery, _) => {
            whole.delivery = Some(Delivery {
                id: Id::of(delivery.id),
                subscription_id: Id::of(delivery.subscription),
                received_at: Moment::of(delivery.received_at),
                method: delivery.method,
                url: delivery.url,
                headers: delivery.headers,
                body: delivery.body,
                attempts: delivery.attempts,
            });
        }
    }
    Ok(Json(whole))
}

/// A letter whose work goes on.
#[derive(Serialize, ToSchema)]
pub(super) struct RedrivenLetter {
    id: Id,
    /// Always true.
    redriven: bool,
}

/// Has a dead letter's work go on
///
/// From where it stopped, under the idempotency keys it had.
#[utoipa::path(post, path = "/dead-letters/{letter}/redrive", operation_id = "redriveDeadLetter",
    security(("environment_key" = [])),
    responses((status = OK, description = "It goes on.", body = RedrivenLetter),
        (status = CONFLICT, description = "Its work can no longer go on, or changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting.")))]
pub(super) async fn redrive(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(letter): Path<String>,
) -> Result<Json<RedrivenLetter>, Failure> {
    let id: id::Id = path::id(&letter, "dead letter")?;
    services.dead_letters.redrive(&scope, id).await?;
    Ok(Json(RedrivenLetter { id: Id::of(id), redriven: true }))
}

/// What became of many letters.
#[derive(Serialize, ToSchema)]
pub(super) struct RedrivenLetters {
    /// Those whose work goes on.
    redriven: Vec<Id>,
    /// Those whose work does not.
    refused: Vec<RefusedLetter>,
    /// The `cursor` to go on with; null where no more fit.
    #[schema(required)]
    next_cursor: Option<Id>,
}

/// A letter whose work does not go on.
#[derive(Serialize, ToSchema)]
struct RefusedLetter {
    id: Id,
    code: &'static str,
    message: String,
}

/// Has the work of many dead letters go on
#[utoipa::path(post, path = "/dead-letters/redrive", operation_id = "redriveDeadLetters",
    security(("environment_key" = [])), request_body = Filter,
    responses((status = OK, description = "What became of them.", body = RedrivenLetters),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting.")))]
pub(super) async fn redrive_all(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    filter: body::Json<Filter>,
) -> Result<Json<RedrivenLetters>, Failure> {
    let filter = filter.value;
    let limit = filter.limit.unwrap_or(DEFAULT_REDRIVES).clamp(1, MAX_REDRIVES);
    let (wanted, after) = wanted(&services, &scope, filter).await?;
    let Redriven { ids, refused, next } =
        services.dead_letters.redrive_all(&scope, &wanted, after, limit).await?;
    let refused = refused
        .iter()
        .map(|(id, error)| RefusedLetter { id: Id::of(id), code: error.code(), message: error.to_string() })
        .collect();
    let redriven = ids.iter().map(Id::of).collect();
    Ok(Json(RedrivenLetters { redriven, refused, next_cursor: next.map(Id::of) }))
}

/// Lets a dead letter go
///
/// Its work is not done any more.
#[utoipa::path(delete, path = "/dead-letters/{letter}", operation_id = "deleteDeadLetter",
    security(("environment_key" = [])),
    responses((status = NO_CONTENT, description = "It is gone.")))]
pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(letter): Path<String>,
) -> Result<StatusCode, Failure> {
    services.dead_letters.delete(&scope, path::id(&letter, "dead letter")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn wanted(
    services: &Services,
    scope: &Scope,
    filter: Filter,
) -> Result<(Wanted, Option<id::Id>), Failure> {
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

fn outline(letter: &Letter) -> DeadLetter {
    let user_id = letter.user.map(Id::of);
    let work = match &letter.work {
        LetterWork::Run(run) => {
            let workflow_id = run.as_ref().map(|run| Id::of(run.workflow));
            DeadWork::Run { run_id: Id::of(letter.id), workflow_id, user_id }
        }
        LetterWork::Callback { run, url, .. } => {
            DeadWork::Callback { run_id: Id::of(run), user_id, url: url.clone() }
        }
        LetterWork::Delivery(delivery, app) => DeadWork::Delivery {
            delivery_id: Id::of(delivery.id),
            subscription_id: Id::of(delivery.subscription),
            app: app.clone(),
            // What came to an app's own webhook is no single user's.
            user_id: delivery.app.is_none().then_some(user_id).flatten(),
        },
        LetterWork::Notice(notice) => DeadWork::Notice {
            stream: notice.stream.clone(),
            r#type: notice.body.get("type").and_then(Value::as_str).map(str::to_owned),
            user_id,
        },
        LetterWork::Batch(batch) => {
            DeadWork::Batch { stream: batch.stream.clone(), items: batch.items.len() }
        }
    };
    DeadLetter {
        id: Id::of(letter.id),
        at: Moment::of(letter.at),
        reason: letter.reason.clone(),
        error: letter.error().map(Fault::from),
        work,
    }
}
