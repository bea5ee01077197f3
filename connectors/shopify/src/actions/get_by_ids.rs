//! Reads orders, customers, products, variants and stock items by their ids, many at once.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Query, not_understood},
    record::{Given, Record, Table, plain},
    shape::{Kind, Member, required},
    tables,
};

const NODES: Query = Query::new(include_str!("../documents/nodes.graphql"));

/// The most that Shopify takes at once.
const MOST: usize = 250;

/// Which things.
pub(crate) struct Ids;

impl Table for Ids {
    const NAME: &'static str = "Ids";
    const MEMBERS: &'static [Member] = &[required("ids", Kind::AnyIds, "At most 250, of any kinds.")];
}

pub(crate) fn get_by_ids(ctx: &Context, input: Given<Ids>) -> Result<Record<tables::Nodes>> {
    let variables = input.read()?;
    let ids = variables.get("ids").and_then(Value::as_array).cloned().unwrap_or_default();
    if ids.is_empty() || ids.len() > MOST {
        return Err(Error::invalid_input("/ids", format!("has {} ids; give 1 to {MOST} at once", ids.len())));
    }
    let data = NODES.send(ctx, &variables.into())?;
    let nodes = data.get("nodes").and_then(Value::as_array);
    let nodes = nodes.filter(|nodes| nodes.len() == ids.len());
    let nodes = nodes.ok_or_else(|| not_understood("does not have as many `nodes` as there were ids"))?;
    let missing: Vec<&Value> =
        ids.iter().zip(nodes).filter(|(_, node)| node.is_null()).map(|(id, _)| id).collect();
    let found: Vec<Value> = nodes.iter().filter(|node| !node.is_null()).map(plain).collect();
    Ok(Record::of_members([("nodes", found.into()), ("missing", json!(missing))]))
}
