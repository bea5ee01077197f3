//! The scenario `flat`: what a run costs a host with many installations, and one that has stored many runs, beside a
//! host with few of both.
//!
//! Two hosts take turns at the same closed loop: events of as many merchants as the smaller host has, by chance, each
//! with an Idempotency-Key, so that the ledger grows as well. What counts is processor time: two hosts on one machine
//! disturb that least. The stores' caches are as large in both. Last, and without a bound, the events of the larger
//! host are spread over all of its merchants: then hardly anything is cached, and no instance is warm.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use reqwest::RequestBuilder;
use serde_json::json;
use trunnion_core::clock::{Random as _, SeededRandom};

use super::{
    component::BIGCOMMERCE,
    host::{Host, Start},
    load::{Done, Load, Requests, Sender, count},
    options::{Common, Length, Pace},
    population, progress,
    report::{Budget, Form, Report, median_and_max, number},
    settle::{self, Account},
    shop::Shipped,
    vendor::Vendor,
};

/// How much more a run may cost.
const MOST: f64 = 1.3;

/// Processor time and memory per run with many installations and many stored runs; beside a host with few.
#[derive(Debug, Args)]
pub(crate) struct Flat {
    /// The BigCommerce connector's component; where absent, it is built from connectors/bigcommerce, here or
    /// in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// Installations of the host that has few, each of a merchant of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    few: u32,
    /// Installations of the host that has many.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    many: u32,
    /// Ended runs that it is given then.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    runs: u32,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    common: Common,
}

/// A host and the load on it.
struct Side {
    host: Host,
    merchants: Vec<String>,
}

/// What a run cost, of each turn.
#[derive(Debug, Default)]
struct Cost {
    processor_us: Vec<f64>,
    rate: Vec<f64>,
    /// Resident after the last turn, in MB.
    resident: f64,
    /// By how much that is more than before the first.
    grown: f64,
}

/// Two hosts in turns.
#[derive(Debug, Default)]
struct Pair {
    few: Cost,
    many: Cost,
}

/// Events of all merchants, whose by chance.
#[derive(Debug)]
struct Spread {
    merchants: Vec<Arc<Shipped>>,
    chance: SeededRandom,
    /// Tells this load's keys from those of every other one.
    name: &'static str,
}

impl Requests for Spread {
    fn request(&self, http: &reqwest::Client, order: u64) -> RequestBuilder {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        let turn = u64::from_le_bytes(bytes) % self.merchants.len().max(1) as u64;
        let merchant = usize::try_from(turn).ok().and_then(|turn| self.merchants.get(turn));
        match merchant {
            Some(shipped) => {
                shipped.request(http, order).header("Idempotency-Key", format!("{}-{order}", self.name))
            }
            None => http.get("http://nobody.invalid"),
        }
    }
}

impl Flat {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let (components, within) = (&[&component], self.common.dir.as_deref());
        let start = Start { components, vendor: vendor.url(), within, config: "" };
        let mut few = Side { host: Host::start(start).await?, merchants: Vec::new() };
        let mut many = Side { host: Host::start(start).await?, merchants: Vec::new() };
        let measured = self.measure(&mut few, &mut many, &vendor).await;
        let report = measured.map_err(|error| few.host.explain(&many.host.explain(&error)))?;
        few.host.stop().await?;
        many.host.stop().await?;
        Ok(report)
    }

    async fn measure(&self, few: &mut Side, many: &mut Side, vendor: &Vendor) -> Result<Report> {
        few.merchants = population::settle(&few.host, self.few).await?;
        many.merchants = population::settle(&many.host, self.many).await?;
        let (length, busy) = (self.pace.length(), few.merchants.len());
        let next = Arc::new(AtomicU64::new(1));
        let numbers = || Arc::clone(&next);
        again(few, many).await?;
        progress(&format!("{} installations beside {}", self.many, self.few));
        let installed = turns([few, many], busy, vendor, length, numbers()).await?;
        let mut account = left(few, many).await?;

        many.host.stop().await?;
        population::store_runs(&many.host.data(), self.runs).await?;
        many.host.start_again().await?;
        again(few, many).await?;
        progress(&format!("the same after {} more stored runs", self.runs));
        let stored = turns([few, many], busy, vendor, length, numbers()).await?;
        progress("events of all installations");
        let spread = turns([few, many], many.merchants.len(), vendor, length, numbers()).await?;
        let rest = left(few, many).await?;
        account.failed.extend(rest.failed);
        account.unfinished.extend(rest.unfinished);
        Ok(self.report([&installed, &stored, &spread], account))
    }

    fn report(&self, pairs: [&Pair; 3], account: Account) -> Report {
        let [by_installations, by_runs, by_spread] = pairs.map(Pair::processor);
        let [installed_memory, stored_memory, _] = pairs.map(|pair| pair.many.resident / pair.few.resident);
        let [_, stored, _] = pairs;
        let row = |title: String, figure: String| (title, figure);
        let what = ["", ", with stored runs", ", with events of them all"];
        let rows = what.into_iter().zip(pairs).flat_map(|(what, pair)| {
            [
                row(format!("{} installations", self.few), pair.few.figures()),
                row(format!("{} installations{what}", self.many), pair.many.figures()),
                row("processor time, many over few".to_owned(), format!("{:.2}", pair.processor())),
            ]
        });
        let budget = |what: String, ratio: f64| Budget {
            bound: format!("{what}: at most {MOST} of the processor time ({ratio:.2})"),
            met: ratio <= MOST,
        };
        let mut faults = account.failed;
        faults.extend(account.unfinished);
        Report {
            scenario: "flat",
            value: median_and_max(&stored.many.processor_us).0,
            reference: median_and_max(&stored.few.processor_us).0,
            members: vec![
                ("installations_ratio", number(by_installations)),
                ("runs_ratio", number(by_runs)),
                ("spread_ratio", number(by_spread)),
                ("memory_ratio", number(installed_memory)),
                ("runs_memory_ratio", number(stored_memory)),
                ("rss_few_mb", number(stored.few.resident)),
                ("rss_many_mb", number(stored.many.resident)),
                ("grown_few_mb", number(stored.few.grown)),
                ("grown_many_mb", number(stored.many.grown)),
                ("installations", json!(self.many)),
                ("runs", json!(self.runs)),
                ("failed", json!(faults.len())),
            ],
            rows: rows.collect(),
            budgets: vec![
                budget(format!("{} installations", self.many), by_installations),
                budget(format!("{} stored runs", self.runs), by_runs),
            ],
            faults,
        }
    }
}

