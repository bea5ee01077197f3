//! Orders. Amounts stay the texts they are.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Map;
use trunnion_sdk::{prelude::*, time::parse_rfc2822};

use crate::{
    api,
    record::{Record, number},
};

/// The status of an order that the shopper has not placed yet.
pub(crate) const INCOMPLETE: u64 = 0;

/// An order.
pub(crate) type Order = Record<Shape>;

impl Order {
    /// The order `id`.
    pub(crate) fn fetch(ctx: &Context, id: &OrderId) -> Result<Self> {
        let answer = api::get(ctx, &id.path())?.send()?;
        if answer.body.is_empty() {
            return Err(Error::NotFound(format!("BigCommerce has nothing under order {}", id.0)));
        }
        answer.json()
    }

    pub(crate) fn status_id(&self) -> Result<u64> {
        self.get("status_id").and_then(Value::as_u64).ok_or_else(|| {
            Error::other("answer-not-understood", "BigCommerce's order has no whole number in `status_id`")
        })
    }

    /// When it was made, in milliseconds since 1970; none where the vendor does not say so in RFC 2822.
    pub(crate) fn created_at_ms(&self) -> Option<u64> {
        parse_rfc2822(self.text("date_created")?)
    }
}

/// The members a workflow is most likely to map; everything else that BigCommerce gives is there as well.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Shape {
    /// The order's number.
    id: u64,
    /// The customer's number; 0 for a guest.
    customer_id: Option<u64>,
    /// When it was made, as in `Tue, 06 Jan 2026 09:30:00 +0000`.
    date_created: Option<String>,
    /// When it last changed, in the same form.
    date_modified: Option<String>,
    /// The status: 0 incomplete, 1 pending, 2 shipped, 5 cancelled, 10 completed, 11 awaiting fulfilment …
    status_id: u64,
    /// The status in words.
    status: Option<String>,
    /// The total with tax, as in `41.9000`.
    total_inc_tax: Option<String>,
    /// The total without tax.
    total_ex_tax: Option<String>,
    /// How many items were ordered.
    items_total: Option<u64>,
    /// How it is paid.
    payment_method: Option<String>,
    /// The currency the shopper paid in.
    currency_code: Option<String>,
    /// What the shopper wrote.
    customer_message: Option<String>,
    /// Who pays.
    billing_address: Option<Map<String, Value>>,
}

/// An order's number, given as a number or as digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct OrderId(u64);

impl OrderId {
    /// The order's path.
    pub(crate) fn path(&self) -> String {
        format!("/v2/orders/{}", self.0)
    }

    /// The number.
    pub(crate) const fn number(&self) -> u64 {
        self.0
    }
}

impl From<u64> for OrderId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl TryFrom<Value> for OrderId {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        number(&value).map(Self)
    }
}

impl JsonSchema for OrderId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OrderId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "The order's number.",
            "minimum": 1,
            "pattern": "^[0-9]+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(value: Value) -> Order {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn dates_are_rfc_2822() {
        let at = |date: Value| order(json!({"date_created": date})).created_at_ms();
        assert_eq!(at("Tue, 06 Jan 2026 09:30:00 +0000".into()), Some(1_767_691_800_000));
        assert_eq!(at("Tue, 06 Jan 2026 10:30:00 +0100".into()), Some(1_767_691_800_000));
        assert_eq!(at("2026-01-06".into()), None);
        assert_eq!(at(Value::Null), None);
    }

    #[test]
    fn an_order_without_status_is_an_error_that_says_so() {
        let error = order(json!({"id": 1})).status_id().unwrap_err();
        assert!(error.to_string().contains("`status_id`"));
    }
}
