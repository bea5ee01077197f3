//! The main job, both ways: the store's order reaches AcmeCo, AcmeCo's fulfilment reaches the order.

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::DeliveryState,
    scenario::{Merchant, Scenario},
};

#[tokio::test]
async fn an_order_created_at_the_store_reaches_acmeco() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let hooks = scenario.bigcommerce.hooks(&merchant.store);
    assert!(hooks.iter().any(|hook| hook.scope == "store/order/created" && hook.is_active), "{hooks:?}");
    for hook in &hooks {
        assert!(hook.destination.starts_with("https://trunnion.example/hooks/"), "{}", hook.destination);
        assert!(hook.headers.values().all(|secret| secret.len() >= 32 && !secret.contains("{{")), "{hook:?}");
    }

    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let delivery = scenario.bigcommerce.delivered(order, "store/order/created").await.unwrap();
    assert_eq!(delivery.attempts.len(), 1);
    let post = scenario.isv.wait_for_order(order).await.unwrap();
    assert_eq!(post.signature, Ok(()));
    assert_eq!(post.request.uri.path(), "/orders");
    let body = post.json();
    let original = scenario.bigcommerce.order(&merchant.store, order).unwrap();
    for field in ["id", "status_id", "total_inc_tax", "billing_address", "customer_message"] {
        assert_eq!(body[field], original[field], "{field} is enriched from the order itself, unchanged");
    }

    let runs =
        scenario.client.runs_ended(&scenario.catalogue.order_created, &merchant.user, 1).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    let logs = scenario.client.logs(&scenario.catalogue.order_created, &merchant.user).await.unwrap();
    assert_eq!(logs[0]["finished"], true, "{logs:?}");
}

#[tokio::test]
async fn acmecos_fulfilment_sets_the_orders_status() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    let others = scenario.bigcommerce.create_order(&bob.store, 11).unwrap();

    // Alloy's API takes the username in place of the id.
    let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
    let answer = scenario.client.run_event("Fulfillment Updated", "ada", &data).await.unwrap();
    assert_eq!(answer.ok().unwrap()["message"], "Event successfully triggered");
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &ada.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    let step = runs[0].step("update").unwrap();
    assert_eq!(step["input"]["status_id"], 2, "the value map turned FULFILLED into a number: {step}");
    assert_eq!(scenario.bigcommerce.status_of(&ada.store, order), Some(2));
    assert_eq!(scenario.bigcommerce.status_of(&bob.store, others), Some(11), "nobody else's order changed");

    let puts: Vec<_> =
        scenario.bigcommerce.requests().into_iter().filter(|request| request.method == "PUT").collect();
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0].line(), format!("PUT /stores/{}/v2/orders/{order}", ada.store));
    assert_eq!(puts[0].json(), json!({ "status_id": 2 }));
    assert_eq!(puts[0].header("x-auth-token"), ada.token);
}

#[tokio::test]
async fn an_unmapped_value_is_an_error_that_names_it() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, order, "TELEPORTED").await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "failed");
    let errors = scenario.client.errors(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.contains("TELEPORTED") && message.contains("order_status"), "{message}");
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(11));
}

#[tokio::test]
async fn an_incomplete_order_streams_once_it_is_placed_and_only_once() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let incomplete = scenario.bigcommerce.create_order(&merchant.store, 0).unwrap();
    scenario.bigcommerce.delivered(incomplete, "store/order/created").await.unwrap();
    // A later order has come through, so the earlier one has been looked at.
    later_order_has_streamed(&scenario, &merchant).await;
    assert!(scenario.isv.orders(incomplete).is_empty(), "an incomplete order is nobody's order yet");

    scenario.bigcommerce.set_status(&merchant.store, incomplete, 11).unwrap();
    let post = scenario.isv.wait_for_order(incomplete).await.unwrap();
    assert_eq!(post.json()["status_id"], 11);

    scenario.bigcommerce.set_status(&merchant.store, incomplete, 2).unwrap();
    scenario.bigcommerce.settled().await.unwrap();
    later_order_has_streamed(&scenario, &merchant).await;
    assert_eq!(scenario.isv.orders(incomplete).len(), 1, "a change of status is not a new order");
}

#[tokio::test]
async fn a_delivery_with_a_wrong_signature_is_401_and_stores_nothing() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let hook = scenario.bigcommerce.hooks(&merchant.store).remove(0);
    let url = hook.destination.replace(scenario.host.public_url(), scenario.host.base_url());
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let genuine = scenario.bigcommerce.delivered(order, "store/order/created").await.unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();

    let forged = genuine.body.replace(&hash_of(&genuine.body), "0000000000000000000000000000000000000000");
    for headers in [vec![], vec![("x-trunnion-secret", "guessed")], vec![("webhook-signature", "v1,AAAA")]] {
        let mut request = reqwest::Client::new().post(&url).header("content-type", "application/json");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(forged.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{headers:?}");
    }
    let unknown = format!("{}/hooks/{}", scenario.host.base_url(), "0".repeat(32));
    let answer = reqwest::Client::new().post(unknown).body(genuine.body).send().await.unwrap();
    assert_eq!(answer.status(), 404, "an address nobody was given");

    later_order_has_streamed(&scenario, &merchant).await;
    assert_eq!(scenario.isv.orders(order).len(), 1);
    let runs = scenario.client.runs(&scenario.catalogue.order_created, &merchant.user).await.unwrap();
    assert_eq!(runs.len(), 2, "the genuine order and the later one");
    let letters = scenario.client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    assert_eq!(letters["data"].as_array().map(Vec::len), Some(0), "{letters}");
}

#[tokio::test]
async fn a_duplicate_delivery_is_accepted_and_starts_nothing() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let first = scenario.bigcommerce.delivered(order, "store/order/created").await.unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    for _ in 0..3 {
        let copy = scenario.bigcommerce.repeat_delivery(&first.id).unwrap();
        scenario.bigcommerce.settled().await.unwrap();
        let copy =
            scenario.bigcommerce.deliveries().into_iter().find(|delivery| delivery.id == copy).unwrap();
        assert_eq!(copy.state, DeliveryState::Delivered, "a repeated delivery is 2xx: {copy:?}");
    }
    later_order_has_streamed(&scenario, &merchant).await;
    assert_eq!(scenario.isv.orders(order).len(), 1);
    let runs = scenario.client.runs(&scenario.catalogue.order_created, &merchant.user).await.unwrap();
    assert_eq!(runs.len(), 2, "the order and the later one");
}

/// A whole round through every stage: what was accepted before it has been worked on.
async fn later_order_has_streamed(scenario: &Scenario, merchant: &Merchant) {
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
}

fn hash_of(delivery: &str) -> String {
    let delivery: Value = serde_json::from_str(delivery).unwrap();
    delivery["hash"].as_str().unwrap().to_owned()
}
