//! What the actions send and answer, against a fake vendor. `create_order` and `get_order` have tests of their own.

use trunnion_sdk::{
    action::Reconciled,
    http::SendError,
    prelude::*,
    test::{Answer, FakeHost, every_item},
};

use crate::{
    connector,
    graphql::testing::{URL, answer, host, refused},
};

const KEY: &str = "5f0c4e0a-3c1e-4d0b-9a52-0d6f5b1f9c11";
const ORDER: &str = "gid://shopify/Order/7";

fn answering(answers: &[Value]) -> FakeHost {
    let host = host();
    for data in answers {
        host.http().once("POST", URL, answer(data));
    }
    host
}

fn run(host: &FakeHost, action: &str, input: &Value) -> Result<Value> {
    let output = connector().run(&host.calling(action), &input.to_string())?;
    Ok(serde_json::from_str(&output).unwrap())
}

fn variables(host: &FakeHost, request: usize) -> Value {
    host.http().requests()[request].json()["variables"].clone()
}

fn wrong(action: &str, input: &Value) -> (String, String) {
    let host = host();
    let error = run(&host, action, input).unwrap_err();
    let Error::InvalidInput { field, message } = error else { panic!("{action} {input}: {error}") };
    assert!(host.http().requests().is_empty(), "{action}: nothing is sent");
    (field, message)
}

#[test]
fn an_order_is_updated_by_what_is_given() {
    let host = answering(&[
        json!({"orderUpdate": {"order": {"id": ORDER, "legacyResourceId": "7"}, "userErrors": []}}),
    ]);
    let input = json!({"id": 7, "po_number": "P-1", "custom_attributes": [{"key": "a", "value": "b"}],
                       "shipping_address": {"country_code": "GB"}});
    assert_eq!(run(&host, "update_order", &input).unwrap(), json!({"id": ORDER, "legacy_id": "7"}));
    let expected = json!({"id": ORDER, "poNumber": "P-1", "customAttributes": [{"key": "a", "value": "b"}],
                          "shippingAddress": {"countryCode": "GB"}});
    assert_eq!(variables(&host, 0), json!({ "input": expected }));
    assert!(wrong("update_order", &json!({"id": 7})).1.contains("changes nothing"));
    assert_eq!(wrong("update_order", &json!({"id": 7, "notes": "x"})).0, "/notes");
}

#[test]
fn what_shopify_refuses_points_at_the_input() {
    let errors = json!([{"field": ["input", "shippingAddress", "countryCode"], "message": "is invalid"}]);
    let host = answering(&[json!({"orderUpdate": {"order": null, "userErrors": errors}})]);
    let error = run(&host, "update_order", &json!({"id": 7, "note": "x"})).unwrap_err();
    assert!(
        matches!(&error, Error::InvalidInput { field, .. } if field == "/shipping_address/country_code"),
        "{error}"
    );
    let gone = json!([{"field": ["id"], "message": "Order does not exist"}]);
    let host = answering(&[json!({"orderUpdate": {"order": null, "userErrors": gone}})]);
    assert!(matches!(run(&host, "update_order", &json!({"id": 7, "note": "x"})), Err(Error::NotFound(_))));
}

#[test]
fn orders_are_found_page_by_page() {
    let page = |id: &str, next: Value| json!({"found": {"nodes": [{"id": id}], "pageInfo": {"hasNextPage": !next.is_null(), "endCursor": next}}});
    let host = answering(&[page("1", json!("c1")), page("2", Value::Null)]);
    let input = json!({"query": "tag:vip", "first": 1}).to_string();
    let found = every_item(&connector(), &host.calling("find_orders"), &input).unwrap();
    assert_eq!(found, [json!({"id": "1"}), json!({"id": "2"})]);
    let first = json!({"search": "tag:vip", "first": 1, "after": null, "sort": "CREATED_AT"});
    assert_eq!(variables(&host, 0), first);
    assert_eq!(variables(&host, 1)["after"], "c1");
    assert_eq!(wrong("find_orders", &json!({"first": 251})).0, "/first");
}

