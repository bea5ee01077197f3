//! Refunds an order: BigCommerce is asked what that comes to and by which payments, and then told to do it.
//!
//! BigCommerce takes no idempotency key. The step's key is written behind each item's reason, which only the store's
//! staff sees; after a lost answer the order's refunds are searched for it.

use trunnion_sdk::{action::Reconciled, prelude::*};

use crate::{
    api,
    order::OrderId,
    record::{Number, Record, Wrapped, data, list, not_understood},
};

/// What is refunded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundOrder {
    order_id: OrderId,
    /// The positions, fees or amounts that are refunded.
    #[schemars(length(min = 1))]
    items: Vec<Item>,
    /// Which way back, of those that BigCommerce offers: the first it names where none is given.
    method: Option<Method>,
}

/// One thing that is refunded.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// `PRODUCT` and `GIFT_WRAPPING` are refunded by quantity, the others by amount.
    item_type: ItemType,
    /// The position's, address's or fee's number; the order's own for `ORDER`.
    item_id: Number,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u64>,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<f64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ItemType {
    Product,
    GiftWrapping,
    Shipping,
    Handling,
    Tax,
    Fee,
    Order,
}

/// A way back for the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// By the payment itself, at its provider.
    Online,
    /// Outside BigCommerce, which only notes it.
    Offline,
    /// As store credit.
    StoreCredit,
}

/// A refund.
pub(crate) type Refund = Record<Shape>;

/// The members a workflow is most likely to map.
#[derive(JsonSchema)]
#[schemars(rename = "Refund")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Shape {
    /// The refund's number.
    id: u64,
    /// The order's number.
    order_id: u64,
    /// How much was refunded.
    total_amount: Option<f64>,
    /// When it was made.
    created: Option<String>,
}

impl RefundOrder {
    /// The items with `key` behind their reasons.
    fn items(&self, key: &str) -> Result<Vec<Value>> {
        let item = |(index, item): (usize, &Item)| {
            let by_quantity = matches!(item.item_type, ItemType::Product | ItemType::GiftWrapping);
            let (fits, wanted) = if by_quantity {
                (item.quantity.is_some_and(|quantity| quantity > 0) && item.amount.is_none(), "quantity")
            } else {
                (item.amount.is_some() && item.quantity.is_none(), "amount")
            };
            if !fits {
                let message = format!("this kind is refunded by `{wanted}`; give that and nothing else");
                return Err(Error::invalid_input(format!("/items/{index}/{wanted}"), message));
            }
            let mut value = json!(item);
            let reason = format!("{} [{key}]", item.reason.as_deref().unwrap_or("Refund"));
            value.as_object_mut().into_iter().for_each(|value| {
                value.insert("reason".to_owned(), reason.clone().into());
            });
            Ok(value)
        };
        if self.items.is_empty() {
            return Err(Error::invalid_input("/items", "is empty; say what is refunded"));
        }
        self.items.iter().enumerate().map(item).collect()
    }
}

impl Method {
    fn is_way_of(self, payments: &[Value]) -> bool {
        let offline = |payment: &Value| payment.get("offline").and_then(Value::as_bool).unwrap_or_default();
        let store_credit =
            |payment: &Value| payment.get("provider_id").and_then(Value::as_str) == Some("storecredit");
        payments.iter().all(|payment| match self {
            Self::StoreCredit => store_credit(payment),
            Self::Offline => offline(payment),
            Self::Online => !offline(payment) && !store_credit(payment),
        })
    }
}

pub(crate) fn refund_order(ctx: &Context, input: RefundOrder) -> Result<Refund> {
    let items = input.items(ctx.idempotency_key())?;
    let path = format!("/v3/orders/{}/payment_actions", input.order_id.number());
    // A quote changes nothing.
    let quotes =
        api::post(ctx, &format!("{path}/refund_quotes"))?.repeatable().json(&json!({ "items": items }))?;
    let quote = data(&quotes.send()?)?;
    let payments = payments(&quote, input.method)?;
    let refund = json!({ "items": items, "payments": payments });
    Refund::of(data(&api::post(ctx, &format!("{path}/refunds"))?.json(&refund)?.send()?)?)
}

/// The payments of the way that is wanted.
fn payments(quote: &Value, wanted: Option<Method>) -> Result<Vec<Value>> {
    let ways = quote.get("refund_methods").and_then(Value::as_array);
    let ways = ways.ok_or_else(|| not_understood("to a quote has no `refund_methods`"))?;
    let mut ways = ways.iter().filter_map(Value::as_array);
    let way = ways.find(|way| wanted.is_none_or(|wanted| wanted.is_way_of(way))).ok_or_else(|| {
        let message = match wanted {
            Some(_) => "BigCommerce does not offer this way back for these items; leave it out to take what it offers",
            None => "BigCommerce offers no way to refund these items; look whether they are paid and not refunded yet",
        };
        Error::invalid_input("/method", message)
    })?;
    let payment = |payment: &Value| {
        let member = |name: &str| payment.get(name).cloned().unwrap_or_default();
        json!({ "provider_id": member("provider_id"), "amount": member("amount"), "offline": member("offline") == true })
    };
    Ok(way.iter().map(payment).collect())
}

