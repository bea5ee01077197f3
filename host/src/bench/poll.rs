//! The scenario `poll`: many installations that poll once a minute a vendor that takes 50 ms to answer. How late polls
//! begin, and what each poller holds of the memory; beside how late a bare timer of the same machine is meanwhile.
//!
//! Each poller's last lag counts, as the host tells it; and whoever is due and still waits, as the longest wait.
//!
//! What each poller holds is what the second half of them adds to a host that polls the first half: the caches, whose
//! sizes are set and do not grow with pollers, are full by then.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    component::POLLER,
    host::{Host, Start},
    options::Common,
    population::{self, Kind},
    progress,
    report::{Budget, Form, Latency, Report, millis, number},
    shop,
    vendor::Vendor,
};
use crate::client::Client;

/// The latest that a poll may begin, at the 99th percentile, in milliseconds.
const LATEST: f64 = 1_000.0;

/// What one poller may hold of the memory: 1 KB, in bytes.
const MOST_BYTES: f64 = 1_024.0;

/// How often the bare timer wakes.
const TICK: Duration = Duration::from_millis(10);

/// Faults that are told one by one.
const TOLD: usize = 5;

/// Polling installations: how late polls begin, and what each holds of the memory.
#[derive(Debug, Args)]
pub(crate) struct Poll {
    /// The polling connector's component; where absent, it is built from tests/guests/poller, here or in a
    /// folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// Installations, each of a merchant of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    installations: u32,
    /// How often each polls, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// How long they are watched, in seconds; each should poll at least once meanwhile.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    #[command(flatten)]
    common: Common,
}

/// How the pollers fared.
#[derive(Debug)]
struct Fared {
    /// How late each one's last poll began, or is by now.
    lag: Latency,
    /// Those that are due and have not begun.
    overdue: u64,
    /// How late the bare timer was.
    timer: Latency,
    /// Polls while they were watched.
    polls: u64,
    /// Pollers that had not polled.
    idle: u32,
    failing: Vec<String>,
    /// Milliseconds of processor time in each second.
    processor: f64,
    /// MB that the host held before there was any poller, with the first half of them, and with all.
    empty: f64,
    half: f64,
    resident: f64,
}

