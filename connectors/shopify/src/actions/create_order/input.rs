//! What an order is created from, and its form in Shopify's variables.
//!
//! Members bear Shopify's names in snake case, so that a refusal's path leads back to the input.

use std::borrow::Cow;

use schemars::{Schema, SchemaGenerator};
use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::shape::{self, Kind, Member, Others, optional, required};

const ORDER: &[Member] = &[
    optional("email", Kind::Text, "The buyer's e-mail address."),
    optional("phone", Kind::Text, "The buyer's phone number, as in `+15551234567`."),
    required("line_items", Kind::NonEmptyList(LINE_ITEM), "What is ordered."),
    optional("currency", Kind::Text, "The currency, as in `EUR`; the shop's own where absent."),
    optional("note", Kind::Text, "A note for the shop's people."),
    optional("tags", Kind::Texts, "Tags to find the order by."),
    optional("custom_attributes", Kind::List(ATTRIBUTE), "Further details that the order's page shows."),
    optional("shipping_address", Kind::Object(ADDRESS), "Where to send it."),
    optional("billing_address", Kind::Object(ADDRESS), "Who pays."),
    optional("financial_status", Kind::OneOf(STATUS), "How far it is paid; Shopify decides where absent."),
    optional("test", Kind::Flag, "Marks a test order."),
    optional("send_receipt", Kind::Flag, "Whether to mail the buyer a confirmation; no where absent."),
    optional("inventory", Kind::OneOf(INVENTORY), "What happens to the stock; nothing where absent."),
];

const LINE_ITEM: &[Member] = &[
    optional(
        "variant_id",
        Kind::Id("ProductVariant"),
        "The variant of the shop's catalogue, where it is one.",
    ),
    optional("title", Kind::Text, "What it is called; required without `variant_id`."),
    optional("sku", Kind::Text, "The stock keeping unit."),
    required("quantity", Kind::Count, "How many."),
    optional(
        "price",
        Kind::Object(PRICE),
        "The price of one in the shop's currency; the variant's where absent.",
    ),
    optional("requires_shipping", Kind::Flag, "Whether it has to be sent."),
    optional("taxable", Kind::Flag, "Whether it is taxed; yes where absent."),
];

const PRICE: &[Member] = &[
    required("amount", Kind::Amount, "A decimal amount, as in `12.50`."),
    optional("currency", Kind::Text, "The currency, as in `EUR`; the order's own where absent."),
];

const ATTRIBUTE: &[Member] = &[required("key", Kind::Text, ""), required("value", Kind::Text, "")];

pub(crate) const ADDRESS: &[Member] = &[
    optional("first_name", Kind::Text, ""),
    optional("last_name", Kind::Text, ""),
    optional("company", Kind::Text, ""),
    optional("address1", Kind::Text, "Street and number."),
    optional("address2", Kind::Text, "Flat, suite or unit."),
    optional("city", Kind::Text, ""),
    optional("zip", Kind::Text, ""),
    optional("province_code", Kind::Text, "The state or province, as in `ON`."),
    optional("country_code", Kind::Text, "The country, as in `CA`."),
    optional("phone", Kind::Text, ""),
];

const STATUS: &[&str] = &[
    "AUTHORIZED",
    "EXPIRED",
    "PAID",
    "PARTIALLY_PAID",
    "PARTIALLY_REFUNDED",
    "PENDING",
    "REFUNDED",
    "VOIDED",
];

const INVENTORY: &[&str] = &["BYPASS", "DECREMENT_IGNORING_POLICY", "DECREMENT_OBEYING_POLICY"];

/// An order to create, as the table above describes it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct CreateOrder(Value);

impl JsonSchema for CreateOrder {
    fn schema_name() -> Cow<'static, str> {
        "CreateOrder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        shape::schema(ORDER, Others::Refused)
    }
}

impl CreateOrder {
    /// The variables of `orderCreate`, with `source` to know the order by.
    ///
    /// # Errors
    /// `InvalidInput` naming the member that does not fit.
    pub(super) fn variables(&self, source: &str) -> Result<Value> {
        let mut order = shape::read(ORDER, &self.0, "")?;
        let mut options = Map::new();
        for (name, option) in [("sendReceipt", "sendReceipt"), ("inventory", "inventoryBehaviour")] {
            options.extend(order.remove(name).map(|value| (option.to_owned(), value)));
        }
        let currency = order.get("currency").cloned();
        let items = order.get_mut("lineItems").and_then(Value::as_array_mut);
        for (index, item) in items.into_iter().flatten().enumerate() {
            complete(item, currency.as_ref(), &format!("/line_items/{index}"))?;
        }
        order.insert("sourceIdentifier".into(), source.into());
        Ok(json!({ "order": order, "options": options }))
    }
}

/// What one member alone cannot say: a line item is a variant or has a title, and its price a currency.
fn complete(item: &mut Value, currency: Option<&Value>, at: &str) -> Result<()> {
    let blank = item.get("title").and_then(Value::as_str).is_none_or(|title| title.trim().is_empty());
    if blank && item.get("variantId").is_none() {
        return Err(Error::invalid_input(
            format!("{at}/title"),
            "is missing; an item that is no variant of the catalogue (`variant_id`) needs one",
        ));
    }
    let Some(item) = item.as_object_mut() else { return Ok(()) };
    if let Some(price) = item.remove("price") {
        let currency = price.get("currency").or(currency).ok_or_else(|| {
            Error::invalid_input(
                format!("{at}/price/currency"),
                "is missing; give it here or as the order's `currency`",
            )
        })?;
        let money = json!({ "amount": price.get("amount"), "currencyCode": currency });
        item.insert("priceSet".into(), json!({ "shopMoney": money }));
    }
    Ok(())
}
