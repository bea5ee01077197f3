//! `/v1/pollers`: how polling installations stand; a poll now; and for operators, all of them at a glance.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::{id::InstallationId, polling, records, scope::Scope};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Services, body,
        caller::{Operator, Tenant},
        error::Failure,
        path,
        schema::{Fault, Id, Moment, Page},
    },
    triggers::poll::{Cause, Place, Shown, Stage, Status, Tally, Told, Trouble},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// How many pollers one listing looks at before it answers with what it found and where to go on.
const MAX_LOOKED_AT: usize = 5_000;

/// How long a caller waits for the round it asked for.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those of this user, by id or username.
    user_id: Option<String>,
    /// At most so many; 20 where nothing is said, and never more than 100.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// Where a page before said to go on.
    cursor: Option<String>,
}

/// How an installation that polls stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Poller {
    installation_id: Id,
    user_id: Id,
    app: String,
    trigger: String,
    connection_id: Id,
    /// `waiting`, `polling`, `held_back`, `failing`, `needs_attention` or `paused`.
    state: &'static str,
    /// Where the next round starts; null before the first.
    #[schema(required)]
    cursor: Option<Cursor>,
    /// The latest moment at the vendor that finished rounds have seen.
    #[schema(required)]
    watermark: Option<Moment>,
    /// Records accepted so far.
    accepted: u64,
    #[schema(required)]
    last_accepted_at: Option<Moment>,
    /// Those of them that the vendor showed later than the overlap covers.
    late: u64,
    #[schema(required)]
    last_late_at: Option<Moment>,
    created_at: Moment,
    #[serde(flatten)]
    live: Option<LivePoller>,
}

/// How an active poller fares since the host started.
#[derive(Serialize, ToSchema)]
struct LivePoller {
    interval_ms: u64,
    next_poll_at: Moment,
    /// Whether a round has more pages.
    backlog: bool,
    last_poll_at: Option<Moment>,
    /// How late the last visit began, in milliseconds.
    lag_ms: u32,
    last_success_at: Option<Moment>,
    /// Rounds that ended well.
    rounds: u32,
    /// Records that were known already.
    duplicates: u64,
    /// Failures in a row.
    failures: u32,
    /// Times that the host had too much work waiting to take anything in.
    put_off: u32,
    /// What keeps it from polling.
    trouble: Option<PollTrouble>,
}

/// A poller's durable position.
#[derive(Serialize, ToSchema)]
#[schema(as = PollCursor)]
struct Cursor {
    /// The form it has.
    format: u32,
    /// The connector's own position.
    value: Value,
    written_at: Moment,
    age_ms: u64,
}

/// What keeps a poller from polling.
#[derive(Serialize, ToSchema)]
struct PollTrouble {
    /// What kind of failure it is, or `needs_attention`.
    kind: &'static str,
    message: String,
    since: Moment,
}

/// Lists the installations that poll
///
/// A page may hold fewer than `limit` and still have a next one.
#[utoipa::path(get, path = "/pollers", operation_id = "listPollers",
    security(("environment_key" = [])), params(Filter),
    responses((status = OK, description = "A page.", body = Page<Poller>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<Poller>>, Failure> {
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
        let (pollers, next) = services.pollers.list(&scope, after, MAX_LIMIT).await?;
        looked_at += MAX_LIMIT;
        for poller in pollers {
            after = Some(poller.installation);
            if user.is_none_or(|user| user == poller.user) {
                found.push(shape(&services, &scope, &poller));
                if found.len() == limit {
                    break;
                }
            }
        }
        if found.len() == limit {
            break after;
        }
        after = next;
        if after.is_none() || looked_at >= MAX_LOOKED_AT {
            break after;
        }
    };
    Ok(Json(Page { data: found, next_cursor: next.map(|id| id.to_string()) }))
}

/// Shows how an installation that polls stands
#[utoipa::path(get, path = "/installations/{installation}/poller", operation_id = "getPoller",
    security(("environment_key" = [])),
    responses((status = OK, description = "The poller.", body = Poller)))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(installation): Path<String>,
) -> Result<Json<Poller>, Failure> {
    let poller = services.pollers.one(&scope, path::id(&installation, "installation")?).await?;
    Ok(Json(shape(&services, &scope, &poller)))
}

/// How a round begins.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PollNow {
    /// Has the round begin so many seconds before its position: at most three and a half days. What was accepted before
    /// is not accepted again.
    look_back_seconds: Option<u64>,
}

/// How an installation stands after a round that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct PolledNow {
    #[serde(flatten)]
    poller: Poller,
    round: Round,
}

/// What a round came to.
#[derive(Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
#[schema(as = PollRound)]
enum Round {
    /// It has ended.
    Ended {
        pages: u64,
        /// Records accepted.
        accepted: u64,
        /// Those of them that came later than the overlap covers.
        late: u64,
        /// Records that were known already.
        duplicates: u64,
    },
    /// It has failed, and will be tried again.
    Failed { error: Fault },
    /// The connection has to be mended first.
    NeedsAttention { reason: String },
    /// It takes longer.
    UnderWay,
}

