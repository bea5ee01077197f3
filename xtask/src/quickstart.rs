//! `cargo xtask quickstart`: the main job end to end, on this machine, with every hop shown.
//!
//! Real processes and sockets: the host is the built binary, the connector the built component; BigCommerce
//! is the tests' stateful fake and AcmeCo their receiver. Every step is verified, with `--once` and without.

mod hops;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use trunnion_tests::{
    bigcommerce::BigCommerce,
    component,
    host::{self, HostOptions, TestHost},
    isv::Isv,
    scenario::{self, Scenario},
};

use crate::report::{Elapsed, fact, stage};

/// What happens once everything is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// The end.
    Stop,
    /// Host and fakes stay up for trying things out.
    StayUp,
}

/// What was built.
struct Built {
    component: PathBuf,
}

pub(crate) fn run(afterwards: Afterwards) -> Result<()> {
    println!("Trunnion quickstart: AcmeCo, a fulfilment tool, offers BigCommerce to its customers.");
    let built = build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(show(built, afterwards))
}

/// Connector and host. Only the first time takes minutes.
fn build() -> Result<Built> {
    stage("1/5 build the BigCommerce connector (a WebAssembly component)");
    let clock = Elapsed::start();
    let out_dir = host::target_dir().join("components");
    let crate_dir = host::workspace().join("connectors/bigcommerce");
    let component = component::build(&crate_dir, &out_dir, &mut |line| println!("   {line}"))?;
    fact("component", component.display());
    fact("size", format!("{} KB", fs::metadata(&component)?.len() / 1024));
    fact("took", clock);

    stage("2/5 build the host");
    let clock = Elapsed::start();
    fact("binary", host::binary()?.display());
    fact("took", clock);
    Ok(Built { component })
}

async fn show(built: Built, afterwards: Afterwards) -> Result<()> {
    stage("3/5 start a fake BigCommerce, AcmeCo's receiver and the host");
    let bigcommerce = BigCommerce::start().await?;
    fact("BigCommerce", format!("{} (fake, stateful)", bigcommerce.base_url()));
    let isv = Isv::start().await?;
    fact("AcmeCo", isv.url("/orders"));
    let mut options = scenario::host_options(&bigcommerce, built.component);
    if afterwards == Afterwards::StayUp {
        options.data_dir = Some(fresh_data_dir()?);
    }
    let host = start_host(options).await?;
    bigcommerce.route(host.public_url(), host.base_url());
    fact("deliveries", format!("{} leads to {}", host.public_url(), host.base_url()));

    stage("4/5 AcmeCo makes two workflows; two of its customers install them");
    let client = host.client()?;
    let catalogue = scenario::set_up(&client, &isv).await?;
    fact("Order created", format!("{}  store's order → signed POST to AcmeCo", catalogue.order_created));
    fact("Fulfilment", format!("{}  AcmeCo's event → order status", catalogue.fulfilment));
    let scenario = Scenario { bigcommerce, isv, host, client, catalogue };
    let mut merchants = Vec::new();
    for name in ["ada", "bob"] {
        let merchant = scenario.merchant(name).await?;
        let hooks = scenario.bigcommerce.hooks(&merchant.store);
        fact(
            name,
            format!("user {}, store {}, {} hooks registered", merchant.user, merchant.store, hooks.len()),
        );
        merchants.push(merchant);
    }

    stage("5/5 fire both workflows for both customers");
    for merchant in &merchants {
        let order = hops::order_created(&scenario, merchant).await?;
        hops::fulfilled(&scenario, merchant, order).await?;
    }
    hops::nobody_else(&scenario, &merchants)?;

    println!("\nEverything verified: both workflows ran, with real requests on both sides.");
    match afterwards {
        Afterwards::Stop => Ok(()),
        Afterwards::StayUp => stay_up(&scenario, &merchants).await,
    }
}

async fn start_host(options: HostOptions) -> Result<TestHost> {
    let host = TestHost::start(options).await?;
    fact("host", host.base_url());
    fact("ready after", format!("{} ms", host.started_in().as_millis()));
    Ok(host)
}

fn fresh_data_dir() -> Result<PathBuf> {
    let dir = host::workspace().join(".trunnion/quickstart");
    if dir.exists() {
        fs::remove_dir_all(&dir)
            .with_context(|| format!("removing the last quickstart's {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

async fn stay_up(scenario: &Scenario, merchants: &[scenario::Merchant]) -> Result<()> {
    let base = scenario.host.base_url();
    let key = &scenario.host.keys().development;
    let user = merchants.first().map_or("ada", |merchant| merchant.username.as_str());
    println!("\nWhere to look next (the host stays up until you press Ctrl-C):");
    println!("  runs with every step, input and vendor call:");
    println!("    curl -s -H 'Authorization: Bearer {key}' '{base}/v1/runs?limit=5'");
    println!("  fire the second workflow yourself (an unmapped status shows up under …/errors):");
    println!("    curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\");
    println!(
        "      -d '{{\"event\":\"{}\",\"userId\":\"{user}\",\"data\":{{\"orderId\":\"100\",\"status\":\"LOST\"}}}}' \\",
        scenario::FULFILMENT_EVENT
    );
    println!("      {base}/2023-12/run/event");
    println!("    curl -s -H 'Authorization: Bearer {key}' \\");
    println!("      '{base}/2023-12/workflows/{}/errors?userId={user}'", scenario.catalogue.fulfilment);
    println!("  keys, connectors and data: {}", scenario.host.data_dir().display());
    println!("  the connector: connectors/bigcommerce/README.md; the design: host/docs/ARCHITECTURE.md");
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}
