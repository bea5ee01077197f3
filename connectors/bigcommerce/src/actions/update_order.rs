//! Changes members of an order. Setting the same ones twice is harmless, so it may be repeated.

use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::{
    api,
    order::{Order, OrderId},
    record::Number,
};

/// Which order, and what becomes of it; what is not given stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateOrder {
    order_id: OrderId,
    /// The new status.
    #[schemars(extend("x-lookup" = "order_statuses"))]
    status_id: Option<u32>,
    /// The customer's number.
    customer_id: Option<Number>,
    /// The id that another system knows the order by.
    external_order_id: Option<String>,
    /// What the shopper wrote.
    customer_message: Option<String>,
    /// Notes that only the store's staff sees.
    staff_notes: Option<String>,
    /// How it is paid, as shoppers read it.
    payment_method: Option<String>,
    /// Any other member that `PUT /v2/orders/{id}` takes, such as `billing_address` or `products`.
    #[serde(default)]
    more: Map<String, Value>,
}

pub(crate) fn update_order(ctx: &Context, input: UpdateOrder) -> Result<Order> {
    let UpdateOrder { order_id, more: mut body, .. } = input;
    let members = [
        ("status_id", input.status_id.map(Value::from)),
        ("customer_id", input.customer_id.map(|Number(id)| id.into())),
        ("external_order_id", input.external_order_id.map(Value::from)),
        ("customer_message", input.customer_message.map(Value::from)),
        ("staff_notes", input.staff_notes.map(Value::from)),
        ("payment_method", input.payment_method.map(Value::from)),
    ];
    body.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if body.is_empty() {
        return Err(Error::invalid_input("", "changes nothing; give at least one member beside `order_id`"));
    }
    put(ctx, &order_id, &body.into())
}

/// Puts members of an order and answers it whole.
pub(super) fn put(ctx: &Context, id: &OrderId, body: &Value) -> Result<Order> {
    let answer = api::put(ctx, &id.path())?.json(body)?.send()?;
    if answer.body.is_empty() { Order::fetch(ctx, id) } else { answer.json() }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    #[test]
    fn only_what_is_given_is_put() {
        let host = host();
        host.http().on("PUT", &format!("{STORE}/v2/orders/7"), |_| Answer::json(200, &json!({"id": 7})));
        let input = json!({"order_id": 7, "staff_notes": "", "more": {"order_is_digital": true}}).to_string();
        assert_eq!(connector().run(&host.calling("update_order"), &input).unwrap(), r#"{"id":7}"#);
        assert_eq!(host.http().requests()[0].json(), json!({"staff_notes": "", "order_is_digital": true}));
    }

    #[test]
    fn a_change_of_nothing_sends_nothing() {
        let host = host();
        let error = connector().run(&host.calling("update_order"), r#"{"order_id":7}"#).unwrap_err();
        assert!(error.to_string().contains("changes nothing"), "{error}");
        assert!(host.http().requests().is_empty());
    }
}
