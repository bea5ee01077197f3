//! What workflows can do at Shopify, one file each.

pub(crate) mod create_order;
pub(crate) mod get_order;
