//! An order is created.
//!
//! A delivery carries the whole order, as it was when it was created. The host has verified its signature, which
//! covers the body only; the headers say which shop and topic it is for, and are held against the connection.

use trunnion_sdk::{host::Level, prelude::*};

use super::{
    delivered::Order,
    subscription::{self, Subscription},
};

const TOPIC: &str = "ORDERS_CREATE";
const DELIVERED_TOPIC: &str = "orders/create";

/// The trigger.
#[derive(Debug)]
pub(crate) struct OrderCreated;

impl Webhook for OrderCreated {
    type Data = Order;
    type State = Subscription;

    fn subscribe(ctx: &Context, target: &Target) -> Result<Subscription> {
        subscription::register(ctx, TOPIC, &target.url)
    }

    fn unsubscribe(ctx: &Context, state: Subscription) -> Result<()> {
        subscription::delete(ctx, &state)
    }

    fn check(ctx: &Context, target: &Target, state: Subscription) -> Result<Health<Subscription>> {
        subscription::mend(ctx, state, &target.url)
    }

    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Order>>> {
        let topic = header(delivery, "x-shopify-topic")?;
        if topic != DELIVERED_TOPIC {
            ctx.log(
                Level::Warn,
                &format!("a delivery of `{topic}` is ignored: this is the hook of `{DELIVERED_TOPIC}`"),
            );
            return Ok(Vec::new());
        }
        let shop = header(delivery, "x-shopify-shop-domain")?.to_ascii_lowercase();
        let account = &ctx.call().account;
        if shop != *account {
            return Err(Error::other(
                "delivery-of-another-shop",
                format!(
                    "the delivery is of `{shop}`, the connection of `{account}`; connect that shop on its own"
                ),
            ));
        }
        let order: Order = delivery.json()?;
        // An order is created once, so its number alone is the occurrence's name.
        let id = format!("order/{}/created", order.id()?);
        let occurred_at = order.created_at_ms();
        Ok(vec![Occurrence::new(shop, id, order).at_ms(occurred_at)])
    }
}

fn header<'d>(delivery: &'d Delivery, name: &str) -> Result<&'d str> {
    delivery.header(name).ok_or_else(|| {
        Error::other(
            "delivery-not-understood",
            format!("the delivery lacks the header `{name}`, which Shopify sends"),
        )
    })
}

#[cfg(test)]
mod tests;
