//! BigCommerce: orders, customers, products and stock start workflows, and workflows read and change them.
//!
//! Owns what is particular to BigCommerce: `api` (addresses, rate limits, errors), the records (`order`, `customer`,
//! `product`), the triggers and the functions in `actions`. The README says what it can do and its limits.

mod account;
mod actions;
mod api;
mod customer;
mod lookups;
mod order;
mod product;
mod record;
mod triggers;

use std::time::Duration;

use trunnion_sdk::{
    connector::Bucket,
    lookup::Lookup,
    prelude::*,
    trigger::{Dedup, Verification},
};

use self::{
    actions::upsert_customer,
    triggers::{
        changed::{Changed, Customers, Orders, Products},
        notified::{
            CustomerCreated, CustomerUpdated, InventoryUpdated, Notified, OrderStatusUpdated, OrderUpdated,
            ProductCreated, ProductUpdated,
        },
        order_created::OrderCreated,
    },
};

const ORDER: &str = include_str!("../samples/order.json");
const CUSTOMER: &str = include_str!("../samples/customer.json");
const PRODUCT: &str = include_str!("../samples/product.json");

/// A webhook: deliveries carry the subscription's secret and a hash of their own.
fn hook<W: Webhook>(id: &'static str, title: &'static str) -> Trigger {
    let verification = Verification::secret_header(triggers::hooks::SECRET_HEADER, triggers::hooks::SECRET);
    Trigger::webhook::<W>(id, title, verification, Dedup::body("/hash"))
}