#[test]
fn an_order_is_cancelled_once() {
    let order = |at: Value| json!({"order": {"id": ORDER, "cancelledAt": at}});
    let done = json!({"orderCancel": {"job": {"id": "j", "done": false}, "userErrors": []}});
    let host = answering(&[order(Value::Null), done, order(Value::Null)]);
    let input = json!({"order_id": 7, "reason": "CUSTOMER", "restock": true, "refund": false});
    assert_eq!(run(&host, "cancel_order", &input).unwrap(), json!({"order_id": ORDER, "cancelled": false}));
    let sent = json!({"orderId": ORDER, "reason": "CUSTOMER", "restock": true,
                      "refundMethod": {"originalPaymentMethodsRefund": false}});
    assert_eq!(variables(&host, 1), sent);

    // A repetition finds it cancelled, and asks for nothing more.
    let host = answering(&[order(json!("2026-11-22T09:30:00Z"))]);
    assert_eq!(run(&host, "cancel_order", &input).unwrap()["cancelled"], true);
    assert_eq!(host.http().requests().len(), 1);
    let host = answering(&[json!({"order": null})]);
    assert!(matches!(run(&host, "cancel_order", &input), Err(Error::NotFound(_))));
    assert_eq!(
        wrong("cancel_order", &json!({"order_id": 7, "reason": "BORED", "restock": true, "refund": true})).0,
        "/reason"
    );
}

#[test]
fn what_is_open_is_fulfilled_with_its_tracking() {
    let part = |id: u64, action: &str| json!({"id": format!("gid://shopify/FulfillmentOrder/{id}"), "supportedActions": [{"action": action}]});
    let nodes = json!([part(1, "CREATE_FULFILLMENT"), part(2, "HOLD")]);
    let open = json!({"order": {"fulfillments": [], "fulfillmentOrders": {"nodes": nodes}}});
    let made =
        json!({"fulfillmentCreate": {"fulfillment": {"id": "f", "trackingInfo": []}, "userErrors": []}});
    let host = answering(&[open, made.clone()]);
    let input = json!({"order_id": 7, "tracking_number": "1Z", "tracking_company": "UPS", "message": "m"});
    assert_eq!(run(&host, "create_fulfillment", &input).unwrap(), json!({"id": "f", "tracking_info": []}));
    let expected = json!({"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": "gid://shopify/FulfillmentOrder/1"}],
                          "trackingInfo": {"number": "1Z", "company": "UPS"}});
    assert_eq!(variables(&host, 1), json!({"fulfillment": expected, "message": "m"}));

    // A part that is named is not looked for.
    let host = answering(&[made]);
    let items =
        json!([{"fulfillment_order_id": 1, "fulfillment_order_line_items": [{"id": 9, "quantity": 2}]}]);
    run(&host, "create_fulfillment", &json!({"order_id": 7, "line_items_by_fulfillment_order": items}))
        .unwrap();
    let sent = variables(&host, 0)["fulfillment"]["lineItemsByFulfillmentOrder"][0].clone();
    assert_eq!(sent["fulfillmentOrderLineItems"][0]["id"], "gid://shopify/FulfillmentOrderLineItem/9");

    let host = answering(&[json!({"order": {"fulfillmentOrders": {"nodes": [part(2, "HOLD")]}}})]);
    let error = run(&host, "create_fulfillment", &input).unwrap_err();
    assert!(matches!(&error, Error::Conflict(said) if said.contains("on hold")), "{error}");
}

#[test]
fn a_lost_fulfilment_is_found_by_its_tracking_number() {
    let items = json!([{"fulfillment_order_id": 1}]);
    let with = |number: Value| json!({"order_id": 7, "line_items_by_fulfillment_order": items, "tracking_number": number});
    let lost = host();
    lost.http().once("POST", URL, Answer::fail(SendError::TimedOut("30 s".into())));
    assert!(matches!(run(&lost, "create_fulfillment", &with(json!("1Z"))), Err(Error::Uncertain(_))));
    let reconcile = |input: Value| {
        let fulfillments = json!([{"id": "f", "trackingInfo": [{"number": "2Z"}, {"number": "1Z"}]}]);
        let host = answering(&[json!({"order": {"fulfillments": fulfillments}})]);
        connector().reconcile(&host.calling("create_fulfillment"), &input.to_string(), KEY).unwrap()
    };
    assert!(matches!(reconcile(with(json!("1Z"))), Reconciled::Found(text) if text.contains("\"id\":\"f\"")));
    assert_eq!(reconcile(with(json!("9Z"))), Reconciled::Absent);
    assert!(matches!(reconcile(with(Value::Null)), Reconciled::Unknown(_)));
}

