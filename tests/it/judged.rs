//! Every action, lookup, trigger and poll of the shops' connectors, each request of which passes its vendor's own
//! description. The connectors run natively here, against a vendor that says yes to everything, so that the table is of
//! inputs alone; that they run in the sandbox too is what `judge` shows.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use trunnion_sdk::{
    connector::Connector,
    http::Auth,
    lookup::Query,
    test::{Answer, FakeHost, Seen},
    trigger::{Delivery, Target},
};
use trunnion_tests::{
    judge::{Judge, Vendor},
    record::Recorded,
};

const HOOK: &str = "https://trunnion.example/hooks/5f0c";

/// A request as a judge takes it.
fn recorded(seen: &Seen, (name, token): (&'static str, &str)) -> Recorded {
    let mut headers = HeaderMap::new();
    for (name, value) in &seen.0.headers {
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    if seen.0.auth == Auth::Connection {
        headers.insert(name, HeaderValue::try_from(token).unwrap());
    }
    let url = url::Url::parse(&seen.0.url).unwrap();
    let uri = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    Recorded {
        method: Method::from_bytes(seen.0.method.as_bytes()).unwrap(),
        uri: uri.parse().unwrap(),
        headers,
        body: seen.0.body.clone().unwrap_or_default().into(),
        status: StatusCode::OK,
    }
}

fn delivery(headers: &[(&str, &str)], body: &Value) -> Delivery {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Delivery { method: "POST".into(), url: HOOK.into(), headers, body: body.to_string().into_bytes() }
}

/// Runs everything that a connector declares, so that nothing new escapes the judge.
struct Run<'a> {
    connector: &'a Connector,
    host: FakeHost,
    done: BTreeSet<String>,
}

impl Run<'_> {
    fn act(&mut self, action: &str, input: &Value) {
        let ctx = self.host.calling(action);
        let answered = self.connector.run(&ctx, &input.to_string());
        assert!(answered.is_ok(), "{action}: {answered:?}");
        self.done.insert(action.to_owned());
    }

    fn reconcile(&self, action: &str, input: &Value) {
        self.connector.reconcile(&self.host.calling(action), &input.to_string(), "key-1").unwrap();
    }

    /// Registers, looks after and removes a webhook, and reads a delivery.
    fn hook(&mut self, trigger: &str, headers: &[(&str, &str)], body: &Value) {
        let target = Target { url: HOOK.to_owned(), options: json!({}) };
        let call = || self.host.calling(trigger);
        let state = self.connector.subscribe(&call(), &target).unwrap();
        let moved = Target { url: format!("{HOOK}/moved"), ..target.clone() };
        for target in [&target, &moved] {
            self.connector.check_subscription(&call(), target, &state).unwrap();
        }
        let parsed = self.connector.parse(&call(), &delivery(headers, body)).unwrap();
        assert_eq!(parsed.len(), 1, "{trigger}: {parsed:?}");
        self.connector.unsubscribe(&call(), &state).unwrap();
        self.done.insert(trigger.to_owned());
    }

    /// Reads a delivery to the app's own webhook, for which nothing is asked.
    fn app_hook(&mut self, trigger: &str, headers: &[(&str, &str)], body: &Value) {
        let parsed = self.connector.parse_for_app(&self.host.context(), &delivery(headers, body)).unwrap();
        assert_eq!(parsed.iter().map(|(known, _)| *known).collect::<Vec<_>>(), [trigger]);
        self.done.insert(trigger.to_owned());
    }

    fn poll(&mut self, trigger: &str) {
        let page = self.connector.poll(&self.host.calling(trigger), None).unwrap();
        self.connector.poll(&self.host.calling(trigger), Some(&page.cursor)).unwrap();
        self.done.insert(trigger.to_owned());
    }

    fn look_up(&mut self, lookup: &str) {
        self.connector.options(&self.host.calling(lookup), &Query::default()).unwrap();
        self.done.insert(lookup.to_owned());
    }

    /// Everything that the manifest lists was among it.
    fn requests(self, credential: (&'static str, &str)) -> Vec<Recorded> {
        let manifest: Value = serde_json::from_str(&self.connector.manifest()).unwrap();
        for list in ["triggers", "actions", "lookups"] {
            for item in manifest[list].as_array().into_iter().flatten() {
                let id = item["id"].as_str().unwrap();
                assert!(self.done.contains(id), "`{id}` of {list} is not in the table; add it");
            }
        }
        self.host.http().requests().iter().map(|seen| recorded(seen, credential)).collect()
    }
}

async fn judged(vendor: Vendor, requests: Vec<Recorded>) {
    let Some(judge) = Judge::start(vendor).await.unwrap() else {
        println!("SKIPPED: no description of {vendor:?} in ../shared");
        return;
    };
    let mut refused = Vec::new();
    for request in &requests {
        let verdict = judge.verdict(request).await.unwrap();
        if !verdict.allows() {
            let body = String::from_utf8_lossy(&request.body);
            refused.push(format!("{} {} {body}\n  {}", request.method, request.uri, verdict.reasons));
        }
    }
    assert!(
        refused.is_empty(),
        "{} of {} are refused:\n{}",
        refused.len(),
        requests.len(),
        refused.join("\n")
    );
    println!("{} requests of {vendor:?} judged", requests.len());
}

/// A store that has one of everything.
fn bigcommerce(seen: &Seen) -> Answer {
    let path = seen.url().strip_prefix("https://api.bigcommerce.com/stores/abc123").unwrap();
    let body = match (seen.0.method, path) {
        ("GET", "/v2/store") => json!({"id": "abc123", "name": "Ada's Engines"}),
        ("GET", "/v2/orders") => json!([{"id": 7, "date_modified": "Thu, 01 Jan 2026 00:00:05 +0000"}]),
        ("GET", "/v2/order_statuses") => json!([{"id": 2, "name": "Shipped"}]),
        ("GET", "/v2/orders/7/shipping_addresses") => json!([{"id": 40}]),
        ("GET", "/v2/orders/7/products") => json!([{"id": 1, "quantity": 1, "quantity_shipped": 0}]),
        ("GET", "/v2/orders/7/shipments") => json!([]),
        (_, path) if path.starts_with("/v2/orders") => json!({"id": 7, "status_id": 11}),
        ("GET", "/v3/customers") => {
            json!({"data": [{"id": 250, "email": "ada@example.com", "date_modified": "2026-01-01T00:00:05Z"}]})
        }
        ("GET", "/v3/catalog/products") => {
            json!({"data": [{"id": 250, "sku": "G-1", "date_modified": "2026-01-01T00:00:05Z"}]})
        }
        ("GET", "/v3/inventory/locations" | "/v3/orders/7/payment_actions/refunds") => {
            json!({"data": [{"id": 1, "label": "Shop"}]})
        }
        ("POST", "/v3/orders/7/payment_actions/refund_quotes") => {
            json!({"data": {"refund_methods": [[{"provider_id": "custom", "amount": 1.5, "offline": true}]]}})
        }
        ("PUT", "/v3/inventory/adjustments/absolute") => json!({"transaction_id": "e6f0"}),
        (_, path) if path.starts_with("/v3/hooks") => {
            let destination = seen.json()["destination"].as_str().unwrap_or(HOOK).to_owned();
            json!({"data": {"id": 9, "scope": "x", "destination": destination, "is_active": true}})
        }
        ("PUT" | "POST", "/v3/customers") => json!({"data": seen.json()}),
        _ => json!({"data": {"id": 250, "sku": "G-1"}}),
    };
    Answer::json(200, &body)
}

fn every_bigcommerce_request() -> Vec<Recorded> {
    let connector = trunnion_connector_bigcommerce::connector();
    let host = FakeHost::new().with_parameter("store_hash", "abc123").with_account("abc123");
    for method in ["GET", "POST", "PUT", "DELETE"] {
        host.http().on(method, "https://api.bigcommerce.com/*", bigcommerce);
    }
    let mut run = Run { connector: &connector, host, done: BTreeSet::new() };
    (connector.check)(&run.host.context()).unwrap();
    for lookup in ["order_statuses", "locations"] {
        run.look_up(lookup);
    }
    for trigger in ["order_changed", "customer_changed", "product_changed"] {
        run.poll(trigger);
    }
    let status = json!({"type": "order", "id": 7, "status": {"previous_status_id": 0, "new_status_id": 11}});
    let stock =
        json!({"type": "product", "id": 9, "inventory": {"product_id": 9, "method": "absolute", "value": 5}});
    for (trigger, scope, data) in [
        ("order_created", "store/order/created", json!({"type": "order", "id": 7})),
        ("order_updated", "store/order/updated", json!({"type": "order", "id": 7})),
        ("order_status_updated", "store/order/statusUpdated", status),
        ("customer_created", "store/customer/created", json!({"type": "customer", "id": 250})),
        ("customer_updated", "store/customer/updated", json!({"type": "customer", "id": 250})),
        ("product_created", "store/product/created", json!({"type": "product", "id": 250})),
        ("product_updated", "store/product/updated", json!({"type": "product", "id": 250})),
        ("inventory_updated", "store/product/inventory/updated", stock),
    ] {
        run.hook(
            trigger,
            &[],
            &json!({"scope": scope, "data": data, "hash": "0a", "created_at": 1_767_225_600}),
        );
    }
    let address = json!({"first_name": "Ada", "last_name": "Lovelace", "street_1": "12 St James's Square",
                         "city": "London", "zip": "SW1Y 4JH", "country": "United Kingdom", "country_iso2": "GB"});
    let order = json!({"products": [{"product_id": 77, "quantity": 2}, {"name": "Gift", "quantity": 1, "price_inc_tax": 1.5,
                       "price_ex_tax": 1.25}], "billing_address": address, "shipping_addresses": [address],
                       "customer_id": 7, "status_id": 11, "staff_notes": "n", "customer_message": "m",
                       "payment_method": "Manual", "default_currency_code": "EUR", "more": {"channel_id": 1}});
    let shipment = json!({"order_id": 7, "tracking_number": "1Z", "tracking_carrier": "ups", "comments": "c",
                          "shipping_provider": "", "shipping_method": "Express", "tracking_link": "https://t.example"});
    let refund = json!({"order_id": 7, "items": [{"item_type": "PRODUCT", "item_id": 1, "quantity": 1, "reason": "r"},
                        {"item_type": "SHIPPING", "item_id": 2, "amount": 1.5}], "method": "offline"});
    let customer = json!({"email": "ada@example.com", "first_name": "Ada", "last_name": "L", "phone": "1",
                          "company": "c", "notes": "n", "customer_group_id": 0});
    let new = json!({"email": "bob@example.com", "first_name": "Bob", "last_name": "B"});
    for (action, input) in [
        ("get_order", json!({"order_id": 7})),
        (
            "list_orders",
            json!({"status_id": 11, "customer_id": 7, "email": "a@x.example", "external_order_id": "E",
            "min_date_created": "2026-01-01T00:00:00Z", "max_date_created": "2026-01-01T00:00:00Z",
            "min_date_modified": "2026-01-01T00:00:00Z", "max_date_modified": "2026-01-01T00:00:00Z"}),
        ),
        ("create_order", order.clone()),
        ("update_order", json!({"order_id": 7, "status_id": 2, "customer_id": 7, "staff_notes": "n"})),
        ("update_order_status", json!({"order_id": 7, "status_id": 2})),
        ("create_shipment", shipment.clone()),
        ("refund_order", refund.clone()),
        ("upsert_customer", customer.clone()),
        ("upsert_customer", new),
        ("upsert_product", json!({"sku": "G-1", "price": 2.5, "categories": [1], "is_visible": true})),
        ("upsert_product", json!({"sku": "G-2", "name": "Gear", "price": 2.5, "brand_name": "Ada"})),
        (
            "set_inventory",
            json!({"items": [{"location_id": 1, "sku": "G-1", "quantity": 5}], "reason": "Counted"}),
        ),
        ("raw_request", json!({"method": "GET", "path": "/v3/catalog/products", "query": {"limit": "5"}})),
    ] {
        run.act(action, &input);
    }
    for (action, input) in [("create_order", order), ("create_shipment", shipment), ("refund_order", refund)]
    {
        run.reconcile(action, &input);
    }
    run.requests(("x-auth-token", "token"))
}

#[tokio::test]
async fn everything_the_bigcommerce_connector_asks_passes_the_judge() {
    judged(Vendor::BigCommerce, every_bigcommerce_request()).await;
}

/// A shop that has one of everything.
fn shopify(seen: &Seen) -> Answer {
    let body = seen.json();
    let document = body["query"].as_str().unwrap();
    let page = |nodes: Value| json!({"nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": null}});
    let changed = json!([{"id": "gid://shopify/Order/7", "legacyResourceId": "7", "updatedAt": "2026-01-01T00:00:05Z"}]);
    let done = |name: &str, member: &str, thing: Value| json!({ name: { member: thing, "userErrors": [] } });
    let thing = json!({"id": "gid://shopify/Thing/1"});
    let order = json!({
        "id": "gid://shopify/Order/7", "legacyResourceId": "7", "name": "#1", "createdAt": "2026-01-01T00:00:05Z",
        "updatedAt": "2026-01-01T00:00:05Z", "displayFulfillmentStatus": "UNFULFILLED", "cancelledAt": null,
        "lineItems": page(json!([])), "fulfillments": [],
        "fulfillmentOrders": page(json!([{"id": "gid://shopify/FulfillmentOrder/1",
                                          "supportedActions": [{"action": "CREATE_FULFILLMENT"}]}])),
    });
    let hook = json!({"id": "gid://shopify/WebhookSubscription/1", "uri": HOOK, "format": "JSON"});
    let answers = [
        (
            "webhookSubscriptionCreate(",
            done("webhookSubscriptionCreate", "webhookSubscription", hook.clone()),
        ),
        (
            "webhookSubscriptionUpdate(",
            done("webhookSubscriptionUpdate", "webhookSubscription", hook.clone()),
        ),
        (
            "webhookSubscriptionDelete(",
            done("webhookSubscriptionDelete", "deletedWebhookSubscriptionId", json!("x")),
        ),
        ("webhookSubscription(", json!({ "webhookSubscription": hook })),
        ("newest: orders(", json!({"found": page(json!([])), "newest": page(json!([]))})),
        ("found: ", json!({"found": page(changed)})),
        (
            "locations(",
            json!({"locations": page(json!([{"id": "gid://shopify/Location/1", "name": "Shop"}]))}),
        ),
        ("orderCreate(", done("orderCreate", "order", order.clone())),
        ("orderUpdate(", done("orderUpdate", "order", thing.clone())),
        ("orderCancel(", done("orderCancel", "job", thing.clone())),
        ("fulfillmentCreate(", done("fulfillmentCreate", "fulfillment", thing.clone())),
        ("tagsAdd(", done("tagsAdd", "node", thing.clone())),
        ("tagsRemove(", done("tagsRemove", "node", thing.clone())),
        ("customerSet(", done("customerSet", "customer", thing.clone())),
        ("productSet(", done("productSet", "product", thing.clone())),
        (
            "inventorySetQuantities(",
            done("inventorySetQuantities", "inventoryAdjustmentGroup", thing.clone()),
        ),
        ("refundCreate(", done("refundCreate", "refund", thing.clone())),
        ("nodes(ids", json!({"nodes": [thing]})),
        ("order(", json!({ "order": order })),
        ("shop {", json!({"shop": {"name": "Ada Engines", "myshopifyDomain": "ada-engines.myshopify.com"}})),
    ];
    let found = answers.into_iter().find(|(start, _)| document.contains(start));
    let (_, data) = found.unwrap_or_else(|| panic!("no answer to {document}"));
    Answer::json(200, &json!({ "data": data }))
}

