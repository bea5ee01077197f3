//! The second app, both ways: AcmeCo's order becomes one at the shop, the shop's order reaches AcmeCo. And what
//! a GraphQL vendor does differently: errors with status 200, points, a signature without a time.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunnion_tests::{
    host::RunView,
    scan::Canary,
    scenario::shopify::{ShopifyScenario, Shopkeeper, order_placed, placed},
    shopify::{DeliveryState, Fault, Match, RETRY_AFTER_SECONDS, Shopify, sign},
    wait,
};

/// The ended runs of "Order placed".
async fn placed_runs(scenario: &ShopifyScenario, shopkeeper: &Shopkeeper, count: usize) -> Vec<RunView> {
    scenario.client.runs_ended(&scenario.catalogue.order_placed, &shopkeeper.user, count).await.unwrap()
}

async fn start() -> (ShopifyScenario, Shopkeeper) {
    let scenario = ShopifyScenario::start().await.unwrap();
    let shopkeeper = scenario.shopkeeper("ada").await.unwrap();
    (scenario, shopkeeper)
}

/// A whole round through every stage: what was accepted before it has been worked on.
async fn later_order_has_streamed(scenario: &ShopifyScenario, shopkeeper: &Shopkeeper) {
    let order = scenario.shopify.create_order(&shopkeeper.shop).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
}

#[tokio::test]
async fn an_order_placed_at_acmeco_is_created_at_the_shop() {
    let (scenario, ada) = start().await;
    let bob = scenario.shopkeeper("bob").await.unwrap();
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    let run = placed_runs(&scenario, &ada, 1).await.remove(0);
    assert_eq!(run.status(), "succeeded", "{}", run.text());

    let orders = scenario.shopify.orders(&ada.shop);
    let [order] = orders.as_slice() else { panic!("one order: {orders:?}") };
    assert_eq!(order.email.as_deref(), Some("wilhelmina.q@example.net"));
    assert_eq!(order.phone.as_deref(), Some("+351210000123"));
    let lines: Vec<_> =
        order.lines.iter().map(|line| (line.title.as_str(), line.quantity, line.price)).collect();
    assert_eq!(lines, [("Mug \"Harbour\"", 2, 1_250), ("Lamp", 1, 5_484)]);
    assert_eq!(order.input["note"], "AcmeCo order A-1001");
    let output = &run.step("create").unwrap()["output"];
    assert_eq!(output["id"], order.gid(), "{output}");
    assert_eq!(output["name"], order.name(), "{output}");

    assert!(scenario.shopify.orders(&bob.shop).is_empty(), "nobody else's shop got it");
    for request in scenario.shopify.requests() {
        let shop = Shopify::shop_of(&request).unwrap();
        let owner = [&ada, &bob].into_iter().find(|shopkeeper| shopkeeper.shop == shop).unwrap();
        assert_eq!(request.header("x-shopify-access-token"), owner.token, "{shop}");
    }
}

#[tokio::test]
async fn an_order_created_at_the_shop_reaches_acmeco() {
    let (scenario, ada) = start().await;
    let bob = scenario.shopkeeper("bob").await.unwrap();
    let subscriptions = scenario.shopify.subscriptions(&ada.shop);
    let [subscription] = subscriptions.as_slice() else { panic!("one subscription: {subscriptions:?}") };
    assert_eq!(subscription.topic, "ORDERS_CREATE");
    assert!(subscription.uri.starts_with("https://trunnion.example/hooks/"), "{}", subscription.uri);

    let delivery = scenario.shopify.order_created(&ada.shop).await.unwrap();
    let id = delivery.order;
    assert_eq!(delivery.attempts.len(), 1);
    let post = scenario.isv.wait_for_order(id).await.unwrap();
    assert_eq!(post.signature, Ok(()));
    let (got, original) = (post.json(), delivery.json());
    for field in ["id", "name", "email", "total_price", "line_items", "note", "shipping_address"] {
        assert_eq!(got[field], original[field], "{field} arrives as the shop wrote it");
    }
    let created = &scenario.catalogue.order_created;
    let runs = scenario.client.runs_ended(created, &ada.user, 1).await.unwrap();
    assert_eq!((runs.len(), runs[0].status()), (1, "succeeded"), "{}", runs[0].text());
    assert!(scenario.client.runs(created, &bob.user).await.unwrap().is_empty(), "another's order");
}

