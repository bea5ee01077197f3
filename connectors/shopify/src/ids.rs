//! Shopify's global ids, `gid://shopify/Order/123`, which people also know as the number at the end.

use std::borrow::Cow;

use schemars::{Schema, SchemaGenerator, json_schema};
use trunnion_sdk::prelude::*;

/// The global id of a `kind`, given in full, as a number or as digits.
pub(crate) fn gid(kind: &str, value: &Value) -> Result<String, String> {
    let number: Option<u64> = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => digits(kind, text.trim()).and_then(|digits| digits.parse().ok()),
        _ => None,
    };
    match number {
        Some(number) if number > 0 => Ok(format!("gid://shopify/{kind}/{number}")),
        _ => Err(format!("{value} is not an id; give `gid://shopify/{kind}/123`, or only the number")),
    }
}

/// A global id of any kind.
pub(crate) fn any(value: &Value) -> Result<String, String> {
    let text = value.as_str().map(str::trim).unwrap_or_default();
    let kind =
        text.strip_prefix("gid://shopify/").and_then(|rest| rest.split_once('/')).map(|(kind, _)| kind);
    let word = |kind: &&str| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphabetic());
    match kind.filter(word) {
        Some(kind) if digits(kind, text).is_some_and(|digits| !digits.is_empty()) => Ok(text.to_owned()),
        _ => Err(format!("{value} is not an id; give it in full, as in `gid://shopify/Order/123`")),
    }
}

fn digits<'t>(kind: &str, text: &'t str) -> Option<&'t str> {
    let digits = match text.strip_prefix("gid://shopify/") {
        Some(rest) => rest.strip_prefix(kind)?.strip_prefix('/')?,
        None => text,
    };
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
}

/// The JSON Schema of what [`gid`] takes.
pub(crate) fn schema(kind: &str) -> Schema {
    json_schema!({
        "type": ["integer", "string"],
        "description": format!("The id, as in `gid://shopify/{kind}/123`, or only its number."),
        "minimum": 1,
        "pattern": format!("^(gid://shopify/{kind}/)?[0-9]+$"),
    })
}

/// An order's global id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct OrderId(pub(crate) String);

impl OrderId {
    const KIND: &'static str = "Order";
}

impl TryFrom<Value> for OrderId {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        gid(Self::KIND, &value).map(Self)
    }
}

impl JsonSchema for OrderId {
    fn schema_name() -> Cow<'static, str> {
        "OrderId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(Self::KIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_given_in_full_as_a_number_or_as_digits() {
        for given in [json!("gid://shopify/Order/7"), json!(7), json!("7"), json!(" 7 ")] {
            assert_eq!(gid("Order", &given).unwrap(), "gid://shopify/Order/7");
        }
        let large = json!(820_982_911_946_154_508_u64);
        assert_eq!(gid("LineItem", &large).unwrap(), "gid://shopify/LineItem/820982911946154508");
    }

    #[test]
    fn an_id_of_any_kind_is_given_in_full() {
        assert_eq!(any(&json!(" gid://shopify/Customer/7")).unwrap(), "gid://shopify/Customer/7");
        for given in [
            json!(7),
            json!("7"),
            json!("gid://shopify/Order/"),
            json!("gid://shopify//7"),
            json!("gid://shopify/Or der/7"),
        ] {
            assert!(any(&given).unwrap_err().contains("in full"), "{given}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for given in [
            json!("gid://shopify/Product/7"),
            json!("gid://shopify/Order/"),
            json!("gid://shopify/Order/7?x=1"),
            json!("gid://shopify/OrderX/7"),
            json!("+7"),
            json!("#1001"),
            json!(""),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(null),
        ] {
            let message = OrderId::try_from(given).unwrap_err();
            assert!(message.contains("`gid://shopify/Order/123`"), "{message}");
        }
    }
}
