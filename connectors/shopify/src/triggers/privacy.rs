//! What Shopify asks of every app of its store for people's privacy: to hand out what is kept about a customer, and to erase
//! a customer or a whole shop.
//!
//! These topics have no subscriptions: the app's own settings name one URL for all shops. The body is signed and the headers
//! are not, so the shop is the one that the body names.

use std::{fmt, marker::PhantomData};

use serde_json::Map;
use trunnion_sdk::{prelude::*, time::parse_rfc3339};

use super::{delivered, notified::header};
use crate::record::{Record, Table};

/// Something that may be asked of an app.
pub(crate) trait Demand: 'static {
    /// Its topic in deliveries.
    const TOPIC: &'static str;
    /// What is delivered.
    type Table: Table;
}

/// The trigger of a demand.
pub(crate) struct Demanded<D>(PhantomData<D>);

impl<D> fmt::Debug for Demanded<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Demanded")
    }
}

impl<D: Demand> Delivered for Demanded<D> {
    type Data = Record<D::Table>;

    fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Self::Data>>> {
        let occurrence = read(delivery, D::TOPIC)?;
        let typed = |Occurrence { account, id, occurred_at_ms, data }| Occurrence {
            account,
            id,
            occurred_at_ms,
            data: Record::of_map(data),
        };
        Ok(occurrence.map(typed).into_iter().collect())
    }
}

/// The occurrence that a delivery tells of; none where it is another topic's. Once for all topics.
fn read(delivery: &Delivery, topic: &str) -> Result<Option<Occurrence<Map<String, Value>>>> {
    if header(delivery, "x-shopify-topic")? != topic {
        return Ok(None);
    }
    let demand: Map<String, Value> = delivery.json()?;
    let shop = demand.get("shop_domain").and_then(Value::as_str).ok_or_else(|| {
        Error::other("delivery-not-understood", "Shopify's delivery names no shop in `shop_domain`")
    })?;
    let shop = shop.to_ascii_lowercase();
    let name = format!("{topic}@{}", header(delivery, "x-shopify-webhook-id")?);
    let at = delivery.header("x-shopify-triggered-at").and_then(parse_rfc3339);
    Ok(Some(Occurrence::new(shop, name, demand).at_ms(at)))
}

macro_rules! demands {
    ($($demand:ident: $topic:literal, $table:ident;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $demand;

        impl Demand for $demand {
            const TOPIC: &'static str = $topic;
            type Table = delivered::$table;
        }
    )*};
}

demands! {
    DataRequest: "customers/data_request", DataRequest;
    CustomerRedact: "customers/redact", CustomerRedact;
    ShopRedact: "shop/redact", ShopRedact;
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::FakeHost;

    use super::*;
    use crate::connector;

    const SHOP: &str = "Ada-Engines.myshopify.com";

    fn parsed(topic: &str, body: &Value) -> Result<Vec<(&'static str, Occurrence<String>)>> {
        let headers = [
            ("x-shopify-topic", topic),
            ("x-shopify-webhook-id", "b54557e4"),
            ("x-shopify-triggered-at", "2026-11-22T09:30:00.5Z"),
            ("x-shopify-shop-domain", "another.myshopify.com"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let body = body.to_string().into_bytes();
        let delivery = Delivery { method: "POST".into(), url: String::new(), headers, body };
        connector().parse_for_app(&FakeHost::new().context(), &delivery)
    }

    #[test]
    fn each_demand_goes_to_its_trigger_and_to_the_shop_that_the_signed_body_names() {
        let customer = json!({"id": 191_167, "email": "john@example.com", "phone": "555-625-1199"});
        for (topic, trigger, more) in [
            (
                "customers/data_request",
                "customer_data_requested",
                json!({"customer": customer, "data_request": {"id": 9999}}),
            ),
            (
                "customers/redact",
                "customer_redact_requested",
                json!({"customer": customer, "orders_to_redact": [299_938]}),
            ),
            ("shop/redact", "shop_redact_requested", json!({})),
        ] {
            let mut body = json!({"shop_id": 954_889, "shop_domain": SHOP});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let found = parsed(topic, &body).unwrap();
            let [(known, occurrence)] = found.as_slice() else { panic!("{topic}: {found:?}") };
            assert_eq!((*known, occurrence.account.as_str()), (trigger, "ada-engines.myshopify.com"));
            assert_eq!(occurrence.id, format!("{topic}@b54557e4"));
            assert_eq!(occurrence.occurred_at_ms, Some(1_795_339_800_500));
            let data: Value = serde_json::from_str(&occurrence.data).unwrap();
            assert_eq!(data, body, "{topic}: whole");
        }
        assert!(parsed("orders/create", &json!({"id": 1})).unwrap().is_empty());
        let error = parsed("shop/redact", &json!({"shop_id": 1})).unwrap_err().to_string();
        assert!(error.contains("shop_domain"), "{error}");
    }
}