#[tokio::test]
async fn a_delivery_with_a_wrong_signature_is_401_and_stores_nothing() {
    let (scenario, ada) = start().await;
    let bob = scenario.shopkeeper("bob").await.unwrap();
    let id = scenario.shopify.create_order(&ada.shop).unwrap();
    let genuine = scenario.shopify.delivered(id).await.unwrap();
    scenario.isv.wait_for_order(id).await.unwrap();
    let url = genuine.uri.replace(scenario.host.public_url(), scenario.host.base_url());

    let forged = genuine.body.replace("Lamp", "Yacht");
    let own = genuine.header("x-shopify-hmac-sha256");
    let others = sign(&bob.client_secret, forged.as_bytes());
    for signature in [None, Some("AAAA"), Some(own), Some(others.as_str())] {
        let mut request = reqwest::Client::new().post(&url);
        for (name, value) in &genuine.headers {
            match *name {
                "X-Shopify-Hmac-SHA256" => {}
                // A delivery that had been stored would not be taken for a repetition.
                "X-Shopify-Webhook-Id" => request = request.header(*name, "forged"),
                _ => request = request.header(*name, value),
            }
        }
        if let Some(signature) = signature {
            request = request.header("X-Shopify-Hmac-SHA256", signature);
        }
        let answer = request.body(forged.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{signature:?}");
    }
    later_order_has_streamed(&scenario, &ada).await;
    assert_eq!(scenario.isv.orders(id).len(), 1);
    let runs = scenario.client.runs(&scenario.catalogue.order_created, &ada.user).await.unwrap();
    assert_eq!(runs.len(), 2, "the genuine order and the later one");
    let letters = scenario.client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    assert_eq!(letters["data"].as_array().map(Vec::len), Some(0), "{letters}");
}

#[tokio::test]
async fn a_repeated_delivery_is_accepted_and_starts_nothing() {
    let (scenario, ada) = start().await;
    let id = scenario.shopify.create_order(&ada.shop).unwrap();
    let delivery = scenario.shopify.delivered(id).await.unwrap();
    scenario.isv.wait_for_order(id).await.unwrap();
    for _ in 0..3 {
        let answer = scenario.shopify.repeat_delivery(&delivery.id).await.unwrap();
        assert_eq!(answer, Some(200), "a repetition is no failure, or the subscription would be lost");
    }
    later_order_has_streamed(&scenario, &ada).await;
    assert_eq!(scenario.isv.orders(id).len(), 1);
    let runs = scenario.client.runs(&scenario.catalogue.order_created, &ada.user).await.unwrap();
    assert_eq!(runs.len(), 2, "the order and the later one");
}

#[tokio::test]
async fn a_throttled_call_is_made_again_once_points_are_back() {
    let (scenario, ada) = start().await;
    scenario.shopify.drain(&ada.shop).unwrap();
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    wait::until("the throttled call", || async {
        (!scenario.shopify.calls(&ada.shop, "orderCreate").is_empty()).then_some(())
    })
    .await
    .unwrap();
    assert!(scenario.shopify.orders(&ada.shop).is_empty(), "a throttled call is not carried out");
    scenario.shopify.advance(Duration::from_secs(20));
    let run = placed_runs(&scenario, &ada, 1).await.remove(0);
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("create").unwrap()["attempts"], 1, "waiting is no attempt: {}", run.text());
    assert!(scenario.shopify.calls(&ada.shop, "orderCreate").len() >= 2);
    assert_eq!(scenario.shopify.orders(&ada.shop).len(), 1);
}

#[tokio::test]
async fn a_429_is_no_attempt_and_comes_again_when_the_vendor_says() {
    let (scenario, ada) = start().await;
    let wait = Fault::RateLimited { retry_after: Duration::from_millis(1_500) };
    scenario.shopify.fail_next(1, Match::operation("orderCreate"), wait);
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    let run = placed_runs(&scenario, &ada, 1).await.remove(0);
    assert_eq!(
        (run.status(), &run.step("create").unwrap()["attempts"]),
        ("succeeded", &json!(1)),
        "{}",
        run.text()
    );
    assert_eq!(scenario.shopify.calls(&ada.shop, "orderCreate").len(), 2);
    assert_eq!(scenario.shopify.orders(&ada.shop).len(), 1);
}