/// Looks for a refund that bears the key.
pub(crate) fn reconcile(ctx: &Context, input: RefundOrder, key: &str) -> Result<Reconciled<Refund>> {
    let path = format!("/v3/orders/{}/payment_actions/refunds", input.order_id.number());
    let refunds = list::<Shape>(&api::get(ctx, &path)?.send()?, Wrapped::InData)?;
    let bears = |refund: &Refund| {
        let items = refund.get("items").and_then(Value::as_array).into_iter().flatten();
        let mut reasons = items.filter_map(|item| item.get("reason")?.as_str());
        reasons.any(|reason| reason.contains(key))
    };
    Ok(refunds.into_iter().find(bears).map_or(Reconciled::Absent, Reconciled::Found))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::SendError,
        test::{Answer, FakeHost},
    };

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    const KEY: &str = "5f0c4e0a-3c1e-4d0b-9a52-0d6f5b1f9c11";

    fn action(name: &str) -> String {
        format!("{STORE}/v3/orders/7/payment_actions/{name}")
    }

    fn quoting() -> FakeHost {
        let host = host();
        let way = |provider: &str, offline: bool| json!([{"provider_id": provider, "provider_description": "", "amount": 20.5, "offline": offline}]);
        let ways = json!([way("storecredit", false), way("braintree", false), way("custom", true)]);
        let quote = json!({"data": {"order_id": 7, "total_refund_amount": 20.5, "refund_methods": ways}});
        host.http().on("POST", &action("refund_quotes"), move |_| Answer::json(201, &quote));
        host.http().on("POST", &action("refunds"), |_| {
            Answer::json(201, &json!({"data": {"id": 3, "order_id": 7}}))
        });
        host
    }

    fn input(more: Value) -> Value {
        let mut input =
            json!({"order_id": 7, "items": [{"item_type": "PRODUCT", "item_id": 1, "quantity": 1}]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    }

    fn run(host: &FakeHost, input: &Value) -> Result<String> {
        connector().run(&host.calling("refund_order"), &input.to_string())
    }

    #[test]
    fn what_is_quoted_is_refunded_the_way_that_is_wanted() {
        for (method, provider, offline) in [
            (json!(null), "storecredit", false),
            (json!("online"), "braintree", false),
            (json!("offline"), "custom", true),
        ] {
            let host = quoting();
            assert_eq!(run(&host, &input(json!({ "method": method }))).unwrap(), r#"{"id":3,"order_id":7}"#);
            let seen = host.http().requests();
            let payment = json!({"provider_id": provider, "amount": 20.5, "offline": offline});
            assert_eq!(seen[1].json()["payments"], json!([payment]));
            assert_eq!(seen[0].json()["items"], seen[1].json()["items"]);
            assert_eq!(seen[1].json()["items"][0]["reason"], format!("Refund [{KEY}]"));
        }
    }

    #[test]
    fn a_way_that_is_not_offered_is_said_and_nothing_is_refunded() {
        let host = host();
        let quote = json!({"data": {"refund_methods": []}});
        host.http().on("POST", &action("refund_quotes"), move |_| Answer::json(201, &quote));
        for method in [json!(null), json!("offline")] {
            let error = run(&host, &input(json!({ "method": method }))).unwrap_err();
            assert!(matches!(&error, Error::InvalidInput { field, .. } if field == "/method"), "{error}");
        }
    }

    #[test]
    fn an_item_is_refunded_by_quantity_or_by_amount() {
        for (item, at) in [
            (json!({"item_type": "PRODUCT", "item_id": 1, "amount": 1.5}), "/items/0/quantity"),
            (json!({"item_type": "SHIPPING", "item_id": 1, "quantity": 1}), "/items/0/amount"),
        ] {
            let host = host();
            let Err(Error::InvalidInput { field, .. }) = run(&host, &json!({"order_id": 7, "items": [item]}))
            else {
                panic!("{at}")
            };
            assert_eq!(field, at);
            assert!(host.http().requests().is_empty());
        }
    }

    #[test]
    fn a_lost_answer_is_resolved_by_the_key_in_the_reason() {
        let host = quoting();
        host.http().once("POST", &action("refunds"), Answer::fail(SendError::TimedOut("30 s".into())));
        assert!(matches!(run(&host, &input(json!({}))), Err(Error::Uncertain(_))));
        let reconcile = |refunds: Value| {
            host.http().once("GET", &action("refunds"), Answer::json(200, &json!({ "data": refunds })));
            connector().reconcile(&host.calling("refund_order"), &input(json!({})).to_string(), KEY).unwrap()
        };
        let of = |reason: String| json!([{"id": 3, "items": [{"item_id": 1, "reason": reason}]}]);
        assert!(matches!(reconcile(of(format!("Broken [{KEY}]"))), Reconciled::Found(_)));
        assert_eq!(reconcile(of("Broken".into())), Reconciled::Absent);
    }
}
