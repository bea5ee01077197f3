//! Refunds line items, shipping or an amount of an order. Shopify recognises the step's key, so it may be repeated.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Repeat, not_understood},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

const REFUND: Mutation =
    Mutation::new(include_str!("../documents/refund_create.graphql"), "refundCreate", Repeat::Harmless);

/// What is refunded.
pub(crate) struct RefundOrder;

impl Table for RefundOrder {
    const NAME: &'static str = "RefundOrder";
    const MEMBERS: &'static [Member] = &[
        required("order_id", Kind::Id("Order"), ""),
        optional("refund_line_items", Kind::NonEmptyList(ITEM), "Which line items."),
        optional("shipping", Kind::Object(SHIPPING), "How much of the shipping."),
        optional(
            "transactions",
            Kind::NonEmptyList(TRANSACTION),
            "How the money goes back; none is moved where absent.",
        ),
        optional("note", Kind::Text, "Why, for the shop's people."),
        optional("notify", Kind::Flag, "Whether to mail the buyer; no where absent."),
    ];
}

const ITEM: &[Member] = &[
    required("line_item_id", Kind::Id("LineItem"), ""),
    required("quantity", Kind::Count, "How many."),
    optional("restock_type", Kind::OneOf(&["CANCEL", "NO_RESTOCK", "RETURN"]), "What happens to the stock."),
    optional("location_id", Kind::Lookup("Location", "locations"), "Where it goes back to."),
];

const SHIPPING: &[Member] =
    &[optional("amount", Kind::Amount, "So much."), optional("full_refund", Kind::Flag, "All of it.")];

const TRANSACTION: &[Member] = &[
    required("parent_id", Kind::Id("OrderTransaction"), "The payment that is given back."),
    required("gateway", Kind::Text, "By which it was made, as in `shopify_payments`."),
    required("amount", Kind::Amount, "How much."),
];

pub(crate) fn refund_order(ctx: &Context, input: Given<RefundOrder>) -> Result<Record<tables::Refund>> {
    let mut input = input.read()?;
    let order = input.get("orderId").cloned().unwrap_or_default();
    if !["refundLineItems", "shipping", "transactions"].iter().any(|name| input.contains_key(*name)) {
        let message = "refunds nothing; give `refund_line_items`, `shipping` or `transactions`";
        return Err(Error::invalid_input("", message));
    }
    for transaction in input.get_mut("transactions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(transaction) = transaction.as_object_mut() {
            transaction.insert("orderId".to_owned(), order.clone());
            transaction.insert("kind".to_owned(), "REFUND".into());
        }
    }
    let payload = REFUND.send(ctx, &json!({ "input": input, "key": ctx.idempotency_key() }))?;
    let refund = payload.get("refund").filter(|refund| !refund.is_null());
    Record::of_node(refund.ok_or_else(|| not_understood("has neither a `refund` nor `userErrors`"))?)
}
