//! BigCommerce: placed orders start workflows; workflows read orders and set their status.
//!
//! Owns what is particular to BigCommerce: `api` (addresses, rate limits, errors), `order`, the webhook in
//! `triggers` and the functions in `actions`. The README says what it can do and its limits.

mod account;
mod actions;
mod api;
mod order;
mod triggers;

use std::time::Duration;

use trunnion_sdk::{
    connector::Bucket,
    prelude::*,
    trigger::{Dedup, Verification},
};

trunnion_sdk::connector! {
    id: "bigcommerce",
    title: "BigCommerce",
    help: "Online stores: orders, and more to come.",
    hosts: ["api.bigcommerce.com"],
    connection: account::connection(),
    check: account::check,
    // The smallest plan's quota; the headers of each answer report the store's own.
    buckets: [Bucket::new(api::STORE_BUCKET, 150, Duration::from_secs(30)).full_at_once()],
    triggers: [
        Trigger::webhook::<triggers::order_created::OrderCreated>(
            "order_created",
            "Order placed",
            Verification::secret_header(triggers::hooks::SECRET_HEADER, triggers::hooks::SECRET),
            Dedup::body("/hash"),
        )
        .help("Once for each order, as soon as it is placed; an incomplete order (status 0) waits until then.")
        .sample(include_str!("../samples/order.json")),
    ],
    actions: [
        Action::new("get_order", "Get an order", actions::get_order::get_order)
            .help("Reads one order.")
            .safe_to_repeat()
            .sample(r#"{"order_id":"123"}"#, include_str!("../samples/order.json")),
        Action::new(
            "update_order_status",
            "Update an order's status",
            actions::update_order_status::update_order_status,
        )
        .help("Sets the status of one order, for example to 2 (Shipped).")
        .safe_to_repeat()
        .sample(r#"{"order_id":"123","status_id":2}"#, include_str!("../samples/shipped.json")),
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
        assert_eq!(manifest.hosts, ["api.bigcommerce.com"]);
        assert_eq!(manifest.scheme("api_account").unwrap().place.len(), 1);
        let trigger = manifest.trigger("order_created").unwrap();
        assert_eq!(trigger.sample["status_id"], 11);
        for id in ["get_order", "update_order_status"] {
            let action = manifest.action(id).unwrap();
            assert_eq!(action.repeat, trunnion_core::manifest::Repeat::Safe);
            assert!(action.input["required"].as_array().unwrap().contains(&"order_id".into()), "{id}");
        }
    }
}
