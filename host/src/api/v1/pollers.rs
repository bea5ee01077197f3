//! `/v1/pollers`: how polling installations stand; a poll now; and for operators, all of them at a glance.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{
    id::InstallationId,
    polling,
    records::{Cursor, Poller},
    scope::Scope,
};

use crate::{
    api::{
        Services, body,
        caller::{Operator, Tenant},
        error::Failure,
        path,
    },
    triggers::poll::{Cause, Place, Shown, Stage, Status, Tally, Told, Trouble},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// How many pollers one listing looks at before it answers with what it found and where to go on.
const MAX_LOOKED_AT: usize = 5_000;

/// How long a caller waits for the round it asked for.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    user_id: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let mut after =
        filter.cursor.as_deref().map(|cursor| path::id::<InstallationId>(cursor, "cursor")).transpose()?;
    let user = match &filter.user_id {
        Some(user) => Some(services.users.find(&scope, user).await?.id),
        None => None,
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    let next = loop {
        let page = services.pollers.list(&scope, after, MAX_LIMIT).await?;
        if page.is_empty() {
            break None;
        }
        looked_at += page.len();
        for poller in page {
            after = Some(poller.installation);
            if user.is_none_or(|user| user == poller.user) {
                found.push(shape(&services, &scope, &poller));
                if found.len() == limit {
                    break;
                }
            }
        }
        if found.len() == limit || looked_at >= MAX_LOOKED_AT {
            break after;
        }
    };
    Ok(Json(json!({ "data": found, "next_cursor": next })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(installation): Path<String>,
) -> Result<Json<Value>, Failure> {
    let poller = services.pollers.one(&scope, path::id(&installation, "installation")?).await?;
    Ok(Json(shape(&services, &scope, &poller)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollNow {
    look_back_seconds: Option<u64>,
}

/// Begins a round now and answers with what it brought; 202 where that takes longer.
pub(super) async fn poll_now(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(installation): Path<String>,
    body: body::Json<PollNow>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let installation = path::id(&installation, "installation")?;
    services.pollers.one(&scope, installation).await?;
    let look_back = body.value.look_back_seconds.map(Duration::from_secs);
    if look_back.is_some_and(|back| back > polling::LONGEST_LOOK_BACK) {
        let most = polling::LONGEST_LOOK_BACK.as_secs();
        let message = format!(
            "`look_back_seconds` is at most {most} (three and a half days): what was seen earlier may be forgotten, and \
             would come a second time"
        );
        return Err(Failure::new(StatusCode::BAD_REQUEST, "look-back-invalid", message));
    }
    let paused = || {
        let message = format!("installation `{installation}` is paused; activate its workflow first");
        Failure::new(StatusCode::CONFLICT, "poller-paused", message)
    };
    let told = services.pollers.ask(Place { scope, installation }, look_back).ok_or_else(paused)?;
    let told = tokio::time::timeout(PATIENCE, told).await;
    // What the round changed is shown.
    let poller = services.pollers.one(&scope, installation).await?;
    let status = if told.is_ok() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let round = match told {
        Ok(Ok(Told::Ended(Tally { pages, accepted, late, duplicates }))) => json!({
            "result": "ended", "pages": pages, "accepted": accepted, "late": late, "duplicates": duplicates,
        }),
        Ok(Ok(Told::Failed(error))) => json!({
            "result": "failed", "error": { "kind": error.kind(), "message": error.to_string() },
        }),
        Ok(Ok(Told::Attention(reason))) => json!({ "result": "needs_attention", "reason": reason }),
        Ok(Ok(Told::Stopped) | Err(_)) => return Err(paused()),
        Err(_) => json!({ "result": "under_way" }),
    };
    let mut shape = shape(&services, &scope, &poller);
    if let Some(members) = shape.as_object_mut() {
        members.insert("round".to_owned(), round);
    }
    Ok((status, Json(shape)))
}

/// All pollers of the host: numbers, and what keeps how many of them from polling; nobody's data.
pub(super) async fn overview(State(services): State<Services>, _: Operator) -> Json<Value> {
    let overview = services.pollers.overview();
    let mut troubled: Vec<_> = overview.troubled.iter().collect();
    troubled.sort();
    let troubled: Vec<_> = troubled
        .into_iter()
        .map(|((app, kind), count)| json!({ "app": app, "kind": kind, "pollers": count }))
        .collect();
    Json(json!({
        "pollers": overview.pollers,
        "under_way": overview.under_way,
        "held_back": overview.held_back,
        "overdue": overview.overdue,
        "longest_wait_ms": millis(overview.waiting),
        "troubled": troubled,
    }))
}

fn shape(services: &Services, scope: &Scope, poller: &Poller) -> Value {
    let now = services.context.now();
    let place = Place { scope: *scope, installation: poller.installation };
    let shown = services.pollers.shown(&place);
    let cursor = poller.cursor.as_ref().map(|Cursor { format, value, at, .. }| {
        json!({ "format": format, "value": value, "written_at": at.to_string(), "age_ms": millis(now.since(*at)) })
    });
    let stamp = |at: Option<trunnion_core::clock::Timestamp>| at.map(|at| at.to_string());
    let mut shape = json!({
        "installation_id": poller.installation,
        "user_id": poller.user,
        "app": poller.app,
        "trigger": poller.trigger,
        "connection_id": poller.connection,
        "state": state(shown.as_ref()),
        "cursor": cursor,
        "watermark": stamp(poller.watermark),
        "accepted": poller.accepted,
        "last_accepted_at": stamp(poller.last_accepted_at),
        "late": poller.late,
        "last_late_at": stamp(poller.last_late_at),
        "created_at": poller.created_at.to_string(),
    });
    if let (Some(Shown { due, interval, backlog, status, .. }), Some(members)) =
        (shown, shape.as_object_mut())
    {
        let Status { last_started_at, lag_ms, last_ended_at, rounds, duplicates, failures, put_off, trouble } =
            status;
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("interval_ms", json!(millis(interval)));
        put("next_poll_at", json!(due.to_string()));
        put("backlog", json!(backlog));
        put("last_poll_at", json!(stamp(last_started_at)));
        put("lag_ms", json!(lag_ms));
        put("last_success_at", json!(stamp(last_ended_at)));
        put("rounds", json!(rounds));
        put("duplicates", json!(duplicates));
        put("failures", json!(failures));
        put("put_off", json!(put_off));
        put("trouble", json!(trouble.as_deref().map(trouble_of)));
    }
    shape
}

fn state(shown: Option<&Shown>) -> &'static str {
    let Some(shown) = shown else { return "paused" };
    match (shown.stage, shown.status.trouble.as_ref().map(|trouble| &trouble.cause)) {
        (Stage::UnderWay, _) => "polling",
        (_, Some(Cause::Attention(_))) => "needs_attention",
        (_, Some(Cause::Failing(_))) => "failing",
        (Stage::HeldBack, None) => "held_back",
        (Stage::Planned, None) => "waiting",
    }
}

fn trouble_of(trouble: &Trouble) -> Value {
    let since = trouble.since.to_string();
    match &trouble.cause {
        Cause::Failing(error) => {
            json!({ "kind": error.kind(), "message": error.to_string(), "since": since })
        }
        Cause::Attention(reason) => json!({ "kind": "needs_attention", "message": reason, "since": since }),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
