//! Runs: lease, decide, act, journal.
//!
//! The decisions are `trunnion_core::machine`'s; `queue` holds who is next, `execute` drives one run, `act`
//! touches the world, `persist` writes down what became of it, `items` drives what stands inside a `for_each`, `calls`
//! and `routes` start other workflows, `log` and `notices` are what people read afterwards, `activity` says when a
//! workflow last ran, `forget` what they have forgotten, `keys` how they see and mend the lines of ordered workflows,
//! `waiting` who waits for an answer. `trial`
//! goes through a draft without any of that being stored.

pub mod act;
mod activity;
pub mod calls;
pub mod dead;
pub mod execute;
mod forget;
mod items;
mod keys;
pub mod log;
pub mod notices;
pub(crate) mod persist;
pub mod queue;
pub mod routes;
pub mod trial;
pub mod waiting;
pub mod worker;

pub use self::{
    calls::Calls,
    dead::DeadLetters,
    execute::Held,
    items::Progress,
    log::RunLog,
    queue::{Queue, Turn, Work},
    routes::Routes,
    trial::Trials,
    waiting::{Caller, Owed, Waiting},
    worker::{Hands, Worker},
};
