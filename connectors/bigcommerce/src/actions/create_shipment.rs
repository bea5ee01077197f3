//! Ships an order, wholly or in part, with its tracking number.
//!
//! BigCommerce takes no idempotency key. After a lost answer a shipment with the same tracking number is looked for;
//! without one nobody can tell two shipments apart.

use trunnion_sdk::{action::Reconciled, prelude::*};

use crate::{
    api,
    order::OrderId,
    record::{Number, Record, Wrapped, list, not_understood},
};

/// What is shipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateShipment {
    order_id: OrderId,
    /// The positions that are shipped; every position that is still to be shipped where none are given.
    #[serde(default)]
    items: Vec<Item>,
    /// The number of the order's shipping address; its only one where none is given.
    order_address_id: Option<Number>,
    /// The tracking number. Give one: it is what finds the shipment again when an answer is lost.
    #[schemars(length(max = 50))]
    tracking_number: Option<String>,
    /// Where the parcel can be followed.
    tracking_link: Option<String>,
    /// The carrier's code at AfterShip, as in `dhl`.
    tracking_carrier: Option<String>,
    /// The provider, as in `fedex`; empty for one of the store's own.
    shipping_provider: Option<String>,
    /// How it is sent, as in `Express`.
    shipping_method: Option<String>,
    /// Comments on the packing slip.
    comments: Option<String>,
}

/// A position.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// The position's number: the `id` in the order's products.
    order_product_id: Number,
    /// How many.
    #[schemars(range(min = 1))]
    quantity: u64,
}

/// A shipment.
pub(crate) type Shipment = Record<Shape>;

/// The members a workflow is most likely to map.
#[derive(JsonSchema)]
#[schemars(rename = "Shipment")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Shape {
    /// The shipment's number.
    id: u64,
    /// The order's number.
    order_id: u64,
    /// The tracking number.
    tracking_number: Option<String>,
    /// The carrier's code.
    tracking_carrier: Option<String>,
    /// When it was made, as in `Tue, 06 Jan 2026 09:30:00 +0000`.
    date_created: Option<String>,
}

pub(crate) fn create_shipment(ctx: &Context, input: CreateShipment) -> Result<Shipment> {
    let order_id = input.order_id;
    let address = match input.order_address_id {
        Some(Number(id)) => id,
        None => only_address(ctx, &order_id)?,
    };
    let items = if input.items.is_empty() { outstanding(ctx, &order_id, address)? } else { input.items };
    let mut body = json!({ "order_address_id": address, "items": items });
    let texts = [
        ("tracking_number", input.tracking_number),
        ("tracking_link", input.tracking_link),
        ("tracking_carrier", input.tracking_carrier),
        ("shipping_provider", input.shipping_provider),
        ("shipping_method", input.shipping_method),
        ("comments", input.comments),
    ];
    if let Some(body) = body.as_object_mut() {
        body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
    }
    api::post(ctx, &shipments(&order_id))?.json(&body)?.send()?.json()
}

/// Looks for a shipment with the same tracking number.
pub(crate) fn reconcile(ctx: &Context, input: CreateShipment, _: &str) -> Result<Reconciled<Shipment>> {
    let Some(tracking) = input.tracking_number.as_deref().filter(|number| !number.is_empty()) else {
        let why = "the shipment has no tracking number by which it could be found; look at the order";
        return Ok(Reconciled::Unknown(why.to_owned()));
    };
    let answer = api::get(ctx, &shipments(&input.order_id))?.query("limit", "250").send()?;
    let found = list::<Shape>(&answer, Wrapped::No)?;
    let found = found.into_iter().find(|shipment| shipment.text("tracking_number") == Some(tracking));
    Ok(found.map_or(Reconciled::Absent, Reconciled::Found))
}

fn shipments(order: &OrderId) -> String {
    format!("{}/shipments", order.path())
}

fn only_address(ctx: &Context, order: &OrderId) -> Result<u64> {
    let answer = api::get(ctx, &format!("{}/shipping_addresses", order.path()))?.send()?;
    let addresses = list::<()>(&answer, Wrapped::No)?;
    match addresses.as_slice() {
        [only] => only.id(),
        others => {
            let message =
                format!("the order has {} shipping addresses; say which one this goes to", others.len());
            Err(Error::invalid_input("/order_address_id", message))
        }
    }
}