/// Polls now
///
/// Answers with what the round brought, or 202 where that takes longer than 20 seconds.
#[utoipa::path(post, path = "/installations/{installation}/poll", operation_id = "pollNow",
    security(("environment_key" = [])), request_body = PollNow,
    responses((status = OK, description = "The round is over.", body = PolledNow),
        (status = ACCEPTED, description = "The round is under way.", body = PolledNow),
        (status = CONFLICT, description = "The installation is paused.")))]
pub(super) async fn poll_now(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(installation): Path<String>,
    body: body::Json<PollNow>,
) -> Result<(StatusCode, Json<PolledNow>), Failure> {
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
        Ok(Ok(Told::Ended(Tally { pages, accepted, late, duplicates }))) => {
            Round::Ended { pages, accepted, late, duplicates }
        }
        Ok(Ok(Told::Failed(error))) => Round::Failed { error: Fault::from(&error) },
        Ok(Ok(Told::Attention(reason))) => Round::NeedsAttention { reason },
        Ok(Ok(Told::Stopped) | Err(_)) => return Err(paused()),
        Err(_) => Round::UnderWay,
    };
    Ok((status, Json(PolledNow { poller: shape(&services, &scope, &poller), round })))
}

/// All pollers of the host.
#[derive(Serialize, ToSchema)]
pub(super) struct PollingOverview {
    /// Active ones.
    pollers: usize,
    /// Visits under way.
    under_way: usize,
    /// Those that wait for another visit of their user.
    held_back: usize,
    /// Those whose time has come.
    overdue: usize,
    /// How long the first of them has been waiting.
    longest_wait_ms: u64,
    /// What keeps how many from polling.
    troubled: Vec<TroubledPollers>,
}

/// Pollers with the same trouble.
#[derive(Serialize, ToSchema)]
struct TroubledPollers {
    app: String,
    kind: &'static str,
    pollers: usize,
}

/// Shows all pollers of the host at a glance
///
/// Numbers, and what keeps how many of them from polling; nobody's data.
#[utoipa::path(get, path = "/polling", operation_id = "getPollingOverview",
    security(("operator_key" = [])),
    responses((status = OK, description = "The numbers.", body = PollingOverview)))]
pub(super) async fn overview(State(services): State<Services>, _: Operator) -> Json<PollingOverview> {
    let overview = services.pollers.overview();
    let mut troubled: Vec<_> = overview.troubled.into_iter().collect();
    troubled.sort();
    let troubled =
        troubled.into_iter().map(|((app, kind), pollers)| TroubledPollers { app, kind, pollers }).collect();
    Json(PollingOverview {
        pollers: overview.pollers,
        under_way: overview.under_way,
        held_back: overview.held_back,
        overdue: overview.overdue,
        longest_wait_ms: millis(overview.waiting),
        troubled,
    })
}

fn shape(services: &Services, scope: &Scope, poller: &records::Poller) -> Poller {
    let now = services.context.now();
    let place = Place { scope: *scope, installation: poller.installation };
    let shown = services.pollers.shown(&place);
    let cursor = poller.cursor.as_ref().map(|records::Cursor { format, value, at, .. }| Cursor {
        format: *format,
        value: value.clone(),
        written_at: Moment::of(at),
        age_ms: millis(now.since(*at)),
    });
    Poller {
        installation_id: Id::of(poller.installation),
        user_id: Id::of(poller.user),
        app: poller.app.clone(),
        trigger: poller.trigger.clone(),
        connection_id: Id::of(poller.connection),
        state: state(shown.as_ref()),
        cursor,
        watermark: poller.watermark.map(Moment::of),
        accepted: poller.accepted,
        last_accepted_at: poller.last_accepted_at.map(Moment::of),
        late: poller.late,
        last_late_at: poller.last_late_at.map(Moment::of),
        created_at: Moment::of(poller.created_at),
        live: shown.map(live),
    }
}

fn live(Shown { due, interval, backlog, status, .. }: Shown) -> LivePoller {
    let Status { last_started_at, lag_ms, last_ended_at, rounds, duplicates, failures, put_off, trouble } =
        status;
    LivePoller {
        interval_ms: millis(interval),
        next_poll_at: Moment::of(due),
        backlog,
        last_poll_at: last_started_at.map(Moment::of),
        lag_ms,
        last_success_at: last_ended_at.map(Moment::of),
        rounds,
        duplicates,
        failures,
        put_off,
        trouble: trouble.as_deref().map(trouble_of),
    }
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

fn trouble_of(trouble: &Trouble) -> PollTrouble {
    let since = Moment::of(trouble.since);
    match &trouble.cause {
        Cause::Failing(error) => PollTrouble { kind: error.kind(), message: error.to_string(), since },
        Cause::Attention(reason) => PollTrouble { kind: "needs_attention", message: reason.clone(), since },
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
