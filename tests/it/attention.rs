//! A credential that its vendor no longer accepts: what needs it waits, everything else goes on, and mending it lets
//! all of it go on.

use serde_json::{Value, json};
use trunnion_tests::{
    host::{HostOptions, RunView},
    scenario::{Merchant, Scenario},
    wait,
};

const NEW_TOKEN: &str = "canary-token-new-0f6d2b7719ce4a58";

/// A merchant's run that waits for its connection since its token was withdrawn, and the order it is about.
async fn withdrawn(scenario: &Scenario, name: &str) -> (Merchant, u64, RunView) {
    let merchant = scenario.merchant(name).await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.bigcommerce.change_token(&merchant.store, NEW_TOKEN);
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let run = waiting(scenario, &merchant, 1).await.remove(0);
    (merchant, order, run)
}

/// The merchant's runs, once so many wait.
async fn waiting(scenario: &Scenario, merchant: &Merchant, count: usize) -> Vec<RunView> {
    wait::until(&format!("{count} waiting runs"), || async {
        let runs = scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.ok()?;
        let waiting: Vec<_> = runs.into_iter().filter(|run| run.status() == "waiting").collect();
        (waiting.len() == count).then_some(waiting)
    })
    .await
    .unwrap()
}

/// The merchant's connections, as they are shown.
async fn connections(scenario: &Scenario, merchant: &Merchant) -> Vec<Value> {
    let path = format!("/v1/users/{}/connections", merchant.user);
    let shown = scenario.client.get(&path).await.unwrap().ok().unwrap();
    shown["data"].as_array().unwrap().clone()
}

fn puts(scenario: &Scenario) -> usize {
    scenario.bigcommerce.requests().iter().filter(|request| request.method == "PUT").count()
}

#[tokio::test]
async fn what_needs_a_refused_credential_waits_and_goes_on_when_the_user_connects_again() {
    let mut scenario = Scenario::start().await.unwrap();
    let (merchant, first, run) = withdrawn(&scenario, "ada").await;
    assert_eq!(run.0["waiting_for"]["what"], "the connection", "{}", run.text());
    assert_eq!(run.0["waiting_for"]["app"], "bigcommerce", "{}", run.text());
    assert!(run.text().contains("reconnect"), "the run says what to do: {}", run.text());
    let shown = connections(&scenario, &merchant).await;
    assert_eq!(shown.len(), 1);
    assert!(shown[0]["needs_attention"].is_string(), "{shown:?}");

    // A second one does not even ask the vendor, and the vendor's own deliveries are taken as before.
    let second = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, second, "FULFILLED").await.unwrap().ok().unwrap();
    waiting(&scenario, &merchant, 2).await;
    assert_eq!(puts(&scenario), 1);
    scenario.bigcommerce.pause_deliveries(false);
    for order in [first, second] {
        scenario.bigcommerce.delivered(order, "store/order/created").await.unwrap();
    }
    // Others are not concerned.
    let bob = scenario.merchant("bob").await.unwrap();
    let others = scenario.bigcommerce.create_order(&bob.store, 11).unwrap();
    scenario.isv.wait_for_order(others).await.unwrap();

    scenario.crash().await.unwrap();
    waiting(&scenario, &merchant, 2).await;
    assert!(scenario.isv.orders(first).is_empty() && scenario.isv.orders(second).is_empty());

    let data = json!({ "store_hash": merchant.store, "access_token": NEW_TOKEN });
    let mended = scenario.client.create_credential(&merchant.user, "bigcommerce", &data).await.unwrap();
    assert_eq!(
        mended, merchant.credential,
        "connecting the same account again mends the connection there is"
    );
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    for run in runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
        assert_eq!(run.step("update").unwrap()["attempts"], 1, "waiting is no attempt: {}", run.text());
    }
    for order in [first, second] {
        scenario.isv.wait_for_order(order).await.unwrap();
        assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2));
    }
    assert_eq!(connections(&scenario, &merchant).await[0]["needs_attention"], Value::Null);
}

#[tokio::test]
async fn a_credential_is_mended_by_new_values_of_its_own_account_or_by_the_vendors_word() {
    let scenario = Scenario::start().await.unwrap();
    let (merchant, order, run) = withdrawn(&scenario, "ada").await;
    let path = format!("/v1/users/{}/connections/{}", merchant.user, merchant.credential);
    let check = format!("{path}/check");
    assert_eq!(scenario.client.post(&check, &json!({})).await.unwrap().status, 400, "it is still refused");

    scenario.bigcommerce.add_store("another", "token-of-another-store-5b1e");
    let other = json!({ "data": { "store_hash": "another", "access_token": "token-of-another-store-5b1e" } });
    let refused = scenario.client.put(&path, &other).await.unwrap();
    assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("credential-other-account")));
    assert_eq!(scenario.client.run(run.id()).await.unwrap().status(), "waiting");

    let new = json!({ "data": { "store_hash": merchant.store, "access_token": NEW_TOKEN } });
    scenario.client.put(&path, &new).await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2));

    scenario.bigcommerce.change_token(&merchant.store, "withdrawn-for-a-while");
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    waiting(&scenario, &merchant, 1).await;
    scenario.bigcommerce.change_token(&merchant.store, NEW_TOKEN);
    scenario.client.post(&check, &json!({})).await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
}

#[tokio::test]
async fn a_run_that_waits_for_its_connection_ends_when_it_is_cancelled() {
    let scenario = Scenario::start().await.unwrap();
    let (_, _, run) = withdrawn(&scenario, "ada").await;
    let path = format!("/v1/runs/{}/cancel", run.id());
    let cancelled = scenario.client.post(&path, &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
}

#[tokio::test]
async fn what_waits_for_a_credential_in_vain_becomes_a_dead_letter_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("trunnion.toml");
    std::fs::write(&config, "attention_wait_ms = 1000\n").unwrap();
    let arguments = vec!["--config".to_owned(), config.to_string_lossy().into_owned()];
    let change = |options: &mut HostOptions| options.arguments = arguments;
    let scenario = Scenario::start_with(change).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.change_token(&merchant.store, NEW_TOKEN);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "failed", "{}", runs[0].text());
    let letters = wait::until("the delivery and the run among the dead letters", || async {
        let letters = scenario.client.get("/v1/dead-letters").await.ok()?.ok().ok()?["data"].clone();
        (letters.as_array()?.len() == 2).then_some(letters)
    });
    for letter in letters.await.unwrap().as_array().unwrap() {
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains("reconnect the account"), "{letter}");
    }
}
