//! Trunnion's vocabulary and rules.
//!
//! Owns: ids, scope, time, the connector manifest, workflow definitions and their checks, mapping, the run
//! machine, retry policy, host patterns and the durable records' types. It decides; it never acts: no I/O,
//! no async runtime, no clock and no random source of its own.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod call;
pub mod choices;
pub mod clock;
pub mod definition;
pub mod hosts;
pub mod id;
pub mod javascript;
pub mod limit;
pub mod machine;
pub mod manifest;
pub mod mapping;
pub mod payload;
pub mod polling;
pub mod problem;
pub mod records;
pub mod release;
pub mod retry;
pub mod schedule;
pub mod scope;
mod shape;
pub mod succession;
