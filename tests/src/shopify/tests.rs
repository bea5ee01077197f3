//! The fake against itself: its rules are the vendor's, its words are the recorded ones.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{DeliveryState, Fault, Match, RETRY_AFTER_SECONDS, Shopify, VERSION, sign};
use crate::{isv::Isv, wait};

const PUBLIC: &str = "https://hooks.acme.example";

const CREATE_ORDER: &str = "mutation Make($order: OrderCreateOrderInput!) {
    orderCreate(order: $order) {
        made: order { id name sourceIdentifier totalPriceSet { shopMoney { amount currencyCode } }
            lineItems(first: 5) { nodes { title quantity } pageInfo { hasNextPage } } }
        userErrors { field message }
    }
}";

const SUBSCRIBE: &str = "mutation Hook($hook: WebhookSubscriptionInput!) {
    webhookSubscriptionCreate(topic: ORDERS_CREATE, webhookSubscription: $hook) {
        webhookSubscription { id uri endpoint { __typename ... on WebhookHttpEndpoint { callbackUrl } } }
        userErrors { field message }
    }
}";

async fn shop() -> Shopify {
    let vendor = Shopify::start().await.unwrap();
    vendor.add_shop("one", "token-1", "secret-1");
    vendor.add_shop("two", "token-2", "secret-2");
    vendor
}

