//! Triggers: everything that starts work, each through the one way in.
//!
//! `accept` makes events durable and starts runs; `webhook` takes vendors' deliveries in; `verify` knows
//! signatures; `gate` says whose event is taken in next; `parse` turns stored deliveries into occurrences; `subscriptions`
//! registers at vendors and, by its `care`, looks after what is registered; `app_hooks` keeps what vendors call for all
//! accounts of an app;
//! `schedule` starts what the clock starts; `poll` asks vendors that do not call; `request` takes requests whose
//! callers wait.

pub mod accept;
pub mod app_hooks;
pub mod custom;
pub mod gate;
pub mod parse;
pub mod poll;
pub mod request;
pub mod schedule;
pub mod subscriptions;
pub mod verify;
pub mod webhook;
