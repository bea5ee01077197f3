//! Connectors are swapped while runs flow: calls in flight finish where they began, new runs use the new
//! version, and nothing accepted is lost, whatever happens to the host meanwhile.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::Match,
    component,
    host::{Client, RunView},
    scenario::{Merchant, Scenario},
    wait,
};

const APP: &str = "bigcommerce";

async fn operator(scenario: &Scenario) -> Client {
    scenario.host.client_with(&scenario.host.keys().operator).unwrap()
}

fn digest_of(run: &RunView) -> &str {
    run.0["digests"][APP].as_str().unwrap_or_default()
}

async fn run_of_order(scenario: &Scenario, merchant: &Merchant, order: u64) -> RunView {
    let runs = scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    for run in runs {
        let run = scenario.client.run(run.id()).await.unwrap();
        if run.0["event"]["data"]["orderId"].as_str() == Some(order.to_string().as_str()) {
            return run;
        }
    }
    panic!("no run of order {order}")
}

#[tokio::test]
async fn a_held_call_finishes_on_the_old_version_and_new_runs_use_the_new_one() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let operator = operator(&scenario).await;
    let component = fs::read(component::bigcommerce().await.unwrap()).unwrap();
    let old = operator.active_digest(APP).await.unwrap();

    let orders: Vec<u64> =
        (0..2).map(|_| scenario.bigcommerce.create_order(&merchant.store, 11).unwrap()).collect();
    let held = scenario.bigcommerce.hold_next(Match::call("PUT", "/v2/orders/"));
    scenario.fulfil(&merchant, orders[0], "FULFILLED").await.unwrap().ok().unwrap();
    held.arrived().await;

    let answer = operator.push_connector(APP, component::variant(&component, 1)).await.unwrap().ok().unwrap();
    let new = answer["digest"].as_str().unwrap().to_owned();
    assert_eq!((answer["changed"].as_bool(), answer["previous"].as_str()), (Some(true), Some(old.as_str())));
    scenario.fulfil(&merchant, orders[1], "FULFILLED").await.unwrap().ok().unwrap();
    wait::until("the second order", || async {
        (scenario.bigcommerce.status_of(&merchant.store, orders[1]) == Some(2)).then_some(())
    })
    .await
    .unwrap();
    held.release();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    assert!(runs.iter().all(|run| run.status() == "succeeded"), "{runs:?}");
    let (first, second) = (
        run_of_order(&scenario, &merchant, orders[0]).await,
        run_of_order(&scenario, &merchant, orders[1]).await,
    );
    assert_eq!((digest_of(&first), digest_of(&second)), (old.as_str(), new.as_str()));

    // What was pushed is what a restart runs, although the directory holds the first one.
    scenario.host.stop().await.unwrap();
    scenario.start_again().await.unwrap();
    assert_eq!(scenario.client.active_digest(APP).await.unwrap(), new);
}

#[tokio::test]
async fn a_run_that_waits_for_its_retry_keeps_its_version_over_swaps_and_a_restart() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let component = fs::read(component::bigcommerce().await.unwrap()).unwrap();
    let old = operator(&scenario).await.active_digest(APP).await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let held = scenario.bigcommerce.hold_next(Match::call("PUT", "/v2/orders/"));
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    held.arrived().await;
    // More versions than are kept in memory come and go while the run is parked on the first.
    for number in 1..=12 {
        let pushed =
            operator(&scenario).await.push_connector(APP, component::variant(&component, number)).await;
        pushed.unwrap().ok().unwrap();
    }
    scenario.crash().await.unwrap();
    held.release();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!((runs[0].status(), digest_of(&runs[0])), ("succeeded", old.as_str()), "{}", runs[0].text());
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2));
}

