//! The scenario `idle`: what a host with many installations takes while nothing happens, beside a bare server.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    component::{BIGCOMMERCE, SHOPIFY},
    host::{Host, Start},
    load::{Done, Load, Sender},
    options::Common,
    population, progress,
    reference::{Does, Reference},
    report::{Budget, Form, Report, millis, number},
    settle,
    shop::Shipped,
    vendor::Vendor,
};

/// What an idle host may hold, in MB.
const MOST_MB: f64 = 64.0;

/// How long the host works before its memory is looked at again.
const WORK: Duration = Duration::from_secs(2);

/// Memory and processor time of an idle host with many installations; beside a bare server.
#[derive(Debug, Args)]
pub(crate) struct Idle {
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
    /// How long it is watched while nothing happens, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    #[command(flatten)]
    common: Common,
}

impl Idle {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let bigcommerce = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let shopify = SHOPIFY.component(self.shopify.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let reference = Reference::start(Does::Answer).await?;
        let (components, within) = (&[&bigcommerce, &shopify], self.common.dir.as_deref());
        let start = Start { components, vendor: vendor.url(), within, config: "" };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&mut host, &vendor, &reference).await;
        let report = measured.map_err(|error| host.explain(&error))?;
        host.stop().await?;
        Ok(report)
    }

    async fn measure(&self, host: &mut Host, vendor: &Vendor, reference: &Reference) -> Result<Report> {
        let merchants = population::settle(host, self.installations).await?;
        let merchant = merchants.first().context("there is a merchant at least")?;
        // Started anew, so that what is measured is the installations and not their making.
        host.stop().await?;
        host.start_again().await?;
        let length = Duration::from_secs(self.seconds.into());
        progress(&format!("watching it for {} s", self.seconds));
        let (before, begun) = (host.processor()?, Instant::now());
        sleep(length).await;
        let busy = host.processor()?.saturating_sub(before);
        let a_second = millis(busy) / begun.elapsed().as_secs_f64();
        let idle = host.memory()?;
        let bare = reference.process().memory()?;

        progress("letting it work, and watching it again");
        let sender = Sender::new(Shipped::new(host, merchant)?)?;
        let load = Load::new(sender, vendor.arrivals(), Done::Arrived, 1);
        let (rate, sent) = load.closed(WORK).await?;
        let lost = load.outcome(&sent).await?.lost.len();
        let account = settle::account(&host.vendor_client()?).await?;
        sleep(length).await;
        let after = host.memory()?;

        let mut faults = account.failed;
        faults.extend(account.unfinished);
        if lost > 0 {
            faults.push(format!("{lost} events never arrived"));
        }
        let row = |title: &str, figure: String| (title.to_owned(), figure);
        Ok(Report {
            scenario: "idle",
            value: idle.resident,
            reference: bare.resident,
            members: vec![
                ("rss_mb", number(idle.resident)),
                ("peak_rss_mb", number(idle.peak)),
                ("rss_after_work_mb", number(after.resident)),
                ("processor_ms_per_s", number(a_second)),
                ("installations", json!(self.installations)),
                ("events", json!(sent.orders.end - sent.orders.start)),
                ("failed", json!(faults.len())),
            ],
            rows: vec![
                row("installations", self.installations.to_string()),
                row("memory of the idle host", idle.to_string()),
                row("memory of a bare server", bare.to_string()),
                row("processor time, idle", format!("{a_second:.1} ms a second")),
                row(
                    "memory, idle again after work",
                    format!("{after} ({rate:.0} events/s for {} s)", WORK.as_secs()),
                ),
            ],
            budgets: vec![Budget {
                bound: format!("at most {MOST_MB:.0} MB idle"),
                met: idle.resident <= MOST_MB,
            }],
            faults,
        })
    }
}
