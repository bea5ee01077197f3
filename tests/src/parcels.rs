//! The invented courier that the JavaScript connector speaks to: parcels, a feed of their changes, faults on demand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State as Shelf},
    http::{HeaderMap, Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::record::Recorded;

/// The only key it knows.
pub const KEY: &str = "prcl-4b1d0e7c9a2f8356";

/// A running courier; stops when dropped.
#[derive(Debug)]
pub struct Parcels {
    office: Office,
    base: String,
    server: JoinHandle<()>,
}

type Office = Arc<Mutex<Ledger>>;

#[derive(Debug, Default)]
struct Ledger {
    requests: Vec<Recorded>,
    by_key: BTreeMap<String, Value>,
    changes: Vec<Value>,
    fault: Option<Fault>,
}

/// What the courier does instead of answering.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers this.
    Answer {
        /// The status.
        status: u16,
        /// Headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// Begins an answer and breaks the connection.
    Cut,
}

impl Drop for Parcels {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Parcels {
    /// Starts on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the courier needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let office = Office::default();
        let router = Router::new()
            .route("/v1/account", get(account))
            .route("/v1/parcels", post(book))
            .route("/v1/changes", get(changes))
            .route("/v1/changes/last", get(last))
            .layer(middleware::from_fn_with_state(Arc::clone(&office), door))
            .with_state(Arc::clone(&office));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { office, base, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.office).requests.clone()
    }

    /// Does this instead of answering, until told otherwise.
    pub fn set_fault(&self, fault: Option<Fault>) {
        locked(&self.office).fault = fault;
    }

    /// So many changes of parcels.
    pub fn change(&self, count: usize) {
        let mut ledger = locked(&self.office);
        for _ in 0..count {
            let number = ledger.changes.len() + 1;
            let parcel = parcel(number, "delivered", "order-1001");
            ledger.changes.push(json!({ "number": number, "parcel": parcel }));
        }
    }
}

fn locked(office: &Office) -> MutexGuard<'_, Ledger> {
    office.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parcel(number: usize, status: &str, reference: &str) -> Value {
    json!({
        "id": format!("pcl_{number}"),
        "reference": reference,
        "status": status,
        "tracking_number": format!("PX{number}NL"),
        "updated_ms": 1_767_225_600_000_u64 + u64::try_from(number).unwrap_or_default(),
    })
}

/// Checks the key, keeps the request, and does what the fault says.
async fn door(Shelf(office): Shelf<Office>, request: axum::extract::Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let fault = locked(&office).fault.clone();
    let authorised =
        parts.headers.get("authorization").is_some_and(|value| value == &format!("Bearer {KEY}"));
    let (method, uri, headers): (Method, Uri, HeaderMap) =
        (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
    let answer = match fault {
        Some(Fault::Cut) => {
            let broken = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))];
            Body::from_stream(stream::iter(broken)).into_response()
        }
        Some(Fault::Answer { status, headers, body }) => {
            let mut answer = (StatusCode::from_u16(status).unwrap_or_default(), body).into_response();
            for (name, value) in headers {
                if let Ok(value) = value.parse() {
                    answer.headers_mut().insert(name, value);
                }
            }
            answer
        }
        None if !authorised => {
            (StatusCode::UNAUTHORIZED, Json(json!({ "message": "unknown key" }))).into_response()
        }
        None => next.run(axum::extract::Request::from_parts(parts, body.clone().into())).await,
    };
    let status = answer.status();
    locked(&office).requests.push(Recorded { method, uri, headers, body, status });
    answer
}

async fn account() -> Json<Value> {
    Json(json!({ "id": 77, "name": "Parcels of Ada" }))
}

async fn book(Shelf(office): Shelf<Office>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "message": "no idempotency-key" }))).into_response();
    };
    let Ok(wanted) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "message": "no JSON" }))).into_response();
    };
    let mut ledger = locked(&office);
    if let Some(booked) = ledger.by_key.get(key) {
        return Json(booked.clone()).into_response();
    }
    let number = ledger.changes.len() + 1;
    let booked =
        parcel(number, "created", wanted.get("reference").and_then(Value::as_str).unwrap_or_default());
    ledger.by_key.insert(key.to_owned(), booked.clone());
    ledger.changes.push(json!({ "number": number, "parcel": booked }));
    let limits = [("x-ratelimit-remaining", "59"), ("x-ratelimit-reset", "1.5")];
    (StatusCode::CREATED, limits, Json(booked)).into_response()
}

#[derive(Deserialize)]
struct After {
    after: usize,
    limit: usize,
}

async fn changes(Shelf(office): Shelf<Office>, Query(After { after, limit }): Query<After>) -> Json<Value> {
    let page: Vec<Value> = locked(&office).changes.iter().skip(after).take(limit).cloned().collect();
    Json(json!({ "changes": page }))
}

async fn last(Shelf(office): Shelf<Office>) -> Json<Value> {
    Json(json!({ "last": locked(&office).changes.len() }))
}
