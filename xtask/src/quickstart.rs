//! `cargo xtask quickstart`: the main job end to end, on this machine, with every hop shown.
//!
//! Real processes and sockets: the host is the built binary, the connectors the built components; BigCommerce
//! and Shopify are the tests' stateful fakes and AcmeCo their receiver. Every step is verified, with `--once`
//! and without.

mod hops;
mod shops;
mod swap;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use trunnion_tests::{
    bigcommerce::BigCommerce,
    component,
    host::{self, HostOptions, TestHost},
    isv::Isv,
    scenario::{
        self, Merchant, Scenario,
        shopify::{self, ShopCatalogue, Shopkeeper},
    },
    shopify::Shopify,
};

use crate::report::{Elapsed, fact, stage};

/// The version that the swap brings.
const NEXT_VERSION: &str = "0.2.0";

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
    bigcommerce: PathBuf,
    shopify: PathBuf,
    /// BigCommerce's connector again, as its next version.
    next: PathBuf,
}

/// Everything that runs.
struct World {
    /// AcmeCo, the host, BigCommerce.
    scenario: Scenario,
    shopify: Shopify,
    /// What AcmeCo made for Shopify.
    shops: ShopCatalogue,
    customers: Vec<Customer>,
}

/// A customer of AcmeCo with a store at either vendor.
struct Customer {
    merchant: Merchant,
    shopkeeper: Shopkeeper,
}

