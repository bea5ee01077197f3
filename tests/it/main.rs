//! The integration tests: a real host process, real components, vendor fakes on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests"
)]

mod boundaries;
mod canary;
mod contract;
mod crash;
mod egress;
mod flows;
mod hostile;
mod judge;
mod refusals;
mod retries;
mod stop;
