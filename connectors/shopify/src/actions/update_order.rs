//! Changes members of an order. Setting the same ones twice is harmless, so it may be repeated.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Repeat},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

const ORDER_UPDATE: Mutation =
    Mutation::new(include_str!("../documents/order_update.graphql"), "orderUpdate", Repeat::Harmless);

/// Which order, and what becomes of it; what is not given stays as it is.
pub(crate) struct UpdateOrder;

impl Table for UpdateOrder {
    const NAME: &'static str = "UpdateOrder";
    const MEMBERS: &'static [Member] = &[
        required("id", Kind::Id("Order"), ""),
        optional("email", Kind::Text, "The buyer's e-mail address."),
        optional("phone", Kind::Text, "The buyer's phone number."),
        optional("note", Kind::Text, "A note for the shop's people."),
        optional("tags", Kind::Texts, "All tags; `add_tags` adds some."),
        optional("po_number", Kind::Text, "The buyer's own number of the order."),
        optional(
            "custom_attributes",
            Kind::List(ATTRIBUTE),
            "All further details that the order's page shows.",
        ),
        optional("shipping_address", Kind::Object(super::create_order::ADDRESS), "Where to send it."),
    ];
}

const ATTRIBUTE: &[Member] = &[required("key", Kind::Text, ""), required("value", Kind::Text, "")];

pub(crate) fn update_order(ctx: &Context, input: Given<UpdateOrder>) -> Result<Record<tables::Order>> {
    let input = input.read()?;
    if input.len() < 2 {
        return Err(Error::invalid_input("", "changes nothing; give at least one member beside `id`"));
    }
    let payload = ORDER_UPDATE.send(ctx, &json!({ "input": input }))?;
    Record::of_node(payload.get("order").unwrap_or(&Value::Null))
}
