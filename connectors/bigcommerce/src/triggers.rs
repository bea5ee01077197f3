//! What starts workflows at BigCommerce: one file for each trigger, and `hooks`, which they share.

pub(crate) mod hooks;
pub(crate) mod order_created;
