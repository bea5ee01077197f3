//! Lookups: what there is to choose in a user's own account, asked through the host as a page would.

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::Answer,
    scenario::{Merchant, Scenario},
};

async fn ask(scenario: &Scenario, merchant: &Merchant, rest: &str, body: &Value) -> Answer {
    let Merchant { user, credential, .. } = merchant;
    let path = format!("/v1/users/{user}/connections/{credential}/{rest}");
    scenario.client.post(&path, body).await.unwrap()
}

fn titles(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().unwrap().iter().map(|choice| choice["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_field_is_filled_in_from_the_users_own_account() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let all = ask(&scenario, &ada, "lookups/order_statuses", &json!({})).await.ok().unwrap();
    assert!(all["data"].as_array().unwrap().contains(&json!({"value": 2, "title": "Shipped"})), "{all}");
    assert_eq!(all["next"], Value::Null);
    let found = json!({"search": "await", "values": {"order_id": 7}});
    let found = ask(&scenario, &ada, "lookups/order_statuses", &found).await.ok().unwrap();
    let found = titles(&found);
    assert!(!found.is_empty() && found.iter().all(|title| title.starts_with("Awaiting")), "{found:?}");

    let unknown = ask(&scenario, &ada, "lookups/colours", &json!({})).await;
    assert_eq!((unknown.status, unknown.text.contains("lookup-unknown")), (404, true), "{unknown:?}");
    assert!(unknown.text.contains("order_statuses"), "it says what there is: {unknown:?}");

    // An action whose shape is the same for everybody answers the declared one, without asking the vendor.
    let asked = scenario.bigcommerce.requests().len();
    let path = "actions/update_order_status/schema";
    let shape = ask(&scenario, &ada, path, &json!({})).await.ok().unwrap();
    assert_eq!(shape["schema"]["properties"]["status_id"]["x-lookup"], "order_statuses");
    assert_eq!(scenario.bigcommerce.requests().len(), asked);
}

#[tokio::test]
async fn a_lookup_heeds_the_vendors_limits_and_marks_a_refused_credential() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let reset = std::time::Duration::from_secs(20);
    let statuses = Match::call("GET", "/order_statuses");
    scenario.bigcommerce.fail_next(1, statuses, Fault::RateLimited { reset });
    for _ in 0..2 {
        let refused = ask(&scenario, &ada, "lookups/order_statuses", &json!({})).await;
        assert_eq!(refused.status, 429, "{refused:?}");
    }
    let asked = scenario.bigcommerce.requests();
    let asked = asked.iter().filter(|request| request.uri.path().ends_with("/order_statuses")).count();
    assert_eq!(asked, 1, "while the vendor's limit is closed nobody asks it");

    let bob = scenario.merchant("bob").await.unwrap();
    scenario.bigcommerce.change_token(&bob.store, "canary-token-new-1f2e3d4c5b6a");
    let refused = ask(&scenario, &bob, "lookups/order_statuses", &json!({})).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let shown = scenario.client.get(&format!("/v1/users/{}/connections", bob.user)).await.unwrap();
    let shown = shown.ok().unwrap();
    assert!(shown["data"][0]["needs_attention"].is_string(), "{shown}");
}
