//! The security boundary: runs connector components and brokers everything they send.
//!
//! Owns the wasm engine, the pool of instances, every limit on a guest, and the only way out of one (the
//! [`Broker`]). It is the only crate that names wasmtime. Invariants:
//!
//! - a guest imports nothing outside `wit/connector/v1`, but for WASI 0.2 without files, environment or sockets;
//! - CPU, memory, wall time, host calls and every size that crosses the boundary are bounded, and a guest
//!   that passes a bound loses one call, never the host;
//! - a secret never enters guest memory: the broker places it on an authorised request and removes it from
//!   the answer;
//! - a connection is made only to an address that was checked, for a host that was named.

#![warn(missing_docs)]

pub mod broker;
pub mod compile;

mod admission;
mod answer;
mod bindings;
mod blobs;
mod cache;
mod call;
mod check;
mod connector;
mod convert;
mod engine;
mod exports;
mod imports;
mod load;
mod options;
mod sandbox;
mod secrets;
mod signing;
mod state;
mod warm;
mod wasi;

pub use answer::{Answer, Exchange, Failed, LogLevel, LogLine, Observation};
pub use broker::{Broker, EgressOptions, Forward, Forwarded, Outbound};
pub use call::{
    Account, Call, Choice, Choices, Delivery, Freshness, Health, LookupQuery, Occurrence, Outcome, Page,
    Poll, Polled, Reconciled, Reply, Target,
};
pub use connector::{Answering, Connector, Guest};
pub use load::{LoadError, Loader, Stage};
pub use options::{CompileOptions, Options, WarmOptions};
pub use sandbox::{Checked, Compiled, Sandbox, SandboxError, digest_of};
pub use secrets::Secrets;
