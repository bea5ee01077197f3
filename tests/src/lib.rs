//! The harness: a real host process, stateful vendor fakes, the ISV's receiver, and the AcmeCo scenario that
//! the tests and `cargo xtask quickstart` share.
//!
//! Nothing here is mocked that can run: real processes, real sockets. Fakes follow the vendors' published
//! behaviour, keep state, and record every request. Time at a vendor is simulated and moved by hand.
//!
//! Invariant: waiting is done in `wait` alone, for a state, never for a while.

pub mod bigcommerce;
pub mod bigquery;
pub mod bqemulator;
pub mod browser;
pub mod component;
mod desk;
pub mod eventual;
pub mod gate;
pub mod host;
pub mod hubspot;
pub mod issuer;
pub mod isv;
pub mod judge;
pub mod mirror;
pub mod moto;
pub mod node;
pub mod parcels;
pub mod python;
pub mod record;
pub mod scan;
pub mod scenario;
pub mod shopify;
pub mod torture;
pub mod wait;
