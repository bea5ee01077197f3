//! Triggers by webhook: a delivery carries the whole thing, as it was when it was created or changed.
//!
//! The host has verified a delivery's signature, which covers the body only; the headers say which shop and topic it is
//! for, and are held against the connection.

use std::{fmt, marker::PhantomData};

use serde_json::Map;
use trunnion_sdk::{host::Level, prelude::*, time::parse_rfc3339};

use super::{
    delivered,
    subscription::{self, Subscription},
};
use crate::record::{Record, Table};

/// A topic, and what its deliveries are about.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its name in the Admin API.
    name: &'static str,
    /// Its name in deliveries.
    delivered: &'static str,
    /// What a thing is called in occurrences, and the members that name it.
    thing: (&'static str, &'static [&'static str]),
    often: Often,
}

/// How often the same can happen to one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Often {
    /// Its number alone is the occurrence's name, so that deliveries of one event under two names are still one.
    Once(&'static str),
    /// The delivery's own name tells one time from another; Shopify's repetitions have the same.
    Again,
}

/// A topic's things.
pub(crate) trait Subject: 'static {
    /// The topic.
    const TOPIC: Topic;
    /// What is delivered.
    type Table: Table;
}

/// The trigger of a subject.
pub(crate) struct Notified<S>(PhantomData<S>);

impl<S> fmt::Debug for Notified<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notified")
    }
}

impl<S: Subject> Webhook for Notified<S> {
    type Data = Record<S::Table>;
    type State = Subscription;

    fn subscribe(ctx: &Context, target: &Target) -> Result<Subscription> {
        subscription::register(ctx, S::TOPIC.name, &target.url)
    }

    fn unsubscribe(ctx: &Context, state: Subscription) -> Result<()> {
        subscription::delete(ctx, &state)
    }

    fn check(ctx: &Context, target: &Target, state: Subscription) -> Result<Health<Subscription>> {
        subscription::mend(ctx, state, &target.url)
    }

    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Self::Data>>> {
        let occurrence = read(ctx, delivery, &S::TOPIC)?;
        let typed = |Occurrence { account, id, occurred_at_ms, data }| Occurrence {
            account,
            id,
            occurred_at_ms,
            data: Record::of_map(data),
        };
        Ok(occurrence.map(typed).into_iter().collect())
    }
}

/// The occurrence that a delivery tells of; none where it is another topic's. Once for all topics.
fn read(ctx: &Context, delivery: &Delivery, topic: &Topic) -> Result<Option<Occurrence<Map<String, Value>>>> {
    let Some(shop) = addressed(ctx, delivery, topic.delivered)? else { return Ok(None) };
    let thing: Map<String, Value> = delivery.json()?;
    let named = named(topic, delivery, |member| thing.get(member).and_then(Value::as_u64))?;
    let text = |name: &str| thing.get(name).and_then(Value::as_str);
    let changed_at = text("updated_at").filter(|_| topic.often == Often::Again);
    let at = changed_at.or_else(|| text("created_at")).and_then(parse_rfc3339);
    let at = at.or_else(|| parse_rfc3339(delivery.header("x-shopify-triggered-at")?));
    Ok(Some(Occurrence::new(shop, named, thing).at_ms(at)))
}

/// The shop that a delivery is of; none where it is another topic's.
fn addressed(ctx: &Context, delivery: &Delivery, expected: &str) -> Result<Option<String>> {
    let topic = header(delivery, "x-shopify-topic")?;
    if topic != expected {
        let message = format!("a delivery of `{topic}` is ignored: this is the hook of `{expected}`");
        ctx.log(Level::Warn, &message);
        return Ok(None);
    }
    let shop = header(delivery, "x-shopify-shop-domain")?.to_ascii_lowercase();
    let account = &ctx.call().account;
    if shop != *account {
        let message = format!(
            "the delivery is of `{shop}`, the connection of `{account}`; connect that shop on its own"
        );
        return Err(Error::other("delivery-of-another-shop", message));
    }
    Ok(Some(shop))
}

/// The occurrence's name.
fn named(topic: &Topic, delivery: &Delivery, number: impl Fn(&str) -> Option<u64>) -> Result<String> {
    let (kind, members) = topic.thing;
    let mut name = kind.to_owned();
    for member in members {
        let number = number(member).ok_or_else(|| {
            let message = format!("Shopify's {kind} has no whole number in `{member}`");
            Error::other("delivery-not-understood", message)
        })?;
        name.push_str(&format!("/{number}"));
    }
    Ok(match topic.often {
        Often::Once(what) => format!("{name}/{what}"),
        Often::Again => format!("{name}/{}@{}", topic.delivered, header(delivery, "x-shopify-webhook-id")?),
    })
}

/// A header that Shopify always sends.
pub(super) fn header<'d>(delivery: &'d Delivery, name: &str) -> Result<&'d str> {
    delivery.header(name).ok_or_else(|| {
        Error::other(
            "delivery-not-understood",
            format!("the delivery lacks the header `{name}`, which Shopify sends"),
        )
    })
}

macro_rules! subjects {
    ($($subject:ident: $topic:literal, $delivered:literal, $thing:literal $members:tt, $often:expr, $table:ident;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $subject;

        impl Subject for $subject {
            const TOPIC: Topic =
                Topic { name: $topic, delivered: $delivered, thing: ($thing, &$members), often: $often };
            type Table = delivered::$table;
        }
    )*};
}

use Often::{Again, Once};

subjects! {
    OrderCreated: "ORDERS_CREATE", "orders/create", "order" ["id"], Once("created"), Order;
    OrderUpdated: "ORDERS_UPDATED", "orders/updated", "order" ["id"], Again, Order;
    OrderPaid: "ORDERS_PAID", "orders/paid", "order" ["id"], Again, Order;
    OrderCancelled: "ORDERS_CANCELLED", "orders/cancelled", "order" ["id"], Once("cancelled"), Order;
    OrderFulfilled: "ORDERS_FULFILLED", "orders/fulfilled", "order" ["id"], Again, Order;
    CustomerCreated: "CUSTOMERS_CREATE", "customers/create", "customer" ["id"], Once("created"), Customer;
    CustomerUpdated: "CUSTOMERS_UPDATE", "customers/update", "customer" ["id"], Again, Customer;
    ProductCreated: "PRODUCTS_CREATE", "products/create", "product" ["id"], Once("created"), Product;
    ProductUpdated: "PRODUCTS_UPDATE", "products/update", "product" ["id"], Again, Product;
    InventoryLevelChanged: "INVENTORY_LEVELS_UPDATE", "inventory_levels/update",
        "inventory_level" ["inventory_item_id", "location_id"], Again, InventoryLevel;
    AppUninstalled: "APP_UNINSTALLED", "app/uninstalled", "shop" ["id"], Again, Shop;
}

#[cfg(test)]
mod tests;
