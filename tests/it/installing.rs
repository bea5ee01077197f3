//! A merchant installs the ISV's app at the real vendors' fakes: consent, callback, connection, an action performed with
//! the token that came of it, and deliveries signed with the app's secret.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{
    component,
    host::{Client, HostOptions, TestHost, workspace},
    hubspot::HubSpot,
    issuer::{come_back, consent_at, sent_to},
    node::Script,
    scenario::{
        Scenario, fulfilment,
        shopify::{ORDER_PLACED, ShopifyScenario, placed},
    },
    shopify::{sign, sign_callback},
};
use url::Url;

const CLIENT: &str = "acmeco-app";
const SECRET: &str = "cnry-app-secret-71d0c4be52";
const NEW_SECRET: &str = "cnry-new-secret-b80f33d61a";

/// The ISV says who it is at the vendor.
async fn register(client: &Client, app: &str, secret: &str) {
    let registration = json!({ "client_id": CLIENT, "client_secret": secret });
    client.put(&format!("/v1/apps/{app}/oauth-client"), &registration).await.unwrap().ok().unwrap();
}

/// Where a user consents.
async fn consent_url(client: &Client, user: &str, query: &str) -> String {
    let path = format!("/2024-03/headless/oauthUrl?userId={user}&{query}");
    let answer = client.get(&path).await.unwrap().ok().unwrap();
    answer["oauthUrl"].as_str().unwrap().to_owned()
}

/// A user consents at the vendor, which is really at `base`: the credential's id.
async fn connect((host, base): (&TestHost, &str), user: &str, query: &str) -> String {
    let query = format!("{query}&redirectUrl=https://acmeco.example/done");
    let url = consent_url(&host.client().unwrap(), user, &query).await;
    let back = consent_at(base, &url).await.unwrap();
    let to = sent_to(come_back(host, &back).await.unwrap()).await.unwrap();
    let credential = to.query_pairs().find(|(name, _)| name == "credentialId");
    credential.unwrap_or_else(|| panic!("not connected: {to}")).1.into_owned()
}

/// The account of a user's only connection.
async fn account(client: &Client, user: &str) -> Value {
    let shown = client.get(&format!("/v1/users/{user}/connections")).await.unwrap().ok().unwrap();
    shown["data"][0]["account"].clone()
}

#[tokio::test]
async fn a_shop_installs_the_app_by_a_token_that_is_renewed_or_one_that_lasts() {
    let scenario = ShopifyScenario::start().await.unwrap();
    let ShopifyScenario { shopify, host, client, catalogue, .. } = &scenario;
    shopify.add_client(CLIENT, SECRET);
    register(client, "shopify", SECRET).await;
    for (name, scheme, grants) in [
        ("ada", "", vec!["authorization_code", "refresh_token"]),
        ("bob", "&scheme=oauth_lasting", vec!["authorization_code"]),
    ] {
        let before = shopify.grants().len();
        let shop = format!("{name}-engines");
        shopify.add_shop(&shop, "another app's", SECRET);
        let user = client.create_user(name, name).await.unwrap();
        let query = format!("app=shopify&shop={shop}{scheme}");
        let credential = connect((host, shopify.base_url()), &user, &query).await;
        assert_eq!(account(client, &user).await, format!("{shop}.myshopify.com"));
        client.install(&user, &catalogue.integration, &credential, &[]).await.unwrap();
        for count in 1..=2 {
            client
                .run_event(ORDER_PLACED, &user, &placed(&format!("A-{count}")))
                .await
                .unwrap()
                .ok()
                .unwrap();
            let runs = client.runs_ended(&catalogue.order_placed, &user, count).await.unwrap();
            assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
            assert_eq!(shopify.orders(&shop).len(), count);
            if scheme.is_empty() && count == 1 {
                shopify.end_access(&shop);
            }
        }
        assert_eq!(shopify.grants()[before..], grants);
    }
    assert!(!host.log().contains("cnry"), "no secret is logged");
}

