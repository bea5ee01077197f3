//! Shopify: orders, customers, products and stock start workflows, and workflows read and change them.
//!
//! Owns what is particular to Shopify: `graphql` (the one way to its Admin API, costs, errors), the tables of what goes in
//! and out (`shape`, `record`, `tables`), the triggers and the functions in `actions`. The README says what it can do and
//! its limits.

mod account;
mod actions;
mod graphql;
mod ids;
mod lookups;
mod money;
mod order;
mod record;
mod shape;
mod tables;
mod triggers;

use std::time::Duration;

use trunnion_sdk::{
    connector::Bucket,
    lookup::Lookup,
    prelude::*,
    trigger::{Dedup, HmacAlgorithm, SignatureEncoding, SignedPart, Verification},
};

use self::triggers::{
    changed::{Changed, Customers, Orders, Products},
    notified::{
        AppUninstalled, CustomerCreated, CustomerUpdated, InventoryLevelChanged, Notified, OrderCancelled,
        OrderCreated, OrderFulfilled, OrderPaid, OrderUpdated, ProductCreated, ProductUpdated, Subject,
    },
    privacy::{CustomerRedact, DataRequest, Demand, Demanded, ShopRedact},
};

const ORDER: &str = include_str!("../samples/delivered.json");
const CUSTOMER: &str = include_str!("../samples/delivered_customer.json");
const PRODUCT: &str = include_str!("../samples/delivered_product.json");
const FOUND: &str = include_str!("../samples/created.json");
const FOUND_CUSTOMER: &str = include_str!("../samples/customer.json");
const FOUND_PRODUCT: &str = include_str!("../samples/product.json");

/// Shopify's signature: over the raw body, by the client secret of the app.
fn signature() -> Verification {
    Verification::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        header: "X-Shopify-Hmac-Sha256".into(),
        encoding: SignatureEncoding::Base64,
        prefix: String::new(),
        parts: vec![SignedPart::Body],
        secret: account::CLIENT_SECRET.into(),
        timestamp: None,
    }
}

/// A header names each delivery, whichever way it comes.
fn dedup() -> Dedup {
    Dedup::header("X-Shopify-Webhook-Id")
}

/// A webhook of the shop's own.
fn hook<S: Subject>(id: &'static str, title: &'static str) -> Trigger {
    Trigger::webhook::<Notified<S>>(id, title, signature(), dedup())
}

/// A webhook of the app, for all shops.
fn app_hook<D: Demand>(id: &'static str, title: &'static str) -> Trigger {
    Trigger::app_webhook::<Demanded<D>>(id, title, signature(), dedup())
}

