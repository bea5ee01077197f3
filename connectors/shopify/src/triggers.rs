//! How work starts at Shopify: `notified` by webhook, `changed` by asking.

pub(crate) mod changed;
mod delivered;
pub(crate) mod notified;
mod subscription;
