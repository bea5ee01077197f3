//! How work starts at Shopify: `notified` by webhook, `privacy` by that of the whole app, `changed`
//! by asking.

pub(crate) mod changed;
mod delivered;
pub(crate) mod notified;
pub(crate) mod privacy;
mod subscription;
