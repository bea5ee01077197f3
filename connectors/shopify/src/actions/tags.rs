//! Adds and removes tags of orders, customers and products. Doing it twice is harmless, so it may be repeated.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Repeat, not_understood},
    record::{Given, Record, Table},
    shape::{Kind, Member, required},
    tables,
};

const ADD: Mutation =
    Mutation::new(include_str!("../documents/tags_add.graphql"), "tagsAdd", Repeat::Harmless);
const REMOVE: Mutation =
    Mutation::new(include_str!("../documents/tags_remove.graphql"), "tagsRemove", Repeat::Harmless);

/// Which thing, and which tags.
pub(crate) struct Tags;

impl Table for Tags {
    const NAME: &'static str = "Tags";
    const MEMBERS: &'static [Member] = &[
        required("id", Kind::AnyId, "An order's, a customer's or a product's."),
        required("tags", Kind::Texts, "At least one."),
    ];
}

pub(crate) fn add_tags(ctx: &Context, input: Given<Tags>) -> Result<Record<tables::Tagged>> {
    send(ctx, &input, ADD)
}

pub(crate) fn remove_tags(ctx: &Context, input: Given<Tags>) -> Result<Record<tables::Tagged>> {
    send(ctx, &input, REMOVE)
}

fn send(ctx: &Context, input: &Given<Tags>, mutation: Mutation) -> Result<Record<tables::Tagged>> {
    let variables = input.read()?;
    if variables.get("tags").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(Error::invalid_input("/tags", "is empty; give at least one tag"));
    }
    let payload = mutation.send(ctx, &variables.into())?;
    let node = payload.get("node").filter(|node| !node.is_null());
    Record::of_node(node.ok_or_else(|| not_understood("has neither a `node` nor `userErrors`"))?)
}
