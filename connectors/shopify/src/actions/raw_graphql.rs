//! Sends any document to the shop, for what no other action does.

use trunnion_sdk::prelude::*;

use crate::{
    graphql,
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

/// A document.
pub(crate) struct RawGraphql;

impl Table for RawGraphql {
    const NAME: &'static str = "RawGraphql";
    const MEMBERS: &'static [Member] = &[
        required(
            "document",
            Kind::Text,
            "A query or mutation; give what varies in `variables`, never inside it.",
        ),
        optional("variables", Kind::AnyObject, "The document's variables."),
    ];
}

pub(crate) fn raw_graphql(ctx: &Context, input: Given<RawGraphql>) -> Result<Record<tables::Answer>> {
    let input = input.read()?;
    let document = input.get("document").and_then(Value::as_str).unwrap_or_default();
    let variables = input.get("variables").cloned().unwrap_or_else(|| json!({}));
    Ok(Record::of_members([("data", graphql::raw(ctx, document, &variables)?)]))
}