/// What is still to be shipped to an address.
fn outstanding(ctx: &Context, order: &OrderId, address: u64) -> Result<Vec<Item>> {
    let answer = api::get(ctx, &format!("{}/products", order.path()))?.query("limit", "250").send()?;
    let positions = list::<()>(&answer, Wrapped::No)?;
    let mut items = Vec::new();
    for position in &positions {
        let number = |name: &str| position.get(name).and_then(Value::as_u64);
        if number("order_address_id").is_some_and(|other| other != address) {
            continue;
        }
        let ordered =
            number("quantity").ok_or_else(|| not_understood("has a position without `quantity`"))?;
        let quantity = ordered.saturating_sub(number("quantity_shipped").unwrap_or_default());
        if quantity > 0 {
            items.push(Item { order_product_id: Number(position.id()?), quantity });
        }
    }
    if items.is_empty() {
        return Err(Error::Conflict("everything that goes to this address is shipped already".into()));
    }
    Ok(items)
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

    fn order(path: &str) -> String {
        format!("{STORE}/v2/orders/7/{path}")
    }

    fn run(host: &FakeHost, input: &Value) -> Result<String> {
        connector().run(&host.calling("create_shipment"), &input.to_string())
    }

    #[test]
    fn everything_outstanding_goes_to_the_only_address() {
        let host = host();
        host.http().on("GET", &order("shipping_addresses"), |_| Answer::json(200, &json!([{"id": 40}])));
        let positions = json!([
            {"id": 1, "quantity": 3, "quantity_shipped": 1, "order_address_id": 40},
            {"id": 2, "quantity": 1, "quantity_shipped": 1, "order_address_id": 40},
            {"id": 3, "quantity": 1, "quantity_shipped": 0, "order_address_id": 41},
        ]);
        host.http().on("GET", &order("products"), move |_| Answer::json(200, &positions));
        host.http().on("POST", &order("shipments"), |_| Answer::json(201, &json!({"id": 5, "order_id": 7})));
        let output = run(&host, &json!({"order_id": 7, "tracking_number": "1Z", "comments": "Hi"})).unwrap();
        assert_eq!(output, r#"{"id":5,"order_id":7}"#);
        let sent = host.http().requests()[2].json();
        let items = json!([{"order_product_id": 1, "quantity": 2}]);
        assert_eq!(
            sent,
            json!({"order_address_id": 40, "items": items, "tracking_number": "1Z", "comments": "Hi"})
        );
    }

    #[test]
    fn what_is_given_is_not_asked_for() {
        let host = host();
        host.http().on("POST", &order("shipments"), |_| Answer::json(201, &json!({"id": 5})));
        let items = json!([{"order_product_id": "1", "quantity": 2}]);
        run(&host, &json!({"order_id": "7", "order_address_id": 40, "items": items})).unwrap();
        assert_eq!(host.http().requests().len(), 1);
    }

    #[test]
    fn several_addresses_or_nothing_to_ship_are_said() {
        let host = host();
        host.http().once(
            "GET",
            &order("shipping_addresses"),
            Answer::json(200, &json!([{"id": 1}, {"id": 2}])),
        );
        let error = run(&host, &json!({"order_id": 7})).unwrap_err();
        assert!(error.to_string().contains("2 shipping addresses"), "{error}");
        host.http().once("GET", &order("products"), Answer::empty(204));
        let error = run(&host, &json!({"order_id": 7, "order_address_id": 40})).unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }

    #[test]
    fn a_lost_answer_is_resolved_by_the_tracking_number() {
        let host = host();
        let items = json!([{"order_product_id": 1, "quantity": 2}]);
        let with = |number: Value| json!({"order_id": 7, "order_address_id": 40, "items": items, "tracking_number": number});
        host.http().once("POST", &order("shipments"), Answer::fail(SendError::Interrupted("reset".into())));
        assert!(matches!(run(&host, &with(json!("1Z"))), Err(Error::Uncertain(_))));
        let there = json!([{"id": 4, "tracking_number": "2Z"}, {"id": 5, "tracking_number": "1Z"}]);
        host.http().on("GET", &order("shipments"), move |_| Answer::json(200, &there));
        let reconcile = |number: Value| {
            connector().reconcile(&host.calling("create_shipment"), &with(number).to_string(), "key").unwrap()
        };
        assert!(matches!(reconcile(json!("1Z")), Reconciled::Found(text) if text.contains("\"id\":5")));
        assert_eq!(reconcile(json!("9Z")), Reconciled::Absent);
        assert!(matches!(reconcile(Value::Null), Reconciled::Unknown(_)));
    }
}
