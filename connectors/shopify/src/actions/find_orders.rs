//! Finds orders by Shopify's own search, page by page.

use trunnion_sdk::{action::Listing, prelude::*};

use crate::{
    graphql::{Query, not_understood},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional},
    tables,
};

pub(crate) const ORDERS: Query = Query::new(include_str!("../documents/orders.graphql"));

/// The most that Shopify gives on one page.
const MOST: u64 = 250;

/// Which orders.
pub(crate) struct FindOrders;

impl Table for FindOrders {
    const NAME: &'static str = "FindOrders";
    const MEMBERS: &'static [Member] = &[
        optional(
            "query",
            Kind::Text,
            "Shopify's search, as in `financial_status:paid AND tag:vip` or `email:ada@example.com`; every order where \
             absent.",
        ),
        optional("first", Kind::Count, "How many on a page: 50 where absent, at most 250."),
    ];
}

pub(crate) fn find_orders(
    ctx: &Context,
    input: Given<FindOrders>,
    after: Option<String>,
) -> Result<Listing<Record<tables::Order>>> {
    let input = input.read()?;
    let first = input.get("first").and_then(Value::as_u64).unwrap_or(50);
    if first > MOST {
        return Err(Error::invalid_input(
            "/first",
            format!("{first} is more than {MOST}; ask for more pages"),
        ));
    }
    let search = input.get("query").cloned().unwrap_or_default();
    let data = ORDERS
        .send(ctx, &json!({ "search": search, "first": first, "after": after, "sort": "CREATED_AT" }))?;
    let (items, next) = page(&data)?;
    Ok(Listing { items, next })
}

/// A page of `found`, and the cursor of the next one, where there is one.
pub(crate) fn page<T>(data: &Value) -> Result<(Vec<Record<T>>, Option<String>)> {
    let nodes = data.pointer("/found/nodes").and_then(Value::as_array);
    let nodes = nodes.ok_or_else(|| not_understood("has no list in `found.nodes`"))?;
    let more = data.pointer("/found/pageInfo/hasNextPage").and_then(Value::as_bool);
    let next = data.pointer("/found/pageInfo/endCursor").and_then(Value::as_str).map(str::to_owned);
    let next = match (more, next) {
        (Some(false), _) => None,
        (Some(true), Some(next)) => Some(next),
        _ => return Err(not_understood("does not say where the next page starts")),
    };
    Ok((nodes.iter().map(Record::of_node).collect::<Result<_>>()?, next))
}
