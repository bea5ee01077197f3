//! The scenario `rows`: rows through a workflow into a warehouse, as events of 1,000 rows and by pages of a listing; beside
//! a client that sends the same requests by itself.
//!
//! The host is killed (SIGKILL) once in the middle of each. The warehouse knows every row by its number and every insert
//! id, as BigQuery does: at the end each row must be there once. The time from the kill until the host is ready again
//! does not count; what has to be done again does.

mod warehouse;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{
    component::BIGQUERY,
    host::{Host, Start},
    load::count,
    options::Common,
    progress,
    report::{Budget, Form, Report, number},
    settle, shop,
};

use self::warehouse::{Warehouse, row};

/// Rows each second, at least.
const LEAST: f64 = 100_000.0;

/// What the host may hold of the memory, in MB.
const MOST_MB: f64 = 128.0;

/// Rows of one event.
const OF_EVENT: u64 = 1_000;

/// Rows of one request to the warehouse, as the connector's manifest has it.
const OF_REQUEST: u64 = 500;

/// Users, each with an installation and a connection of its own.
const USERS: usize = 4;

/// Events under way at once.
const LANES: usize = 8;

/// How long nothing may arrive before rows count as lost.
const PATIENCE: Duration = Duration::from_secs(60);

const ROWS: &str = "Rows Ready";
const PAGES: &str = "Copy Rows";

/// Rows into a warehouse, as events of 1,000 rows and by pages, with a kill in the middle; beside a bare client.
#[derive(Debug, Args)]
pub(crate) struct Rows {
    /// The BigQuery connector's component; where absent, it is built from connectors/bigquery, here or in a
    /// folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// Rows of each way; a multiple of 1,000.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(4_000..))]
    rows: u32,
    /// Rows of one page of the listing.
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    page: u32,
    #[command(flatten)]
    common: Common,
}

/// How one way went.
#[derive(Debug)]
struct Way {
    rate: f64,
    /// The most that the host held, before the kill and after it, in MB.
    peak: f64,
    dropped: u64,
    faults: Vec<String>,
}

/// Where the host is, for whoever sends: another address after a kill.
type Base = watch::Sender<String>;

impl Rows {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = BIGQUERY.component(self.component.as_deref()).await?;
        let warehouse = Warehouse::start().await?;
        let components = &[&component];
        let start =
            Start { components, vendor: warehouse.url(), within: self.common.dir.as_deref(), config: "" };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&mut host, &warehouse).await;
        let report = measured.map_err(|error| host.explain(&error))?;
        host.stop().await?;
        Ok(report)
    }

    async fn measure(&self, host: &mut Host, warehouse: &Warehouse) -> Result<Report> {
        let rows = u64::from(self.rows) / OF_EVENT * OF_EVENT;
        let users = settle_in(host, self.page).await?;
        progress(&format!("{rows} rows sent by a bare client"));
        let reference = bare(warehouse, rows).await?;
        progress(&format!("{rows} rows as events of {OF_EVENT}"));
        let of_events = |number: u64| {
            let from = number * OF_EVENT;
            let rows: Vec<String> = (from..from + OF_EVENT).map(row).collect();
            format!(r#"{{"rows":[{}]}}"#, rows.join(","))
        };
        let events = way(host, warehouse, (rows, &users), (ROWS, rows / OF_EVENT), of_events).await?;
        progress(&format!("{rows} rows by pages of {}", self.page));
        let lists = u64::try_from(users.len())?;
        let of_pages = move |number: u64| {
            let (from, end) = (rows * number / lists, rows * (number + 1) / lists);
            json!({ "from": from, "end": end }).to_string()
        };
        let pages = way(host, warehouse, (rows, &users), (PAGES, lists), of_pages).await?;
        Ok(report(rows, reference, &events, &pages))
    }
}

