//! The host's services in this process, over a store in memory.

#![cfg(test)]

mod bare;
mod drafts;
mod edge;
mod erased;
mod gathered;
mod keys;
mod leases;
mod listings;
mod panics;
mod rates;
mod refusals;
mod repeated;
mod user_tokens;