#[test]
fn tags_are_added_and_removed() {
    for (action, mutation) in [("add_tags", "tagsAdd"), ("remove_tags", "tagsRemove")] {
        let host = answering(&[json!({mutation: {"node": {"id": ORDER, "tags": ["a"]}, "userErrors": []}})]);
        let input = json!({"id": "gid://shopify/Customer/7", "tags": ["a"]});
        assert_eq!(run(&host, action, &input).unwrap(), json!({"id": ORDER, "tags": ["a"]}));
        assert_eq!(variables(&host, 0), input);
        assert_eq!(wrong(action, &json!({"id": "7", "tags": ["a"]})).0, "/id");
        assert_eq!(wrong(action, &json!({"id": ORDER, "tags": []})).0, "/tags");
    }
}

#[test]
fn a_customer_is_known_by_the_best_name_that_is_given() {
    for (input, identifier) in [
        (json!({"id": 7, "email": "a@x.example"}), json!({"id": "gid://shopify/Customer/7"})),
        (json!({"email": "a@x.example", "phone": "+1"}), json!({"email": "a@x.example"})),
        (json!({"phone": "+1"}), json!({"phone": "+1"})),
    ] {
        let customer = json!({"id": "c", "defaultEmailAddress": {"emailAddress": "a@x.example"}});
        let host = answering(&[json!({"customerSet": {"customer": customer, "userErrors": []}})]);
        let output = run(&host, "upsert_customer", &input).unwrap();
        assert_eq!(output, json!({"id": "c", "email": "a@x.example"}));
        let sent = variables(&host, 0);
        assert_eq!(sent["identifier"], identifier);
        assert!(sent["input"].get("id").is_none(), "{sent}");
    }
    assert_eq!(wrong("upsert_customer", &json!({"first_name": "Ada"})).0, "/email");
}

#[test]
fn a_product_is_known_by_id_or_handle() {
    let host = answering(&[
        json!({"productSet": {"product": {"id": "p", "variants": {"nodes": []}}, "userErrors": []}}),
    ]);
    let variants = json!([{"option_values": [{"option_name": "Size", "name": "S"}], "price": 12.5, "sku": "G-1",
                           "inventory_quantities": [{"location_id": 1, "name": "available", "quantity": 5}]}]);
    let input = json!({"handle": "gear", "title": "Gear", "variants": variants,
                       "product_options": [{"name": "Size", "values": [{"name": "S"}]}]});
    assert_eq!(run(&host, "upsert_product", &input).unwrap(), json!({"id": "p", "variants": []}));
    let sent = variables(&host, 0);
    assert_eq!(sent["identifier"], json!({"handle": "gear"}));
    assert_eq!(
        sent["input"]["variants"][0]["inventoryQuantities"][0]["locationId"],
        "gid://shopify/Location/1"
    );
    assert_eq!(sent["input"]["variants"][0]["price"], "12.5");
    assert_eq!(wrong("upsert_product", &json!({"title": "Gear"})).0, "/handle");
    assert_eq!(
        wrong("upsert_product", &json!({"handle": "g", "variants": [{}]})).0,
        "/variants/0/option_values"
    );
}

