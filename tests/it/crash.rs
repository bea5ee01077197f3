//! `kill -9` directly after a 2xx: nothing accepted is lost, nothing happens twice beyond the commit window,
//! and what does carries the same idempotency key.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trunnion_tests::{
    scenario::{FULFILMENT_EVENT, Merchant, Scenario},
    wait,
};

const ROUNDS: usize = 50;

#[tokio::test]
async fn killed_after_each_2xx_on_run_event_every_run_completes() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    // The orders' own deliveries are another test's matter.
    scenario.bigcommerce.pause_deliveries(true);
    let mut orders = Vec::new();
    for round in 1..=ROUNDS {
        let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
        let answer = scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap();
        scenario.host.kill9().await.unwrap();
        answer.ok().unwrap();
        orders.push(order);
        scenario.start_again().await.unwrap();
        // So that one kill meets one run: a step may be repeated once for each kill that meets it.
        scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, round).await.unwrap();
    }
    let runs =
        scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, ROUNDS).await.unwrap();
    assert_eq!(runs.len(), ROUNDS, "one run per accepted event");
    for run in &runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
    }
    let mut repeated = 0;
    for order in orders {
        assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2), "order {order}");
        let path = format!("/stores/{}/v2/orders/{order}", merchant.store);
        let requests = scenario.bigcommerce.requests();
        let puts =
            requests.iter().filter(|request| request.method == "PUT" && request.uri.path() == path).count();
        assert!(
            (1..=2).contains(&puts),
            "order {order} was set {puts} times; one kill repeats a step at most once"
        );
        repeated += puts - 1;
    }
    println!("{ROUNDS} kills after a 2xx on /run/event: {repeated} calls repeated inside the commit window");
}

#[tokio::test]
async fn killed_after_each_2xx_on_a_webhook_every_order_streams() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let mut orders = Vec::new();
    for round in 1..=ROUNDS {
        let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
        let delivery = pending_delivery(&scenario, order);
        let answer = scenario.bigcommerce.deliver(&delivery).await.unwrap();
        scenario.host.kill9().await.unwrap();
        assert!(answer.is_some_and(|status| (200..300).contains(&status)), "{answer:?}");
        orders.push(order);
        scenario.start_again().await.unwrap();
        scenario.isv.wait_for_order(order).await.unwrap();
        scenario.client.runs_ended(&scenario.catalogue.order_created, &merchant.user, round).await.unwrap();
    }
    let runs =
        scenario.client.runs_ended(&scenario.catalogue.order_created, &merchant.user, ROUNDS).await.unwrap();
    assert_eq!(runs.len(), ROUNDS, "one run per accepted delivery");
    for run in &runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
    }
    let mut repeated = 0;
    for order in orders {
        let posts = scenario.isv.orders(order);
        assert!(posts.iter().all(|post| post.signature == Ok(())));
        assert!(posts.len() <= 2, "order {order} streamed {} times", posts.len());
        assert!(posts.iter().all(|post| post.key() == posts[0].key()), "a repetition keeps its key");
        repeated += posts.len() - 1;
    }
    println!("{ROUNDS} kills after a 2xx on a webhook: {repeated} streams repeated inside the commit window");
}

#[tokio::test]
async fn killed_while_acmeco_holds_the_call_the_stream_comes_again_with_its_key() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let held = scenario.isv.hold_next();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    held.arrived().await;
    scenario.host.kill9().await.unwrap();
    held.release();
    scenario.start_again().await.unwrap();
    let again = scenario.isv.wait_for_order(order).await.unwrap();
    assert_eq!(scenario.isv.arrivals(), [again.key(), again.key()], "held, killed, sent again");
    let runs =
        scenario.client.runs_ended(&scenario.catalogue.order_created, &merchant.user, 1).await.unwrap();
    assert_eq!((runs.len(), runs[0].status()), (1, "succeeded"), "{}", runs[0].text());
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_no_run_stuck() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
    let body = json!({ "event": FULFILMENT_EVENT, "userId": merchant.user, "data": data }).to_string();
    let address = scenario.host.base_url().trim_start_matches("http://").to_owned();
    let request = format!(
        "POST /2023-12/run/event HTTP/1.1\r\nhost: trunnion\r\nauthorization: Bearer {}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        scenario.host.keys().development,
        body.len()
    );
    // Patience of every length up to that of a whole answer, so that callers hang up at every stage.
    for round in 0..300 {
        let mut caller = TcpStream::connect(&address).await.unwrap();
        caller.write_all(request.as_bytes()).await.unwrap();
        let patience = Duration::from_micros(round * 20);
        let answered = tokio::time::timeout(patience, caller.read_u8()).await;
        drop((answered, caller));
    }
    let fulfilment = &scenario.catalogue.fulfilment;
    wait::until("every run of a caller that hung up to end", || async {
        let path = format!("/v1/runs?workflow_id={fulfilment}&status=running&limit=1");
        let running = scenario.client.get(&path).await.ok()?.ok().ok()?;
        running["data"].as_array()?.is_empty().then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_clean_stop_loses_nothing_either() {
    let mut scenario = Scenario::start().await.unwrap();
    let merchant: Merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.host.stop().await.unwrap();
    scenario.start_again().await.unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2));
}

fn pending_delivery(scenario: &Scenario, order: u64) -> String {
    let created = scenario
        .bigcommerce
        .deliveries()
        .into_iter()
        .find(|delivery| delivery.order == order && delivery.scope == "store/order/created");
    created.expect("the order's delivery waits").id
}
