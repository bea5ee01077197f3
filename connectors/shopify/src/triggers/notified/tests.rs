//! Every path of the trigger, against a fake vendor.

use trunnion_sdk::{
    http::SendError,
    test::{Answer, FakeHost},
};

use super::*;
use crate::{
    connector,
    graphql::testing::{DOMAIN, URL as API, answer, host, refused},
};

const URL: &str = "https://hooks.acme.example/hooks/5f0c";
const ID: &str = "gid://shopify/WebhookSubscription/1967038398770";

fn target() -> Target {
    Target { url: URL.into(), options: json!({}) }
}

fn state() -> String {
    json!({ "id": ID }).to_string()
}

fn subscribe(host: &FakeHost) -> Result<String> {
    connector().subscribe(&host.calling("order_created"), &target())
}

fn unsubscribe(answer: Answer) -> Result<()> {
    let host = host();
    host.http().once("POST", API, answer);
    let result = connector().unsubscribe(&host.calling("order_created"), &state());
    assert_eq!(host.http().requests()[0].json()["variables"], json!({ "id": ID }));
    result
}

fn check(answers: Vec<Answer>) -> (FakeHost, Result<Health<String>>) {
    let host = host();
    for answer in answers {
        host.http().once("POST", API, answer);
    }
    let health = connector().check_subscription(&host.calling("order_created"), &target(), &state());
    (host, health)
}

fn payload(mutation: &str, path: &[&str], message: &str) -> Answer {
    let errors = if message.is_empty() { json!([]) } else { json!([{"field": path, "message": message}]) };
    let webhook = if message.is_empty() { json!({ "id": ID }) } else { Value::Null };
    answer(&json!({mutation: {"webhookSubscription": webhook, "userErrors": errors}}))
}

fn registered(uri: &str, format: &str) -> Answer {
    answer(&json!({"webhookSubscription": {"id": ID, "uri": uri, "format": format}}))
}

fn taken(mutation: &str) -> Answer {
    let path = ["webhookSubscription", "callbackUrl"];
    payload(mutation, &path, "Address for this topic has already been taken")
}

fn delivery(topic: &str, shop: &str, body: &Value) -> Delivery {
    let headers =
        [("x-shopify-topic", topic), ("x-shopify-shop-domain", shop), ("x-shopify-webhook-id", "b54557e4")];
    let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
    Delivery {
        method: "POST".into(),
        url: URL.into(),
        headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
        body: body.to_string().into_bytes(),
    }
}

fn parse(host: &FakeHost, delivery: &Delivery) -> Result<Vec<Occurrence<String>>> {
    connector().parse(&host.calling("order_created"), delivery)
}

#[test]
fn subscribing_registers_the_topic_with_the_address() {
    let host = host();
    host.http().once("POST", API, payload("webhookSubscriptionCreate", &[], ""));
    assert_eq!(subscribe(&host).unwrap(), state());
    let seen = host.http().requests();
    assert_eq!(seen.len(), 1);
    let expected = json!({"topic": "ORDERS_CREATE", "webhook": {"uri": URL, "format": "JSON"}});
    assert_eq!(seen[0].json()["variables"], expected);
}

#[test]
fn a_subscription_that_exists_is_taken_over() {
    let host = host();
    host.http().once("POST", API, taken("webhookSubscriptionCreate"));
    let other =
        json!({"id": "gid://shopify/WebhookSubscription/1", "uri": "https://hooks.acme.example/hooks/other"});
    let nodes = json!([other, {"id": ID, "uri": URL}]);
    host.http().once("POST", API, answer(&json!({"webhookSubscriptions": {"nodes": nodes}})));
    assert_eq!(subscribe(&host).unwrap(), state());
    let expected = json!({"topics": ["ORDERS_CREATE"], "uri": URL});
    assert_eq!(host.http().requests()[1].json()["variables"], expected);
}

#[test]
fn an_address_that_another_app_has_is_a_conflict() {
    let host = host();
    host.http().once("POST", API, taken("webhookSubscriptionCreate"));
    host.http().once("POST", API, answer(&json!({"webhookSubscriptions": {"nodes": []}})));
    assert!(
        matches!(subscribe(&host), Err(Error::Conflict(message)) if message.contains("already been taken"))
    );
}