impl Side {
    /// Events of the first `busy` merchants.
    fn load(&self, busy: usize, name: &'static str, vendor: &Vendor, next: Arc<AtomicU64>) -> Result<Load> {
        let merchants = self.merchants.iter().take(busy).map(|merchant| Shipped::new(&self.host, merchant));
        let merchants = merchants.collect::<Result<Vec<_>>>()?;
        let spread = Spread { merchants, chance: SeededRandom::new(1), name };
        Ok(Load::numbered_by(Sender::new(Arc::new(spread))?, vendor.arrivals(), Done::Arrived, next))
    }
}

impl Cost {
    async fn add(&mut self, host: &Host, load: &Load, length: Duration) -> Result<()> {
        let before = host.processor()?;
        let (rate, sent) = load.closed(length).await?;
        load.outcome(&sent).await?;
        let events = count((sent.orders.end - sent.orders.start).max(1));
        self.processor_us.push(host.processor()?.saturating_sub(before).as_secs_f64() * 1e6 / events);
        self.rate.push(rate);
        Ok(())
    }

    fn figures(&self) -> String {
        format!(
            "{:.0} µs of processor time a run, {:.0} runs/s, {:.0} MB, {:.0} MB of them since the load began",
            median_and_max(&self.processor_us).0,
            median_and_max(&self.rate).0,
            self.resident,
            self.grown,
        )
    }
}

impl Pair {
    /// Processor time per run, many over few.
    fn processor(&self) -> f64 {
        median_and_max(&self.many.processor_us).0 / median_and_max(&self.few.processor_us).0
    }
}

/// Both started anew, so that what is measured is not the making of installations.
async fn again(few: &mut Side, many: &mut Side) -> Result<()> {
    for side in [few, many] {
        side.host.stop().await?;
        side.host.start_again().await?;
    }
    Ok(())
}

async fn turns(
    [few, many]: [&Side; 2],
    busy: usize,
    vendor: &Vendor,
    length: Length,
    next: Arc<AtomicU64>,
) -> Result<Pair> {
    let mut pair = Pair::default();
    let sides = [
        (few, few.load(busy, "few", vendor, Arc::clone(&next))?, &mut pair.few),
        (many, many.load(busy, "many", vendor, next)?, &mut pair.many),
    ];
    let mut sides = sides.map(|(side, load, cost)| (&side.host, load, cost));
    // The first turn of each fills its caches, and does not count.
    for (host, load, cost) in &mut sides {
        Cost::default().add(host, load, length.turn).await?;
        cost.grown = host.memory()?.resident;
    }
    for round in 1..=length.rounds {
        for (host, load, cost) in &mut sides {
            cost.add(host, load, length.turn).await?;
        }
        let last = sides.each_ref().map(|(_, _, cost)| cost.processor_us.last().copied().unwrap_or_default());
        progress(&format!("turn {round}: {:.0} µs and {:.0} µs a run", last[0], last[1]));
    }
    for (host, _, cost) in sides {
        cost.resident = host.memory()?.resident;
        cost.grown = cost.resident - cost.grown;
    }
    Ok(pair)
}

/// What both have left to do or failed at.
async fn left(few: &Side, many: &Side) -> Result<Account> {
    let mut account = settle::account(&few.host.vendor_client()?).await?;
    let other = settle::account(&many.host.vendor_client()?).await?;
    account.failed.extend(other.failed);
    account.unfinished.extend(other.unfinished);
    Ok(account)
}
