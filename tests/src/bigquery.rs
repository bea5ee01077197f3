//! A stateful fake of BigQuery: one project with tables that have columns, streaming with ids that are remembered,
//! load jobs and queries under ids that are taken once, refusals in the vendor's own words.
//!
//! What it holds as BigQuery does: a row that does not fit keeps its whole request from being inserted, and the others are
//! named `stopped`; an insert id that a table has seen is dropped silently; a job's id is taken for ever (409).
//! A statement is `SELECT * FROM dataset.table`, or one by which the connector follows a number: the fake knows no SQL.

mod routes;
mod tables;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use axum::http::StatusCode;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    gate::{self, Gate, Held},
    record::Recorded,
};

use self::tables::Table;

/// A running fake; stops when dropped.
pub struct BigQuery {
    shared: Arc<Mutex<State>>,
    base: String,
    server: JoinHandle<()>,
}

/// Everything the fake remembers.
#[derive(Default)]
struct State {
    token: String,
    /// Codes of people who consented, each with the challenge that its exchange has to meet.
    codes: BTreeMap<String, String>,
    tables: BTreeMap<(String, String), Table>,
    /// Jobs by their ids, as `jobs.get` shows them, with what a query gave.
    jobs: BTreeMap<String, Job>,
    requests: Vec<Recorded>,
    refusals: Vec<(u32, String, StatusCode, String)>,
    gates: Vec<(String, Gate)>,
}

/// A job that was run.
struct Job {
    shown: Value,
    /// Columns and rows that a query gave.
    result: Option<(Value, Vec<Value>)>,
}

/// The state; a panicking test elsewhere must not hide its own message behind a poisoned lock.
fn locked(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for BigQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BigQuery").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Drop for BigQuery {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl BigQuery {
    /// Starts on a free loopback port, without tables; it answers to `token`.
    pub async fn start(token: &str) -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("the fake BigQuery needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let state = State { token: token.to_owned(), ..State::default() };
        let shared = Arc::new(Mutex::new(state));
        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                complain(&format!("the fake BigQuery stopped: {error}"));
            }
        });
        Ok(Self { shared, base, server })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Somebody consented: this code is worth a token, once, to whoever knows what `challenge` was made of.
    pub fn consented(&self, code: &str, challenge: &str) {
        locked(&self.shared).codes.insert(code.to_owned(), challenge.to_owned());
    }

    /// The token ends; whoever asks for one gets this one from now on.
    pub fn end_token(&self, next: &str) {
        next.clone_into(&mut locked(&self.shared).token);
    }

    /// Makes a table of these columns (`{"name", "type", "mode"}`).
    pub fn add_table(&self, dataset: &str, table: &str, columns: Value) {
        let key = (dataset.to_owned(), table.to_owned());
        locked(&self.shared).tables.insert(key, Table::new(columns));
    }

    /// Gives a table another column.
    pub fn add_column(&self, dataset: &str, table: &str, column: Value) {
        let key = (dataset.to_owned(), table.to_owned());
        if let Some(table) = locked(&self.shared).tables.get_mut(&key) {
            table.columns.push(column);
        }
    }

    /// Puts rows into a table.
    pub fn fill(&self, dataset: &str, table: &str, rows: impl IntoIterator<Item = Value>) {
        let key = (dataset.to_owned(), table.to_owned());
        if let Some(table) = locked(&self.shared).tables.get_mut(&key) {
            table.rows.extend(rows);
        }
    }

    /// The rows of a table, in the order they came.
    #[must_use]
    pub fn rows(&self, dataset: &str, table: &str) -> Vec<Value> {
        let key = (dataset.to_owned(), table.to_owned());
        locked(&self.shared).tables.get(&key).map(|table| table.rows.clone()).unwrap_or_default()
    }

    /// A table's columns.
    #[must_use]
    pub fn columns(&self, dataset: &str, table: &str) -> Vec<Value> {
        let key = (dataset.to_owned(), table.to_owned());
        locked(&self.shared).tables.get(&key).map(|table| table.columns.clone()).unwrap_or_default()
    }

    /// Every request so far, in the order of their answers.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.shared).requests.clone()
    }

    /// The next `times` calls whose path or query has `part` are refused with this status and reason.
    pub fn refuse_next(&self, times: u32, part: &str, status: StatusCode, reason: &str) {
        locked(&self.shared).refusals.push((times, part.to_owned(), status, reason.to_owned()));
    }

    /// Keeps the answer of the next call whose path or query has `part` waiting; the call itself is carried out.
    #[must_use]
    pub fn hold_next(&self, part: &str) -> Held {
        let (gate, held) = gate::gate();
        locked(&self.shared).gates.push((part.to_owned(), gate));
        held
    }
}

/// A line for whoever reads the test's output.
#[expect(clippy::print_stderr, reason = "a fake has no other place to report to")]
fn complain(message: &str) {
    eprintln!("{message}");
}
