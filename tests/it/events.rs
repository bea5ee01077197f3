//! Custom events: listed for Alloy's clients, shared by workflows, and kept fit for all of them.

use serde_json::{Value, json};
use trunnion_tests::scenario::{FULFILMENT_EVENT, Scenario};

fn noting(event: &str, value: &str) -> Value {
    json!({
        "name": format!("Notes {value}"), "trigger": { "type": "event", "event": event },
        "steps": [{ "id": "note", "type": "set", "value": value }],
    })
}

#[tokio::test]
async fn events_are_listed_as_alloys_clients_read_them() {
    let scenario = Scenario::start().await.unwrap();
    let client = &scenario.client;
    client.define_event("Batch Ready", "A batch.", &json!({ "orders": [1] })).await.unwrap();
    client.create_user("ada", "Ada").await.unwrap();
    let expected = json!({ "data": [
        { "name": "Batch Ready", "description": "A batch.", "body": { "orders": [1] } },
        { "name": FULFILMENT_EVENT, "description": "AcmeCo has shipped or cancelled an order.",
          "body": { "orderId": "123", "status": "FULFILLED" } },
    ] });
    for path in ["/2023-12/events", "/2024-03/events?userId=ada", "/events", "/2023-06/events/"] {
        assert_eq!(client.get(path).await.unwrap().ok().unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn one_event_serves_several_workflows_and_its_sample_cannot_leave_one_of_them_wrong() {
    let scenario = Scenario::start().await.unwrap();
    let client = &scenario.client;
    let integration = &scenario.catalogue.integration;
    let notes = client
        .release_workflow(integration, &noting(FULFILMENT_EVENT, "{{ trigger.orderId }}"))
        .await
        .unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.fulfil(&ada, order, "FULFILLED").await.unwrap().ok().unwrap();
    let noted = client.runs_ended(&notes, &ada.user, 1).await.unwrap();
    let updated = client.runs_ended(&scenario.catalogue.fulfilment, &ada.user, 1).await.unwrap();
    assert_eq!((noted.len(), updated.len()), (1, 1), "each workflow once");
    assert_eq!(noted[0].0["event"]["id"], updated[0].0["event"]["id"], "for one event");

    let put = |sample: Value| {
        let body = json!({ "description": "", "sample": sample });
        async move { client.put("/v1/events/Fulfillment%20Updated", &body).await.unwrap() }
    };
    let refused = put(json!({ "status": "FULFILLED" })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("event-in-use")), "{}", refused.text);
    for name in ["Fulfilment", "Notes {{ trigger.orderId }}", "orderId"] {
        assert!(refused.message().contains(name), "{name}: {}", refused.text);
    }
    let kept = client.get("/v1/events/Fulfillment%20Updated").await.unwrap().ok().unwrap();
    assert_eq!(kept["sample"]["orderId"], "123", "a refused sample changes nothing");
    put(json!({ "orderId": "1", "status": "FULFILLED", "carrier": "DHL" })).await.ok().unwrap();
    let misfit =
        client.run_event(FULFILMENT_EVENT, "ada", &json!({ "orderId": "1", "carrier": 5 })).await.unwrap();
    assert_eq!(misfit.status, 400, "the new sample is checked: {}", misfit.text);
}