async fn call(vendor: &Shopify, query: &str, variables: Value) -> Value {
    let (status, body) = raw_call(vendor, "one", "token-1", VERSION, query, variables).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn raw_call(
    vendor: &Shopify,
    shop: &str,
    token: &str,
    version: &str,
    query: &str,
    variables: Value,
) -> (StatusCode, Value) {
    let answer = reqwest::Client::new()
        .post(format!("{}/admin/api/{version}/graphql.json", vendor.base_url()))
        .header("x-forwarded-host", format!("{shop}.myshopify.com"))
        .header("x-shopify-access-token", token)
        .header("content-type", "application/json")
        .body(json!({ "query": query, "variables": variables }).to_string())
        .send()
        .await
        .unwrap();
    (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

fn order(key: &str) -> Value {
    let price = json!({ "shopMoney": { "amount": "19.90", "currencyCode": "EUR" } });
    let line = json!({ "title": "Mug", "quantity": 2, "priceSet": price });
    json!({ "order": { "email": "a@b.example", "sourceIdentifier": key, "lineItems": [line] } })
}

/// A receiver behind `PUBLIC`, and a subscription that delivers to it.
async fn subscribed(vendor: &Shopify) -> Isv {
    let receiver = Isv::start().await.unwrap();
    vendor.route(PUBLIC, &receiver.url(""));
    let made = call(vendor, SUBSCRIBE, json!({ "hook": { "uri": format!("{PUBLIC}/in/1") } })).await;
    assert_eq!(made["data"]["webhookSubscriptionCreate"]["userErrors"], json!([]), "{made}");
    receiver
}

#[tokio::test]
async fn token_host_and_version_are_checked() {
    let vendor = shop().await;
    let query = "{ shop { name } }";
    let (status, body) = raw_call(&vendor, "one", "token-2", VERSION, query, json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let words = "[API] Invalid API key or access token (unrecognized login or wrong password)";
    assert_eq!(body["errors"], words, "another shop's token is no token here");
    for (shop, version) in [("one", "2025-01"), ("three", VERSION)] {
        let (status, _) = raw_call(&vendor, shop, "token-1", version, query, json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{shop} {version}");
    }
    let (_, body) = raw_call(&vendor, "two", "token-2", VERSION, query, json!({})).await;
    assert_eq!(body["data"], json!({ "shop": { "name": "Shop two" } }));
    assert_eq!(vendor.requests().len(), 4, "refused ones are on record too");
}

#[tokio::test]
async fn an_order_is_made_read_listed_and_found() {
    let vendor = shop().await;
    let answer = call(&vendor, CREATE_ORDER, order("key-1")).await;
    let made = &answer["data"]["orderCreate"]["made"];
    assert_eq!(made["totalPriceSet"]["shopMoney"], json!({ "amount": "39.8", "currencyCode": "EUR" }));
    assert_eq!(made["lineItems"]["nodes"], json!([{ "title": "Mug", "quantity": 2 }]));
    assert_eq!(made["lineItems"]["pageInfo"], json!({ "hasNextPage": false }));
    call(&vendor, CREATE_ORDER, order("key-2")).await;

    let one = call(&vendor, "query($id: ID!) { order(id: $id) { name } }", json!({ "id": made["id"] })).await;
    assert_eq!(one["data"]["order"]["name"], "#1001");
    let list =
        "query($q: String, $n: Int!) { orders(first: $n, query: $q, sortKey: CREATED_AT, reverse: true) {
        nodes { name } pageInfo { hasNextPage } } }";
    let newest = call(&vendor, list, json!({ "n": 1 })).await;
    assert_eq!(newest["data"]["orders"]["nodes"], json!([{ "name": "#1002" }]));
    assert_eq!(newest["data"]["orders"]["pageInfo"]["hasNextPage"], true);
    let search = json!({ "n": 5, "q": "source_identifier:'key-1'" });
    let found = call(&vendor, list, search.clone()).await;
    assert_eq!(found["data"]["orders"]["nodes"], json!([{ "name": "#1001" }]));

    vendor.set_search_lag(Duration::from_secs(60));
    let found = call(&vendor, list, search.clone()).await;
    assert_eq!(found["data"]["orders"]["nodes"], json!([]), "the index is behind");
    vendor.advance(Duration::from_secs(60));
    let found = call(&vendor, list, search).await;
    assert_eq!(found["data"]["orders"]["nodes"], json!([{ "name": "#1001" }]));
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_refused_in_the_vendors_words() {
    let vendor = shop().await;
    let table = [
        ("{ shop { ", json!({}), "PARSE_ERROR", "syntax error"),
        ("{ shop }", json!({}), "selectionMismatch", "Field must have selections (field 'shop' returns Shop"),
        ("{ nothing }", json!({}), "undefinedField", "Field 'nothing' doesn't exist on type 'QueryRoot'"),
        (
            "mutation Missing { webhookSubscriptionCreate(webhookSubscription: {}) { userErrors { field } } }",
            json!({}),
            "missingRequiredArguments",
            "Field 'webhookSubscriptionCreate' is missing required arguments: topic",
        ),
        (
            "mutation($t: WebhookSubscriptionTopic!) { webhookSubscriptionCreate(topic: $t, webhookSubscription: {}) { userErrors { field } } }",
            json!({ "t": "NOT_A_REAL_TOPIC" }),
            "INVALID_VARIABLE",
            "Variable $t of type WebhookSubscriptionTopic! was provided invalid value",
        ),
        (
            CREATE_ORDER,
            json!({ "order": { "lineItems": [{ "title": "Mug" }] } }),
            "INVALID_VARIABLE",
            "was provided invalid value for lineItems.0.quantity (Expected value to not be null)",
        ),
        (
            CREATE_ORDER,
            json!({ "order": { "mail": "x" } }),
            "INVALID_VARIABLE",
            "mail (Field is not defined on",
        ),
        ("{ orders { nodes { id } } }", json!({}), "BAD_REQUEST", "you must provide one of first or last"),
        ("{ shop { id @skip(if: true) } }", json!({}), "undefinedDirective", "not known to the fake"),
    ];
    for (query, variables, code, words) in table {
        let answer = call(&vendor, query, variables).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], code, "{query}: {answer}");
        assert!(error["message"].as_str().unwrap().contains(words), "{query}: {error}");
        assert!(answer.get("data").is_none(), "{answer}");
    }
    assert!(vendor.orders("one").is_empty());
}

#[tokio::test]
async fn what_the_vendor_will_not_do_is_a_user_error() {
    let vendor = shop().await;
    for (uri, words) in [
        (" ", "Address can't be blank"),
        ("http://acme.example/x", "Address protocol http:// is not supported"),
        ("https://", "Address is invalid"),
        ("https://one.myshopify.com/x", "Address cannot be a Shopify or an internal domain"),
    ] {
        let answer = call(&vendor, SUBSCRIBE, json!({ "hook": { "uri": uri } })).await;
        let payload = &answer["data"]["webhookSubscriptionCreate"];
        let expected = json!([{ "field": ["webhookSubscription", "callbackUrl"], "message": words }]);
        assert_eq!(
            (&payload["userErrors"], &payload["webhookSubscription"]),
            (&expected, &Value::Null),
            "{uri}"
        );
    }
    let good = json!({ "hook": { "uri": format!("{PUBLIC}/1") } });
    let made = call(&vendor, SUBSCRIBE, good.clone()).await;
    let made = &made["data"]["webhookSubscriptionCreate"]["webhookSubscription"];
    assert_eq!(made["endpoint"]["callbackUrl"], format!("{PUBLIC}/1"));
    let twice = call(&vendor, SUBSCRIBE, good).await;
    assert!(twice.to_string().contains("Address for this topic has already been taken"), "{twice}");

    let delete = "mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } } }";
    for expected in
        [json!([]), json!([{ "field": ["id"], "message": "Webhook subscription does not exist" }])]
    {
        let gone = call(&vendor, delete, json!({ "id": made["id"] })).await;
        assert_eq!(gone["data"]["webhookSubscriptionDelete"]["userErrors"], expected);
    }
    let empty = call(&vendor, CREATE_ORDER, json!({ "order": { "lineItems": [] } })).await;
    let errors = &empty["data"]["orderCreate"]["userErrors"];
    assert_eq!(errors[0]["field"], json!(["order", "lineItems"]), "{empty}");
    assert!(vendor.orders("one").is_empty());
}

#[tokio::test]
async fn points_are_spent_run_out_and_come_back_with_time() {
    let vendor = shop().await;
    let answer = call(&vendor, CREATE_ORDER, order("key-1")).await;
    let cost = &answer["extensions"]["cost"];
    assert_eq!(cost["actualQueryCost"], 10);
    assert_eq!(cost["throttleStatus"]["currentlyAvailable"], 1990);
    vendor.drain("one").unwrap();
    let answer = call(&vendor, CREATE_ORDER, order("key-2")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "THROTTLED", "{answer}");
    assert_eq!(answer["extensions"]["cost"]["actualQueryCost"], Value::Null);
    assert_eq!(answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"], 0);
    assert_eq!(vendor.orders("one").len(), 1, "a throttled mutation is not carried out");
    vendor.advance(Duration::from_millis(100));
    let answer = call(&vendor, CREATE_ORDER, order("key-2")).await;
    assert_eq!(answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"], 0, "{answer}");
    assert_eq!(vendor.orders("one").len(), 2);
}

#[tokio::test]
async fn a_delivery_is_signed_with_the_shops_own_secret() {
    let vendor = shop().await;
    let receiver = subscribed(&vendor).await;
    let id = vendor.create_order("one").unwrap();
    vendor.create_order("two").unwrap();
    let delivery = vendor.delivered(id).await.unwrap();
    vendor.settled().await.unwrap();
    assert_eq!(vendor.deliveries().len(), 1, "the other shop has no subscription");
    let post = &receiver.posts()[0];
    let headers = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-shop-domain", "one.myshopify.com"),
        ("x-shopify-api-version", VERSION),
        ("x-shopify-webhook-id", delivery.id.as_str()),
    ];
    for (name, value) in headers {
        assert_eq!(post.request.header(name), value, "{name}");
    }
    assert_eq!(post.request.header("x-shopify-hmac-sha256"), sign("secret-1", &post.request.body));
    assert_ne!(post.request.header("x-shopify-hmac-sha256"), sign("secret-2", &post.request.body));
    let body = post.json();
    assert_eq!((&body["id"], &body["total_price"]), (&json!(id), &json!("79.84")));
}

#[tokio::test]
async fn a_delivery_refused_nine_times_costs_the_subscription() {
    let vendor = shop().await;
    let receiver = subscribed(&vendor).await;
    receiver.answer_next(&vec![StatusCode::BAD_GATEWAY; RETRY_AFTER_SECONDS.len() + 1]);
    vendor.create_order("one").unwrap();
    for (attempts, seconds) in (1..).zip(RETRY_AFTER_SECONDS) {
        vendor.settled().await.unwrap();
        assert_eq!(receiver.posts().len(), attempts);
        vendor.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
        vendor.settled().await.unwrap();
        assert_eq!(receiver.posts().len(), attempts, "not before its time");
        assert_eq!(vendor.subscriptions("one").len(), 1);
        vendor.advance(Duration::from_millis(1));
    }
    vendor.settled().await.unwrap();
    let posts = receiver.posts();
    assert_eq!(posts.len(), 9, "one attempt and eight retries");
    let first = &posts[0].request;
    assert!(posts.iter().all(|post| {
        post.request.body == first.body
            && post.request.header("x-shopify-webhook-id") == first.header("x-shopify-webhook-id")
    }));
    assert_eq!(vendor.deliveries()[0].state, DeliveryState::Exhausted);
    assert!(vendor.subscriptions("one").is_empty(), "the vendor deletes it");
    assert_eq!(RETRY_AFTER_SECONDS.iter().sum::<u64>(), 4 * 3600);
}

#[tokio::test]
async fn a_redirect_is_no_acceptance() {
    let vendor = shop().await;
    let receiver = subscribed(&vendor).await;
    receiver.answer_next(&[StatusCode::FOUND]);
    let id = vendor.create_order("one").unwrap();
    vendor.settled().await.unwrap();
    assert_eq!(vendor.deliveries()[0].attempts[0].status, Some(302));
    vendor.advance(Duration::from_secs(RETRY_AFTER_SECONDS[0]));
    assert_eq!(vendor.delivered(id).await.unwrap().attempts.len(), 2);
}

#[tokio::test]
async fn faults_and_holds_meet_the_calls_they_are_meant_for() {
    let vendor = shop().await;
    let limited = Fault::RateLimited { retry_after: Duration::from_secs(2) };
    vendor.fail_next(1, Match::operation("shop").at("two"), Fault::Status(StatusCode::BAD_GATEWAY));
    vendor.fail_next(1, Match::operation("shop"), limited);
    let statuses = [("one", 429), ("one", 200), ("two", 502), ("two", 200)];
    for (shop, expected) in statuses {
        let token = if shop == "one" { "token-1" } else { "token-2" };
        let (status, _) = raw_call(&vendor, shop, token, VERSION, "{ shop { id } }", json!({})).await;
        assert_eq!(status, expected, "{shop}");
    }
    let held = vendor.hold_next(Match::operation("orderCreate"));
    let (answer, ()) = tokio::join!(call(&vendor, CREATE_ORDER, order("key")), async {
        held.arrived().await;
        assert_eq!(vendor.orders("one").len(), 1, "carried out before it is answered");
        held.release();
    });
    assert_eq!(answer["data"]["orderCreate"]["userErrors"], json!([]));
    assert_eq!(vendor.calls("one", "orderCreate").len(), 1);

    vendor.fail_next(1, Match::operation("orderCreate"), Fault::NoAnswer);
    let unanswered = call(&vendor, CREATE_ORDER, order("key-2"));
    tokio::select! {
        answer = unanswered => panic!("answered: {answer}"),
        carried_out = wait::until("the order", || async {
            (vendor.orders("one").len() == 2).then_some(())
        }) => carried_out.unwrap(),
    }
}
