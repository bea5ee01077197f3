//! Orders as Shopify delivers them: kept whole, with the few members that the connector itself reads. They have
//! the form of the older REST API, with amounts as the texts they are.

use schemars::{Schema, SchemaGenerator};
use serde_json::Map;
use trunnion_sdk::{prelude::*, time::parse_rfc3339};

use crate::shape::{self, Kind, Member, Others, optional, required};

/// A delivered order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Order(Map<String, Value>);

impl Order {
    /// The order's number, which is its id in webhooks and older APIs.
    pub(crate) fn id(&self) -> Result<u64> {
        self.0.get("id").and_then(Value::as_u64).ok_or_else(|| {
            Error::other("delivery-not-understood", "Shopify's order has no whole number in `id`")
        })
    }

    /// When it was made, in milliseconds since 1970; none where Shopify does not say so in RFC 3339.
    pub(crate) fn created_at_ms(&self) -> Option<u64> {
        parse_rfc3339(self.0.get("created_at")?.as_str()?)
    }
}

/// The members a workflow is most likely to map; everything else that Shopify delivers is there as well.
const MEMBERS: &[Member] = &[
    required("id", Kind::Number, "The order's number."),
    optional(
        "admin_graphql_api_id",
        Kind::Text,
        "The id in the Admin API, as in `gid://shopify/Order/6824239235305`.",
    ),
    optional("name", Kind::Text, "What people call the order, as in `#1001`."),
    optional("order_number", Kind::Number, "The number in that name."),
    optional("created_at", Kind::Text, "When it was made, as in `2026-11-22T09:30:00+01:00`."),
    optional("updated_at", Kind::Text, "When it last changed, in the same form."),
    optional("email", Kind::Text, "The buyer's e-mail address."),
    optional("phone", Kind::Text, "The buyer's phone number."),
    optional("currency", Kind::Text, "The shop's currency, as in `EUR`."),
    optional("total_price", Kind::Text, "The total with tax, as in `414.95`."),
    optional(
        "subtotal_price",
        Kind::Text,
        "The price of the items with discounts, before shipping and, mostly, tax.",
    ),
    optional("total_tax", Kind::Text, "The tax."),
    optional("financial_status", Kind::Text, "As in `paid`, `pending`, `voided`."),
    optional("fulfillment_status", Kind::Text, "As in `fulfilled`, `partial`; null while nothing is."),
    optional("note", Kind::Text, "What the buyer or the shop noted."),
    optional("tags", Kind::Text, "Tags, separated by commas."),
    optional("test", Kind::Flag, "Whether it is a test."),
    optional("source_name", Kind::Text, "Where it came from, as in `web`, `pos`."),
    optional(
        "source_identifier",
        Kind::Text,
        "The id at the place it came from; of an order that `create_order` made, the key of its step.",
    ),
    optional("customer", Kind::AnyObject, "Who ordered."),
    optional("billing_address", Kind::AnyObject, "Who pays."),
    optional("shipping_address", Kind::AnyObject, "Where it goes."),
    required("line_items", Kind::List(LINE_ITEM), "What is ordered."),
];

const LINE_ITEM: &[Member] = &[
    optional("id", Kind::Number, "The position's number."),
    optional("title", Kind::Text, "What it is called."),
    optional("sku", Kind::Text, "The stock keeping unit."),
    required("quantity", Kind::Number, "How many."),
    optional("price", Kind::Text, "The price of one, as in `12.50`."),
    optional("product_id", Kind::Number, "The product's number."),
    optional("variant_id", Kind::Number, "The variant's number."),
];

impl JsonSchema for Order {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeliveredOrder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        shape::schema(MEMBERS, Others::Kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(value: Value) -> Order {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn members_the_connector_does_not_know_survive() {
        let given = json!({"id": 820_982_911_946_154_508_u64, "zeta": {"deep": [1, "2.50"]}, "alpha": null});
        assert_eq!(serde_json::to_value(order(given.clone())).unwrap(), given);
    }

    #[test]
    fn dates_are_rfc_3339() {
        let at = |date: Value| order(json!({"created_at": date})).created_at_ms();
        assert_eq!(at("2026-01-06T10:30:00+01:00".into()), Some(1_767_691_800_000));
        assert_eq!(at("2026-01-06".into()), None);
        assert_eq!(at(Value::Null), None);
    }

    #[test]
    fn an_order_without_a_number_is_an_error_that_says_so() {
        for given in [json!({}), json!({"id": "7"}), json!({"id": 7.5})] {
            let error = order(given).id().unwrap_err();
            assert!(error.to_string().contains("`id`"), "{error}");
        }
    }
}