#[tokio::test]
async fn a_refused_field_ends_the_run_and_is_named() {
    let (scenario, ada) = start().await;
    let mut order = placed("A-1001");
    order["email"] = Value::from("not an address");
    let answer = scenario.client.run_event("Order Placed", &ada.user, &order).await.unwrap();
    answer.ok().unwrap();
    let run = placed_runs(&scenario, &ada, 1).await.remove(0);
    assert_eq!(run.status(), "failed", "{}", run.text());
    assert_eq!(scenario.shopify.calls(&ada.shop, "orderCreate").len(), 1, "a refusal is not tried again");
    let errors = scenario.client.errors(&scenario.catalogue.order_placed, &ada.user).await.unwrap();
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.contains("email") && message.contains("Email is invalid"), "{message}");
    assert!(scenario.shopify.orders(&ada.shop).is_empty());
}

#[tokio::test]
async fn a_withdrawn_token_keeps_runs_waiting_but_no_delivery_that_needs_no_token() {
    let (scenario, ada) = start().await;
    scenario.shopify.change_token(&ada.shop, "another").unwrap();
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    let waiting = wait::until("the run to wait", || async {
        let runs = scenario.client.runs(&scenario.catalogue.order_placed, &ada.user).await.ok()?;
        runs.into_iter().find(|run| run.status() == "waiting")
    });
    let run = waiting.await.unwrap();
    assert!(run.text().contains("reconnect"), "it says what to do: {}", run.text());
    later_order_has_streamed(&scenario, &ada).await;
}

/// The run that created an order although nobody heard the answer: it succeeded, there is one order, and the
/// mutation was sent once.
async fn assert_created_once(scenario: &ShopifyScenario, shopkeeper: &Shopkeeper) {
    let runs = placed_runs(scenario, shopkeeper, 1).await;
    assert_eq!((runs.len(), runs[0].status()), (1, "succeeded"), "{}", runs[0].text());
    let orders = scenario.shopify.orders(&shopkeeper.shop);
    assert_eq!(orders.len(), 1, "nothing is created twice: {orders:?}");
    assert_eq!(scenario.shopify.calls(&shopkeeper.shop, "orderCreate").len(), 1);
    assert!(!scenario.shopify.calls(&shopkeeper.shop, "orders").is_empty(), "the shop was asked about it");
    let output = &runs[0].step("create").unwrap()["output"];
    assert_eq!(output["id"], orders[0].gid(), "the found order is the step's output: {output}");
}

#[tokio::test]
async fn an_order_whose_answer_broke_off_is_found_and_not_created_again() {
    let (scenario, ada) = start().await;
    scenario.shopify.fail_next(1, Match::operation("orderCreate"), Fault::HangUp);
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    assert_created_once(&scenario, &ada).await;
}

#[tokio::test]
async fn an_order_whose_answer_broke_off_is_found_while_the_search_is_behind() {
    let (scenario, ada) = start().await;
    scenario.shopify.set_search_lag(Duration::from_secs(3_600));
    scenario.shopify.fail_next(1, Match::operation("orderCreate"), Fault::HangUp);
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    assert_created_once(&scenario, &ada).await;
}

#[tokio::test]
async fn an_order_created_before_kill_9_is_found_and_not_created_again() {
    let mut scenario = ShopifyScenario::start().await.unwrap();
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let held = scenario.shopify.hold_next(Match::operation("orderCreate"));
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    held.arrived().await;
    assert_eq!(scenario.shopify.orders(&ada.shop).len(), 1, "carried out, not yet answered");
    scenario.host.kill9().await.unwrap();
    held.release();
    scenario.start_again().await.unwrap();
    assert_created_once(&scenario, &ada).await;
}

#[tokio::test]
async fn an_order_whose_answer_is_no_json_is_found_and_not_created_again() {
    let (scenario, ada) = start().await;
    scenario.shopify.fail_next(1, Match::operation("orderCreate"), Fault::Garbage);
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    assert_created_once(&scenario, &ada).await;
}

