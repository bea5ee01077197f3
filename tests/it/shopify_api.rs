//! Shopify's own library, which shares no code with us: it accepts the deliveries that our fake makes, and the
//! host accepts those that it signs.

use serde_json::{Value, json};
use trunnion_tests::{
    host::workspace,
    node::Script,
    scenario::shopify::ShopifyScenario,
    shopify::{Delivery, sample_order, sign},
};

async fn library() -> Script {
    Script::start("node-tests", &workspace().join("tests/node"), "webhooks.mjs").await.unwrap()
}

async fn verdict(
    library: &mut Script,
    secret: &str,
    delivery: &Delivery,
    body: &str,
    without: &str,
) -> Value {
    let kept = delivery.headers.iter().filter(|(name, _)| *name != without);
    let headers: serde_json::Map<String, Value> =
        kept.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let question = json!({ "do": "validate", "secret": secret, "headers": headers, "body": body });
    library.ask(&question).await.unwrap()
}

#[tokio::test]
async fn the_library_accepts_what_the_fake_delivers_and_the_host_what_the_library_signs() {
    let scenario = ShopifyScenario::start().await.unwrap();
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let mut library = library().await;
    let order = scenario.shopify.create_order(&ada.shop).unwrap();
    let delivery = scenario.shopify.delivered(order).await.unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();

    let secret = ada.client_secret.as_str();
    let accepted = verdict(&mut library, secret, &delivery, &delivery.body, "").await;
    assert_eq!(accepted["valid"], true, "{accepted}");
    assert_eq!(accepted["topic"], "ORDERS_CREATE", "{accepted}");
    assert_eq!(accepted["domain"], format!("{}.myshopify.com", ada.shop), "{accepted}");
    assert_eq!(accepted["webhookId"], delivery.id, "{accepted}");
    let tampered = delivery.body.replace("Lamp", "Yacht");
    assert_ne!(tampered, delivery.body);
    let refused = verdict(&mut library, secret, &delivery, &tampered, "").await;
    assert_eq!((&refused["valid"], &refused["reason"]), (&json!(false), &json!("invalid_hmac")));
    let refused = verdict(&mut library, "another secret", &delivery, &delivery.body, "").await;
    assert_eq!((&refused["valid"], &refused["reason"]), (&json!(false), &json!("invalid_hmac")));
    for header in
        ["X-Shopify-Topic", "X-Shopify-Shop-Domain", "X-Shopify-API-Version", "X-Shopify-Webhook-Id"]
    {
        let refused = verdict(&mut library, secret, &delivery, &delivery.body, header).await;
        assert_eq!(refused["valid"], false, "the library misses {header}");
    }

    let mut another = delivery.json();
    another["id"] = json!(order + 1);
    another["admin_graphql_api_id"] = json!(format!("gid://shopify/Order/{}", order + 1));
    let body = another.to_string();
    let signed = library.ask(&json!({ "do": "sign", "secret": secret, "body": body })).await.unwrap();
    let url = delivery.uri.replace(scenario.host.public_url(), scenario.host.base_url());
    for (signature, expected) in [(signed["signature"].as_str().unwrap(), 200), ("AAAA", 401)] {
        let mut request = reqwest::Client::new().post(&url);
        for (name, value) in &delivery.headers {
            let value = match *name {
                "X-Shopify-Hmac-SHA256" => signature,
                "X-Shopify-Webhook-Id" => "7c1d2f60-0000-4000-8000-000000000001",
                _ => value,
            };
            request = request.header(*name, value);
        }
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    scenario.isv.wait_for_order(order + 1).await.unwrap();
}

#[tokio::test]
async fn the_librarys_signature_is_the_fakes() {
    let mut library = library().await;
    for body in [sample_order().to_string(), String::new(), "{\"note\":\"– ü 漢\"}\n".to_owned()] {
        for secret in ["shpss_0123456789abcdef", "with spaces and – dashes"] {
            let question = json!({ "do": "sign", "secret": secret, "body": body });
            let signed = library.ask(&question).await.unwrap();
            assert_eq!(signed["signature"], sign(secret, body.as_bytes()), "{secret} {body}");
        }
    }
}