#[test]
fn stock_and_refunds_carry_the_steps_key() {
    let group = json!({"inventorySetQuantities": {"inventoryAdjustmentGroup": {"id": "g", "changes": []}, "userErrors": []}});
    let host = answering(&[group]);
    let input = json!({"quantities": [{"inventory_item_id": 1, "location_id": "2", "quantity": 0}]});
    assert_eq!(run(&host, "set_inventory", &input).unwrap(), json!({"id": "g", "changes": []}));
    let sent = variables(&host, 0);
    assert_eq!(sent["key"], KEY);
    let quantity = json!({"inventoryItemId": "gid://shopify/InventoryItem/1", "locationId": "gid://shopify/Location/2", "quantity": 0});
    assert_eq!(sent["input"], json!({"name": "available", "reason": "correction", "quantities": [quantity]}));
    let host =
        answering(&[json!({"inventorySetQuantities": {"inventoryAdjustmentGroup": null, "userErrors": []}})]);
    assert_eq!(run(&host, "set_inventory", &input).unwrap(), json!({"changes": []}), "nothing had to change");

    let host = answering(&[json!({"refundCreate": {"refund": {"id": "r"}, "userErrors": []}})]);
    let transactions = json!([{"parent_id": 5, "gateway": "bogus", "amount": "1.50"}]);
    let input = json!({"order_id": 7, "transactions": transactions, "shipping": {"full_refund": true}});
    assert_eq!(run(&host, "refund_order", &input).unwrap(), json!({"id": "r"}));
    let sent = variables(&host, 0);
    assert_eq!((&sent["key"], &sent["input"]["orderId"]), (&json!(KEY), &json!(ORDER)));
    assert_eq!(sent["input"]["transactions"][0]["kind"], "REFUND");
    assert_eq!(sent["input"]["transactions"][0]["orderId"], ORDER);
    assert!(wrong("refund_order", &json!({"order_id": 7})).1.contains("refunds nothing"));
    // A lost answer may be asked for again.
    let lost = self::host();
    lost.http().once("POST", URL, Answer::fail(SendError::TimedOut("30 s".into())));
    assert!(matches!(run(&lost, "refund_order", &input), Err(Error::Unavailable(_))));
}

#[test]
fn an_attempt_that_shopify_is_still_busy_with_is_waited_for() {
    let of = |code: &str| {
        let errors = json!([{"field": null, "message": "in progress", "code": code}]);
        let host = answering(&[json!({"refundCreate": {"refund": null, "userErrors": errors}})]);
        run(&host, "refund_order", &json!({"order_id": 7, "shipping": {"full_refund": true}})).unwrap_err()
    };
    assert!(matches!(of("IDEMPOTENCY_CONCURRENT_REQUEST"), Error::Unavailable(_)));
    assert!(matches!(of("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"), Error::Conflict(_)));
}

#[test]
fn things_are_read_by_their_ids_and_missing_ones_named() {
    let host = answering(&[json!({"nodes": [{"id": ORDER, "legacyResourceId": "7"}, null]})]);
    let ids = json!([ORDER, "gid://shopify/Customer/9"]);
    let output = run(&host, "get_by_ids", &json!({ "ids": ids })).unwrap();
    let expected =
        json!({"nodes": [{"id": ORDER, "legacy_id": "7"}], "missing": ["gid://shopify/Customer/9"]});
    assert_eq!(output, expected);
    assert_eq!(wrong("get_by_ids", &json!({"ids": []})).0, "/ids");
    assert_eq!(wrong("get_by_ids", &json!({"ids": ["7"]})).0, "/ids/0");
    let host = answering(&[json!({"nodes": []})]);
    let error = run(&host, "get_by_ids", &json!({"ids": [ORDER]})).unwrap_err();
    assert!(error.to_string().contains("as many"), "{error}");
}

#[test]
fn a_document_of_ones_own_is_sent_as_it_is() {
    let host = answering(&[json!({"shop": {"name": "{{secret:access_token}}"}})]);
    let document = "{ shop { name } } # {{secret:access_token}}";
    let input = json!({"document": document, "variables": {"a": 1}});
    run(&host, "raw_graphql", &input).unwrap();
    let sent = &host.http().requests()[0];
    assert!(!sent.text().contains("{{secret:"), "the host sees no reference in it");
    assert_eq!(sent.json(), json!({"query": document, "variables": {"a": 1}}));
    let host = self::host();
    host.http().once("POST", URL, refused("Throttled", "THROTTLED"));
    assert!(matches!(run(&host, "raw_graphql", &input), Err(Error::RateLimited { .. })));
    for (document, uncertain) in [("{ shop { name } }", false), ("mutation { x }", true)] {
        let host = self::host();
        host.http().once("POST", URL, Answer::fail(SendError::TimedOut("30 s".into())));
        let error = run(&host, "raw_graphql", &json!({ "document": document })).unwrap_err();
        assert_eq!(matches!(error, Error::Uncertain(_)), uncertain, "{document}: {error}");
    }
}
