//! An order is placed.
//!
//! BigCommerce reports an order as created while the shopper is still paying (status 0, incomplete), and its
//! change of status once it is placed. Both paths give the same occurrence, `order/{id}/placed`, so whichever
//! comes first streams and the host drops the other.

use trunnion_sdk::prelude::*;

use super::hooks::{self, Hooks};
use crate::{
    api,
    order::{INCOMPLETE, Order, OrderId},
};

const CREATED: &str = "store/order/created";
const STATUS_UPDATED: &str = "store/order/statusUpdated";

/// The trigger.
#[derive(Debug)]
pub(crate) struct OrderCreated;

/// A delivery says which order, not what is in it.
#[derive(Debug, Deserialize)]
struct Notice {
    scope: String,
    data: Subject,
}

#[derive(Debug, Deserialize)]
struct Subject {
    id: u64,
    status: Option<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    previous_status_id: u64,
}

impl Notice {
    /// Whether the order may just have been placed.
    fn may_place(&self) -> bool {
        match self.scope.as_str() {
            CREATED => true,
            STATUS_UPDATED => {
                self.data.status.as_ref().is_some_and(|change| change.previous_status_id == INCOMPLETE)
            }
            _ => false,
        }
    }
}

impl Webhook for OrderCreated {
    type Data = Order;
    type State = Hooks;

    fn subscribe(ctx: &Context, target: &Target) -> Result<Hooks> {
        hooks::subscribe(ctx, &[CREATED, STATUS_UPDATED], &target.url)
    }

    fn unsubscribe(ctx: &Context, state: Hooks) -> Result<()> {
        hooks::unsubscribe(ctx, &state)
    }

    fn check(ctx: &Context, target: &Target, state: Hooks) -> Result<Health<Hooks>> {
        hooks::check(ctx, &target.url, state)
    }

    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Order>>> {
        let notice: Notice = delivery.json()?;
        if !notice.may_place() {
            return Ok(Vec::new());
        }
        let id = OrderId::from(notice.data.id);
        let order = Order::fetch(ctx, &id)?;
        if order.status_id()? == INCOMPLETE {
            return Ok(Vec::new());
        }
        let occurred_at = order.created_at_ms();
        let occurrence =
            Occurrence::new(api::store_hash(ctx)?, format!("order/{}/placed", id.number()), order);
        Ok(vec![occurrence.at_ms(occurred_at)])
    }
}

#[cfg(test)]
mod tests;
