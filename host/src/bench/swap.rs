//! The scenario `swap`: two versions of a connector replace each other under load.
//!
//! First the maximum (closed loop), then a fixed share of it without and with swaps in turns (open loop; in turns,
//! because a machine changes while it is measured), then what a component that the host has never seen takes from
//! upload to active, at rest and under the same load. The
//! value is the 99th percentile under swaps, the reference the same without. Lost events, failed runs and a held
//! call that did not end well are faults.

mod held;
mod swapper;
mod tally;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use clap::Args;

use self::{
    held::Held,
    swapper::{Swapper, Swaps},
    tally::{Phase, Tally},
};
use super::{
    component::{BIGCOMMERCE, Component},
    host::{Host, Start},
    load::{Done, Load, Sender},
    progress,
    report::{Form, Report},
    settle,
    shop::{Shipped, Shop},
    vendor::Vendor,
};

/// The least load that says anything about swaps under load.
const LEAST_SHARE: f64 = 0.7;

/// The shares of the maximum that are tried, highest first; the last one is taken as it is.
const SHARES: [f64; 3] = [0.75, 0.725, LEAST_SHARE];

/// A load is held where nothing but the last events' own time is left when it ends.
const HELD_LOAD: Duration = Duration::from_millis(500);

/// The least time between two swaps: four a second, far beyond what operators do.
const BETWEEN_SWAPS: Duration = Duration::from_millis(250);

/// Turns without swaps, each followed by one with its part of them.
const ROUNDS: u32 = 5;

/// Components that the host has never seen, pushed at rest.
const FRESH_AT_REST: u64 = 5;

/// The same under load.
const FRESH_LOADED: u64 = 3;

/// The order whose call the vendor holds; the load's are numbered after it.
const HELD_ORDER: u64 = 1;

/// Swaps connectors under load: what the swaps cost those who are not swapped, and that nothing is lost.
#[derive(Debug, Args)]
pub(crate) struct Swap {
    /// The BigCommerce connector's component; where absent, it is built from connectors/bigcommerce, here or
    /// in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// Swaps: a push of either version, an activation and a rollback in turn; every fifth is followed by a
    /// candidate that must be refused.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(4..))]
    swaps: u32,
    /// How long each part of the measurement takes, in seconds; the part with swaps takes at least 0.25 s for
    /// each swap.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Where the host's data directory is made; the system's temporary directory where absent.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Prints the table on standard error, and one JSON object as the last line of standard output.
    #[arg(long)]
    json: bool,
}

impl Swap {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Table }
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let components = &[&component];
        let start = Start { components, vendor: vendor.url(), within: self.dir.as_deref(), config: "" };
        let mut host = Host::start(start).await?;
        let tally = self.measure(&host, &vendor, &component).await.map_err(|error| host.explain(&error))?;
        host.stop().await?;
        tally.report()
    }

    async fn measure(&self, host: &Host, vendor: &Vendor, component: &Component) -> Result<Tally> {
        let shop = Shop::open(host).await?;
        let client = host.vendor_client()?;
        let length = Duration::from_secs(self.seconds.into());
        let sender = Sender::new(Shipped::new(host, &shop.busy)?)?;
        let load = Load::new(sender, vendor.arrivals(), Done::Arrived, HELD_ORDER + 1);
        let mut swapper = Swapper::new(host.operator_client()?, &component.bytes).await?;

        progress("measuring the maximum");
        let (maximum, sent) = load.closed(length).await?;
        let warm = Phase::new(sent, &load).await?;
        settle::account(&client).await?;

        let pace = pace(&load, maximum, length).await?;
        settle::account(&client).await?;

        progress(&format!("{} swaps at {:.0} events/s, in turns with none", self.swaps, pace.rate));
        let quiet_sender = Sender::new(Shipped::new(host, &shop.quiet)?)?;
        let mut held = Held::new(quiet_sender, vendor.arrivals());
        let between = (length / self.swaps).max(BETWEEN_SWAPS);
        let (mut quiet, mut swapped, mut swaps) = (Vec::new(), Vec::new(), Swaps::default());
        for round in 1..=ROUNDS {
            let until = self.swaps * round / ROUNDS;
            let turn = between * (until - swaps.count);
            quiet.push(Phase::new(load.open_for(pace.rate, turn).await?, &load).await?);
            let open = load.open(pace.rate);
            swapper.swap(&mut swaps, until, between, (&mut held, self.swaps / 4)).await?;
            swapped.push(Phase::new(load.stop(open).await?, &load).await?);
        }
        settle::account(&client).await?;

        progress("from upload to active");
        let at_rest = swapper.fresh(FRESH_AT_REST).await?;
        let open = load.open(pace.rate);
        let loaded = swapper.fresh(FRESH_LOADED).await?;
        let fresh = Phase::new(load.stop(open).await?, &load).await?;

        progress("waiting until nothing is left");
        let account = settle::account(&client).await?;
        let held =
            held.verdict(&settle::newest(&client, &shop.quiet).await?, vendor.arrivals().calls(HELD_ORDER));
        Ok(Tally {
            component_bytes: component.bytes.len(),
            maximum,
            warm,
            pace,
            quiet,
            swapped,
            fresh,
            swaps,
            held,
            at_rest,
            loaded,
            account,
            host_errors: host.errors()?,
        })
    }
}

/// The load under which swaps are measured.
#[derive(Debug)]
struct Pace {
    /// Events per second.
    rate: f64,
    /// Of the maximum.
    share: f64,
    /// Whether the host held it.
    holds: bool,
    /// What was sent to find out.
    tried: Vec<Phase>,
}

/// The highest of the shares that the host holds; the lowest where it holds none.
async fn pace(load: &Load, maximum: f64, length: Duration) -> Result<Pace> {
    let mut tried = Vec::new();
    for share in SHARES {
        let rate = maximum * share;
        progress(&format!("{rate:.0} events/s without swaps, {:.1} % of the maximum", share * 100.0));
        let phase = Phase::new(load.open_for(rate, length).await?, load).await?;
        let holds = phase.outcome.drained_in <= HELD_LOAD;
        tried.push(phase);
        if holds || share <= LEAST_SHARE {
            return Ok(Pace { rate, share, holds, tried });
        }
    }
    bail!("no share of the maximum was tried")
}
