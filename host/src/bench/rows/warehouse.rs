//! The part of BigQuery that the scenario's connector calls: it takes rows, dropping insert ids that it has seen as
//! BigQuery does, and gives rows, page by page, for a statement that names the first and the number behind the last.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
    serve::ListenerExt,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request of rows may be as large as BigQuery takes it.
const MOST_BYTES: usize = 10_485_760;

/// The warehouse, until it is dropped.
#[derive(Debug)]
pub(super) struct Warehouse {
    shelf: Arc<Mutex<Shelf>>,
    url: String,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// How often each row is there, by its number.
    rows: Vec<u8>,
    /// Rows that are there at least once.
    arrived: u64,
    /// Rows whose insert id was there already.
    dropped: u64,
    seen: HashSet<Box<str>>,
}

/// What became of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Those that are there.
    pub(super) arrived: u64,
    /// Those that are there more than once.
    pub(super) doubled: u64,
    /// Repetitions that were recognised and dropped.
    pub(super) dropped: u64,
}

impl Warehouse {
    /// Starts it on a free port of this machine.
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the warehouse found no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::warn!(%error, "a connection of the warehouse keeps its delay");
            }
        });
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let project = "/bigquery/v2/projects/{project}";
        let router = Router::new()
            .route(&format!("{project}/datasets"), get(async || Json(json!({}))))
            .route(&format!("{project}/datasets/{{dataset}}/tables/{{table}}/insertAll"), post(insert_all))
            .route(&format!("{project}/jobs"), post(insert_job))
            .route(&format!("{project}/queries/{{job}}"), get(results))
            .layer(DefaultBodyLimit::max(MOST_BYTES))
            .with_state(Arc::clone(&shelf));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the warehouse ended");
            }
        });
        Ok(Self { shelf, url, server })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Makes room for rows of the numbers below `count`, and forgets all others.
    pub(super) fn clear(&self, count: usize) {
        *locked(&self.shelf) = Shelf { rows: vec![0; count], ..Shelf::default() };
    }

    /// Rows that are there.
    pub(super) fn arrived(&self) -> u64 {
        locked(&self.shelf).arrived
    }

    /// What became of the rows.
    pub(super) fn count(&self) -> Count {
        let shelf = locked(&self.shelf);
        let doubled = shelf.rows.iter().filter(|times| **times > 1).count();
        Count {
            arrived: shelf.arrived,
            doubled: u64::try_from(doubled).unwrap_or(u64::MAX),
            dropped: shelf.dropped,
        }
    }
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What is counted is sound at any moment, whoever panicked.
fn locked(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row of this number, as the events carry it.
pub(super) fn row(number: u64) -> String {
    format!(
        r#"{{"id":{number},"name":"A-{number:08}","total":"41.90","currency":"EUR","placed_at":"2026-10-01T10:00:00Z"}}"#
    )
}

#[derive(Deserialize)]
struct Inserted<'a> {
    #[serde(borrow)]
    rows: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    insert_id: &'a str,
    json: Numbered,
}

#[derive(Deserialize)]
struct Numbered {
    id: usize,
}

async fn insert_all(State(shelf): State<Arc<Mutex<Shelf>>>, body: Bytes) -> impl IntoResponse {
    let Ok(Inserted { rows }) = serde_json::from_slice(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": { "message": "no rows" } })));
    };
    let mut shelf = locked(&shelf);
    for Entry { insert_id, json: Numbered { id } } in rows {
        if !shelf.seen.insert(insert_id.into()) {
            shelf.dropped += 1;
            continue;
        }
        let first = shelf.rows.get_mut(id).is_some_and(|times| {
            *times = times.saturating_add(1);
            *times == 1
        });
        shelf.arrived += u64::from(first);
    }
    (StatusCode::OK, Json(json!({ "kind": "bigquery#tableDataInsertAllResponse" })))
}

/// A job's id says what its statement asks for, so that it need not be remembered: `…-FIRST-END`.
async fn insert_job(Json(asked): Json<Value>) -> impl IntoResponse {
    let sql = asked.pointer("/configuration/query/query").and_then(Value::as_str).unwrap_or_default();
    let numbers: Vec<&str> = sql.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    let job = format!("job-{}", numbers.join("-"));
    Json(json!({ "jobReference": { "projectId": "bench", "jobId": job }, "status": { "state": "DONE" } }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paging {
    max_results: u64,
    #[serde(default)]
    page_token: Option<u64>,
}

async fn results(
    Path((_, job)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<impl IntoResponse, StatusCode> {
    let mut numbers = job.split('-').filter_map(|part| part.parse::<u64>().ok());
    let (Some(first), Some(end)) = (numbers.next(), numbers.next()) else {
        return Err(StatusCode::NOT_FOUND);
    };
    let from = paging.page_token.unwrap_or(first);
    let behind = end.min(from + paging.max_results);
    let rows: Vec<String> = (from..behind)
        .map(|number| {
            format!(
                r#"{{"f":[{{"v":"{number}"}},{{"v":"A-{number:08}"}},{{"v":"41.90"}},{{"v":"EUR"}},{{"v":"2026-10-01T10:00:00Z"}}]}}"#
            )
        })
        .collect();
    let more = if behind < end { format!(r#","pageToken":"{behind}""#) } else { String::new() };
    let body = format!(
        r#"{{"jobComplete":true,"schema":{{"fields":[{{"name":"id","type":"INTEGER"}},{{"name":"name","type":"STRING"}},{{"name":"total","type":"STRING"}},{{"name":"currency","type":"STRING"}},{{"name":"placed_at","type":"STRING"}}]}},"rows":[{}]{more}}}"#,
        rows.join(",")
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_are_counted_and_repetitions_dropped() {
        let warehouse = Warehouse::start().await.unwrap();
        warehouse.clear(3);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url =
            format!("{}/bigquery/v2/projects/bench/datasets/raw/tables/rows/insertAll", warehouse.url());
        let entry = |id: &str, number| format!(r#"{{"insertId":"{id}","json":{}}}"#, row(number));
        for rows in [[entry("a", 0), entry("b", 1)], [entry("b", 1), entry("c", 1)]] {
            let body = format!(r#"{{"rows":[{}]}}"#, rows.join(","));
            assert!(client.post(&url).body(body).send().await.unwrap().status().is_success());
        }
        assert_eq!(warehouse.count(), Count { arrived: 2, doubled: 1, dropped: 1 });
    }

    #[tokio::test]
    async fn a_statement_gives_its_rows_by_pages() {
        let warehouse = Warehouse::start().await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let project = format!("{}/bigquery/v2/projects/bench", warehouse.url());
        let sql = json!({ "configuration": { "query": { "query": "SELECT * FROM orders WHERE id >= 5 AND id < 8" } } });
        let request = client.post(format!("{project}/jobs")).header("content-type", "application/json");
        let answer = request.body(sql.to_string()).send().await.unwrap().text().await.unwrap();
        let job: Value = serde_json::from_str(&answer).unwrap();
        let job = job.pointer("/jobReference/jobId").unwrap().as_str().unwrap();
        let page = async |query: &str| -> Value {
            let url = format!("{project}/queries/{job}?{query}");
            serde_json::from_str(&client.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
        };
        let first = page("maxResults=2").await;
        assert_eq!(
            (first["rows"][1]["f"][0]["v"].as_str(), first["pageToken"].as_str()),
            (Some("6"), Some("7"))
        );
        let last = page("maxResults=2&pageToken=7").await;
        assert_eq!((last["rows"].as_array().unwrap().len(), last.get("pageToken")), (1, None));
    }
}