trunnion_sdk::connector! {
    id: "shopify",
    title: "Shopify",
    help: "Online stores: orders, customers, products and stock.",
    hosts: ["{shop}.myshopify.com"],
    connection: account::connection(),
    check: account::check,
    // A full bucket at the smallest plan's restore rate; each answer reports the shop's own.
    buckets: [Bucket::new(graphql::POINTS, 2000, Duration::from_secs(20))],
    triggers: [
        hook::<OrderCreated>("order_created", "Order created")
            .help("Once for each order, as soon as Shopify has it, whichever way it came in.")
            .sample(ORDER),
        hook::<OrderUpdated>("order_updated", "Order changed").help("At each change of an order.").sample(ORDER),
        hook::<OrderPaid>("order_paid", "Order paid").help("When an order is fully paid.").sample(ORDER),
        hook::<OrderCancelled>("order_cancelled", "Order cancelled").help("Once for each order.").sample(ORDER),
        hook::<OrderFulfilled>("order_fulfilled", "Order fulfilled")
            .help("When everything of an order is fulfilled.")
            .sample(ORDER),
        hook::<CustomerCreated>("customer_created", "Customer created").sample(CUSTOMER),
        hook::<CustomerUpdated>("customer_updated", "Customer changed").sample(CUSTOMER),
        hook::<ProductCreated>("product_created", "Product created").sample(PRODUCT),
        hook::<ProductUpdated>("product_updated", "Product changed")
            .help("At each change of a product or one of its variants; a sale changes its stock.")
            .sample(PRODUCT),
        hook::<InventoryLevelChanged>("inventory_level_changed", "Stock changed")
            .help("At each change of how many of something are at a location.")
            .sample(r#"{"inventory_item_id":271878346596884015,"location_id":24826418,"available":5,"updated_at":"2026-11-22T09:30:00+01:00"}"#),
        hook::<AppUninstalled>("app_uninstalled", "App uninstalled")
            .help("When the shop removes the app; the connection's token works no more then.")
            .sample(r#"{"id":548380009,"name":"Ada Engines","myshopify_domain":"ada-engines.myshopify.com"}"#),
        app_hook::<DataRequest>("customer_data_requested", "Customer asks for their data")
            .help("When a customer asks the shop what is kept about them: hand it to the shop within 30 days.")
            .sample(r#"{"shop_id":548380009,"shop_domain":"ada-engines.myshopify.com","orders_requested":[299938],
                "customer":{"id":191167,"email":"john@example.com","phone":"555-625-1199"},"data_request":{"id":9999}}"#),
        app_hook::<CustomerRedact>("customer_redact_requested", "Customer to be erased")
            .help("When the shop wants a customer erased, and the orders it names: do so within 30 days.")
            .sample(r#"{"shop_id":548380009,"shop_domain":"ada-engines.myshopify.com","orders_to_redact":[299938],
                "customer":{"id":191167,"email":"john@example.com","phone":"555-625-1199"}}"#),
        app_hook::<ShopRedact>("shop_redact_requested", "Shop to be erased")
            .help("48 hours after a shop removed the app: erase what is kept of it.")
            .sample(r#"{"shop_id":548380009,"shop_domain":"ada-engines.myshopify.com"}"#),
        Trigger::poll::<Changed<Orders>>("order_changed", "Order created or changed (asked for)")
            .help("Asks every few minutes what changed; for whoever cannot be reached by webhooks.")
            .sample(FOUND),
        Trigger::poll::<Changed<Customers>>("customer_changed", "Customer created or changed (asked for)")
            .help("Asks every few minutes what changed; for whoever cannot be reached by webhooks.")
            .sample(FOUND_CUSTOMER),
        Trigger::poll::<Changed<Products>>("product_changed", "Product created or changed (asked for)")
            .help("Asks every few minutes what changed; for whoever cannot be reached by webhooks.")
            .sample(FOUND_PRODUCT),
    ],
    actions: [
        Action::new("create_order", "Create an order", actions::create_order::create_order)
            .help("Creates an order without a checkout. It claims no stock and sends no mail unless told to.")
            .reconciled_by(actions::create_order::reconcile)
            .sample(include_str!("../samples/create_order.json"), FOUND),
        Action::new("update_order", "Update an order", actions::update_order::update_order)
            .help("Changes what is given of one order, and leaves the rest as it is.")
            .safe_to_repeat()
            .sample(r#"{"id":"6824239235305","note":"Fragile"}"#, FOUND),
        Action::new("get_order", "Get an order", actions::get_order::get_order)
            .help("Reads one order with up to 100 of its line items.")
            .safe_to_repeat()
            .sample(r#"{"order_id":"6824239235305"}"#, include_str!("../samples/order.json")),
        Action::listing("find_orders", "Find orders", actions::find_orders::find_orders)
            .help("Finds orders by Shopify's own search, page by page, in the order they were created.")
            .sample(r#"{"query":"financial_status:paid","first":50}"#, r#"{"items":[],"next":null}"#),
        Action::new("cancel_order", "Cancel an order", actions::cancel_order::cancel_order)
            .help("Cancels an order; Shopify may still be working on it when the answer comes.")
            .safe_to_repeat()
            .sample(
                r#"{"order_id":"6824239235305","reason":"CUSTOMER","restock":true,"refund":true}"#,
                r#"{"order_id":"gid://shopify/Order/6824239235305","cancelled":true}"#,
            ),
        Action::new("create_fulfillment", "Fulfil an order", actions::create_fulfillment::create_fulfillment)
            .help("Fulfils what is open of an order, or a part of it, with its tracking number.")
            .reconciled_by(actions::create_fulfillment::reconcile)
            .sample(
                r#"{"order_id":"6824239235305","tracking_number":"1Z999","tracking_company":"UPS"}"#,
                include_str!("../samples/fulfillment.json"),
            ),
        Action::new("add_tags", "Add tags", actions::tags::add_tags)
            .help("Adds tags to an order, a customer or a product.")
            .safe_to_repeat()
            .sample(TAGS, TAGGED),
        Action::new("remove_tags", "Remove tags", actions::tags::remove_tags)
            .help("Removes tags of an order, a customer or a product.")
            .safe_to_repeat()
            .sample(TAGS, TAGGED),
        Action::new("upsert_customer", "Create or update a customer", actions::upsert_customer::upsert_customer)
            .help("Changes the customer with this address, number or id, or creates one.")
            .safe_to_repeat()
            .sample(r#"{"email":"ada@example.com","first_name":"Ada"}"#, FOUND_CUSTOMER),
        Action::new("upsert_product", "Create or update a product", actions::upsert_product::upsert_product)
            .help("Makes the product with this handle or id what is given, or creates one.")
            .safe_to_repeat()
            .sample(r#"{"handle":"gear","title":"Gear","status":"DRAFT"}"#, FOUND_PRODUCT),
        Action::new("set_inventory", "Set stock", actions::set_inventory::set_inventory)
            .help("Sets how many of stock items are at a location.")
            .recognises_key()
            .sample(
                r#"{"quantities":[{"inventory_item_id":"30322695","location_id":"124656943","quantity":5}]}"#,
                r#"{"id":"gid://shopify/InventoryAdjustmentGroup/7","reason":"correction","changes":[]}"#,
            ),
        Action::new("refund_order", "Refund an order", actions::refund_order::refund_order)
            .help("Refunds line items, shipping or payments of an order.")
            .recognises_key()
            .sample(
                r#"{"order_id":"6824239235305","refund_line_items":[{"line_item_id":"123","quantity":1}]}"#,
                r#"{"id":"gid://shopify/Refund/7","total_refunded":{"amount":"12.5","currency":"EUR"}}"#,
            ),
        Action::new("get_by_ids", "Get things by their ids", actions::get_by_ids::get_by_ids)
            .help("Reads up to 250 orders, customers, products, variants and stock items at once.")
            .safe_to_repeat()
            .sample(
                r#"{"ids":["gid://shopify/Customer/7"]}"#,
                r#"{"nodes":[{"id":"gid://shopify/Customer/7","display_name":"Ada"}],"missing":[]}"#,
            ),
        Action::new("raw_graphql", "Send any document", actions::raw_graphql::raw_graphql)
            .help("Sends a query or mutation of your own; what a mutation says in `userErrors` is yours to read.")
            .sample(r#"{"document":"{ shop { name } }"}"#, r#"{"data":{"shop":{"name":"Ada Engines"}}}"#),
    ],
    lookups: [Lookup::new("locations", "Locations", lookups::locations)],
}

const TAGS: &str = r#"{"id":"gid://shopify/Order/6824239235305","tags":["vip"]}"#;
const TAGGED: &str = r#"{"id":"gid://shopify/Order/6824239235305","tags":["vip"]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        trunnion_sdk::test::assert_sound(&connector());
    }

    #[test]
    fn the_host_reads_the_manifest() {
        use trunnion_core::manifest::{Manifest, Placement, Repeat, TriggerSource, Verification};

        let manifest = Manifest::parse(&connector().manifest()).unwrap();
        assert_eq!(manifest.id, "shopify");
        assert_eq!(manifest.hosts, ["{shop}.myshopify.com"]);
        let place = &manifest.scheme("custom_app").unwrap().place;
        let token = Placement::Header {
            name: "X-Shopify-Access-Token".into(),
            value: "{{secret:access_token}}".into(),
        };
        assert_eq!(*place, [token], "the client secret is never put on a request");
        for id in ["oauth", "oauth_lasting"] {
            let scheme = manifest.scheme(id).unwrap();
            assert!(
                !scheme.captures("shop"),
                "the shop's own address is asked, so that somebody names the shop"
            );
            assert_eq!(scheme.place, *place, "{id}");
        }
        assert_eq!(manifest.action("create_order").unwrap().repeat, Repeat::Lookup);
        assert_eq!(manifest.action("get_order").unwrap().repeat, Repeat::Safe);
        let trigger = manifest.trigger("order_created").unwrap();
        let TriggerSource::Webhook(webhook) = &trigger.source else { panic!("not a webhook") };
        assert!(matches!(&webhook.verify, Verification::Hmac { secret, .. } if secret == "client_secret"));
        assert_eq!(trigger.sample["line_items"][0]["quantity"], 2);
    }

    #[test]
    fn the_samples_fit_the_schemas() {
        let manifest = trunnion_core::manifest::Manifest::parse(&connector().manifest()).unwrap();
        let trigger = manifest.trigger("order_created").unwrap();
        let mut pairs = vec![("delivered", &trigger.schema, &trigger.sample)];
        for action in &manifest.actions {
            pairs.push((&action.id, &action.input, &action.sample_input));
            pairs.push((&action.id, &action.output, &action.sample_output));
        }
        for (name, schema, sample) in pairs {
            for required in schema["required"].as_array().unwrap() {
                assert!(
                    sample.get(required.as_str().unwrap()).is_some(),
                    "{name}: the sample lacks {required}"
                );
            }
            for member in sample.as_object().unwrap().keys().filter(|_| name != "delivered") {
                assert!(schema["properties"].get(member).is_some(), "{name}: the schema lacks `{member}`");
            }
        }
    }
}
