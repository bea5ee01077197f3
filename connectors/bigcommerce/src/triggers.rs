//! How work starts at BigCommerce: `order_created` and what follows a single notice (`notified`) come by webhook, and
//! `changed` asks.

pub(crate) mod changed;
pub(crate) mod hooks;
pub(crate) mod notified;
pub(crate) mod order_created;