#[tokio::test]
async fn deliveries_of_a_shop_are_signed_with_the_apps_secret_and_for_a_while_with_the_former_one() {
    let scenario = ShopifyScenario::start().await.unwrap();
    let ShopifyScenario { shopify, host, client, catalogue, isv } = &scenario;
    let shop = "ada-engines";
    shopify.add_client(CLIENT, SECRET);
    shopify.add_shop(shop, "another app's", SECRET);
    register(client, "shopify", SECRET).await;
    let user = client.create_user("ada", "Ada").await.unwrap();
    let query = format!("app=shopify&shop={shop}");
    let credential = connect((host, shopify.base_url()), &user, &query).await;
    client.install(&user, &catalogue.integration, &credential, &[]).await.unwrap();
    let taken = async |secret: &str| {
        shopify.sign_with(shop, secret).unwrap();
        let order = shopify.create_order(shop).unwrap();
        shopify.settled().await.unwrap();
        let about = shopify.deliveries().into_iter().find(|delivery| delivery.order == order).unwrap();
        (order, about.attempts[0].status.unwrap())
    };
    for (registered, signing, expected) in [
        (SECRET, SECRET, 200),
        (SECRET, NEW_SECRET, 401),
        (NEW_SECRET, NEW_SECRET, 200),
        // Shopify goes on with the former one for up to an hour.
        (NEW_SECRET, SECRET, 200),
        ("cnry-third-secret-0c", NEW_SECRET, 200),
        ("cnry-third-secret-0c", SECRET, 401),
    ] {
        register(client, "shopify", registered).await;
        let (order, status) = taken(signing).await;
        assert_eq!(status, expected, "registered {registered}, signed with {signing}");
        if expected == 200 {
            isv.wait_for_order(order).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_shopify_demands_for_privacy_reaches_the_shops_workflows() {
    let scenario = ShopifyScenario::start().await.unwrap();
    let ShopifyScenario { shopify, host, client, catalogue, .. } = &scenario;
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let hook = "/v1/apps/shopify/webhook";
    // Without a registered client there is no key, and the remedy names both ways to one.
    let refused = client.put(hook, &json!({})).await.unwrap();
    assert_eq!(refused.json()["code"], "app-webhook-key-invalid");
    assert!(refused.message().contains("PUT /v1/apps/shopify/oauth-client"), "{}", refused.text);
    register(client, "shopify", SECRET).await;
    let set = client.put(hook, &json!({})).await.unwrap().ok().unwrap();
    let url = set["url"].as_str().unwrap().replace(host.public_url(), host.base_url());
    let triggers = ["customer_data_requested", "customer_redact_requested", "shop_redact_requested"];
    assert_eq!(set["triggers"], json!(triggers));

    let mut workflows = Vec::new();
    for trigger in triggers {
        let definition = json!({
            "name": trigger,
            "trigger": { "type": "app", "app": "shopify", "trigger": trigger },
            "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger.shop_id }}" }],
        });
        workflows.push(client.release_workflow(&catalogue.integration, &definition).await.unwrap());
    }
    let all: Vec<&str> = workflows.iter().map(String::as_str).collect();
    client.install(&ada.user, &catalogue.integration, &ada.credential, &all).await.unwrap();
    for (topic, workflow) in
        ["customers/data_request", "customers/redact", "shop/redact"].into_iter().zip(&workflows)
    {
        let domain = format!("{}.myshopify.com", ada.shop);
        let body = json!({ "shop_id": 954_889, "shop_domain": domain, "customer": { "id": 7 } }).to_string();
        for (secret, expected) in [("another", 401), (SECRET, 200), (SECRET, 200)] {
            let request = reqwest::Client::new()
                .post(&url)
                .header("X-Shopify-Topic", topic)
                .header("X-Shopify-Hmac-SHA256", sign(secret, body.as_bytes()))
                .header("X-Shopify-Shop-Domain", &domain)
                .header("X-Shopify-Webhook-Id", format!("of {topic}"));
            assert_eq!(request.body(body.clone()).send().await.unwrap().status(), expected, "{topic}");
        }
        let runs = client.runs_ended(workflow, &ada.user, 1).await.unwrap();
        assert_eq!((runs.len(), &runs[0].step("keep").unwrap()["output"]), (1, &json!(954_889)));
    }
    assert!(shopify.subscriptions(&ada.shop).iter().all(|known| known.topic == "ORDERS_CREATE"));
}

#[tokio::test]
async fn shopifys_own_library_believes_the_callbacks_that_the_host_believes() {
    let scenario = ShopifyScenario::start().await.unwrap();
    let ShopifyScenario { shopify, host, client, .. } = &scenario;
    shopify.add_client(CLIENT, SECRET);
    shopify.add_shop("ada-engines", "another app's", SECRET);
    register(client, "shopify", SECRET).await;
    let user = client.create_user("ada", "Ada").await.unwrap();
    let mut library =
        Script::start("node-tests", &workspace().join("tests/node"), "webhooks.mjs").await.unwrap();
    let odd = "a b+c~*'()!%25/?=&é漢\u{1f6d2}";
    for (more, secret, stale, believed) in [
        (None, SECRET, 0, true),
        (Some(odd), SECRET, 0, true),
        (Some(odd), "another secret", 0, false),
        (None, SECRET, 600, false),
    ] {
        let url = consent_url(client, &user, "app=shopify&shop=ada-engines").await;
        let back = consent_at(shopify.base_url(), &url).await.unwrap();
        let mut query: Vec<(String, String)> =
            back.query_pairs().into_owned().filter(|(name, _)| name != "hmac").collect();
        for (name, value) in &mut query {
            if name == "timestamp" {
                *value = (value.parse::<u64>().unwrap() - stale).to_string();
            }
        }
        query.extend(more.map(|more| ("locale".to_owned(), more.to_owned())));
        let pairs: Vec<_> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let signature = sign_callback(secret, &pairs);
        // The fake's own signature, where nothing was changed.
        let unchanged = more.is_none() && stale == 0;
        assert!(!unchanged || back.query_pairs().any(|(name, value)| name == "hmac" && value == signature));
        query.push(("hmac".to_owned(), signature));

        let members: serde_json::Map<String, Value> =
            query.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let question = json!({ "do": "callback", "secret": SECRET, "query": members });
        let verdict = library.ask(&question).await.unwrap();
        assert_eq!(verdict["valid"], believed, "{more:?} {secret} {stale}: {verdict}");
        let changed = Url::parse_with_params("https://trunnion.example/oauth/callback", &query).unwrap();
        let answer = come_back(host, &changed).await.unwrap();
        let expected = if believed { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status(), expected, "{}", answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_store_installs_the_app_and_nobody_types_its_hash() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { bigcommerce, host, client, catalogue, .. } = &scenario;
    bigcommerce.add_client(CLIENT, SECRET);
    bigcommerce.add_store("adastore", "another app's");
    bigcommerce.sign_in("adastore");
    register(client, "bigcommerce", SECRET).await;
    let user = client.create_user("ada", "Ada").await.unwrap();
    let credential = connect((host, bigcommerce.base_url()), &user, "app=bigcommerce").await;
    assert_eq!(account(client, &user).await, "adastore");
    client.install(&user, &catalogue.integration, &credential, &[]).await.unwrap();
    let order = bigcommerce.create_order("adastore", 11).unwrap();
    let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
    let event = fulfilment()["trigger"]["event"].as_str().unwrap().to_owned();
    client.run_event(&event, &user, &data).await.unwrap().ok().unwrap();
    let runs = client.runs_ended(&catalogue.fulfilment, &user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(bigcommerce.status_of("adastore", order), Some(2));
    assert!(!host.log().contains("cnry"), "no secret is logged");
}

#[tokio::test]
async fn a_portal_installs_the_app_and_its_events_find_the_user_without_an_id_typed() {
    let hubspot = HubSpot::start(SECRET).await.unwrap();
    let options = HostOptions {
        components: vec![component::hubspot().await.unwrap()],
        rewrites: vec![format!("api.hubapi.com={}", hubspot.base_url())],
        ..HostOptions::default()
    };
    let host = TestHost::start(options).await.unwrap();
    let client = host.client().unwrap();
    hubspot.add_client(CLIENT, SECRET);
    hubspot.add_portal(62_515, "another app's");
    hubspot.sign_in(62_515);
    register(&client, "hubspot", SECRET).await;
    let set = client.put("/v1/apps/hubspot/webhook", &json!({})).await.unwrap().ok().unwrap();
    hubspot.subscribe(set["url"].as_str().unwrap(), host.public_url(), host.base_url());

    let integration = client.create_integration("hubspot").await.unwrap();
    let definition = json!({
        "name": "welcome",
        "trigger": { "type": "app", "app": "hubspot", "trigger": "contact_created" },
        "steps": [{ "id": "note", "type": "action", "app": "hubspot", "action": "add_note", "input": {
            "body": "Welcome!", "on": [{ "object": "contacts", "id": "{{ trigger.objectId }}" }] } }],
    });
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    let user = client.create_user("ada", "Ada").await.unwrap();
    let credential = connect((&host, hubspot.base_url()), &user, "app=hubspot").await;
    assert_eq!(account(&client, &user).await, "62515");
    client.install(&user, &integration, &credential, &[]).await.unwrap();
    for count in 1..=2 {
        let event = hubspot.contact_created(62_515, &format!("ada{count}@example.com")).await.unwrap();
        let runs = client.runs_ended(&workflow, &user, count).await.unwrap();
        assert!(runs.iter().all(|run| run.status() == "succeeded"), "{}", runs[0].text());
        let notes = hubspot.objects(62_515, "notes");
        assert_eq!(notes.len(), count);
        let contact = event["objectId"].as_u64().unwrap();
        assert!(notes.iter().any(|note| note.associations == [("contacts".to_owned(), contact)]));
        hubspot.end_access(62_515);
    }
    assert_eq!(hubspot.grants(), ["authorization_code", "refresh_token"]);
    assert!(!host.log().contains("cnry"), "no secret is logged");
}
