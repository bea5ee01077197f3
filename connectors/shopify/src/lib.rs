//! Shopify: new orders start workflows; workflows create and read orders.
//!
//! Owns what is particular to Shopify: `graphql` (the one way to its Admin API, costs, errors), `order`, the
//! webhook in `triggers` and the functions in `actions`. The README says what it can do and its limits.

mod account;
mod actions;
mod graphql;
mod ids;
mod money;
mod order;
mod shape;
mod triggers;

use std::time::Duration;

use trunnion_sdk::{
    connector::Bucket,
    prelude::*,
    trigger::{Dedup, HmacAlgorithm, SignatureEncoding, SignedPart, Verification},
};

trunnion_sdk::connector! {
    id: "shopify",
    title: "Shopify",
    help: "Online stores: orders, and more to come.",
    hosts: ["{shop}.myshopify.com"],
    connection: account::connection(),
    check: account::check,
    // A full bucket at the smallest plan's restore rate; each answer reports the shop's own.
    buckets: [Bucket::new(graphql::POINTS, 2000, Duration::from_secs(20))],
    triggers: [
        Trigger::webhook::<triggers::order_created::OrderCreated>(
            "order_created",
            "Order created",
            Verification::Hmac {
                algorithm: HmacAlgorithm::Sha256,
                header: "X-Shopify-Hmac-Sha256".into(),
                encoding: SignatureEncoding::Base64,
                prefix: String::new(),
                parts: vec![SignedPart::Body],
                secret: account::CLIENT_SECRET.into(),
                timestamp: None,
            },
            Dedup::header("X-Shopify-Webhook-Id"),
        )
        .help("Once for each order, as soon as Shopify has it, whichever way it came in.")
        .sample(include_str!("../samples/delivered.json")),
    ],
    actions: [
        Action::new("create_order", "Create an order", actions::create_order::create_order)
            .help("Creates an order without a checkout. It claims no stock and sends no mail unless told to.")
            .reconciled_by(actions::create_order::reconcile)
            .sample(include_str!("../samples/create_order.json"), include_str!("../samples/created.json")),
        Action::new("get_order", "Get an order", actions::get_order::get_order)
            .help("Reads one order with up to 100 of its line items.")
            .safe_to_repeat()
            .sample(r#"{"order_id":"6824239235305"}"#, include_str!("../samples/order.json")),
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
