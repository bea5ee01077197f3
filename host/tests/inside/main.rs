//! The host's services in this process, over a store in memory.

#![cfg(test)]

mod bare;
mod drafts;
mod edge;
mod erased;
mod keys;
mod leases;
mod panics;
mod rates;
mod refusals;
mod repeated;
mod user_tokens;
