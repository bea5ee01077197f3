//! Trunnion: an embedded-integration runtime.
//!
//! A software vendor embeds it to offer its customers integrations. Connectors are sandboxed components; the
//! host accepts triggers, maps fields, calls connectors and streams results, and loses nothing on the way.
//! `docs/ARCHITECTURE.md` shows the data's way through these modules; `server` wires them.

#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod author;
pub mod backup;
mod bench;
pub mod cli;
pub mod client;
pub mod condition;
pub mod config;
pub mod context;
pub mod erasure;
pub mod error;
pub mod finish;
pub mod forward;
mod guard;
pub mod import;
pub mod keyfiles;
pub mod limits;
pub mod lookups;
pub mod outbox;
mod patience;
pub mod real;
pub mod registry;
pub mod repetition;
pub mod retention;
pub mod runs;
pub mod schema;
pub mod server;
pub mod settings;
pub mod streams;
pub mod telemetry;
pub mod throttle;
pub mod triggers;
pub mod ui;
pub mod user_tokens;
pub mod users;
pub mod vault;
pub mod workflows;
