//! What entering a connector costs: a fresh and a warm instance, beside each other in one run.
//!
//! `cargo run --release -p trunnion-sandbox --example calls -- target/components/bigcommerce.wasm [CALLS]`
//!
//! The call names an action that the connector does not have, so that it measures the way in and out (instance,
//! call record, JSON text, error) and no vendor. Compile and cached load are printed too.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement that prints; measuring time is its job"
)]

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use bytes::Bytes;
use trunnion_core::{
    clock::{ManualClock, SeededRandom, Timestamp},
    id::{ConnectionId, Id, UserId, WorkspaceId},
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Broker, Call, CompileOptions, Connector, EgressOptions, Freshness, Options, Sandbox, Secrets,
};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 5;

fn call(instance: Freshness, secrets: &Arc<Secrets>) -> Call {
    let id = Id::from_bytes([7; 12]);
    Call {
        scope: Scope::new(WorkspaceId(id), Environment::Development),
        user: Some(UserId(id)),
        connection: Some(ConnectionId(id)),
        name: "nothing".to_owned(),
        parameters: BTreeMap::from([("store_hash".to_owned(), "bench".to_owned())]),
        account: "bench".to_owned(),
        idempotency_key: "5f1f3a1e-0000-8000-8000-000000000000".to_owned(),
        attempt: 1,
        secrets: Arc::clone(secrets),
        deadline: None,
        instance,
    }
}

async fn micros(
    connector: &Connector,
    instance: Freshness,
    calls: u32,
    secrets: &Arc<Secrets>,
) -> Result<f64, Failure> {
    let input = format!(r#"{{"order_id":123,"note":"{}"}}"#, "x".repeat(380));
    let start = Instant::now();
    for _ in 0..calls {
        if connector.run_action(call(instance, secrets), &input).await.is_ok() {
            return Err("the connector has an action `nothing`; name another".into());
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a component")?;
    let calls: u32 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let component = Bytes::from(std::fs::read(&path)?);
    let cache = tempfile::tempdir()?;
    let compile = CompileOptions {
        cache_dir: Some(cache.path().join("compiled")),
        cache_key: vec![1; 32],
        ..CompileOptions::default()
    };
    let options = Options { compile, ..Options::default() };
    let broker = Arc::new(Broker::new(EgressOptions::default())?);
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let sandbox = Sandbox::new(options, broker, clock, Arc::new(SeededRandom::new(1)))?;
    for what in ["compile and load", "load from cache"] {
        let start = Instant::now();
        drop(sandbox.load(component.clone()).await?);
        println!(
            "{what}: {:.1} ms ({} KB component)",
            start.elapsed().as_secs_f64() * 1e3,
            component.len() / 1024
        );
    }
    let connector = sandbox.load(component).await?;
    let secrets = Arc::new(Secrets::none());
    for round in 1..=ROUNDS {
        let fresh = micros(&connector, Freshness::Fresh, calls, &secrets).await?;
        let warm = micros(&connector, Freshness::MayBeWarm, calls, &secrets).await?;
        println!("round {round}: fresh {fresh:.1} µs, warm {warm:.1} µs");
    }
    Ok(())
}
