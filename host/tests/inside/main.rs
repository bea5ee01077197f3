//! The host's services in this process, over a store in memory.

#![cfg(test)]

mod bare;
mod leases;
mod panics;
