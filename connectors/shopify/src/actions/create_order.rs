//! Creates an order, and finds out whether an attempt with a lost answer did.
//!
//! `orderCreate` takes no idempotency key. The step's key is written as the order's `sourceIdentifier` instead,
//! which Shopify keeps, shows and searches by; `reconcile` looks it up.

mod input;

use trunnion_sdk::{action::Reconciled, host::Level, prelude::*, time::parse_rfc3339};

pub(crate) use input::{ADDRESS, CreateOrder};

use crate::{
    graphql::{Mutation, Query, Repeat, not_understood},
    order::Order,
};

const ORDER_CREATE: Mutation =
    Mutation::new(include_str!("../documents/order_create.graphql"), "orderCreate", Repeat::Doubles);

const ORDERS_BY_SOURCE: Query = Query::new(include_str!("../documents/orders_by_source.graphql"));

/// How long a new order may be missing from Shopify's search. Shopify promises nothing; this is far more than
/// the seconds it usually takes.
const SEARCH_LAG_MS: u64 = 10 * 60 * 1000;

/// How many pages of 100 newest orders are looked through for what the search does not have yet.
const MAX_PAGES: usize = 5;

pub(crate) fn create_order(ctx: &Context, input: CreateOrder) -> Result<Order> {
    let payload = ORDER_CREATE.send(ctx, &input.variables(ctx.idempotency_key())?)?;
    match payload.get("order").filter(|order| !order.is_null()) {
        Some(order) => Order::of_node(order),
        None => Err(not_understood("to `orderCreate` has neither an `order` nor `userErrors`")),
    }
}

/// Looks for the order that bears `key`: by Shopify's search, which is behind by a while, and among the newest
/// orders, as far back as the search may be behind.
pub(crate) fn reconcile(ctx: &Context, _: CreateOrder, key: &str) -> Result<Reconciled<Order>> {
    let search = format!("source_identifier:{key}");
    let mut after = Value::Null;
    for _ in 0..MAX_PAGES {
        let data = ORDERS_BY_SOURCE.send(ctx, &json!({ "search": search, "after": after }))?;
        let found = nodes(&data, "/found/nodes")?;
        let newest = nodes(&data, "/newest/nodes")?;
        if let Some(id) = bearing(ctx, found.iter().chain(newest), key) {
            return Ok(match Order::fetch(ctx, &id)? {
                Some(order) => Reconciled::Found(order),
                None => Reconciled::Unknown(format!("the order {id} was created and has been deleted since")),
            });
        }
        let oldest = newest.last().and_then(|node| node.get("createdAt")).and_then(Value::as_str);
        let searchable = oldest
            .and_then(parse_rfc3339)
            .is_some_and(|created| created.saturating_add(SEARCH_LAG_MS) < ctx.now_ms());
        let more = data.pointer("/newest/pageInfo/hasNextPage").and_then(Value::as_bool);
        let more = more.ok_or_else(|| not_understood("has no `newest.pageInfo.hasNextPage`"))?;
        if searchable || !more {
            return Ok(Reconciled::Absent);
        }
        after = data.pointer("/newest/pageInfo/endCursor").cloned().unwrap_or_default();
    }
    Ok(Reconciled::Unknown(format!(
        "no order bears the key `{key}`, but the shop had so many new orders within {} minutes that one may not be \
         searchable yet",
        SEARCH_LAG_MS / 60_000
    )))
}

/// A listing that is not there must never look like one without the order.
fn nodes<'d>(data: &'d Value, place: &str) -> Result<&'d [Value]> {
    let nodes = data.pointer(place).and_then(Value::as_array);
    nodes.map(Vec::as_slice).ok_or_else(|| not_understood(&format!("has no list of orders in `{place}`")))
}

/// The order whose source is exactly `key`: the search also finds what is only alike.
fn bearing<'d>(ctx: &Context, orders: impl Iterator<Item = &'d Value>, key: &str) -> Option<String> {
    let bears = |node: &&Value| node.get("sourceIdentifier").and_then(Value::as_str) == Some(key);
    let mut ids: Vec<&str> = Vec::new();
    for id in orders.filter(bears).filter_map(|node| node.get("id")?.as_str()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() > 1 {
        ctx.log(Level::Warn, &format!("several orders bear the key `{key}`: {}", ids.join(", ")));
    }
    ids.into_iter().min().map(str::to_owned)
}

#[cfg(test)]
mod tests;
