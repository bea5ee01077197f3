//! Every trigger that follows a notice, against a fake vendor, with the vendor's own examples of notices.

use trunnion_sdk::test::{Answer, FakeHost};

use crate::{
    api::testing::{STORE, host},
    connector,
};

use super::*;

const URL: &str = "https://hooks.acme.example/hooks/5f0c";

/// Trigger, scope, kind, what `data` has besides, and the answer of the store.
type Row = (&'static str, &'static str, &'static str, Value, Option<Asked>);
/// The path that is asked, and what it answers.
type Asked = (&'static str, Value);

fn table() -> Vec<Row> {
    let order = json!({"id": 250, "status_id": 11, "zeta": [1]});
    let in_list = |record: &Value| json!({"data": [record], "meta": {}});
    let customer = json!({"id": 250, "email": "ada@example.com"});
    let product = json!({"id": 250, "name": "Gear"});
    let status = json!({"status": {"previous_status_id": 0, "new_status_id": 11}});
    let stock =
        json!({"inventory": {"product_id": 206, "method": "absolute", "value": 5, "variant_id": 509}});
    vec![
        ("order_updated", "store/order/updated", "order", json!({}), Some(("/v2/orders/250", order.clone()))),
        (
            "order_status_updated",
            "store/order/statusUpdated",
            "order",
            status,
            Some(("/v2/orders/250", order)),
        ),
        (
            "customer_created",
            "store/customer/created",
            "customer",
            json!({}),
            Some(("/v3/customers", in_list(&customer))),
        ),
        (
            "customer_updated",
            "store/customer/updated",
            "customer",
            json!({}),
            Some(("/v3/customers", in_list(&customer))),
        ),
        (
            "product_created",
            "store/product/created",
            "product",
            json!({}),
            Some(("/v3/catalog/products/250", json!({"data": product}))),
        ),
        (
            "product_updated",
            "store/product/updated",
            "product",
            json!({}),
            Some(("/v3/catalog/products/250", json!({"data": product}))),
        ),
        ("inventory_updated", "store/sku/inventory/updated", "sku", stock, None),
    ]
}

fn delivery(scope: &str, kind: &str, more: &Value, hash: &str) -> Delivery {
    let mut data = json!({"type": kind, "id": 250});
    for (name, value) in more.as_object().unwrap() {
        data[name] = value.clone();
    }
    let body = json!({"scope": scope, "store_id": "1", "data": data, "hash": hash, "created_at": 1_561_479_335,
                      "producer": "stores/abc123"});
    Delivery { method: "POST".into(), url: URL.into(), headers: vec![], body: body.to_string().into_bytes() }
}

fn parse(host: &FakeHost, trigger: &str, delivery: &Delivery) -> Result<Vec<Occurrence<String>>> {
    connector().parse(&host.calling(trigger), delivery)
}

#[test]
fn each_notice_gives_the_record_as_it_is_now() {
    for (trigger, scope, kind, more, answer) in table() {
        let host = host();
        if let Some((path, body)) = answer {
            host.http().on("GET", &format!("{STORE}{path}"), move |_| Answer::json(200, &body));
        }
        let of = |hash| parse(&host, trigger, &delivery(scope, kind, &more, hash)).unwrap().remove(0);
        let (first, again, next) = (of("a"), of("a"), of("b"));
        assert_eq!(first.account, "abc123");
        assert_eq!(first.occurred_at_ms, Some(1_561_479_335_000), "{trigger}");
        assert_eq!(first.id, again.id, "{trigger}: a repeated notice is the same occurrence");
        assert_ne!(first.id, next.id, "{trigger}: the next change is another one");
        let data: Value = serde_json::from_str(&first.data).unwrap();
        let id = ["/id", "/order/id", "/sku_id"].iter().find_map(|place| data.pointer(place));
        assert_eq!(id, Some(&json!(250)), "{trigger}: {data}");
        let other = delivery("store/cart/created", kind, &more, "a");
        assert!(parse(&host, trigger, &other).unwrap().is_empty(), "{trigger}: another trigger's notice");
    }
}

#[test]
fn what_is_gone_meanwhile_is_no_occurrence() {
    for (trigger, scope, kind, more, answer) in table() {
        let Some((path, _)) = answer else { continue };
        let host = host();
        let gone = if path == "/v3/customers" {
            Answer::json(200, &json!({"data": []}))
        } else {
            Answer::empty(404)
        };
        host.http().once("GET", &format!("{STORE}{path}"), gone);
        assert_eq!(parse(&host, trigger, &delivery(scope, kind, &more, "a")).unwrap(), [], "{trigger}");
        assert!(host.logs()[0].1.contains("gone"), "{trigger}");
        host.http().once("GET", &format!("{STORE}{path}"), Answer::empty(503));
        let error = parse(&host, trigger, &delivery(scope, kind, &more, "a")).unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{trigger}: {error}");
    }
}

#[test]
fn each_scope_has_a_hook_that_is_switched_on_again() {
    for (trigger, ..) in table() {
        let host = host();
        let hooks = format!("{STORE}/v3/hooks");
        host.http().on("POST", &hooks, |request| {
            let scope = request.json()["scope"].clone();
            Answer::json(
                200,
                &json!({"data": {"id": 7, "scope": scope, "destination": URL, "is_active": true}}),
            )
        });
        let target = Target { url: URL.into(), options: json!({}) };
        let state = connector().subscribe(&host.calling(trigger), &target).unwrap();
        let asked = host.http().requests();
        assert!(
            !asked.is_empty() && asked.iter().all(|request| request.json()["is_active"] == true),
            "{trigger}"
        );
        host.http().on("GET", &format!("{hooks}/7"), |_| {
            Answer::json(
                200,
                &json!({"data": {"id": 7, "scope": "x", "destination": URL, "is_active": false}}),
            )
        });
        host.http().on("PUT", &format!("{hooks}/7"), |_| Answer::json(200, &json!({"data": {"id": 7}})));
        let health = connector().check_subscription(&host.calling(trigger), &target, &state).unwrap();
        assert!(matches!(health, Health::Mended(_)), "{trigger}");
        host.http().on("DELETE", &format!("{hooks}/7"), |_| Answer::empty(204));
        connector().unsubscribe(&host.calling(trigger), &state).unwrap();
    }
}

#[test]
fn a_notice_that_lacks_what_it_is_about_is_an_error_that_says_so() {
    let host = host();
    let of = |trigger: &str, body: Value| {
        let body = body.to_string().into_bytes();
        let delivery = Delivery { method: "POST".into(), url: URL.into(), headers: vec![], body };
        parse(&host, trigger, &delivery).unwrap_err().to_string()
    };
    assert!(of("order_updated", json!({"scope": "store/order/updated"})).contains("`data.id`"));
    let scope = "store/order/statusUpdated";
    let status = of("order_status_updated", json!({"scope": scope, "data": {"id": 1, "type": "order"}}));
    assert!(status.contains("previous_status_id"), "{status}");
    let scope = "store/sku/inventory/updated";
    let stock = of("inventory_updated", json!({"scope": scope, "data": {"id": 1, "type": "sku"}}));
    assert!(stock.contains("product_id"), "{stock}");
}