#[tokio::test]
async fn swaps_rollbacks_and_refusals_under_load_lose_and_fail_nothing() {
    const SWAPS: u64 = 40;
    let scenario = Scenario::start().await.unwrap();
    let merchants = [scenario.merchant("ada").await.unwrap(), scenario.merchant("bob").await.unwrap()];
    let operator = operator(&scenario).await;
    let component = fs::read(component::bigcommerce().await.unwrap()).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();

    // Load: orders at the stores (webhook → parse → stream) and fulfilments of them (event → action).
    let load = |merchant: &Merchant| {
        let (merchant, stop) = (merchant.clone(), stop.clone());
        let (vendor, client) = (scenario.bigcommerce.clone(), scenario.client.clone());
        tokio::spawn(async move {
            let mut orders = Vec::new();
            while !stop.is_cancelled() {
                let order = vendor.create_order(&merchant.store, 11).unwrap();
                let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
                let event = trunnion_tests::scenario::FULFILMENT_EVENT;
                client.run_event(event, &merchant.user, &data).await.unwrap().ok().unwrap();
                orders.push(order);
            }
            orders
        })
    };
    let loads: Vec<_> = merchants.iter().map(load).collect();

    let mut digests = BTreeSet::new();
    for number in 0..SWAPS {
        let answer = match number % 5 {
            4 => {
                let refused = operator.push_connector(APP, b"poison".to_vec()).await.unwrap();
                assert_eq!(refused.status, 400, "{}", refused.text);
                continue;
            }
            3 => operator.roll_back(APP).await.unwrap(),
            variant => {
                operator.push_connector(APP, component::variant(&component, variant % 2)).await.unwrap()
            }
        };
        digests.insert(answer.ok().unwrap()["digest"].as_str().unwrap().to_owned());
    }
    stop.cancel();
    let mut fulfilled = 0;
    for (load, merchant) in loads.into_iter().zip(&merchants) {
        let orders = load.await.unwrap();
        fulfilled += orders.len();
        for order in orders {
            scenario.isv.wait_for_order(order).await.unwrap();
            wait::until("the order to be fulfilled", || async {
                (scenario.bigcommerce.status_of(&merchant.store, order) == Some(2)).then_some(())
            })
            .await
            .unwrap();
        }
        for workflow in [&scenario.catalogue.fulfilment, &scenario.catalogue.order_created] {
            let failed = scenario.client.errors(workflow, &merchant.user).await.unwrap();
            assert!(failed.is_empty(), "{failed:?}");
        }
    }
    let letters: Value = scenario.client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    assert_eq!(letters["data"], json!([]));
    assert_eq!(digests.len(), 2, "two versions took turns: {digests:?}");
    println!("{SWAPS} swaps, rollbacks and refusals while {fulfilled} orders went through both workflows");
}

#[tokio::test]
async fn killed_at_any_moment_of_a_swap_the_host_starts_with_the_old_or_the_new_version() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let component = fs::read(component::bigcommerce().await.unwrap()).unwrap();
    let mut active = scenario.client.active_digest(APP).await.unwrap();
    let mut ends = BTreeSet::new();
    for number in 1..=8_u64 {
        let operator = operator(&scenario).await;
        let candidate = component::variant(&component, number);
        let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &candidate));
        let kept = scenario.host.data_dir().join("components").join(format!("{digest}.wasm"));
        let swap = tokio::spawn(async move { operator.push_connector(APP, candidate).await });
        // Every other kill comes as soon as the component is kept, the rest when the answer is there.
        if number % 2 == 0 {
            wait::until("the component to be kept", || async { kept.exists().then_some(()) }).await.unwrap();
            scenario.host.kill9().await.unwrap();
        } else {
            let answer = swap.await.unwrap().unwrap().ok().unwrap();
            scenario.host.kill9().await.unwrap();
            active = answer["digest"].as_str().unwrap().to_owned();
            scenario.start_again().await.unwrap();
            assert_eq!(scenario.client.active_digest(APP).await.unwrap(), active, "what was answered holds");
            continue;
        }
        scenario.start_again().await.unwrap();
        let now = scenario.client.active_digest(APP).await.unwrap();
        ends.insert(now == active);
        active = now;
        let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
        scenario.isv.wait_for_order(order).await.unwrap();
    }
    println!("killed in the middle of a swap, the host started with the old version: {ends:?}");
}
