//! A piece of work: with everything it needs at hand, or only its name, to be read when its turn comes.

use std::sync::Arc;

use trunnion_core::{
    id::{ConnectionId, DeliveryId, Id, RunId, UserId},
    machine::RunState,
    records::{Connection, Delivery, DeliveryBody, LiveRun},
    release::{CompiledKind, CompiledStep, Program},
    scope::Scope,
};
use trunnion_store::Version;

use super::fair::{Lane, Stand, Weighs};
use crate::runs::execute::Held;

/// What a piece of work is taken to weigh beside its payload, in bytes.
const BARE: usize = 512;

/// A piece of work.
#[derive(Debug)]
pub enum Work {
    /// A run that this process has leased.
    Held(Box<Held>),
    /// A run whose time has come; it must be leased first.
    RunDue {
        /// Where it is.
        scope: Scope,
        /// Which.
        id: RunId,
        /// Whose.
        user: UserId,
    },
    /// A delivery that this process has leased.
    Delivery {
        /// Where it is.
        scope: Scope,
        /// The delivery.
        delivery: Box<Delivery>,
        /// Its stored version.
        version: Version,
    },
    /// A delivery whose time has come; it must be leased first.
    DeliveryDue {
        /// Where it is.
        scope: Scope,
        /// Which.
        id: DeliveryId,
        /// Whose.
        user: UserId,
    },
    /// An answer that may have to be sent to whoever did not wait for it.
    CallbackDue {
        /// Where it is.
        scope: Scope,
        /// The run that answered.
        run: RunId,
        /// Whose.
        user: UserId,
    },
    /// An event or error that the ISV is to be told.
    NoticeDue {
        /// Where it is.
        scope: Scope,
        /// Which.
        id: Id,
        /// Whom it is about.
        user: UserId,
    },
    /// A destination's batches are to be looked after.
    BatchDue {
        /// Where it is.
        scope: Scope,
        /// Its name.
        stream: Arc<str>,
    },
}

/// Work in the queue: where it stands, and what its payload weighs, here or in the store.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) lane: Lane,
    bytes: u32,
    pub(super) work: Work,
}

impl Item {
    pub(super) fn new(lane: Lane, work: Work) -> Self {
        let bytes = work.bytes();
        Self::weighing(bytes, lane, work)
    }

    pub(super) fn weighing(bytes: usize, lane: Lane, work: Work) -> Self {
        Self { lane, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), work }
    }

    /// Bytes that it keeps in memory.
    pub(super) fn kept(&self) -> usize {
        match self.work {
            Work::Held(_) | Work::Delivery { .. } => self.payload(),
            Work::RunDue { .. }
            | Work::DeliveryDue { .. }
            | Work::CallbackDue { .. }
            | Work::NoticeDue { .. }
            | Work::BatchDue { .. } => 0,
        }
    }

    pub(super) const fn stand(&self) -> Stand {
        let (scope, user) = self.work.owner();
        Stand { scope, user, lane: self.lane }
    }

    pub(super) fn payload(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

impl Weighs for Item {
    fn bytes(&self) -> usize {
        self.payload()
    }
}

impl Work {
    /// Where it is and whose.
    pub(super) const fn owner(&self) -> (Scope, UserId) {
        match self {
            Self::Held(held) => (held.scope, held.run.user),
            Self::RunDue { scope, user, .. }
            | Self::DeliveryDue { scope, user, .. }
            | Self::CallbackDue { scope, user, .. }
            | Self::NoticeDue { scope, user, .. } => (*scope, *user),
            Self::BatchDue { scope, .. } => (*scope, Connection::OWN),
            Self::Delivery { scope, delivery, .. } => (*scope, delivery.user),
        }
    }

    /// What it keeps in memory, roughly.
    fn bytes(&self) -> usize {
        match self {
            Self::Held(held) => weight_of_run(&held.run),
            Self::Delivery { delivery, .. } => weight_of_delivery(delivery),
            Self::RunDue { .. }
            | Self::DeliveryDue { .. }
            | Self::CallbackDue { .. }
            | Self::NoticeDue { .. }
            | Self::BatchDue { .. } => 0,
        }
    }
}

/// What a run weighs in memory, roughly.
pub(in crate::runs) fn weight_of_run(run: &LiveRun) -> usize {
    let results =
        run.state.results.iter().map(|result| result.input.whole().weight() + result.output.whole().weight());
    BARE + run.trigger.whole().weight() + results.sum::<usize>()
}

/// What a delivery weighs in memory, roughly.
pub(super) const fn weight_of_delivery(delivery: &Delivery) -> usize {
    match &delivery.body {
        DeliveryBody::Text(text) | DeliveryBody::Base64(text) => BARE + text.len(),
    }
}

/// The lane of what a run will call next, as far as its steps tell.
#[must_use]
pub fn lane_of(run: &LiveRun, program: &Program, state: &RunState) -> Lane {
    let ahead = program.steps.get(state.step..).unwrap_or_default();
    ahead.iter().map(|step| lane_of_step(run, step)).find(|lane| *lane != Lane::Open).unwrap_or(Lane::Open)
}

/// The lane of what a step calls. The items of a `for_each` are one piece of work, in the lane of their first call.
#[must_use]
pub fn lane_of_step(run: &LiveRun, step: &CompiledStep) -> Lane {
    match &step.kind {
        CompiledKind::Action { app, connection, .. } => asked_lane(run, app, connection.as_deref()),
        CompiledKind::Page { target, .. }
        | CompiledKind::Send { target, .. }
        | CompiledKind::Again { target, .. } => asked_lane(run, &target.app, target.connection.as_deref()),
        CompiledKind::Stream { destination, .. } => destination_lane(destination),
        CompiledKind::ForEach { body, .. } | CompiledKind::Pages { body } => {
            let lanes = body.steps.iter().map(|step| lane_of_step(run, step));
            lanes.into_iter().find(|lane| *lane != Lane::Open).unwrap_or(Lane::Open)
        }
        _ => Lane::Open,
    }
}

/// The lane that a run most likely stands in, by its record alone: that of its connection, where it has only one.
#[must_use]
pub fn likely_lane(run: &LiveRun) -> Lane {
    let mut connections = run.connections.values();
    match (connections.next(), connections.next()) {
        (Some(only), None) => Lane::Connection(*only),
        _ => Lane::Open,
    }
}

/// The lane of a user's callbacks: slow receivers do not take all workers.
pub const CALLBACKS: Lane = Lane::Destination(0);

/// The lane of what the ISV is told about a user, or about the environment itself.
pub const NOTICES: Lane = Lane::Destination(1);

/// The lane of a call on the user's connection to `app`, or on one of the environment's own.
fn asked_lane(run: &LiveRun, app: &str, own: Option<&str>) -> Lane {
    own.map_or_else(|| connection_lane(run.connections.get(app)), destination_lane)
}

fn connection_lane(connection: Option<&ConnectionId>) -> Lane {
    connection.map_or(Lane::Open, |connection| Lane::Connection(*connection))
}

/// FNV-1a: destinations whose names meet share a lane, which harms nobody.
fn destination_lane(name: &str) -> Lane {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Lane::Destination(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_work_is_small() {
        assert!(size_of::<Item>() <= 64, "{}", size_of::<Item>());
    }
}
