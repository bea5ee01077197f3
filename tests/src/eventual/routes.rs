//! What the vendor answers.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State as Shelf},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use trunnion_core::clock::{Clock as _, Random as _};

use super::{Account, Change, Fault, SETTLED, Served, Shared};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/me", get(me)).route("/items", get(list).post(make)).with_state(shared)
}

fn key(headers: &HeaderMap) -> &str {
    headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default()
}

fn refused() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "message": "this key is not known" }))).into_response()
}

async fn me(Shelf(shared): Shelf<Arc<Shared>>, headers: HeaderMap) -> Response {
    match shared.state().accounts.get(key(&headers)) {
        Some(account) => Json(json!({ "id": account.id })).into_response(),
        None => refused(),
    }
}

async fn make(Shelf(shared): Shelf<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let now = shared.clock.now();
    let mut state = shared.state();
    let Some(account) = state.accounts.get_mut(key(&headers)) else { return refused() };
    let id = account.items.keys().last().map_or(1, |last| last + 1);
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let version = account.change(id, name, now, now);
    Json(json!({ "id": id, "version": version, "updated_ms": now.as_millis(), "name": name })).into_response()
}

async fn list(
    Shelf(shared): Shelf<Arc<Shared>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let key = key(&headers);
    let (gate, fault) = {
        let mut state = shared.state();
        let Some(account) = state.accounts.get_mut(key) else { return refused() };
        account.under_way += 1;
        account.most_under_way = account.most_under_way.max(account.under_way);
        let id = account.id.clone();
        let held = state.holds.iter().position(|(of, _)| *of == id);
        let gate = held.and_then(|at| state.holds.remove(at)).map(|(_, gate)| gate);
        let failing = state.faults.iter().position(|(of, _)| *of == id);
        let fault = failing.and_then(|at| state.faults.remove(at)).map(|(_, fault)| fault);
        (gate, fault.or_else(|| state.failing.get(&id).copied()))
    };
    // Leaves the count also where the caller goes away while it waits.
    let _under_way = UnderWay { shared: Arc::clone(&shared), key: key.to_owned() };
    if let Some(gate) = gate {
        gate.pass().await;
    }
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let page = usize::try_from(number("page")).unwrap_or_default().max(1);
    let limit = usize::try_from(number("limit")).unwrap_or_default();
    let mut served = Served { since: number("updated_since"), page, status: 200, items: Vec::new() };
    let now = shared.clock.now();
    let mut state = shared.state();
    let Some(account) = state.accounts.get_mut(key) else { return refused() };
    let answer = match fault {
        None => {
            let found = found(account, &shared, served.since);
            let shown: Vec<_> = found.into_iter().skip((page - 1) * limit).take(limit).collect();
            served.items = shown.iter().map(|(id, change)| (*id, change.version)).collect();
            let shape = |(id, change): &(u64, Change)| json!({ "id": id, "version": change.version, "updated_ms": change.updated.as_millis(), "name": change.name });
            Json(Value::Array(shown.iter().map(shape).collect())).into_response()
        }
        Some(Fault::TooMany(seconds)) => {
            let body = Json(json!({ "message": "slow down" }));
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())], body).into_response()
        }
        Some(Fault::Unavailable) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "message": format!("down at {now}") })))
                .into_response()
        }
        Some(Fault::Nonsense) => Json(json!({ "nonsense": true })).into_response(),
    };
    served.status = answer.status().as_u16();
    account.served.push(served);
    answer
}

/// What is shown of everything changed since then: settled changes in order, later ones in any.
fn found(account: &Account, shared: &Shared, since: u64) -> Vec<(u64, Change)> {
    let now = shared.clock.now();
    let newest = |(id, versions): (&u64, &Vec<Change>)| {
        let change = versions.iter().rev().find(|change| change.shown <= now)?;
        (change.updated.as_millis() >= since).then(|| (*id, change.clone()))
    };
    let mut found: Vec<_> = account.items.iter().filter_map(newest).collect();
    found.sort_by_cached_key(|(id, change)| {
        let settled = now.since(change.updated) > SETTLED;
        let mut order = [0; 8];
        shared.random.fill(&mut order);
        // Settled ones of the same moment have no order of their own either.
        let moment = if settled { change.updated.as_millis() } else { u64::MAX };
        (moment, if settled { [0; 8] } else { order }, *id)
    });
    found
}

struct UnderWay {
    shared: Arc<Shared>,
    key: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(account) = self.shared.state().accounts.get_mut(&self.key) {
            account.under_way = account.under_way.saturating_sub(1);
        }
    }
}
