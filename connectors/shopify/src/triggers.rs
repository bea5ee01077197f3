//! What starts workflows at Shopify: one file for each trigger, and `subscription`, which they share.

pub(crate) mod delivered;
pub(crate) mod order_created;
pub(crate) mod subscription;