trunnion_sdk::connector! {
    id: "bigcommerce",
    title: "BigCommerce",
    help: "Online stores: orders, customers, products and stock.",
    hosts: ["api.bigcommerce.com", "login.bigcommerce.com"],
    connection: account::connection(),
    check: account::check,
    // The smallest plan's quota; the headers of each answer report the store's own.
    buckets: [Bucket::new(api::STORE_BUCKET, 150, Duration::from_secs(30)).full_at_once()],
    triggers: [
        hook::<OrderCreated>("order_created", "Order placed")
            .help("Once for each order, as soon as it is placed; an incomplete order (status 0) waits until then.")
            .sample(ORDER),
        hook::<Notified<OrderUpdated>>("order_updated", "Order changed")
            .help("At each change of an order, whatever changed.")
            .sample(ORDER),
        hook::<Notified<OrderStatusUpdated>>("order_status_updated", "Order's status changed")
            .help("At each change of an order's status, with the one before and the new one.")
            .sample(include_str!("../samples/status_change.json")),
        hook::<Notified<CustomerCreated>>("customer_created", "Customer created").sample(CUSTOMER),
        hook::<Notified<CustomerUpdated>>("customer_updated", "Customer changed").sample(CUSTOMER),
        hook::<Notified<ProductCreated>>("product_created", "Product created").sample(PRODUCT),
        hook::<Notified<ProductUpdated>>("product_updated", "Product changed").sample(PRODUCT),
        hook::<Notified<InventoryUpdated>>("inventory_updated", "Stock changed")
            .help("At each change of a product's or a variant's stock, by hand, by an app or by an order.")
            .sample(r#"{"product_id":206,"variant_id":509,"sku_id":461,"method":"absolute","value":5}"#),
        Trigger::poll::<Changed<Orders>>("order_changed", "Order created or changed (asked for)")
            .help("Asks every few minutes what changed; for whoever cannot be reached by webhooks. Incomplete orders too.")
            .sample(ORDER),
        Trigger::poll::<Changed<Customers>>("customer_changed", "Customer created or changed (asked for)")
            .help("Asks every few minutes what changed; for whoever cannot be reached by webhooks.")
            .sample(CUSTOMER),
        Trigger::poll::<Changed<Products>>("product_changed", "Product created or changed (asked for)")
            .help("Asks every few minutes what changed; for whoever cannot be reached by webhooks.")
            .sample(PRODUCT),
    ],
    actions: [
        Action::new("get_order", "Get an order", actions::get_order::get_order)
            .help("Reads one order.")
            .safe_to_repeat()
            .sample(r#"{"order_id":"123"}"#, ORDER),
        Action::listing("list_orders", "List orders", actions::list_orders::list_orders)
            .help("Reads the orders that fit the filters, page by page.")
            .sample(r#"{"status_id":11,"limit":50}"#, include_str!("../samples/orders.json")),
        Action::new("create_order", "Create an order", actions::create_order::create_order)
            .help("Creates an order, which finds itself again by its external id when an answer is lost.")
            .reconciled_by(actions::create_order::reconcile)
            .sample(include_str!("../samples/create_order.json"), ORDER),
        Action::new("update_order", "Update an order", actions::update_order::update_order)
            .help("Changes what is given of one order, and leaves the rest as it is.")
            .safe_to_repeat()
            .sample(r#"{"order_id":"123","staff_notes":"Fragile"}"#, ORDER),
        Action::new(
            "update_order_status",
            "Update an order's status",
            actions::update_order_status::update_order_status,
        )
        .help("Sets the status of one order, for example to 2 (Shipped).")
        .safe_to_repeat()
        .sample(r#"{"order_id":"123","status_id":2}"#, include_str!("../samples/shipped.json")),
        Action::new("create_shipment", "Ship an order", actions::create_shipment::create_shipment)
            .help("Ships an order or some of its positions, with a tracking number.")
            .reconciled_by(actions::create_shipment::reconcile)
            .sample(
                r#"{"order_id":"123","tracking_number":"1Z999","tracking_carrier":"ups"}"#,
                r#"{"id":5,"order_id":123,"tracking_number":"1Z999","tracking_carrier":"ups"}"#,
            ),
        Action::new("refund_order", "Refund an order", actions::refund_order::refund_order)
            .help("Refunds positions, fees or amounts of an order, by a way that BigCommerce offers.")
            .reconciled_by(actions::refund_order::reconcile)
            .sample(
                r#"{"order_id":"123","items":[{"item_type":"PRODUCT","item_id":1,"quantity":1,"reason":"Broken"}]}"#,
                r#"{"id":3,"order_id":123,"total_amount":20.5}"#,
            ),
        Action::new("upsert_customer", "Create or update a customer", upsert_customer::upsert_customer)
            .help("Changes the customer with this e-mail address, or creates one.")
            .safe_to_repeat()
            .batch(upsert_customer::BATCH, upsert_customer::upsert_customers)
            .sample(r#"{"email":"ada@example.com","first_name":"Ada","last_name":"Lovelace"}"#, CUSTOMER),
        Action::new("upsert_product", "Create or update a product", actions::upsert_product::upsert_product)
            .help("Changes the product with this stock keeping unit, or creates one.")
            .safe_to_repeat()
            .sample(r#"{"sku":"G-1","name":"Gear","price":12.5}"#, PRODUCT),
        Action::new("set_inventory", "Set stock", actions::set_inventory::set_inventory)
            .help("Sets how many of products or variants are at a location.")
            .safe_to_repeat()
            .sample(
                r#"{"items":[{"location_id":1,"sku":"G-1","quantity":5}],"reason":"Counted"}"#,
                r#"{"transaction_id":"c9f4e3a0","items":1}"#,
            ),
        Action::new("raw_request", "Send any request", actions::raw_request::raw_request)
            .help("Sends a request of your own to the store's API, for what no other action does.")
            .sample(r#"{"method":"GET","path":"/v3/catalog/brands"}"#, r#"{"status":200,"body":{"data":[]}}"#),
    ],
    lookups: [
        Lookup::new("order_statuses", "Order statuses", lookups::order_statuses),
        Lookup::new("locations", "Locations", lookups::locations),
    ],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        trunnion_sdk::test::assert_sound(&connector());
    }

    #[test]
    fn the_host_reads_the_manifest() {
        let manifest = trunnion_core::manifest::Manifest::parse(&connector().manifest()).unwrap();
        assert_eq!(manifest.id, "bigcommerce");
        assert_eq!(manifest.hosts, ["api.bigcommerce.com", "login.bigcommerce.com"]);
        let oauth = manifest.scheme("oauth").unwrap();
        assert!(oauth.captures("store_hash") && oauth.needs_registration(), "nobody types the store's hash");
        assert_eq!(manifest.scheme("api_account").unwrap().place.len(), 1);
        let trigger = manifest.trigger("order_created").unwrap();
        assert_eq!(trigger.sample["status_id"], 11);
        for id in ["get_order", "update_order_status"] {
            let action = manifest.action(id).unwrap();
            assert_eq!(action.repeat, trunnion_core::manifest::Repeat::Safe);
            assert!(action.input["required"].as_array().unwrap().contains(&"order_id".into()), "{id}");
        }
        let of = |repeat| {
            manifest.actions.iter().filter(move |action| action.repeat == repeat).map(|it| it.id.as_str())
        };
        use trunnion_core::manifest::Repeat;
        assert_eq!(
            of(Repeat::Lookup).collect::<Vec<_>>(),
            ["create_order", "create_shipment", "refund_order"]
        );
        assert_eq!(of(Repeat::Never).collect::<Vec<_>>(), ["raw_request"]);
        assert_eq!((manifest.triggers.len(), manifest.actions.len(), manifest.lookups.len()), (11, 11, 2));
    }
}
