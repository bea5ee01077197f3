//! The fake against itself: its rules are the vendor's, its signature is verified by a crate of its own.

use std::time::Duration;

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{BigCommerce, DeliveryState, Fault, Match, RETRY_AFTER_SECONDS};
use crate::isv::Isv;

const PUBLIC: &str = "https://hooks.acme.example";

async fn store() -> BigCommerce {
    let vendor = BigCommerce::start().await.unwrap();
    vendor.add_store("abc", "token-1");
    vendor
}

async fn call(vendor: &BigCommerce, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let (status, _, text) = raw_call(vendor, "token-1", method, path, body).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn raw_call(
    vendor: &BigCommerce,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, HeaderMap, String) {
    let mut request = reqwest::Client::new()
        .request(method, format!("{}{path}", vendor.base_url()))
        .header("x-auth-token", token);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
}

fn hook(destination: &str) -> Value {
    json!({ "scope": "store/order/created", "destination": destination, "headers": { "X-Custom": "s3cret" } })
}

/// A receiver behind `PUBLIC`, and a hook that delivers to it.
async fn hooked(vendor: &BigCommerce) -> Isv {
    let receiver = Isv::start().await.unwrap();
    vendor.route(PUBLIC, &receiver.url(""));
    let (status, _) =
        call(vendor, Method::POST, "/stores/abc/v3/hooks", Some(hook(&format!("{PUBLIC}/in/1")))).await;
    assert_eq!(status, StatusCode::OK);
    receiver
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_recorded() {
    let vendor = store().await;
    let (status, _, text) = raw_call(&vendor, "other", Method::GET, "/stores/abc/v2/store", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(text.contains("not a valid combination for this store"), "{text}");
    assert_eq!(vendor.requests()[0].status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn orders_are_read_listed_and_updated_the_vendors_way() {
    let vendor = store().await;
    let (status, _) = call(&vendor, Method::GET, "/stores/abc/v2/orders", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "an empty v2 listing has no body");
    let id = vendor.create_order("abc", 11).unwrap();
    let (_, listed) = call(&vendor, Method::GET, "/stores/abc/v2/orders?limit=10", None).await;
    assert_eq!(listed[0]["id"], id);
    let path = format!("/stores/abc/v2/orders/{id}");
    let (status, order) = call(&vendor, Method::PUT, &path, Some(json!({ "status_id": 2 }))).await;
    assert_eq!((status, &order["status"]), (StatusCode::OK, &json!("Shipped")));
    assert_eq!(vendor.status_of("abc", id), Some(2));
    let (status, error) = call(&vendor, Method::PUT, &path, Some(json!({ "status_id": 99 }))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error[0]["message"], "The field 'status_id' is invalid.");
    let (status, _) = call(&vendor, Method::GET, "/stores/abc/v2/orders/999", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn hooks_want_https_on_443_and_are_unique() {
    let vendor = store().await;
    for wrong in ["http://hooks.acme.example/x", "https://hooks.acme.example:8443/x", "not a url"] {
        let (status, error) = call(&vendor, Method::POST, "/stores/abc/v3/hooks", Some(hook(wrong))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(error["errors"]["destination"].is_string(), "{error}");
    }
    let twice = hook("https://hooks.acme.example/x");
    let (status, made) = call(&vendor, Method::POST, "/stores/abc/v3/hooks", Some(twice.clone())).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = call(&vendor, Method::POST, "/stores/abc/v3/hooks", Some(twice)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    for number in 1..10 {
        let next = hook(&format!("https://hooks.acme.example/{number}"));
        assert_eq!(call(&vendor, Method::POST, "/stores/abc/v3/hooks", Some(next)).await.0, StatusCode::OK);
    }
    let eleventh = hook("https://hooks.acme.example/eleventh");
    let (status, _) = call(&vendor, Method::POST, "/stores/abc/v3/hooks", Some(eleventh)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let path = format!("/stores/abc/v3/hooks/{}", made["data"]["id"]);
    assert_eq!(call(&vendor, Method::DELETE, &path, None).await.0, StatusCode::OK);
    assert_eq!(call(&vendor, Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_delivery_carries_the_hooks_headers_and_a_standard_signature() {
    let vendor = store().await;
    let receiver = hooked(&vendor).await;
    let id = vendor.create_order("abc", 0).unwrap();
    let delivery = vendor.delivered(id, "store/order/created").await.unwrap();
    let post = &receiver.posts()[0];
    assert_eq!(post.request.uri.path(), "/in/1");
    assert_eq!(post.request.header("x-custom"), "s3cret");
    assert_eq!(post.json()["data"]["id"], id);
    assert_eq!(post.json()["producer"], "stores/abc");
    assert_eq!(post.key(), delivery.id);
    let webhook = standardwebhooks::Webhook::from_bytes(b"bigcommerce-client-secret".to_vec()).unwrap();
    webhook.verify(&post.request.body, &post.request.headers).unwrap();
}

#[tokio::test]
async fn a_refused_delivery_is_retried_on_schedule_and_its_hook_given_up() {
    let vendor = store().await;
    let receiver = hooked(&vendor).await;
    receiver.answer_next(&vec![StatusCode::BAD_GATEWAY; RETRY_AFTER_SECONDS.len() + 1]);
    let id = vendor.create_order("abc", 11).unwrap();
    for (attempts, seconds) in (1..).zip(RETRY_AFTER_SECONDS) {
        vendor.settled().await.unwrap();
        assert_eq!(receiver.posts().len(), attempts);
        vendor.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
        vendor.settled().await.unwrap();
        assert_eq!(receiver.posts().len(), attempts, "not before its time");
        vendor.advance(Duration::from_millis(1));
    }
    vendor.settled().await.unwrap();
    let posts = receiver.posts();
    assert_eq!(posts.len(), 12);
    assert!(posts.iter().all(|post| post.json() == posts[0].json() && post.key() == posts[0].key()));
    assert_eq!(vendor.deliveries()[0].state, DeliveryState::Exhausted);
    assert!(!vendor.hooks("abc")[0].is_active);
    vendor.create_order("abc", 11).unwrap();
    assert_eq!(vendor.deliveries().len(), 1, "an inactive hook gets nothing; order {id} was its last");
}

#[tokio::test]
async fn faults_happen_as_often_as_asked_and_where_asked() {
    let vendor = store().await;
    let reset = Duration::from_secs(3);
    vendor.fail_next(1, Match::call("GET", "/v2/store"), Fault::RateLimited { reset });
    vendor.fail_next(1, Match::any(), Fault::Unavailable);
    let (status, headers, _) = raw_call(&vendor, "token-1", Method::GET, "/stores/abc/v2/store", None).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["x-rate-limit-time-reset-ms"], "3000");
    let (status, _) = call(&vendor, Method::GET, "/stores/abc/v2/store", None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (status, headers, _) = raw_call(&vendor, "token-1", Method::GET, "/stores/abc/v2/store", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["x-rate-limit-requests-quota"], "150");
}

#[tokio::test]
async fn echo_gives_every_secret_back() {
    let vendor = store().await;
    vendor.set_echo(true);
    let (_, headers, text) =
        raw_call(&vendor, "token-1", Method::POST, "/stores/abc/v3/hooks", Some(hook("https://a.example/")))
            .await;
    assert_eq!(headers["x-echo-0-raw"], "seen token-1");
    assert!(text.contains("seen token-1") && text.contains("seen s3cret"), "{text}");
}
