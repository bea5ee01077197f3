//! What workflows can do at BigCommerce, one file each.

pub(crate) mod create_order;
pub(crate) mod create_shipment;
pub(crate) mod get_order;
pub(crate) mod list_orders;
pub(crate) mod raw_request;
pub(crate) mod refund_order;
pub(crate) mod set_inventory;
pub(crate) mod update_order;
pub(crate) mod update_order_status;
pub(crate) mod upsert_customer;
pub(crate) mod upsert_product;