fn report(rows: u64, reference: f64, events: &Way, pages: &Way) -> Report {
    let rate = events.rate.min(pages.rate);
    let peak = events.peak.max(pages.peak);
    let figures = |way: &Way| {
        format!("{:.0} rows/s, at most {:.0} MB, {} repeated rows dropped", way.rate, way.peak, way.dropped)
    };
    let faults: Vec<String> = events.faults.iter().chain(&pages.faults).cloned().collect();
    Report {
        scenario: "rows",
        value: rate,
        reference,
        members: vec![
            ("rows_per_second", number(rate)),
            ("events_per_second_rows", number(events.rate)),
            ("pages_per_second_rows", number(pages.rate)),
            ("peak_rss_mb", number(peak)),
            ("rows", json!(rows)),
            ("kills", json!(2)),
            ("repeated", json!(events.dropped + pages.dropped)),
            ("failed", json!(faults.len())),
        ],
        rows: vec![
            (format!("{rows} rows as events of {OF_EVENT}"), figures(events)),
            (format!("{rows} rows by pages"), figures(pages)),
            ("a bare client".to_owned(), format!("{reference:.0} rows/s")),
        ],
        budgets: vec![
            Budget { bound: format!("at least {LEAST:.0} rows/s ({rate:.0})"), met: rate >= LEAST },
            Budget { bound: format!("at most {MOST_MB:.0} MB ({peak:.0})"), met: peak <= MOST_MB },
        ],
        faults,
    }
}

/// Both workflows, and users who have them; answers the users.
async fn settle_in(host: &Host, page: u32) -> Result<Vec<String>> {
    let client = host.vendor_client()?;
    let into = json!({ "dataset": "raw", "table": "rows", "rows": ["{{ item }}"] });
    let batch = |items: Value| {
        let mut step = json!({
            "id": "insert", "type": "batch", "app": BIGQUERY.app, "action": "stream_rows", "concurrency": 2, "input": into,
        });
        if let (Some(step), Some(items)) = (step.as_object_mut(), items.as_object()) {
            step.extend(items.clone());
        }
        json!([step])
    };
    let sql = "SELECT * FROM orders WHERE id >= {{ trigger.from }} AND id < {{ trigger.end }}";
    let listing =
        json!({ "app": BIGQUERY.app, "action": "query", "input": { "sql": sql, "page_rows": page } });
    let ways = [
        (ROWS, json!({ "rows": [{ "id": 1 }] }), batch(json!({ "items": "{{ trigger.rows }}" }))),
        (PAGES, json!({ "from": 1, "end": 2 }), batch(json!({ "from": listing }))),
    ];
    let integration = client.post("/v1/integrations", &json!({ "app": BIGQUERY.app })).await?;
    let integration = shop::member(&integration, "id")?;
    for (event, sample, steps) in ways {
        client
            .put(&format!("/v1/events/{}", event.replace(' ', "%20")), &json!({ "sample": sample }))
            .await?;
        let definition =
            json!({ "name": event, "trigger": { "type": "event", "event": event }, "steps": steps });
        let workflow = json!({ "integration_id": integration, "definition": definition });
        let workflow = client.post("/v1/workflows", &workflow).await?;
        client
            .post(&format!("/v1/workflows/{}/releases", shop::member(&workflow, "id")?), &json!({}))
            .await?;
    }
    let mut users = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let credential =
            json!({ "project": format!("bench-{number}"), "access_token": format!("token-{number}") });
        let name = format!("user-{number}");
        users.push(shop::install(&client, integration, &name, (BIGQUERY.app, credential)).await?);
    }
    Ok(users)
}

