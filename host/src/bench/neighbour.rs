//! The scenario `neighbour`: one user sends a thousand times what all others send together.
//!
//! The others' few events are an open loop, first alone, then beside the flood, which is another open loop, from a
//! thread of its own. The value is the others' 99th percentile beside the flood, the reference theirs alone. An event
//! of theirs that is refused or lost is a fault; the flood's refusals are told.

mod flood;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use reqwest::RequestBuilder;
use serde_json::json;

use self::flood::{Flood, Flooded};
use super::{
    component::BIGCOMMERCE,
    host::{Host, Start},
    load::{Done, Load, Outcome, Requests, Sender, Sent, count},
    options::Common,
    progress,
    report::{Budget, Form, Report, number},
    shop::{self, Shipped},
    vendor::Vendor,
};

/// Users beside the noisy one.
const OTHERS: usize = 5;

/// Their events per second, together.
const RATE: f64 = 10.0;

/// Every event of the flood is about this order; the others' are numbered after it.
const FLOOD_ORDER: u64 = 1;

/// How long the others may take whatever they took alone, in milliseconds.
const FLOOR_MS: f64 = 25.0;

/// One user sends a thousand times the others' load: what the others notice of it.
#[derive(Debug, Args)]
pub(crate) struct Neighbour {
    /// The BigCommerce connector's component; where absent, it is built from connectors/bigcommerce, here or
    /// in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// How long the others are measured alone, and again beside the flood, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many times the others' load the noisy user sends.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    #[command(flatten)]
    common: Common,
}

/// The others' events, each user's in turn.
#[derive(Debug)]
struct Others(Vec<Arc<Shipped>>);

impl Requests for Others {
    fn request(&self, http: &reqwest::Client, order: u64) -> RequestBuilder {
        let turn = usize::try_from(order).unwrap_or_default() % self.0.len().max(1);
        match self.0.get(turn) {
            Some(shipped) => shipped.request(http, order),
            None => http.get("http://nobody.invalid"),
        }
    }
}

/// One phase of the others.
struct Phase {
    sent: Sent,
    outcome: Outcome,
}

struct Measured {
    quiet: Phase,
    noisy: Phase,
    flooded: Flooded,
    flood_done: u32,
    rss_mb: f64,
}

impl Neighbour {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let components = &[&component];
        let start =
            Start { components, vendor: vendor.url(), within: self.common.dir.as_deref(), config: "" };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&host, &vendor).await.map_err(|error| host.explain(&error))?;
        // What the flood left waiting is durable, and of no further interest.
        host.kill().await?;
        self.report(&measured)
    }

    async fn measure(&self, host: &Host, vendor: &Vendor) -> Result<Measured> {
        let client = host.vendor_client()?;
        let integration = shop::integrate(&client).await?;
        let noisy = shop::merchant(&client, &integration, "noisy").await?;
        let mut others = Vec::new();
        for name in 0..OTHERS {
            let user = shop::merchant(&client, &integration, &format!("quiet{name}")).await?;
            others.push(Shipped::new(host, &user)?);
        }
        let length = Duration::from_secs(self.seconds.into());
        let sender = Sender::new(Arc::new(Others(others)))?;
        let load = Load::new(sender, vendor.arrivals(), Done::Arrived, FLOOD_ORDER + 1);
        progress("the others, to warm up");
        phase(&load, length / 5).await?;
        progress("the others alone");
        let quiet = phase(&load, length).await?;

        let rate = RATE * f64::from(self.times);
        progress(&format!("the others beside {rate:.0} events/s of one user"));
        let flood =
            Flood::start(host.base(), host.key()?, &Shipped::new(host, &noisy)?.body(FLOOD_ORDER), rate)?;
        let noisy = phase(&load, length).await;
        let flooded = flood.stop().await?;
        let noisy = noisy?;
        if flooded.accepted == 0 {
            bail!("nothing of the flood was accepted; the first answer was: {}", flooded.first_refusal);
        }
        let flood_done = vendor.arrivals().calls(FLOOD_ORDER).count;
        Ok(Measured { quiet, noisy, flooded, flood_done, rss_mb: host.memory()?.resident })
    }

    fn report(&self, measured: &Measured) -> Result<Report> {
        let Measured { quiet, noisy, flooded, flood_done, rss_mb } = measured;
        let (alone, beside) = (&quiet.outcome.latency, &noisy.outcome.latency);
        let bound = (2.0 * alone.at(0.99)).max(FLOOR_MS);
        let phases = [quiet, noisy];
        let refused: Vec<_> = phases.iter().flat_map(|phase| &phase.sent.refused).collect();
        let lost: Vec<_> = phases.iter().flat_map(|phase| &phase.outcome.lost).collect();
        let refusals =
            refused.iter().map(|(order, why)| format!("event {order} of the others was refused: {why}"));
        let losses =
            lost.iter().map(|order| format!("the call of event {order} of the others never arrived"));
        let faults = refusals.chain(losses).collect();
        let sent = flooded.accepted + flooded.refused;
        let row = |title: &str, figure: String| (title.to_owned(), figure);
        Ok(Report {
            scenario: "neighbour",
            value: beside.at(0.99),
            reference: alone.at(0.99),
            members: vec![
                ("p50", number(beside.at(0.5))),
                ("p50_quiet", number(alone.at(0.5))),
                ("max", number(beside.at(1.0))),
                ("failed", json!(refused.len())),
                ("lost", json!(lost.len())),
                ("events", json!(alone.count() + beside.count())),
                ("flood_sent", json!(sent)),
                ("flood_refused", json!(flooded.refused)),
                ("flood_rate", number(count(sent) / flooded.length.as_secs_f64())),
                ("flood_done", json!(flood_done)),
                ("rss_mb", number(*rss_mb)),
            ],
            rows: vec![
                row("the others alone", format!("{} ({} events)", alone.figures(), alone.count())),
                row("beside the flood", format!("{} ({} events)", beside.figures(), beside.count())),
                row("p99, beside / alone", format!("{:.2}", beside.at(0.99) / alone.at(0.99))),
                row(
                    "the flood",
                    format!(
                        "{:.0} events/s sent, {:.0} of them meant; {} accepted, {} refused, {flood_done} done meanwhile",
                        count(sent) / flooded.length.as_secs_f64(),
                        RATE * f64::from(self.times),
                        flooded.accepted,
                        flooded.refused,
                    ),
                ),
                row("memory", format!("{rss_mb:.0} MB resident, with what waits")),
            ],
            budgets: vec![Budget {
                bound: format!("others' p99 at most {bound:.1} ms (twice theirs alone, or {FLOOR_MS:.0} ms)"),
                met: beside.at(0.99) <= bound,
            }],
            faults,
        })
    }
}

async fn phase(load: &Load, length: Duration) -> Result<Phase> {
    let sent = load.open_for(RATE, length).await?;
    let outcome = load.outcome(&sent).await?;
    Ok(Phase { sent, outcome })
}
