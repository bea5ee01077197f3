//! An order is placed.
//!
//! BigCommerce reports an order as created while the shopper is still paying (status 0, incomplete), and its
//! change of status once it is placed. Both paths give the same occurrence, `order/{id}/placed`, so whichever
//! comes first streams and the host drops the other.

use trunnion_sdk::{host::Level, prelude::*};

use super::hooks::{self, Hook};
use crate::{
    api,
    order::{INCOMPLETE, Order, OrderId},
};

const CREATED: &str = "store/order/created";
const STATUS_UPDATED: &str = "store/order/statusUpdated";

/// The trigger.
#[derive(Debug)]
pub(crate) struct OrderCreated;

/// The hooks it stands on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hooks {
    hooks: Vec<Hook>,
}

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
        let created = hooks::register(ctx, CREATED, &target.url)?;
        match hooks::register(ctx, STATUS_UPDATED, &target.url) {
            Ok(updated) => Ok(Hooks { hooks: vec![created, updated] }),
            Err(error) => {
                // Half a subscription would deliver to an address that the host is about to forget.
                if let Err(left) = hooks::delete(ctx, &created) {
                    let id = created.id;
                    ctx.log(Level::Warn, &format!("hook {id} stays registered at BigCommerce: {left}"));
                }
                Err(error)
            }
        }
    }

    fn unsubscribe(ctx: &Context, state: Hooks) -> Result<()> {
        state.hooks.iter().try_for_each(|hook| hooks::delete(ctx, hook))
    }

    fn check(ctx: &Context, target: &Target, state: Hooks) -> Result<Health<Hooks>> {
        let mut mended = false;
        for hook in &state.hooks {
            match hooks::mend(ctx, hook, &target.url)? {
                hooks::State::AsItShouldBe => {}
                hooks::State::Mended => mended = true,
                hooks::State::Gone => return Ok(Health::Gone(state)),
            }
        }
        Ok(if mended { Health::Mended(state) } else { Health::Active(state) })
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
