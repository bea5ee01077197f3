//! Trunnion's durable store.
//!
//! Owns: what is kept, how it is sealed and how it survives. One atomic, durable [`Store::commit`] of a
//! [`Batch`] is the only way to change state; reads are by [`Scope`](trunnion_core::scope::Scope). Databases
//! are named here and nowhere else.
//!
//! Layers, outermost first: [`Store`] and [`tables`] (typed records, sealed under their owner's data key of the
//! [`KeyRing`]) over a [`Backend`](backend::Backend) (bytes, versions, preconditions), of which there are two:
//! [`Memory`](memory::Memory) and [`Journal`](journal::Journal) (sled: one value per commit group, and an index).
//!
//! Invariants: a commit is all or nothing; what it wrote is on disk, power-safe, before it returns; a reader
//! never sees what is not durable; a record of a destroyed key cannot be read by anyone.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod backend;
pub mod backup;
pub mod batch;
mod cache;
pub mod error;
pub mod journal;
pub mod key;
pub mod keys;
pub mod memory;
mod record;
pub mod select;
pub mod store;
pub mod sweep;
pub mod table;
pub mod tables;

pub use crate::{
    backend::Version,
    batch::Batch,
    error::{CommitError, ReadError},
    keys::{KeyOwner, KeyRing, MasterKey},
    select::{Direction, Select},
    store::{Entry, Expired, Page, Store, Versioned},
    sweep::{Position, Swept},
    table::{Deployment, Environment, Level, Owner, Table, Workspace},
};
