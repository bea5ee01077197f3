//! Authenticating, the window at the vendor, and a user's connections.

use serde_json::{Value, json};
use trunnion_tests::{
    browser::{Browser, Sdk, chromium},
    scenario::shopify::ShopifyScenario,
};

use super::{CLIENT, PUBLIC, SECRET, STORE, Stage, TOKEN, told};

async fn connections(stage: &Stage) -> Vec<Value> {
    let path = format!("/v1/users/{}/connections", stage.user);
    let listed = stage.scenario.client.get(&path).await.unwrap().ok().unwrap();
    listed["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_app_is_connected_and_the_page_hears_which_credential() {
    let name = "an_app_is_connected_and_the_page_hears_which_credential";
    let Some(mut stage) = Stage::set(name).await else { return };
    for (count, sdk) in [Sdk::Embed, Sdk::Alloy].into_iter().enumerate() {
        stage.open(sdk, "authenticate", json!({ "app": "bigcommerce" })).await;
        if count > 0 {
            stage.see("Which BigCommerce account?").await;
            stage.look("authenticate-2-choose").await;
            stage.click("Use this account: Store adastore").await;
        } else {
            stage.see("store_v2_orders").await;
            stage.look("authenticate-1-connect").await;
            stage.click("Connect BigCommerce").await;
        }
        stage.gone().await;
        let (outcomes, said) = stage.outcomes(1).await;
        let known = connections(&stage).await;
        let id = &known[0]["id"];
        assert_eq!(known.len(), 1);
        assert_eq!(outcomes, json!([{ "success": true, "connectionId": id, "credentialId": id }]));
        let origin = if sdk == Sdk::Embed {
            format!("https://{PUBLIC}")
        } else {
            "https://app.runalloy.com".to_owned()
        };
        let over = json!({ "closeModal": true, "connectionStatus": "success", "connectionId": id, "credentialId": id });
        assert_eq!(told(&said, &origin).last(), Some(&over));
    }
}

#[tokio::test]
async fn a_person_who_declines_or_closes_is_told_and_can_try_again() {
    let name = "a_person_who_declines_or_closes_is_told_and_can_try_again";
    let Some(mut stage) = Stage::set(name).await else { return };
    let bigcommerce = stage.scenario.bigcommerce.clone();
    bigcommerce.sign_in("");
    stage.open(Sdk::Embed, "authenticate", json!({ "app": "bigcommerce" })).await;
    stage.see("store_v2_orders").await;
    stage.click("Connect BigCommerce").await;
    stage.see("The owner did not allow the app.").await;
    stage.look("consent-1-declined").await;
    stage.act("noPopup", json!({})).await;
    stage.act("press", json!({ "key": "Escape", "leaves": true })).await;
    stage.gone().await;
    let (outcomes, said) = stage.outcomes(1).await;
    assert_eq!(outcomes, json!([{ "success": false }]));
    let over = json!({ "closeModal": true, "connectionStatus": "failed" });
    assert_eq!(told(&said, &format!("https://{PUBLIC}")).last(), Some(&over));

    bigcommerce.sign_in(STORE);
    // A client that the vendor does not know: the person is left standing there, and closes the window.
    let registration = json!({ "client_id": "unknown", "client_secret": "cnry-unknown" });
    let path = "/v1/apps/bigcommerce/oauth-client";
    stage.scenario.client.put(path, &registration).await.unwrap().ok().unwrap();
    stage.open(Sdk::Embed, "authenticate", json!({ "app": "bigcommerce" })).await;
    stage.see("store_v2_orders").await;
    stage.click("Connect BigCommerce").await;
    stage.see("Continue in the window of BigCommerce.").await;
    stage.look("consent-2-waiting").await;
    let left = stage.act("popup", json!({ "at": "login.bigcommerce.com", "close": true })).await;
    assert!(left["text"].as_str().unwrap().contains("invalid_client"), "{left}");
    stage.see("was closed before it was finished").await;
    stage.look("consent-3-closed").await;
    stage.click("Cancel").await;
    stage.see("store_v2_orders").await;
    assert!(connections(&stage).await.is_empty());
}

#[tokio::test]
async fn a_window_that_the_browser_keeps_closed_is_opened_by_a_link() {
    let name = "a_window_that_the_browser_keeps_closed_is_opened_by_a_link";
    let Some(mut stage) = Stage::set(name).await else { return };
    let look = json!({ "blockPopups": true });
    stage.open_with(Sdk::Embed, "authenticate", json!({ "app": "bigcommerce" }), look).await;
    stage.see("store_v2_orders").await;
    stage.click("Connect BigCommerce").await;
    stage.see("Your browser kept the window of BigCommerce closed.").await;
    stage.look("consent-4-blocked").await;
    stage.act("click", json!({ "role": "link", "name": "Open BigCommerce" })).await;
    stage.gone().await;
    assert_eq!(stage.outcomes(1).await.0[0]["success"], true);
}

#[tokio::test]
async fn connections_are_looked_at_mended_and_let_go_of() {
    let name = "connections_are_looked_at_mended_and_let_go_of";
    let Some(mut stage) = Stage::set(name).await else { return };
    stage.open(Sdk::Embed, "authenticate", json!({})).await;
    stage.see("Nothing is connected yet.").await;
    stage.look("connections-1-empty").await;
    let credential = stage.connect().await;
    let fulfilment = stage.scenario.catalogue.fulfilment.clone();
    let integration = stage.integration().to_owned();
    let client = stage.scenario.client.clone();
    client.install(&stage.user, &integration, &credential, &[&fulfilment]).await.unwrap();
    let order = stage.scenario.bigcommerce.create_order(STORE, 11).unwrap();
    let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
    let event = trunnion_tests::scenario::FULFILMENT_EVENT;
    client.run_event(event, &stage.user, &data).await.unwrap().ok().unwrap();
    client.runs_ended(&fulfilment, &stage.user, 1).await.unwrap();

    stage.open(Sdk::Embed, "authenticate", json!({})).await;
    for shown in ["Connected", "Last active", "Used by Fulfilment"] {
        stage.see(shown).await;
    }
    stage.look("connections-2-working").await;
    // The vendor no longer takes the token; somebody notices.
    let new = "cnry-new-token-77aa";
    stage.scenario.bigcommerce.change_token(STORE, new);
    let path = format!("/v1/users/{}/connections/{credential}/lookups/order_statuses", stage.user);
    assert_eq!(client.post(&path, &json!({})).await.unwrap().status, 400);
    stage.open(Sdk::Embed, "authenticate", json!({})).await;
    stage.see("Needs to be reconnected").await;
    stage.look("connections-3-needs-attention").await;
    stage.click("Check again: Store adastore").await;
    stage.see("That did not work").await;
    stage.click("Reconnect: Store adastore").await;
    stage.fill("Store hash", STORE).await;
    stage.fill("Access token", new).await;
    stage.click("Reconnect").await;
    stage.gone().await;
    assert_eq!(connections(&stage).await[0]["needs_attention"], Value::Null);

    stage.open(Sdk::Embed, "authenticate", json!({})).await;
    stage.click("Disconnect: Store adastore").await;
    stage.see("These stop working: Fulfilment.").await;
    stage.look("connections-4-disconnect").await;
    stage.click("Cancel").await;
    stage.click("Disconnect: Store adastore").await;
    stage.click("Disconnect").await;
    stage.see("Nothing is connected yet.").await;
    assert!(connections(&stage).await.is_empty());
    assert!(!stage.scenario.host.log().contains(TOKEN), "no secret is logged");
}

#[tokio::test]
async fn what_names_the_account_is_typed_before_the_person_consents() {
    let Some(chromium) = chromium() else {
        println!("SKIPPED what_names_the_account_is_typed_before_the_person_consents: there is no Chromium");
        return;
    };
    let scenario = ShopifyScenario::start().await.unwrap();
    let ShopifyScenario { shopify, host, client, .. } = &scenario;
    shopify.add_client(CLIENT, SECRET);
    shopify.add_shop("ada-engines", "another app's", SECRET);
    let registration = json!({ "client_id": CLIENT, "client_secret": SECRET });
    client.put("/v1/apps/shopify/oauth-client", &registration).await.unwrap().ok().unwrap();
    client.create_user("ada", "Ada").await.unwrap();
    let token = client.get("/2024-03/users/ada/token").await.unwrap().ok().unwrap();
    let web = [(PUBLIC, host.base_url()), ("ada-engines.myshopify.com", shopify.base_url())];
    let mut browser = Browser::start(&chromium, &web).await.unwrap();
    let authenticate = ("authenticate", json!({ "app": "shopify" }));
    browser.open(Sdk::Embed, token["token"].as_str().unwrap(), authenticate, json!({})).await.unwrap();
    browser.see("‹Shop name›.myshopify.com").await.unwrap();
    for (typed, said) in
        [("", "Shop name is needed."), ("ada-engines.myshopify.com", "without https:// or dots")]
    {
        browser.fill("Shop name", typed).await.unwrap();
        browser.click("Connect Shopify").await.unwrap();
        browser.see(said).await.unwrap();
        browser.act("noPopup", &json!({})).await.unwrap();
    }
    browser.look("authenticate-3-shop").await.unwrap();
    browser.fill("Shop name", "ada-engines").await.unwrap();
    browser.click("Connect Shopify").await.unwrap();
    browser.act("gone", &json!({})).await.unwrap();
    assert_eq!(browser.outcomes(1).await.unwrap().0[0]["success"], true);
    let shown = client.get("/v1/users/ada/connections").await.unwrap().ok().unwrap();
    assert_eq!(shown["data"][0]["account"], "ada-engines.myshopify.com");
}