pub(crate) fn run(afterwards: Afterwards) -> Result<()> {
    println!(
        "Trunnion quickstart: AcmeCo, a fulfilment tool, offers BigCommerce and Shopify to its customers."
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let built = build(&runtime)?;
    runtime.block_on(show(built, afterwards))
}

/// Connectors and host. Only the first time takes minutes.
fn build(runtime: &tokio::runtime::Runtime) -> Result<Built> {
    stage("1/6 build the connectors (WebAssembly components)");
    let clock = Elapsed::start();
    let out_dir = host::target_dir().join("components");
    let component = |name: &str| {
        let crate_dir = host::workspace().join("connectors").join(name);
        let path = component::build(&crate_dir, &out_dir, &mut |line| println!("   {line}"))?;
        told(name, path)
    };
    let (bigcommerce, shopify) = (component("bigcommerce")?, component("shopify")?);
    let next = runtime.block_on(component::built_as("bigcommerce", NEXT_VERSION))?;
    let next = told(&format!("… as {NEXT_VERSION}"), next)?;
    fact("took", clock);

    stage("2/6 build the host");
    let clock = Elapsed::start();
    fact("binary", host::binary()?.display());
    fact("took", clock);
    Ok(Built { bigcommerce, shopify, next })
}

fn told(name: &str, component: PathBuf) -> Result<PathBuf> {
    fact(name, format!("{} ({} KB)", component.display(), fs::metadata(&component)?.len() / 1024));
    Ok(component)
}

async fn show(built: Built, afterwards: Afterwards) -> Result<()> {
    let Built { bigcommerce, shopify, next } = built;
    let mut world = start(bigcommerce, shopify, afterwards).await?;
    for name in ["ada", "bob"] {
        let customer = welcome(&world, name).await?;
        world.customers.push(customer);
    }

    stage("5/6 fire all four workflows for both customers");
    for Customer { merchant, shopkeeper } in &world.customers {
        let order = hops::order_created(&world.scenario, merchant).await?;
        hops::fulfilled(&world.scenario, merchant, order).await?;
        shops::order_created(&world, shopkeeper).await?;
        shops::order_placed(&world, shopkeeper).await?;
    }
    hops::nobody_else(&world.scenario, world.customers.iter().map(|customer| &customer.merchant))?;
    shops::nobody_else(&world)?;

    stage("6/6 swap BigCommerce's connector while a call is under way, and roll back");
    let customer = world.customers.first().context("there is a customer")?;
    swap::swap(&world.scenario, &customer.merchant, &next).await?;

    println!(
        "\nEverything verified: all four workflows ran, with real requests on both sides, and a connector was"
    );
    println!("swapped and rolled back without a run noticing.");
    match afterwards {
        Afterwards::Stop => Ok(()),
        Afterwards::StayUp => stay_up(&world, &next).await,
    }
}

async fn start(
    bigcommerce_component: PathBuf,
    shopify_component: PathBuf,
    afterwards: Afterwards,
) -> Result<World> {
    stage("3/6 start fakes of BigCommerce and Shopify, AcmeCo's receiver and the host");
    let bigcommerce = BigCommerce::start().await?;
    fact("BigCommerce", format!("{} (fake, stateful)", bigcommerce.base_url()));
    let shopify = Shopify::start().await?;
    fact("Shopify", format!("{} (fake, stateful)", shopify.base_url()));
    let isv = Isv::start().await?;
    fact("AcmeCo", isv.url("/orders"));
    let mut options = scenario::host_options(&bigcommerce, bigcommerce_component);
    options.components.push(shopify_component);
    options.rewrites.push(shopify::rewrite(&shopify));
    if afterwards == Afterwards::StayUp {
        options.data_dir = Some(fresh_data_dir()?);
    }
    let host = start_host(options).await?;
    bigcommerce.route(host.public_url(), host.base_url());
    shopify.route(host.public_url(), host.base_url());
    fact("deliveries", format!("{} leads to {}", host.public_url(), host.base_url()));

    stage("4/6 AcmeCo makes four workflows; two of its customers install them");
    let client = host.client()?;
    let catalogue = scenario::set_up(&client, &isv).await?;
    fact("BigCommerce", format!("{}  store's order → signed POST to AcmeCo", catalogue.order_created));
    fact("", format!("{}  AcmeCo's fulfilment → order status", catalogue.fulfilment));
    let shops = shopify::set_up(&client).await?;
    fact("Shopify", format!("{}  shop's order → signed POST to AcmeCo", shops.order_created));
    fact("", format!("{}  order placed at AcmeCo → order at the shop", shops.order_placed));
    let scenario = Scenario { bigcommerce, isv, host, client, catalogue };
    Ok(World { scenario, shopify, shops, customers: Vec::new() })
}

async fn start_host(options: HostOptions) -> Result<TestHost> {
    let host = TestHost::start(options).await?;
    fact("host", host.base_url());
    fact("ready after", format!("{} ms", host.started_in().as_millis()));
    Ok(host)
}

async fn welcome(world: &World, name: &str) -> Result<Customer> {
    let World { scenario, shopify, shops, .. } = world;
    let merchant = scenario.merchant(name).await?;
    let hooks = scenario.bigcommerce.hooks(&merchant.store).len();
    fact(name, format!("user {}, store {}, {hooks} hooks registered", merchant.user, merchant.store));
    let shopkeeper = shopify::connect(&scenario.client, shopify, shops, name, merchant.user.clone()).await?;
    let hooks = shopify.subscriptions(&shopkeeper.shop).len();
    fact("", format!("shop {}, {hooks} webhook registered", shopkeeper.shop));
    Ok(Customer { merchant, shopkeeper })
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

async fn stay_up(world: &World, next: &Path) -> Result<()> {
    let scenario = &world.scenario;
    let (base, data_dir) = (scenario.host.base_url(), scenario.host.data_dir().display());
    let key = &scenario.host.keys().development;
    let user = world.customers.first().map_or("ada", |customer| customer.merchant.username.as_str());
    println!("\nWhere to look next (the host stays up until you press Ctrl-C):");
    println!("  runs with every step, input, vendor call and connector digest:");
    println!("    curl -s -H 'Authorization: Bearer {key}' '{base}/v1/runs?limit=5'");
    println!("  fire a workflow yourself (an unmapped status shows up under …/errors):");
    println!("    curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\");
    println!(
        "      -d '{{\"event\":\"{}\",\"userId\":\"{user}\",\"data\":{{\"orderId\":\"100\",\"status\":\"LOST\"}}}}' \\",
        scenario::FULFILMENT_EVENT
    );
    println!("      {base}/2023-12/run/event");
    println!("    curl -s -H 'Authorization: Bearer {key}' \\");
    println!("      '{base}/2023-12/workflows/{}/errors?userId={user}'", scenario.catalogue.fulfilment);
    println!("  swap a connector yourself:");
    let trunnion = format!("{} connector", host::binary()?.display());
    let at = format!("--host {base} --data-dir {data_dir}");
    println!("    {trunnion} push {} {at}", next.display());
    println!("    {trunnion} history bigcommerce {at}");
    println!("  keys, connectors and data: {data_dir}");
    println!("  the connectors: connectors/*/README.md; the design: host/docs/ARCHITECTURE.md");
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}
