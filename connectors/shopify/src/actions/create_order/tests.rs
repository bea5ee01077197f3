//! Every path of the creation and of the look-up after an uncertain one, against a fake vendor.

use trunnion_sdk::{
    http::SendError,
    test::{Answer, FakeHost, Seen},
};

use super::*;
use crate::{
    connector,
    graphql::testing::{URL, answer, host, refused},
};

const KEY: &str = "5f0c4e0a-3c1e-4d0b-9a52-0d6f5b1f9c11";
const ID: &str = "gid://shopify/Order/6824239235305";
const INPUT: &str = r#"{"email":"ada@example.com","phone":"+442071234567","currency":"GBP","line_items":[{"title":"Gear","quantity":2,"price":{"amount":12.5}}]}"#;

fn node() -> Value {
    json!({
        "id": ID, "legacyResourceId": "6824239235305", "name": "#1001", "createdAt": "2026-01-01T00:00:00Z",
        "displayFinancialStatus": "PENDING", "displayFulfillmentStatus": "UNFULFILLED",
        "totalPriceSet": {"shopMoney": {"amount": "25.0", "currencyCode": "GBP"}},
        "test": false, "sourceIdentifier": KEY,
    })
}

fn run(host: &FakeHost, input: &str) -> Result<String> {
    connector().run(&host.calling("create_order"), input)
}

fn sent(input: &str) -> Value {
    let host = host();
    host.http().on("POST", URL, |_| answer(&json!({"orderCreate": {"order": node(), "userErrors": []}})));
    run(&host, input).unwrap();
    host.http().requests()[0].json()["variables"].clone()
}

/// A shop whose search finds `found`, and whose newest orders come page by page.
fn shop(found: Vec<Value>, pages: Vec<Value>) -> FakeHost {
    let host = host();
    host.http().on("POST", URL, move |seen: &Seen| {
        let body = seen.json();
        if body["query"].as_str().unwrap().contains("query Order(") {
            return answer(
                &json!({"order": if body["variables"]["id"] == ID { node() } else { Value::Null }}),
            );
        }
        assert_eq!(body["variables"]["search"], format!("source_identifier:{KEY}"));
        let page = body["variables"]["after"].as_str().map_or(0, |cursor| cursor.parse::<usize>().unwrap());
        let newest = json!({"nodes": pages[page], "pageInfo":
            {"hasNextPage": page + 1 < pages.len(), "endCursor": (page + 1).to_string()}});
        answer(&json!({"found": {"nodes": found}, "newest": newest}))
    });
    host
}

/// An order of the listing; the fake host's clock stands at 2026-01-01T00:00:00Z.
fn listed(id: &str, source: Option<&str>, created: &str) -> Value {
    json!({"id": id, "sourceIdentifier": source, "createdAt": created})
}

fn reconciled(host: &FakeHost) -> Reconciled<String> {
    connector().reconcile(&host.calling("create_order"), INPUT, KEY).unwrap()
}

#[test]
fn creates_the_order_with_the_key_as_its_source() {
    let expected = json!({
        "order": {
            "email": "ada@example.com", "phone": "+442071234567", "currency": "GBP", "sourceIdentifier": KEY,
            "lineItems": [{"title": "Gear", "quantity": 2,
                           "priceSet": {"shopMoney": {"amount": "12.5", "currencyCode": "GBP"}}}],
        },
        "options": {},
    });
    assert_eq!(sent(INPUT), expected);
}

#[test]
fn every_member_of_the_input_has_its_place() {
    let input = json!({
        "line_items": [{"variant_id": 7, "quantity": 1, "sku": "G", "requires_shipping": true, "taxable": false,
                        "price": {"amount": "3.10", "currency": "USD"}}],
        "note": "n", "tags": ["a"], "custom_attributes": [{"key": "k", "value": "v"}], "test": true,
        "financial_status": "PARTIALLY_PAID", "send_receipt": true, "inventory": "DECREMENT_OBEYING_POLICY",
        "shipping_address": {"first_name": "A", "last_name": "L", "company": "C", "address1": "1", "address2": "2",
                             "city": "London", "zip": "SW1", "province_code": "ENG", "country_code": "GB", "phone": "+44"},
        "billing_address": {"city": "Paris"},
    });
    let expected = json!({
        "order": {
            "lineItems": [{"variantId": "gid://shopify/ProductVariant/7", "sku": "G", "quantity": 1,
                           "priceSet": {"shopMoney": {"amount": "3.10", "currencyCode": "USD"}},
                           "requiresShipping": true, "taxable": false}],
            "note": "n", "tags": ["a"], "customAttributes": [{"key": "k", "value": "v"}],
            "shippingAddress": {"firstName": "A", "lastName": "L", "company": "C", "address1": "1", "address2": "2",
                                "city": "London", "zip": "SW1", "provinceCode": "ENG", "countryCode": "GB", "phone": "+44"},
            "billingAddress": {"city": "Paris"}, "financialStatus": "PARTIALLY_PAID", "test": true,
            "sourceIdentifier": KEY,
        },
        "options": {"sendReceipt": true, "inventoryBehaviour": "DECREMENT_OBEYING_POLICY"},
    });
    assert_eq!(sent(&input.to_string()), expected);
}

