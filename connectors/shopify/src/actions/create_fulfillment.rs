//! Fulfils an order, wholly or in part, with its tracking number.
//!
//! `fulfillmentCreate` takes no idempotency key. After a lost answer a fulfilment with the same tracking number is looked
//! for; without one nobody can tell whose a fulfilment is. Shopify itself never fulfils anything twice.

use trunnion_sdk::{action::Reconciled, prelude::*};

use crate::{
    graphql::{Mutation, Query, Repeat, not_understood},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

const CREATE: Mutation = Mutation::new(
    include_str!("../documents/fulfillment_create.graphql"),
    "fulfillmentCreate",
    Repeat::Doubles,
);
const READ: Query = Query::new(include_str!("../documents/fulfillments.graphql"));

/// What is fulfilled.
pub(crate) struct CreateFulfillment;

impl Table for CreateFulfillment {
    const NAME: &'static str = "CreateFulfillment";
    const MEMBERS: &'static [Member] = &[
        required("order_id", Kind::Id("Order"), ""),
        optional(
            "line_items_by_fulfillment_order",
            Kind::NonEmptyList(PART),
            "What of which fulfilment order; everything that is still open where absent.",
        ),
        optional(
            "tracking_number",
            Kind::Text,
            "The tracking number. Give one: by it a lost answer is resolved.",
        ),
        optional("tracking_company", Kind::Text, "The carrier, as in `DHL Express`."),
        optional("tracking_url", Kind::Text, "Where the parcel can be followed."),
        optional("notify_customer", Kind::Flag, "Whether to mail the buyer; no where absent."),
        optional("message", Kind::Text, "A message to whoever fulfils it."),
    ];
}

const PART: &[Member] = &[
    required("fulfillment_order_id", Kind::Id("FulfillmentOrder"), ""),
    optional("fulfillment_order_line_items", Kind::NonEmptyList(ITEM), "Everything of it where absent."),
];

const ITEM: &[Member] = &[
    required("id", Kind::Id("FulfillmentOrderLineItem"), ""),
    required("quantity", Kind::Count, "How many."),
];

pub(crate) fn create_fulfillment(
    ctx: &Context,
    input: Given<CreateFulfillment>,
) -> Result<Record<tables::Fulfillment>> {
    let mut given = input.read()?;
    let parts = match given.remove("lineItemsByFulfillmentOrder") {
        Some(parts) => parts,
        None => open(ctx, given.get("orderId").unwrap_or(&Value::Null))?,
    };
    let mut tracking = serde_json::Map::new();
    for (name, member) in
        [("trackingNumber", "number"), ("trackingCompany", "company"), ("trackingUrl", "url")]
    {
        tracking.extend(given.remove(name).map(|value| (member.to_owned(), value)));
    }
    let mut fulfillment = serde_json::Map::new();
    fulfillment.insert("lineItemsByFulfillmentOrder".to_owned(), parts);
    fulfillment.extend(given.remove("notifyCustomer").map(|notify| ("notifyCustomer".to_owned(), notify)));
    if !tracking.is_empty() {
        fulfillment.insert("trackingInfo".to_owned(), tracking.into());
    }
    let payload =
        CREATE.send(ctx, &json!({ "fulfillment": fulfillment, "message": given.get("message") }))?;
    Record::of_node(payload.get("fulfillment").unwrap_or(&Value::Null))
}

/// Looks for a fulfilment with the same tracking number.
pub(crate) fn reconcile(
    ctx: &Context,
    input: Given<CreateFulfillment>,
    _: &str,
) -> Result<Reconciled<Record<tables::Fulfillment>>> {
    let given = input.read()?;
    let Some(number) = given.get("trackingNumber") else {
        let why = "the fulfilment has no tracking number by which it could be found; look at the order";
        return Ok(Reconciled::Unknown(why.to_owned()));
    };
    let order = order(ctx, given.get("orderId").unwrap_or(&Value::Null))?;
    let fulfillments = order.get("fulfillments").and_then(Value::as_array);
    let fulfillments = fulfillments.ok_or_else(|| not_understood("has no list in `order.fulfillments`"))?;
    let tracked = |fulfillment: &&Value| {
        let mut parcels = fulfillment.get("trackingInfo").and_then(Value::as_array).into_iter().flatten();
        parcels.any(|parcel| parcel.get("number") == Some(number))
    };
    Ok(match fulfillments.iter().find(tracked) {
        Some(found) => Reconciled::Found(Record::of_node(found)?),
        None => Reconciled::Absent,
    })
}

fn order(ctx: &Context, id: &Value) -> Result<Value> {
    let mut data = READ.send(ctx, &json!({ "id": id }))?;
    match data.get_mut("order").map(Value::take).filter(|order| !order.is_null()) {
        Some(order) => Ok(order),
        None => Err(Error::NotFound(format!("Shopify has no order {id} that the app may see"))),
    }
}

/// The fulfilment orders of which something can be fulfilled now.
fn open(ctx: &Context, id: &Value) -> Result<Value> {
    let order = order(ctx, id)?;
    let nodes = order.pointer("/fulfillmentOrders/nodes").and_then(Value::as_array);
    let nodes = nodes.ok_or_else(|| not_understood("has no list in `order.fulfillmentOrders.nodes`"))?;
    let can = |node: &&Value| {
        let mut actions = node.get("supportedActions").and_then(Value::as_array).into_iter().flatten();
        actions.any(|action| action.get("action").and_then(Value::as_str) == Some("CREATE_FULFILLMENT"))
    };
    let part = |node: &Value| json!({ "fulfillmentOrderId": node.get("id") });
    let parts: Vec<Value> = nodes.iter().filter(can).map(part).collect();
    if parts.is_empty() {
        return Err(Error::Conflict(
            "nothing of this order can be fulfilled now: it is fulfilled, cancelled or on hold, or another app fulfils it".into(),
        ));
    }
    Ok(parts.into())
}