fn every_shopify_request() -> Vec<Recorded> {
    const SHOP: &str = "ada-engines.myshopify.com";
    let connector = trunnion_connector_shopify::connector();
    let host = FakeHost::new().with_parameter("shop", "ada-engines").with_account(SHOP);
    host.http().on("POST", "https://ada-engines.myshopify.com/*", shopify);
    let mut run = Run { connector: &connector, host, done: BTreeSet::new() };
    (connector.check)(&run.host.context()).unwrap();
    run.look_up("locations");
    for trigger in ["order_changed", "customer_changed", "product_changed"] {
        run.poll(trigger);
    }
    for (trigger, topic) in [
        ("order_created", "orders/create"),
        ("order_updated", "orders/updated"),
        ("order_paid", "orders/paid"),
        ("order_cancelled", "orders/cancelled"),
        ("order_fulfilled", "orders/fulfilled"),
        ("customer_created", "customers/create"),
        ("customer_updated", "customers/update"),
        ("product_created", "products/create"),
        ("product_updated", "products/update"),
        ("inventory_level_changed", "inventory_levels/update"),
        ("app_uninstalled", "app/uninstalled"),
    ] {
        let headers = [
            ("x-shopify-topic", topic),
            ("x-shopify-shop-domain", SHOP),
            ("x-shopify-webhook-id", "b54557e4"),
        ];
        run.hook(trigger, &headers, &json!({"id": 1, "inventory_item_id": 1, "location_id": 2}));
    }
    for (trigger, topic) in [
        ("customer_data_requested", "customers/data_request"),
        ("customer_redact_requested", "customers/redact"),
        ("shop_redact_requested", "shop/redact"),
    ] {
        let headers = [("x-shopify-topic", topic), ("x-shopify-webhook-id", "b54557e4")];
        run.app_hook(trigger, &headers, &json!({"shop_id": 1, "shop_domain": SHOP, "customer": {"id": 7}}));
    }
    let address = json!({"first_name": "Ada", "last_name": "L", "address1": "12 St James's Square", "city": "London",
                         "zip": "SW1Y 4JH", "country_code": "GB", "province_code": "ENG", "phone": "+1", "company": "c",
                         "address2": "a"});
    let order = json!({"email": "ada@example.com", "currency": "EUR", "note": "n", "tags": ["t"], "test": true,
                       "line_items": [{"title": "Gear", "quantity": 2, "price": {"amount": "12.50"}}, {"variant_id": 1, "quantity": 1}],
                       "shipping_address": address, "billing_address": address, "financial_status": "PAID",
                       "custom_attributes": [{"key": "k", "value": "v"}], "inventory": "BYPASS", "send_receipt": false});
    let fulfillment = json!({"order_id": 7, "tracking_number": "1Z", "tracking_company": "UPS", "notify_customer": true,
                             "tracking_url": "https://t.example/1Z", "message": "m"});
    let part =
        json!([{"fulfillment_order_id": 1, "fulfillment_order_line_items": [{"id": 9, "quantity": 2}]}]);
    let metafield = json!({"namespace": "n", "key": "k", "type": "single_line_text_field", "value": "v"});
    let stock = json!([{"location_id": 1, "name": "available", "quantity": 5}]);
    let variant = json!({"option_values": [{"option_name": "Size", "name": "S"}], "price": 12.5, "sku": "G-1", "taxable": true,
                         "compare_at_price": "15", "barcode": "b", "inventory_quantities": stock});
    for (action, input) in [
        ("create_order", order.clone()),
        (
            "update_order",
            json!({"id": 7, "email": "a@x.example", "phone": "+1", "note": "n", "tags": ["t"], "po_number": "P",
            "custom_attributes": [{"key": "k", "value": "v"}], "shipping_address": address}),
        ),
        ("get_order", json!({"order_id": 7})),
        ("find_orders", json!({"query": "tag:vip", "first": 5})),
        (
            "cancel_order",
            json!({"order_id": 7, "reason": "CUSTOMER", "restock": true, "refund": true,
            "notify_customer": true, "staff_note": "n"}),
        ),
        ("create_fulfillment", fulfillment.clone()),
        ("create_fulfillment", json!({"order_id": 7, "line_items_by_fulfillment_order": part})),
        ("add_tags", json!({"id": "gid://shopify/Order/7", "tags": ["vip"]})),
        ("remove_tags", json!({"id": "gid://shopify/Customer/7", "tags": ["vip"]})),
        (
            "upsert_customer",
            json!({"email": "a@x.example", "phone": "+1", "first_name": "A", "last_name": "L", "note": "n",
            "tags": ["t"], "locale": "en", "tax_exempt": true, "addresses": [address]}),
        ),
        ("upsert_customer", json!({"phone": "+1"})),
        ("upsert_customer", json!({"id": 7, "note": "n"})),
        (
            "upsert_product",
            json!({"handle": "gear", "title": "Gear", "description_html": "<p>", "status": "DRAFT",
            "vendor": "v", "product_type": "p", "tags": ["t"], "metafields": [metafield], "variants": [variant],
            "product_options": [{"name": "Size", "values": [{"name": "S"}]}]}),
        ),
        ("upsert_product", json!({"id": 7, "title": "Gear"})),
        (
            "set_inventory",
            json!({"name": "on_hand", "reason": "correction", "reference_document_uri": "gid://app/Count/7",
            "quantities": [{"inventory_item_id": 1, "location_id": 2, "quantity": 5, "change_from_quantity": 4}]}),
        ),
        (
            "refund_order",
            json!({"order_id": 7, "note": "n", "notify": true, "shipping": {"amount": "1.5"},
            "refund_line_items": [{"line_item_id": 1, "quantity": 1, "restock_type": "RETURN", "location_id": 1}],
            "transactions": [{"parent_id": 5, "gateway": "bogus", "amount": "1.50"}]}),
        ),
        ("get_by_ids", json!({"ids": ["gid://shopify/Order/7"]})),
        ("raw_graphql", json!({"document": "query { shop { name } }"})),
    ] {
        run.act(action, &input);
    }
    run.reconcile("create_order", &order);
    run.reconcile("create_fulfillment", &fulfillment);
    run.requests(("x-shopify-access-token", "token"))
}

#[tokio::test]
async fn everything_the_shopify_connector_asks_passes_the_judge() {
    judged(Vendor::Shopify, every_shopify_request()).await;
}
