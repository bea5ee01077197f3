//! Common integration patterns, each as an ISV would write it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunnion_tests::{
    host::RunView,
    scenario::{Merchant, STREAM, Scenario},
};

/// A scenario with one more workflow, installed by one merchant.
async fn with(definition: Value) -> (Scenario, Merchant, String) {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    (scenario, merchant, workflow)
}

async fn ended(scenario: &Scenario, merchant: &Merchant, workflow: &str) -> RunView {
    scenario.client.runs_ended(workflow, &merchant.user, 1).await.unwrap().remove(0)
}

/// A warehouse's webhook carries many updates; each is dealt with for itself, and one that cannot be does not hold up
/// the others. The sender is answered at once.
#[tokio::test]
async fn an_inventory_update_webhook_with_several_updates_goes_through_for_each() {
    let (scenario, merchant, workflow) = with(json!({
        "name": "Inventory", "trigger": { "type": "request", "sample": {
            "event": "INVENTORY_UPDATE", "updates": [{ "sku": "A-1", "order": 1, "status": 2 }] } },
        "steps": [
            { "id": "taken", "type": "respond", "status": 202, "body": { "updates": "{{ trigger.body.updates | length }}" } },
            { "id": "known", "type": "filter", "condition": "trigger.body.event == 'INVENTORY_UPDATE'" },
            { "id": "each", "type": "for_each", "items": "{{ trigger.body.updates }}", "concurrency": 3,
              "on_error": "continue", "steps": [
                { "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
                  "input": { "order_id": "{{ item.order }}", "status_id": "{{ item.status }}" } } ] },
            { "id": "tell", "type": "stream", "destination": STREAM, "body": {
                "id": 1, "done": "{{ steps.each.succeeded }}", "failed": "{{ steps.each.failed }}" } },
        ],
    }))
    .await;
    let mut orders: Vec<_> =
        (0..5).map(|_| scenario.bigcommerce.create_order(&merchant.store, 11).unwrap()).collect();
    orders.insert(2, 999_999);
    let updates: Vec<_> = orders.iter().map(|order| json!({ "order": order, "status": 2 })).collect();
    let (url, _) = scenario.client.entrance(&merchant.user, &workflow).await.unwrap();
    let url = url.replace(scenario.host.public_url(), scenario.host.base_url());
    let body = json!({ "event": "INVENTORY_UPDATE", "updates": updates }).to_string();
    let request = reqwest::Client::new().post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (202, r#"{"updates":6}"#));
    let run = ended(&scenario, &merchant, &workflow).await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let told = scenario.isv.wait_for_order(1).await.unwrap().json();
    assert_eq!((&told["done"], &told["failed"]), (&json!(5), &json!(1)));
    for order in orders.iter().filter(|order| **order != 999_999) {
        assert_eq!(scenario.bigcommerce.status_of(&merchant.store, *order), Some(2), "order {order}");
    }
}

/// An event names only ids; each is looked up, by a workflow that others share, and whole records go on.
#[tokio::test]
async fn ids_are_enriched_to_records() {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let Scenario { client, catalogue, .. } = &scenario;
    client
        .define_event("Orders Picked", "AcmeCo has picked orders.", &json!({ "orderIds": [1] }))
        .await
        .unwrap();
    let look_up = json!({
        "name": "Look up", "trigger": { "type": "call", "sample": { "id": 1 } }, "steps": [
            { "id": "order", "type": "action", "app": "bigcommerce", "action": "get_order", "input": { "order_id": "{{ trigger.id }}" } },
            { "id": "record", "type": "set", "value": { "id": "{{ steps.order.id }}", "status": "{{ steps.order.status_id }}" } },
        ],
    });
    let look_up = client.release_workflow(&catalogue.integration, &look_up).await.unwrap();
    let enrich = json!({
        "name": "Enrich", "trigger": { "type": "event", "event": "Orders Picked" }, "steps": [
            { "id": "each", "type": "for_each", "items": "{{ trigger.orderIds }}", "concurrency": 2, "steps": [
                { "id": "found", "type": "call", "workflow": look_up, "input": { "id": "{{ item }}" } } ] },
            { "id": "send", "type": "stream", "destination": STREAM, "body": {
                "id": 1, "records": "{{ steps.each.results | map(attribute='steps.found') | list }}" } },
        ],
    });
    let enrich = client.release_workflow(&catalogue.integration, &enrich).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let ids: Vec<_> =
        (0..4).map(|_| scenario.bigcommerce.create_order(&merchant.store, 11).unwrap()).collect();
    client
        .run_event("Orders Picked", &merchant.user, &json!({ "orderIds": ids }))
        .await
        .unwrap()
        .ok()
        .unwrap();
    let run = ended(&scenario, &merchant, &enrich).await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let sent = scenario.isv.wait_for_order(1).await.unwrap().json();
    let records: Vec<_> = ids.iter().map(|id| json!({ "id": id, "status": 11 })).collect();
    assert_eq!(sent["records"], json!(records), "in the order of the ids");
    let called = client.runs_ended(&look_up, &merchant.user, ids.len()).await.unwrap();
    assert_eq!(called.iter().map(RunView::id).collect::<BTreeSet<_>>().len(), ids.len());
}