#[test]
fn an_address_that_shopify_does_not_take_is_refused_in_its_words() {
    let host = host();
    let path = ["webhookSubscription", "callbackUrl"];
    let refusal = payload("webhookSubscriptionCreate", &path, "Address protocol http:// is not supported");
    host.http().once("POST", API, refusal);
    let error = subscribe(&host).unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { message, .. } if message.contains("http:// is not")),
        "{error}"
    );
}

#[test]
fn a_missing_scope_is_named() {
    let host = host();
    host.http().once("POST", API, refused("Access denied. Required access: `read_orders`.", "ACCESS_DENIED"));
    let error = subscribe(&host).unwrap_err();
    assert!(error.to_string().contains("`read_orders`"), "{error}");
}

#[test]
fn registering_may_be_repeated_after_a_lost_answer() {
    let host = host();
    host.http().once("POST", API, Answer::fail(SendError::TimedOut("no answer within 30 s".into())));
    assert!(matches!(subscribe(&host), Err(Error::Unavailable(_))));
}

#[test]
fn an_answer_without_an_id_is_not_understood() {
    let host = host();
    let empty = json!({"webhookSubscriptionCreate": {"webhookSubscription": null, "userErrors": []}});
    host.http().once("POST", API, answer(&empty));
    assert!(matches!(subscribe(&host), Err(Error::Other { code, .. }) if code == "answer-not-understood"));
}

#[test]
fn a_subscription_as_it_should_be_is_left_alone() {
    let (host, health) = check(vec![registered(URL, "JSON")]);
    assert_eq!(health.unwrap(), Health::Active(state()));
    assert_eq!(host.http().requests().len(), 1);
}

#[test]
fn a_subscription_that_delivers_elsewhere_or_otherwise_is_brought_back() {
    for (uri, format) in [("https://old.acme.example/hooks/5f0c", "JSON"), (URL, "XML")] {
        let (host, health) =
            check(vec![registered(uri, format), payload("webhookSubscriptionUpdate", &[], "")]);
        assert_eq!(health.unwrap(), Health::Mended(state()));
        let expected = json!({"id": ID, "webhook": {"uri": URL, "format": "JSON"}});
        assert_eq!(host.http().requests()[1].json()["variables"], expected);
    }
}

#[test]
fn a_subscription_that_shopify_deleted_is_registered_anew() {
    let (_, health) = check(vec![answer(&json!({"webhookSubscription": null}))]);
    assert_eq!(health.unwrap(), Health::Gone(state()));
    let elsewhere = || registered("https://old.acme.example/hooks/5f0c", "JSON");
    let gone = payload("webhookSubscriptionUpdate", &["id"], "Webhook subscription does not exist");
    assert_eq!(check(vec![elsewhere(), gone]).1.unwrap(), Health::Gone(state()));
    assert_eq!(
        check(vec![elsewhere(), taken("webhookSubscriptionUpdate")]).1.unwrap(),
        Health::Gone(state())
    );
}

#[test]
fn a_check_that_fails_is_no_verdict() {
    for failing in [Answer::empty(404), Answer::empty(502), Answer::empty(401)] {
        assert!(check(vec![failing]).1.is_err());
    }
    let elsewhere = registered("https://old.acme.example/hooks/5f0c", "JSON");
    assert!(matches!(check(vec![elsewhere, Answer::empty(503)]).1, Err(Error::Unavailable(_))));
}

#[test]
fn unsubscribing_deletes_it_and_one_that_is_gone_is_as_good() {
    let deleted = json!({"deletedWebhookSubscriptionId": ID, "userErrors": []});
    unsubscribe(answer(&json!({"webhookSubscriptionDelete": deleted}))).unwrap();
    unsubscribe(payload("webhookSubscriptionDelete", &["id"], "Webhook subscription does not exist"))
        .unwrap();
    assert!(matches!(unsubscribe(Answer::empty(502)), Err(Error::Unavailable(_))));
    assert!(matches!(unsubscribe(Answer::empty(404)), Err(Error::Rejected { status: 404, .. })));
}

#[test]
fn a_delivery_is_one_order_as_it_came() {
    let order = json!({"id": 6_824_239_300_841_u64, "created_at": "2026-01-06T10:30:00+01:00",
                       "total_price": "42.90", "unheard_of": [1]});
    let host = host();
    let found = parse(&host, &delivery("orders/create", "Ada-Engines.myshopify.com", &order)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].account, DOMAIN);
    assert_eq!(found[0].id, "order/6824239300841/created");
    assert_eq!(found[0].occurred_at_ms, Some(1_767_691_800_000));
    assert_eq!(found[0].data, order.to_string());
    assert!(host.http().requests().is_empty(), "everything is in the delivery");
}