impl Poll {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = POLLER.component(self.component.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let (components, within) = (&[&component], self.common.dir.as_deref());
        let start = Start { components, vendor: vendor.url(), within, config: "" };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&mut host, &vendor).await;
        let fared = measured.map_err(|error| host.explain(&error))?;
        host.stop().await?;
        Ok(self.report(&fared))
    }

    async fn measure(&self, host: &mut Host, vendor: &Vendor) -> Result<Fared> {
        let empty = host.memory()?.resident;
        let client = host.vendor_client()?;
        let destination = json!({ "url": format!("{}/stream", vendor.url()) });
        client.put("/v1/streams/items", &destination).await?;
        let integration = shop::release(&client, POLLER.app, &self.definition()).await?;
        let credential = |name: &str| json!({ "api_key": name });
        let kind = Kind { app: POLLER.app, credential };
        let middle = self.middle();
        population::install(host, &integration, kind, 0..middle).await?;
        // Started anew, so that what is measured is the pollers and not their making.
        host.stop().await?;
        host.start_again().await?;
        progress(&format!("letting {middle} pollers poll for {} s", self.every));
        ticks(Duration::from_secs(self.every.into())).await?;
        let half = host.memory()?.resident;
        population::install(host, &integration, kind, middle..self.installations).await?;
        host.stop().await?;
        host.start_again().await?;

        progress(&format!("watching {} pollers for {} s", self.installations, self.seconds));
        let (before, polls) = (host.processor()?, vendor.polls());
        let timer = ticks(Duration::from_secs(self.seconds.into())).await?;
        let busy = host.processor()?.saturating_sub(before);
        let polls = vendor.polls() - polls;
        let resident = host.memory()?.resident;
        let mut fared = Fared {
            lag: Latency::new()?,
            overdue: 0,
            timer,
            polls,
            idle: 0,
            failing: Vec::new(),
            processor: millis(busy) / f64::from(self.seconds),
            empty,
            half,
            resident,
        };
        fared.glance(&host.operator_client()?).await?;
        fared.ask(&host.vendor_client()?).await?;
        Ok(fared)
    }

    /// How many the first half are.
    const fn middle(&self) -> u32 {
        self.installations / 2
    }

    fn definition(&self) -> Value {
        let every = format!("{}s", self.every);
        let trigger = json!({ "type": "app", "app": POLLER.app, "trigger": "item_from_now", "every": every });
        let step = json!({ "id": "send", "type": "stream", "destination": "items", "body": "{{ trigger }}" });
        json!({ "name": "Items", "trigger": trigger, "steps": [step] })
    }

    fn report(&self, fared: &Fared) -> Report {
        let Fared { lag, overdue, timer, polls, idle, failing, processor, empty, half, resident } = fared;
        let due = f64::from(self.installations) * f64::from(self.seconds) / f64::from(self.every);
        let bytes = (resident - half).max(0.0) * 1e6 / f64::from(self.installations - self.middle());
        let with_caches = (resident - empty).max(0.0) * 1e6 / f64::from(self.installations);
        let mut faults: Vec<String> = failing.iter().take(TOLD).cloned().collect();
        if failing.len() > TOLD {
            faults.push(format!("… and {} more of these", failing.len() - TOLD));
        }
        if *idle > 0 && self.seconds >= 2 * self.every {
            faults.push(format!("{idle} of {} pollers never polled", self.installations));
        }
        let late = lag.at(0.99);
        let row = |title: &str, figure: String| (title.to_owned(), figure);
        Report {
            scenario: "poll",
            value: late,
            reference: timer.at(0.99),
            members: vec![
                ("p99_lag_ms", number(late)),
                ("p50_lag_ms", number(lag.at(0.5))),
                ("max_lag_ms", number(lag.at(1.0))),
                ("bytes_each", number(bytes)),
                ("bytes_each_with_caches", number(with_caches)),
                ("rss_mb", number(*resident)),
                ("processor_ms_per_s", number(*processor)),
                ("installations", json!(self.installations)),
                ("polls", json!(polls)),
                ("polls_due", number(due)),
                ("overdue", json!(overdue)),
                ("failed", json!(failing.len())),
            ],
            rows: vec![
                row("pollers", format!("{}, one poll each {} s", self.installations, self.every)),
                row("polls", format!("{polls} of {due:.0} in {} s, {overdue} due at the end", self.seconds)),
                row("begun late by", lag.figures()),
                row("a bare timer, meanwhile", timer.figures()),
                row(
                    "memory",
                    format!(
                        "{resident:.0} MB; {half:.0} with half of them, {empty:.0} without: {bytes:.0} bytes each, \
                         {with_caches:.0} with the caches"
                    ),
                ),
                row("processor time of the host", format!("{processor:.0} ms a second")),
            ],
            budgets: vec![
                Budget { bound: format!("p99 of the lag at most {LATEST:.0} ms"), met: late <= LATEST },
                Budget { bound: format!("at most {MOST_BYTES:.0} bytes each"), met: bytes <= MOST_BYTES },
            ],
            faults,
        }
    }
}

impl Fared {
    /// Asks the host who is due at this moment.
    async fn glance(&mut self, client: &Client) -> Result<()> {
        let overview = client.get("/v1/polling").await?;
        let figure =
            |name: &str| overview.get(name).and_then(Value::as_u64).with_context(|| format!("no `{name}`"));
        let waited = Duration::from_millis(figure("longest_wait_ms")?);
        self.overdue = figure("overdue")?;
        (0..self.overdue).for_each(|_| self.lag.record(waited));
        Ok(())
    }

    /// Asks the host about every poller.
    async fn ask(&mut self, client: &Client) -> Result<()> {
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!("/v1/pollers?limit=100{cursor}")).await?;
            let pollers = page.get("data").and_then(Value::as_array).context("a listing has `data`")?;
            for poller in pollers {
                if poller.get("failures").and_then(Value::as_u64).is_some_and(|failures| failures > 0) {
                    let installation = poller.get("installation_id").unwrap_or(&Value::Null);
                    self.failing.push(format!(
                        "the poller of {installation} fails: {}",
                        poller.get("trouble").unwrap_or(&Value::Null)
                    ));
                }
                match poller.get("last_poll_at").and_then(Value::as_str).and(poller.get("lag_ms")) {
                    Some(lag) => {
                        let lag = lag.as_u64().context("a lag is a number")?;
                        self.lag.record(Duration::from_millis(lag));
                    }
                    None => self.idle += 1,
                }
            }
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(()),
            }
        }
    }
}

/// How late a bare timer is, for a while.
async fn ticks(length: Duration) -> Result<Latency> {
    let mut late = Latency::new()?;
    let mut due = Instant::now();
    let end = due + length;
    while due < end {
        due += TICK;
        sleep_until(due).await;
        late.record(due.elapsed());
    }
    Ok(late)
}
