//! What workflows can do at Shopify, one file each.

pub(crate) mod cancel_order;
pub(crate) mod create_fulfillment;
pub(crate) mod create_order;
pub(crate) mod find_orders;
pub(crate) mod get_by_ids;
pub(crate) mod get_order;
pub(crate) mod raw_graphql;
pub(crate) mod refund_order;
pub(crate) mod set_inventory;
pub(crate) mod tags;
pub(crate) mod update_order;
pub(crate) mod upsert_customer;
pub(crate) mod upsert_product;

#[cfg(test)]
mod tests;