#[test]
fn a_delivery_of_another_topic_is_ignored_and_logged() {
    let host = host();
    assert!(parse(&host, &delivery("orders/updated", DOMAIN, &json!({"id": 1}))).unwrap().is_empty());
    assert!(host.logs()[0].1.contains("`orders/updated`"), "{:?}", host.logs());
}

#[test]
fn a_delivery_of_another_shop_is_refused() {
    let error =
        parse(&host(), &delivery("orders/create", "other.myshopify.com", &json!({"id": 1}))).unwrap_err();
    assert!(matches!(&error, Error::Other { code, .. } if code == "delivery-of-another-shop"), "{error}");
    assert!(
        error.to_string().contains("other.myshopify.com") && error.to_string().contains(DOMAIN),
        "{error}"
    );
}

#[test]
fn a_delivery_that_is_not_understood_says_what_is_missing() {
    for (topic, shop, body, missing) in [
        ("", DOMAIN, json!({"id": 1}), "x-shopify-topic"),
        ("orders/create", "", json!({"id": 1}), "x-shopify-shop-domain"),
        ("orders/create", DOMAIN, json!({"name": "#1"}), "`id`"),
        ("orders/create", DOMAIN, json!([1]), "body"),
    ] {
        let error = parse(&host(), &delivery(topic, shop, &body)).unwrap_err();
        assert!(matches!(&error, Error::Other { code, .. } if code == "delivery-not-understood"), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn every_topic_has_a_trigger_whose_occurrences_are_told_apart() {
    let level = json!({"inventory_item_id": 1, "location_id": 2, "available": 5, "updated_at": "2026-01-06T10:30:00+01:00"});
    let thing = json!({"id": 1, "created_at": "2026-01-06T10:30:00+01:00", "updated_at": "2026-01-06T10:31:00+01:00"});
    let created = Some(1_767_691_800_000);
    let changed = Some(1_767_691_860_000);
    for (trigger, topic, body, id, at) in [
        ("order_created", "orders/create", &thing, "order/1/created", created),
        ("order_updated", "orders/updated", &thing, "order/1/orders/updated@b54557e4", changed),
        ("order_paid", "orders/paid", &thing, "order/1/orders/paid@b54557e4", changed),
        ("order_cancelled", "orders/cancelled", &thing, "order/1/cancelled", created),
        ("order_fulfilled", "orders/fulfilled", &thing, "order/1/orders/fulfilled@b54557e4", changed),
        ("customer_created", "customers/create", &thing, "customer/1/created", created),
        ("customer_updated", "customers/update", &thing, "customer/1/customers/update@b54557e4", changed),
        ("product_created", "products/create", &thing, "product/1/created", created),
        ("product_updated", "products/update", &thing, "product/1/products/update@b54557e4", changed),
        (
            "inventory_level_changed",
            "inventory_levels/update",
            &level,
            "inventory_level/1/2/inventory_levels/update@b54557e4",
            created,
        ),
        ("app_uninstalled", "app/uninstalled", &json!({"id": 1}), "shop/1/app/uninstalled@b54557e4", None),
    ] {
        let host = host();
        let parse =
            |topic| connector().parse(&host.calling(trigger), &delivery(topic, DOMAIN, body)).unwrap();
        let found = parse(topic);
        assert_eq!((found[0].id.as_str(), found[0].occurred_at_ms), (id, at), "{trigger}");
        assert_eq!(found[0].data, body.to_string(), "{trigger}: as it was delivered");
        assert!(parse("carts/create").is_empty(), "{trigger}");

        host.http().once("POST", API, payload("webhookSubscriptionCreate", &[], ""));
        connector().subscribe(&host.calling(trigger), &target()).unwrap();
        let asked = host.http().requests()[0].json()["variables"]["topic"].clone();
        let expected = topic.to_ascii_uppercase().replace('/', "_");
        assert_eq!(asked, expected, "{trigger}");
    }
}

#[test]
fn a_delivery_without_a_name_of_its_own_is_not_understood() {
    let mut nameless = delivery("orders/updated", DOMAIN, &json!({"id": 1}));
    nameless.headers.retain(|(name, _)| name != "x-shopify-webhook-id");
    let error = connector().parse(&host().calling("order_updated"), &nameless).unwrap_err();
    assert!(error.to_string().contains("x-shopify-webhook-id"), "{error}");
}
