//! What workflows can do at BigCommerce, one file each.

pub(crate) mod get_order;
pub(crate) mod update_order_status;
