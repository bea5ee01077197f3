//! The scenario `start`: how long a host with many installations takes to be ready, after a stop in good order and
//! after SIGKILL under load with many stored runs, beside a bare server's start.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::{
    component::{BIGCOMMERCE, SHOPIFY},
    host::{Host, Start as HostStart},
    load::{Done, Load, Sender},
    options::Common,
    population, progress,
    reference::{Does, Reference},
    report::{Budget, Form, Report, median_and_max, millis, number},
    settle,
    shop::Shipped,
    vendor::Vendor,
};

/// The longest start after a stop in good order, and after a kill, in milliseconds.
const AFTER_STOP: f64 = 100.0;
const AFTER_KILL: f64 = 1_000.0;

/// How long the host works before it is killed.
const WORK: Duration = Duration::from_secs(2);

/// Time until a host is ready, after a stop in good order and after SIGKILL; beside a bare server.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The BigCommerce connector's component; where absent, it is built from connectors/bigcommerce, here or
    /// in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// The Shopify connector's component; where absent, it is built from connectors/shopify, here or in a
    /// folder above.
    #[arg(long, value_name = "PATH")]
    shopify: Option<PathBuf>,
    /// Installations, each of a merchant of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    installations: u32,
    /// Ended runs that are stored when the host is killed.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    runs: u32,
    /// Starts of each kind.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    common: Common,
}

/// Milliseconds until ready, of every start.
#[derive(Debug, Default)]
struct Starts {
    after_stop: Vec<f64>,
    after_kill: Vec<f64>,
    bare: Vec<f64>,
}

impl Start {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let bigcommerce = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let shopify = SHOPIFY.component(self.shopify.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let (components, within) = (&[&bigcommerce, &shopify], self.common.dir.as_deref());
        let start = HostStart { components, vendor: vendor.url(), within, config: "" };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&mut host, &vendor).await;
        let starts = measured.map_err(|error| host.explain(&error))?;
        let memory = host.memory()?;
        host.stop().await?;
        Ok(self.report(&starts, memory.resident))
    }

    async fn measure(&self, host: &mut Host, vendor: &Vendor) -> Result<Starts> {
        let mut starts = Starts::default();
        let merchants = population::settle(host, self.installations).await?;
        let merchant = merchants.first().context("there is a merchant at least")?;
        // A run, to be copied.
        let load = load_of(host, vendor, merchant)?;
        let sent = load.open_for(100.0, Duration::from_millis(10)).await?;
        load.outcome(&sent).await?;
        settle::account(&host.vendor_client()?).await?;
        host.stop().await?;
        for round in 1..=self.rounds {
            starts.bare.push(millis(Reference::start(Does::Answer).await?.process().ready_in()));
            let ready = host.start_again().await?;
            progress(&format!("ready {:.0} ms after start {round}, cleanly stopped before", millis(ready)));
            starts.after_stop.push(millis(ready));
            host.stop().await?;
        }
        population::store_runs(&host.data(), self.runs).await?;
        host.start_again().await?;
        for round in 1..=self.rounds {
            // Killed with work under way, and with the journal full of what no checkpoint has taken in yet.
            let load = load_of(host, vendor, merchant)?;
            let under_way = load.open(1_000.0);
            tokio::time::sleep(WORK).await;
            host.kill().await?;
            drop(under_way);
            let ready = host.start_again().await?;
            progress(&format!("ready {:.0} ms after kill {round}", millis(ready)));
            starts.after_kill.push(millis(ready));
        }
        Ok(starts)
    }

    fn report(&self, starts: &Starts, memory: f64) -> Report {
        let (ready, slowest) = median_and_max(&starts.after_stop);
        let (killed, slowest_killed) = median_and_max(&starts.after_kill);
        let (bare, _) = median_and_max(&starts.bare);
        let row = |title: &str, figure: String| (title.to_owned(), figure);
        Report {
            scenario: "start",
            value: ready,
            reference: bare,
            members: vec![
                ("ready_ms", number(ready)),
                ("ready_max_ms", number(slowest)),
                ("ready_after_kill_ms", number(killed)),
                ("ready_after_kill_max_ms", number(slowest_killed)),
                ("installations", json!(self.installations)),
                ("runs", json!(self.runs)),
                ("rss_mb", number(memory)),
            ],
            rows: vec![
                row("installations", self.installations.to_string()),
                row("ready after a stop", format!("{ready:.0} ms, at most {slowest:.0} ms")),
                row(
                    "ready after a kill",
                    format!("{killed:.0} ms, at most {slowest_killed:.0} ms ({} stored runs)", self.runs),
                ),
                row("a bare server", format!("{bare:.0} ms")),
                row("memory after the last start", format!("{memory:.0} MB")),
            ],
            budgets: vec![
                Budget {
                    bound: format!("at most {AFTER_STOP:.0} ms after a stop"),
                    met: ready <= AFTER_STOP,
                },
                Budget {
                    bound: format!("at most {AFTER_KILL:.0} ms after a kill"),
                    met: killed <= AFTER_KILL,
                },
            ],
            faults: Vec::new(),
        }
    }
}

/// Work for the host.
fn load_of(host: &Host, vendor: &Vendor, merchant: &str) -> Result<Load> {
    Ok(Load::new(Sender::new(Shipped::new(host, merchant)?)?, vendor.arrivals(), Done::Arrived, 1))
}