#[test]
fn a_null_is_as_good_as_nothing() {
    let input =
        r#"{"email":null,"line_items":[{"title":"G","quantity":1,"sku":null,"price":null}],"tags":null}"#;
    let order = json!({"lineItems": [{"title": "G", "quantity": 1}], "sourceIdentifier": KEY});
    assert_eq!(sent(input), json!({"order": order, "options": {}}));
}

#[test]
fn the_sample_is_an_input() {
    let variables = sent(include_str!("../../../samples/create_order.json"));
    assert_eq!(
        variables["order"]["lineItems"][1]["variantId"],
        "gid://shopify/ProductVariant/48540157378793"
    );
    assert_eq!(variables["order"]["lineItems"][0]["priceSet"]["shopMoney"]["currencyCode"], "GBP");
}

#[test]
fn answers_what_became_of_it() {
    let host = host();
    host.http().once("POST", URL, answer(&json!({"orderCreate": {"order": node(), "userErrors": []}})));
    let output: Value = serde_json::from_str(&run(&host, INPUT).unwrap()).unwrap();
    let expected = json!({
        "id": ID, "legacy_id": "6824239235305", "name": "#1001", "created_at": "2026-01-01T00:00:00Z",
        "financial_status": "PENDING", "fulfillment_status": "UNFULFILLED",
        "total": {"amount": "25.0", "currency": "GBP"}, "test": false, "source_identifier": KEY,
    });
    assert_eq!(output, expected);
}

