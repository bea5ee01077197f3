//! `DELETE /users/{id}`: the user with everything of theirs, at vendors too, and nobody else's.

use serde_json::json;
use trunnion_tests::{bigcommerce::Match, scenario::Scenario, wait};

#[tokio::test]
async fn a_deleted_user_is_gone_with_everything_of_theirs() {
    let mut scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    let fulfilment = scenario.catalogue.fulfilment.clone();
    for merchant in [&ada, &bob] {
        let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
        scenario.isv.wait_for_order(order).await.unwrap();
        scenario.fulfil(merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
        scenario.client.runs_ended(&fulfilment, &merchant.user, 1).await.unwrap();
    }
    let client = scenario.client.clone();
    let token = client.user_token("ada").await.unwrap();
    let hook = scenario.bigcommerce.hooks(&ada.store).remove(0);
    // One run is in the middle of its step, and stays there until after.
    let held = scenario.bigcommerce.hold_next(Match::call("PUT", "/orders/"));
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.fulfil(&ada, order, "FULFILLED").await.unwrap().ok().unwrap();
    held.arrived().await;

    let deleted = client.delete("/2023-01/users/ada").await.unwrap();
    assert_eq!((deleted.status, deleted.json()), (200, json!({ "success": true })), "{}", deleted.text);
    held.release();
    assert_eq!(scenario.bigcommerce.hooks(&ada.store).len(), 0, "its webhook is removed at the vendor");
    assert!(!scenario.bigcommerce.hooks(&bob.store).is_empty());
    for path in ["/2024-03/users/ada".to_owned(), format!("/2024-03/users/{}", ada.user)] {
        assert_eq!(client.get(&path).await.unwrap().status, 404, "{path}");
        assert_eq!(client.delete(&path).await.unwrap().status, 404, "{path}");
    }
    let refused = client.as_user(&token).get("/2024-03/integrations").await.unwrap();
    assert_eq!((refused.status, refused.message().contains("deleted")), (401, true), "{}", refused.text);
    let logs = client.get(&format!("/2024-03/workflows/{fulfilment}/logs")).await.unwrap().ok().unwrap();
    let of: Vec<_> = logs["data"].as_array().unwrap().iter().map(|it| it["userId"].clone()).collect();
    assert_eq!(of, [json!(bob.user)]);
    let users = client.get(&format!("/2024-03/workflows/{fulfilment}/users")).await.unwrap().ok().unwrap();
    assert_eq!(users["data"].as_array().unwrap().len(), 1);
    let url = hook.destination.replace(scenario.host.public_url(), scenario.host.base_url());
    let delivered = reqwest::Client::new().post(url).body("{}").send().await.unwrap();
    assert_eq!(delivered.status(), 404, "what the vendor still sends has no way in");
    wait::until("the run under way to have left no trace", || async {
        let listed = client.get("/v1/runs?limit=100").await.ok()?.ok().ok()?;
        let all_bobs = listed["data"].as_array()?.iter().all(|run| run["user_id"] == json!(bob.user));
        all_bobs.then_some(())
    })
    .await
    .unwrap();

    // The name is another person's from here on, and a new start finds nothing of the first one.
    scenario.crash().await.unwrap();
    let again = scenario.client.create_user("ada", "Another Ada").await.unwrap();
    assert_ne!(again, ada.user);
    let nothing = scenario.client.get("/2024-03/users/ada/credentials").await.unwrap().ok().unwrap();
    assert_eq!(nothing, json!({ "data": [] }));
    let order = scenario.bigcommerce.create_order(&bob.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    scenario.fulfil(&bob, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&fulfilment, &bob.user, 2).await.unwrap();
    assert!(!scenario.host.log().contains("panicked"), "{}", scenario.host.log());
}