#[tokio::test]
async fn a_call_that_was_not_carried_out_is_made_again() {
    let (scenario, ada) = start().await;
    let broken =
        Fault::Error { code: "INTERNAL_SERVER_ERROR".to_owned(), message: "Something went wrong".to_owned() };
    for (count, fault) in (1..).zip([Fault::Status(StatusCode::SERVICE_UNAVAILABLE), broken]) {
        scenario.shopify.fail_next(1, Match::operation("orderCreate"), fault.clone());
        scenario.place(&ada, &format!("A-{count}")).await.unwrap().ok().unwrap();
        let run = placed_runs(&scenario, &ada, count).await.remove(0);
        assert_eq!(run.status(), "succeeded", "{fault:?}: {}", run.text());
        assert_eq!(scenario.shopify.orders(&ada.shop).len(), count, "{fault:?}");
        assert_eq!(scenario.shopify.calls(&ada.shop, "orderCreate").len(), 2 * count, "{fault:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_down_for_four_hours_costs_the_subscription_and_reinstalling_brings_it_back() {
    let mut scenario = ShopifyScenario::start().await.unwrap();
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let lost = scenario.shopify.subscriptions(&ada.shop).remove(0);
    scenario.host.kill9().await.unwrap();
    scenario.shopify.create_order(&ada.shop).unwrap();
    for seconds in RETRY_AFTER_SECONDS {
        scenario.shopify.settled().await.unwrap();
        assert_eq!(scenario.shopify.subscriptions(&ada.shop).len(), 1);
        scenario.shopify.advance(Duration::from_secs(seconds));
    }
    scenario.shopify.settled().await.unwrap();
    assert_eq!(scenario.shopify.deliveries()[0].state, DeliveryState::Exhausted);
    assert!(scenario.shopify.subscriptions(&ada.shop).is_empty(), "the vendor deletes it");

    scenario.start_again().await.unwrap();
    let created = &scenario.catalogue.order_created;
    let path = format!("/2023-12/workflows/{created}?userId={}", ada.user);
    scenario.client.send(Method::DELETE, &path, None).await.unwrap().ok().unwrap();
    let integration = &scenario.catalogue.integration;
    scenario.client.install(&ada.user, integration, &ada.credential, &[created]).await.unwrap();
    let again = scenario.shopify.subscriptions(&ada.shop);
    assert!(again.len() == 1 && again[0].uri != lost.uri, "{again:?}");
    later_order_has_streamed(&scenario, &ada).await;
}

#[tokio::test]
async fn no_secret_of_a_shop_is_anywhere_but_at_its_place() {
    let mut scenario = ShopifyScenario::start().await.unwrap();
    scenario.shopify.set_echo(true);
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let id = scenario.shopify.create_order(&ada.shop).unwrap();
    let post = scenario.isv.wait_for_order(id).await.unwrap();
    scenario.place(&ada, "A-1001").await.unwrap().ok().unwrap();
    let mut refused = placed("A-1002");
    refused["email"] = Value::from("not an address");
    scenario.client.run_event("Order Placed", &ada.user, &refused).await.unwrap().ok().unwrap();
    let mut runs = placed_runs(&scenario, &ada, 2).await;
    let created = scenario.catalogue.order_created.clone();
    runs.extend(scenario.client.runs_ended(&created, &ada.user, 1).await.unwrap());
    let heard = format!("{:?}", scenario.shopify.requests());
    assert!(heard.contains(&ada.token), "the vendor did get the token");
    assert!(
        Canary::new(&ada.client_secret).found_in(heard.as_bytes()).is_empty(),
        "and never the other secret"
    );

    let mut paths = vec!["/v1/connectors".to_owned(), "/v1/dead-letters".to_owned(), "/v1/runs".to_owned()];
    for workflow in [&scenario.catalogue.order_placed, &created] {
        for page in ["logs", "errors"] {
            paths.push(format!("/2023-12/workflows/{workflow}/{page}?userId={}", ada.user));
        }
    }
    let mut told = vec![("AcmeCo's post", format!("{:?}", post.request))];
    told.extend(runs.iter().map(|run| ("a run", run.text())));
    for path in &paths {
        let answer = scenario.client.get(path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        told.push((path, format!("{:?} {}", answer.headers, answer.text)));
    }
    scenario.host.stop().await.unwrap();
    told.push(("the host's log", scenario.host.log()));
    for secret in [&ada.token, &ada.client_secret] {
        let canary = Canary::new(secret);
        for (place, text) in &told {
            assert!(canary.found_in(text.as_bytes()).is_empty(), "{place} holds a secret: {text}");
        }
        let found = canary.in_files(scenario.host.data_dir()).unwrap();
        assert!(found.is_empty(), "files hold a secret: {found:?}");
    }
}

#[tokio::test]
async fn a_release_with_an_input_that_cannot_fit_is_refused() {
    let (scenario, _) = start().await;
    let mut definition = order_placed();
    definition["steps"][0]["input"]["line_items"] = json!("{{ trigger.email }}");
    let body = json!({ "integration_id": scenario.catalogue.integration, "definition": definition });
    let draft = scenario.client.post("/v1/workflows", &body).await.unwrap().ok().unwrap();
    let path = format!("/v1/workflows/{}/releases", draft["id"].as_str().unwrap());
    let answer = scenario.client.post(&path, &json!({})).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains("line_items"), "{}", answer.text);
}
