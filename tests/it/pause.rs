//! Pausing a user's copy of a workflow, as Alloy's clients do it.

use serde_json::json;
use trunnion_tests::scenario::Scenario;

#[tokio::test]
async fn a_paused_copy_starts_nothing_and_goes_on_when_it_is_told_to() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    let client = &scenario.client;
    let fulfilment = &scenario.catalogue.fulfilment;
    client.set_active("ada", fulfilment, false).await.unwrap();
    client.set_active("ada", fulfilment, false).await.unwrap();
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    let refused = scenario.fulfil(&ada, order, "FULFILLED").await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.message().contains("no active workflow"), "{}", refused.text);
    let others = scenario.bigcommerce.create_order(&bob.store, 11).unwrap();
    scenario.fulfil(&bob, others, "FULFILLED").await.unwrap().ok().unwrap();
    client.runs_ended(fulfilment, &bob.user, 1).await.unwrap();

    let named = json!({ "userId": "ada", "workflowName": "Fulfilment" });
    let answer = client.put("/2023-12/workflows/activate", &named).await.unwrap().ok().unwrap();
    assert_eq!(answer, json!({ "activated": true }));
    scenario.fulfil(&ada, order, "FULFILLED").await.unwrap().ok().unwrap();
    let runs = client.runs_ended(fulfilment, &ada.user, 1).await.unwrap();
    assert_eq!(runs.len(), 1, "what came in while it was paused is not made up for");
}

#[tokio::test]
async fn all_of_a_users_copies_are_paused_at_once_and_webhooks_start_nothing() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let answer = scenario.client.put("/2023-12/users/ada/deactivate-workflows", &json!({})).await.unwrap();
    assert_eq!(answer.ok().unwrap(), json!({ "message": "Success" }));
    let paused = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.bigcommerce.delivered(paused, "store/order/created").await.unwrap();
    let order_created = &scenario.catalogue.order_created;
    scenario.client.set_active(&ada.user, order_created, true).await.unwrap();
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    assert!(scenario.isv.orders(paused).is_empty());
}

#[tokio::test]
async fn pausing_names_what_is_missing() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let put = |body| scenario.client.put("/2023-12/workflows/deactivate", body);
    let nameless = json!({ "userId": ada.user });
    let answer = put(&nameless).await.unwrap();
    assert_eq!((answer.status, answer.message().contains("workflowId")), (400, true), "{}", answer.text);
    let unknown = json!({ "userId": ada.user, "workflowName": "Nothing" });
    let answer = put(&unknown).await.unwrap();
    assert_eq!((answer.status, answer.message().contains("Nothing")), (404, true), "{}", answer.text);
}
