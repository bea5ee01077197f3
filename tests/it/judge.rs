//! Every request the connectors make passes the vendors' own descriptions, judged by servers that share
//! nothing with us. Runs where `../shared` has the descriptions and says so where it has not.

mod hubspot;

use std::{collections::BTreeMap, fs, sync::Arc};

use bytes::Bytes;
use serde_json::json;
use trunnion_core::{
    clock::{ManualClock, SeededRandom},
    id::{ConnectionId, Id, UserId, WorkspaceId},
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Broker, Call, Connector, EgressOptions, Freshness, Health, Options, Sandbox, Secrets, Target,
};
use trunnion_tests::{
    bigcommerce::BigCommerce,
    component,
    judge::{Judge, Vendor},
    record::Recorded,
    scenario::{
        Scenario,
        shopify::{ShopifyScenario, Shopkeeper, rewrite},
    },
    shopify::{Fault, Match, Shopify},
    wait,
};

/// The vendor's judge, or a line that says what was skipped.
async fn judge(vendor: Vendor, test: &str) -> Option<Judge> {
    let judge = Judge::start(vendor).await.unwrap();
    if judge.is_none() {
        println!("SKIPPED {test}: no description of {vendor:?} in ../shared");
    }
    judge
}

#[tokio::test]
async fn every_request_passes_the_bigcommerce_judge() {
    let test = "every_request_passes_the_bigcommerce_judge";
    let Some(judge) = judge(Vendor::BigCommerce, test).await else { return };
    let requests = every_bigcommerce_request().await;

    let mut lines = Vec::new();
    for request in &requests {
        let verdict = judge.verdict(request).await.unwrap();
        assert!(verdict.allows(), "{}: {} {}\n{request:?}", request.line(), verdict.status, verdict.reasons);
        lines.push(request.line());
    }
    for call in ["GET /stores/storeada/v2/store", "POST /stores/storeada/v3/hooks"] {
        assert!(lines.iter().any(|line| line == call), "{call} was not among what was judged: {lines:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("GET /stores/storeada/v2/orders/")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("PUT /stores/storeada/v2/orders/")), "{lines:?}");
    println!("{} requests judged: {lines:?}", lines.len());

    // A judge that accepts everything would prove nothing.
    let mut nameless = requests.iter().find(|request| request.method == "POST").unwrap().clone();
    nameless.body = b"{}".to_vec().into();
    assert!(!judge.verdict(&nameless).await.unwrap().allows(), "a hook without scope and destination");
    let mut anonymous = requests[0].clone();
    anonymous.headers.remove("x-auth-token");
    assert!(!judge.verdict(&anonymous).await.unwrap().allows(), "a request without a token");
}

/// Both workflows with everything the connector does for them.
async fn every_bigcommerce_request() -> Vec<Recorded> {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    answered(&scenario.bigcommerce)
}

fn answered(vendor: &BigCommerce) -> Vec<Recorded> {
    let requests = vendor.requests();
    assert!(
        requests.iter().all(|request| request.status.is_success()),
        "the fake refused something: {requests:?}"
    );
    requests
}

#[tokio::test]
async fn every_request_passes_the_shopify_judge() {
    let Some(judge) = judge(Vendor::Shopify, "every_request_passes_the_shopify_judge").await else { return };
    let requests = every_shopify_request().await;

    for request in &requests {
        let verdict = judge.verdict(request).await.unwrap();
        assert!(verdict.allows(), "{} {}\n{}", verdict.status, verdict.reasons, request.json());
    }
    for name in [
        "shop {",
        "webhookSubscriptionCreate(",
        "webhookSubscription(",
        "webhookSubscriptions(",
        "webhookSubscriptionUpdate(",
        "webhookSubscriptionDelete(",
        "orderCreate(",
        "orders(",
        "order(",
    ] {
        assert!(asking(&requests, name).is_some(), "`{name}` was not among what was judged");
    }
    println!("{} requests judged", requests.len());

    // A judge that accepts everything would prove nothing.
    let changed = |from: &str, to: &str| {
        let mut request = asking(&requests, "orderCreate(").unwrap().clone();
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        assert!(body.contains(from), "{body}");
        request.body = body.replace(from, to).into();
        request
    };
    for (request, what) in [
        (changed("legacyResourceId", "legacyId"), "a field that does not exist"),
        (changed("\"quantity\":2", "\"quantity\":\"two\""), "a quantity that is no number"),
        (changed("\"lineItems\":", "\"line_items\":"), "a misspelt input"),
        (changed("\"currency\":\"EUR\"", "\"currency\":\"euro\""), "a currency that does not exist"),
    ] {
        assert!(!judge.verdict(&request).await.unwrap().allows(), "{what}");
    }
    let mut anonymous = requests[0].clone();
    anonymous.headers.remove("x-shopify-access-token");
    assert!(!judge.verdict(&anonymous).await.unwrap().allows(), "a request without a token");
}

fn asking<'a>(requests: &'a [Recorded], name: &str) -> Option<&'a Recorded> {
    requests.iter().find(|request| request.json()["query"].to_string().contains(name))
}

