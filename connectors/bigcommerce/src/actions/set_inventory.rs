//! Sets how many of something are in stock at a location. Setting the same number twice is harmless, so it may be
//! repeated.

use trunnion_sdk::prelude::*;

use crate::{api, record::Number};

/// The most that BigCommerce takes at once.
const MOST: usize = 2_000;

/// New levels of stock.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetInventory {
    /// At most 2,000.
    #[schemars(length(min = 1, max = 2000))]
    items: Vec<Level>,
    /// Why, as the store's staff reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// One level, of what `sku`, `variant_id` or `product_id` names: one of the three.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Level {
    /// The location's number; 1 is the store's own.
    #[schemars(extend("x-lookup" = "locations"))]
    location_id: Number,
    /// The stock keeping unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    /// The variant's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_id: Option<Number>,
    /// The product's number, of one without variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<Number>,
    /// How many there are.
    quantity: i64,
}

/// What was set.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Set {
    /// BigCommerce's name of the change.
    transaction_id: Option<String>,
    /// How many levels.
    items: usize,
}

pub(crate) fn set_inventory(ctx: &Context, input: SetInventory) -> Result<Set> {
    let count = input.items.len();
    if count == 0 || count > MOST {
        return Err(Error::invalid_input("/items", format!("has {count} levels; give 1 to {MOST} at once")));
    }
    for (index, item) in input.items.iter().enumerate() {
        let names = [item.sku.is_some(), item.variant_id.is_some(), item.product_id.is_some()];
        if names.iter().filter(|named| **named).count() != 1 {
            let message =
                "names nothing, or several things; give one of `sku`, `variant_id` and `product_id`";
            return Err(Error::invalid_input(format!("/items/{index}"), message));
        }
    }
    let answer = api::put(ctx, "/v3/inventory/adjustments/absolute")?.json(&input)?.send()?;
    let transaction_id = if answer.body.is_empty() {
        None
    } else {
        answer.json::<Value>()?.get("transaction_id").and_then(Value::as_str).map(str::to_owned)
    };
    Ok(Set { transaction_id, items: count })
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    fn run(host: &FakeHost, input: &Value) -> Result<String> {
        connector().run(&host.calling("set_inventory"), &input.to_string())
    }

    #[test]
    fn levels_are_put_as_they_are_given() {
        let host = host();
        let url = format!("{STORE}/v3/inventory/adjustments/absolute");
        host.http().on("PUT", &url, |_| Answer::json(200, &json!({"transaction_id": "e6f0"})));
        let items = json!([{"location_id": 1, "sku": "G-1", "quantity": 5}, {"location_id": "2", "variant_id": 9, "quantity": 0}]);
        let output = run(&host, &json!({"items": items, "reason": "Counted"})).unwrap();
        assert_eq!(output, r#"{"transaction_id":"e6f0","items":2}"#);
        let sent = host.http().requests()[0].json();
        assert_eq!(sent["items"][1], json!({"location_id": 2, "variant_id": 9, "quantity": 0}));
        assert_eq!(sent["reason"], "Counted");
    }

    #[test]
    fn a_level_names_one_thing() {
        let host = host();
        for items in [
            json!([{"location_id": 1, "quantity": 5}]),
            json!([{"location_id": 1, "sku": "G-1", "product_id": 7, "quantity": 5}]),
            json!([]),
        ] {
            let error = run(&host, &json!({ "items": items })).unwrap_err();
            assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
        }
        assert!(host.http().requests().is_empty());
    }
}