#[test]
fn a_wrong_input_names_its_field_and_sends_nothing() {
    for (input, at) in [
        (r#"{"line_items":[]}"#, "/line_items"),
        (r#"{"email":"ada@example.com"}"#, "/line_items"),
        (r#"[1]"#, ""),
        (r#"{"line_items":{"title":"G"}}"#, "/line_items"),
        (r#"{"line_items":["G"]}"#, "/line_items/0"),
        (r#"{"line_items":[{"title":"G","quantity":1}],"lineItems":[]}"#, "/lineItems"),
        (r#"{"line_items":[{"title":"G","quantity":1}],"tags":["a",1]}"#, "/tags/1"),
        (r#"{"line_items":[{"title":"G","quantity":1}],"test":"yes"}"#, "/test"),
        (
            r#"{"line_items":[{"title":"G","quantity":1}],"custom_attributes":[{"key":"k"}]}"#,
            "/custom_attributes/0/value",
        ),
        (r#"{"line_items":[{"quantity":1}]}"#, "/line_items/0/title"),
        (r#"{"line_items":[{"title":" ","quantity":1}]}"#, "/line_items/0/title"),
        (r#"{"line_items":[{"title":"G","quantity":0}]}"#, "/line_items/0/quantity"),
        (
            r#"{"line_items":[{"title":"G","quantity":1,"price":{"amount":"1,5"}}]}"#,
            "/line_items/0/price/amount",
        ),
        (
            r#"{"line_items":[{"title":"G","quantity":1,"price":{"amount":"1.5"}}]}"#,
            "/line_items/0/price/currency",
        ),
        (
            r#"{"line_items":[{"variant_id":"gid://shopify/Product/1","quantity":1}]}"#,
            "/line_items/0/variant_id",
        ),
        (r#"{"line_items":[{"title":"G","quantity":1}],"financial_status":"paid"}"#, "/financial_status"),
    ] {
        let host = host();
        let Err(Error::InvalidInput { field, message }) = run(&host, input) else {
            panic!("{input} is wrong")
        };
        assert_eq!(field, at, "{message}");
        assert!(host.http().requests().is_empty());
    }
}

#[test]
fn a_lost_answer_is_uncertain() {
    for lost in [
        Answer::fail(SendError::TimedOut("no answer within 30 s".into())),
        Answer::empty(502),
        refused("Something went wrong", "INTERNAL_SERVER_ERROR"),
    ] {
        let host = host();
        host.http().once("POST", URL, lost);
        assert!(matches!(run(&host, INPUT), Err(Error::Uncertain(_))));
    }
}

#[test]
fn a_refusal_names_the_inputs_field() {
    let host = host();
    let error = json!({"field": ["order", "lineItems", "0", "title"], "message": "Title can't be blank", "code": "INVALID"});
    host.http().once("POST", URL, answer(&json!({"orderCreate": {"order": null, "userErrors": [error]}})));
    assert_eq!(run(&host, INPUT), Err(Error::invalid_input("/line_items/0/title", "Title can't be blank")));
}

#[test]
fn an_answer_without_an_order_is_not_understood() {
    let host = host();
    host.http().once("POST", URL, answer(&json!({"orderCreate": {"order": null, "userErrors": []}})));
    assert!(matches!(run(&host, INPUT), Err(Error::Other { code, .. }) if code == "answer-not-understood"));
}

#[test]
fn the_search_finds_an_order_by_its_key() {
    let host = shop(vec![listed(ID, Some(KEY), "2025-12-31T00:00:00Z")], vec![json!([])]);
    let Reconciled::Found(order) = reconciled(&host) else { panic!("the order is there") };
    assert_eq!(serde_json::from_str::<Value>(&order).unwrap()["id"], ID);
    assert!(host.logs().is_empty());
}

#[test]
fn an_order_that_the_search_does_not_have_yet_is_found_among_the_newest() {
    let young = listed("gid://shopify/Order/9", None, "2025-12-31T23:59:59Z");
    let host = shop(vec![], vec![json!([young]), json!([listed(ID, Some(KEY), "2025-12-31T23:59:00Z")])]);
    assert!(matches!(reconciled(&host), Reconciled::Found(_)));
    assert_eq!(host.http().requests().len(), 3, "two pages and the order itself");
}

#[test]
fn an_order_whose_source_is_only_alike_is_another() {
    let longer = format!("{KEY}-2");
    let alike = listed("gid://shopify/Order/9", Some(&longer), "2025-12-31T00:00:00Z");
    let none = listed("gid://shopify/Order/8", None, "2025-12-31T00:00:00Z");
    let host = shop(vec![alike.clone(), none], vec![json!([alike])]);
    assert_eq!(reconciled(&host), Reconciled::Absent);
}

#[test]
fn looking_back_ends_where_the_search_has_to_be_up_to_date() {
    let young = listed("gid://shopify/Order/9", None, "2025-12-31T23:51:00Z");
    let old = listed("gid://shopify/Order/8", None, "2025-12-31T23:49:00Z");
    let host = shop(
        vec![],
        vec![json!([young]), json!([old]), json!([listed(ID, Some(KEY), "2025-12-31T23:48:00Z")])],
    );
    assert_eq!(reconciled(&host), Reconciled::Absent);
    assert_eq!(host.http().requests().len(), 2);
}

#[test]
fn a_shop_with_too_many_new_orders_cannot_be_told() {
    let young = listed("gid://shopify/Order/9", None, "2025-12-31T23:59:59Z");
    let host = shop(vec![], vec![json!([young]); 9]);
    let Reconciled::Unknown(why) = reconciled(&host) else { panic!("nobody can tell") };
    assert!(why.contains(KEY) && why.contains("10 minutes"), "{why}");
    assert_eq!(host.http().requests().len(), MAX_PAGES);
}

#[test]
fn an_order_that_is_deleted_since_is_not_created_again() {
    let gone = listed("gid://shopify/Order/1", Some(KEY), "2025-12-31T00:00:00Z");
    let Reconciled::Unknown(why) = reconciled(&shop(vec![gone], vec![json!([])])) else {
        panic!("it was created")
    };
    assert!(why.contains("deleted"), "{why}");
}

#[test]
fn several_orders_with_one_key_are_in_the_log() {
    let other = listed("gid://shopify/Order/7824239235305", Some(KEY), "2025-12-31T00:00:00Z");
    let host = shop(vec![other], vec![json!([listed(ID, Some(KEY), "2025-12-31T00:00:00Z")])]);
    assert!(matches!(reconciled(&host), Reconciled::Found(_)));
    assert!(host.logs()[0].1.contains("several orders bear the key"), "{:?}", host.logs());
}

#[test]
fn a_look_up_that_fails_is_no_absence() {
    for (answer, retried) in [(Answer::empty(502), true), (refused("Access denied", "ACCESS_DENIED"), false)]
    {
        let host = host();
        host.http().once("POST", URL, answer);
        let error = connector().reconcile(&host.calling("create_order"), INPUT, KEY).unwrap_err();
        assert_eq!(matches!(error, Error::Unavailable(_)), retried, "{error}");
    }
}

#[test]
fn a_listing_that_is_not_there_is_no_absence() {
    let page = json!({"nodes": [], "pageInfo": {"hasNextPage": false}});
    for data in [
        json!({}),
        json!({"found": {"nodes": []}, "newest": null}),
        json!({"found": {"nodes": null}, "newest": page}),
        json!({"found": {"nodes": []}, "newest": {"nodes": []}}),
    ] {
        let host = host();
        host.http().once("POST", URL, answer(&data));
        let error = connector().reconcile(&host.calling("create_order"), INPUT, KEY).unwrap_err();
        assert!(matches!(error, Error::Other { code, .. } if code == "answer-not-understood"), "{data}");
    }
}
