//! Cancels an order. Shopify does it in the background, so the answer may come before the order is cancelled.
//!
//! Shopify refuses to cancel an order twice; one that is cancelled already is as good, so that it may be repeated.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Query, Repeat},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

const ORDER_CANCEL: Mutation =
    Mutation::new(include_str!("../documents/order_cancel.graphql"), "orderCancel", Repeat::Harmless);
const ORDER_CANCELLED: Query = Query::new(include_str!("../documents/order_cancelled.graphql"));

const REASONS: &[&str] = &["CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"];

/// Which order, and how.
pub(crate) struct CancelOrder;

impl Table for CancelOrder {
    const NAME: &'static str = "CancelOrder";
    const MEMBERS: &'static [Member] = &[
        required("order_id", Kind::Id("Order"), ""),
        required("reason", Kind::OneOf(REASONS), "Why."),
        required("restock", Kind::Flag, "Whether what was ordered goes back into the stock."),
        required("refund", Kind::Flag, "Whether what was paid goes back the way it came."),
        optional("notify_customer", Kind::Flag, "Whether to mail the buyer; no where absent."),
        optional("staff_note", Kind::Text, "A note for the shop's people."),
    ];
}

pub(crate) fn cancel_order(ctx: &Context, input: Given<CancelOrder>) -> Result<Record<tables::Cancellation>> {
    let mut variables = input.read()?;
    let id = variables.get("orderId").cloned().unwrap_or_default();
    let refund = variables.remove("refund").unwrap_or_default();
    variables.insert("refundMethod".into(), json!({ "originalPaymentMethodsRefund": refund }));
    let cancelled = cancelled(ctx, &id)?;
    if !cancelled {
        ORDER_CANCEL.send(ctx, &Value::from(variables))?;
    }
    let answer = json!({ "orderId": id, "cancelled": cancelled || self::cancelled(ctx, &id)? });
    Record::of_node(&answer)
}

fn cancelled(ctx: &Context, id: &Value) -> Result<bool> {
    let data = ORDER_CANCELLED.send(ctx, &json!({ "id": id }))?;
    match data.get("order").filter(|order| !order.is_null()) {
        Some(order) => Ok(order.get("cancelledAt").is_some_and(|at| !at.is_null())),
        None => Err(Error::NotFound(format!("Shopify has no order {id} that the app may see"))),
    }
}