/// Both workflows, an uncertain order, and what keeps a subscription alive.
async fn every_shopify_request() -> Vec<Recorded> {
    let scenario = ShopifyScenario::start().await.unwrap();
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let order = scenario.shopify.create_order(&ada.shop).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    scenario.place(&ada, "A-1").await.unwrap().ok().unwrap();
    scenario.shopify.fail_next(1, Match::operation("orderCreate"), Fault::HangUp);
    scenario.place(&ada, "A-2").await.unwrap().ok().unwrap();
    let placed = &scenario.catalogue.order_placed;
    for run in scenario.client.runs_ended(placed, &ada.user, 2).await.unwrap() {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
    }
    look_after(&scenario.shopify, &ada).await;
    scenario.shopify.requests()
}

/// The connector's own care of a subscription, called as the host calls it: registered twice, moved, gone.
async fn look_after(shopify: &Shopify, shopkeeper: &Shopkeeper) {
    let connector = in_process(shopify).await;
    let call = |name: &str| call(shopkeeper, name);
    let target = |path: &str| Target {
        url: format!("https://trunnion.example/hooks/{path}"),
        options: "{}".to_owned(),
    };
    let state = connector.subscribe(call("order_created"), &target("judged")).await.unwrap().value;
    let again = connector.subscribe(call("order_created"), &target("judged")).await.unwrap().value;
    assert_eq!(state, again, "a subscription that is there already is taken over");
    for (path, expected) in [("judged", Health::Active), ("moved", Health::Mended), ("moved", Health::Active)]
    {
        let (health, _) =
            connector.check_subscription(call("order_created"), &target(path), &state).await.unwrap().value;
        assert_eq!(health, expected, "{path}");
    }
    let known = shopify.subscriptions(&shopkeeper.shop);
    assert!(known.iter().any(|known| known.uri.ends_with("/moved")), "{known:?}");
    for _ in 0..2 {
        connector.unsubscribe(call("order_created"), &state).await.unwrap();
    }
    let (health, _) =
        connector.check_subscription(call("order_created"), &target("moved"), &state).await.unwrap().value;
    assert_eq!(health, Health::Gone);
    let id = shopify.create_order(&shopkeeper.shop).unwrap();
    let input = json!({ "order_id": id.to_string() }).to_string();
    let read = connector.run_action(call("get_order"), &input).await.unwrap().value;
    assert!(read.contains(&format!("gid://shopify/Order/{id}")), "{read}");
}

async fn in_process(shopify: &Shopify) -> Connector {
    let rewrite = rewrite(shopify).parse().unwrap();
    let egress = EgressOptions { rewrites: vec![rewrite], ..EgressOptions::default() };
    let clock = Arc::new(ManualClock::new(wait::wall_clock()));
    let broker = Arc::new(Broker::new(egress).unwrap());
    let sandbox = Sandbox::new(Options::default(), broker, clock, Arc::new(SeededRandom::new(7))).unwrap();
    let component = fs::read(component::shopify().await.unwrap()).unwrap();
    sandbox.load(Bytes::from(component)).await.unwrap()
}

fn call(shopkeeper: &Shopkeeper, name: &str) -> Call {
    let id = Id::from_bytes([1; 12]);
    let secrets = [("access_token", &shopkeeper.token), ("client_secret", &shopkeeper.client_secret)];
    let secrets = Secrets::new(secrets.map(|(name, value)| (name.to_owned(), value.clone())));
    Call {
        scope: Scope::new(WorkspaceId(id), Environment::Development),
        user: Some(UserId(id)),
        connection: Some(ConnectionId(id)),
        name: name.to_owned(),
        parameters: BTreeMap::from([("shop".to_owned(), shopkeeper.shop.clone())]),
        account: format!("{}.myshopify.com", shopkeeper.shop),
        idempotency_key: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff".to_owned(),
        attempt: 1,
        secrets: Arc::new(secrets.with_connection_scheme("custom_app")),
        deadline: None,
        instance: Freshness::Fresh,
    }
}