/// Rows each second that a client sends by itself, in the same requests.
async fn bare(warehouse: &Warehouse, rows: u64) -> Result<f64> {
    warehouse.clear(usize::try_from(rows)?);
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/bigquery/v2/projects/bench/datasets/raw/tables/rows/insertAll", warehouse.url());
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (http, url, next) = (http.clone(), url.clone(), Arc::clone(&next));
        lanes.spawn(async move {
            loop {
                let from = next.fetch_add(OF_REQUEST, Ordering::Relaxed);
                if from >= rows {
                    return anyhow::Ok(());
                }
                let entry = |number| format!(r#"{{"insertId":"bare-{number}","json":{}}}"#, row(number));
                let entries: Vec<String> = (from..from + OF_REQUEST).map(entry).collect();
                let body = format!(r#"{{"rows":[{}]}}"#, entries.join(","));
                http.post(&url).body(body).send().await?.error_for_status()?;
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    let rate = count(rows) / begun.elapsed().as_secs_f64();
    if warehouse.arrived() != rows {
        bail!("the bare client's rows did not all arrive: {:?}", warehouse.count());
    }
    Ok(rate)
}

/// Sends `events` events of this name, kills the host in the middle, and waits until every row has arrived.
async fn way<F>(
    host: &mut Host,
    warehouse: &Warehouse,
    (rows, users): (u64, &[String]),
    (event, events): (&'static str, u64),
    data: F,
) -> Result<Way>
where
    F: Fn(u64) -> String + Clone + Send + 'static,
{
    warehouse.clear(usize::try_from(rows)?);
    let (base, _) = watch::channel(host.base().to_owned());
    let authorization = format!("Bearer {}", host.key()?);
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let lane = Lane {
            http: reqwest::Client::builder().no_proxy().build()?,
            base: base.subscribe(),
            authorization: authorization.clone(),
            users: users.to_vec(),
            event,
        };
        let (next, data) = (Arc::clone(&next), data.clone());
        lanes.spawn(async move { lane.send_all(&next, events, data).await });
    }
    arrived(warehouse, rows / 2).await?;
    let (peak, down) = kill(host, &base).await?;
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    arrived(warehouse, rows).await?;
    let took = begun.elapsed().saturating_sub(down);
    let account = settle::account(&host.vendor_client()?).await?;
    let count_of = warehouse.count();
    let mut faults = account.failed;
    faults.extend(account.unfinished);
    if count_of.arrived != rows {
        faults.push(format!("{} of {rows} rows as `{event}` were lost", rows - count_of.arrived));
    }
    if count_of.doubled > 0 {
        faults.push(format!("{} rows as `{event}` are there more than once", count_of.doubled));
    }
    let peak = peak.max(host.memory()?.peak);
    Ok(Way { rate: count(rows) / took.as_secs_f64(), peak, dropped: count_of.dropped, faults })
}

/// Kills the host and starts it again; answers its peak before that, and how long it was away.
async fn kill(host: &mut Host, base: &Base) -> Result<(f64, Duration)> {
    let peak = host.memory()?.peak;
    let gone = Instant::now();
    host.kill().await?;
    host.start_again().await?;
    let down = gone.elapsed();
    base.send_replace(host.base().to_owned());
    progress(&format!("killed, and ready again after {:.1} s", down.as_secs_f64()));
    Ok((peak, down))
}

/// Waits until so many rows have arrived, or none arrives any more.
async fn arrived(warehouse: &Warehouse, rows: u64) -> Result<()> {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let (mut last, mut since) = (0, Instant::now());
    loop {
        look.tick().await;
        let now = warehouse.arrived();
        if now >= rows {
            return Ok(());
        }
        if now > last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            bail!("{now} of {rows} rows arrived, and none for {} s", PATIENCE.as_secs());
        }
    }
}

/// Sends events one after the other, each until it is taken.
struct Lane {
    http: reqwest::Client,
    base: watch::Receiver<String>,
    authorization: String,
    users: Vec<String>,
    event: &'static str,
}

impl Lane {
    async fn send_all(mut self, next: &AtomicU64, events: u64, data: impl Fn(u64) -> String) -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= events {
                return Ok(());
            }
            let turn = usize::try_from(number)? % self.users.len().max(1);
            let user = self.users.get(turn).context("there is a user")?;
            let body = format!(
                r#"{{"event":{},"userId":{},"data":{}}}"#,
                json!(self.event),
                json!(user),
                data(number)
            );
            self.send(number, body).await?;
        }
    }

    /// Sends one event; after a kill again, with the same key.
    async fn send(&mut self, number: u64, body: String) -> Result<()> {
        loop {
            let url = format!("{}/run/event", self.base.borrow_and_update().as_str());
            let request = self
                .http
                .post(url)
                .header("Authorization", &self.authorization)
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", format!("{}-{number}", self.event.replace(' ', "-")))
                .body(body.clone());
            match request.send().await {
                Ok(answer) if answer.status().as_u16() == 429 => {
                    // The host has as much waiting as it may: work that it does meanwhile makes room.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(answer) => {
                    answer.error_for_status().context("an event was refused")?;
                    return Ok(());
                }
                Err(_) => self.base.changed().await.context("the host is gone for good")?,
            }
        }
    }
}
