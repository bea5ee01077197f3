//! Seeded simulation: the production accept, lease and execute code, in simulated time, over a store, vendors, a
//! network and a clock that are stand-ins and fail as the seed says.
//!
//! `plan` draws what happens before it happens, `process` runs one life of the host after the other, `seen` is
//! what was observed from outside, and `oracle` alone says what must hold of it. Everything that is random comes
//! from the seed, and one thread does everything: a seed gives the same trace every time.

pub mod clock;
pub mod dice;
pub mod disk;
pub mod faults;
pub mod flow;
pub mod network;
pub mod oracle;
pub mod outside;
pub mod plan;
pub mod process;
pub mod seen;
pub mod setup;
pub mod vendor;
pub mod world;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use trunnion_core::{
    id::{Id, WorkspaceId},
    scope::{Environment, Scope},
};

use crate::{
    dice::Dice,
    oracle::Broken,
    outside::Agenda,
    plan::Plan,
    process::{End, Stage},
    world::{Tracing, World},
};

/// What one seed came to.
#[derive(Debug)]
pub struct Simulated {
    /// Which.
    pub seed: u64,
    /// Promises that did not hold.
    pub broken: Vec<Broken>,
    /// The hash of the trace.
    pub hash: u64,
    /// How many lines it has.
    pub lines: u64,
    /// The lines, where they were kept.
    pub trace: Vec<String>,
    /// How much happened.
    pub counts: Counts,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Lives of the host.
    pub lives: u64,
    /// Runs that ended.
    pub runs: u64,
    /// Calls that reached a vendor.
    pub calls: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Simulates a seed.
///
/// # Errors
/// Where the simulation itself cannot go on: that is its own fault, not the host's.
pub fn simulate(seed: u64, tracing: Tracing) -> Result<Simulated> {
    let mut dice = Dice::new(seed);
    let plan = Plan::drawn(&mut dice);
    let world = World::new(dice.fork(), tracing)?;
    play(seed, plan, world).with_context(|| format!("seed {seed}"))
}

/// Plays a plan in a world.
///
/// # Errors
/// As [`simulate`].
pub fn play(seed: u64, plan: Plan, world: World) -> Result<Simulated> {
    let (world, plan) = (Arc::new(world), Arc::new(plan));
    {
        let mut state = world.state();
        state.seen.events.clone_from(&plan.events);
        state.seen.deliveries.clone_from(&plan.deliveries);
        state.seen.records.clone_from(&plan.records);
        state.seen.requests.clone_from(&plan.requests);
    }
    let stage = Stage {
        agenda: Arc::new(Agenda::new(&plan.acts)),
        scope: Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Production),
        world: Arc::clone(&world),
        plan: Arc::clone(&plan),
    };
    let end = loop {
        match stage.live()? {
            End::Died => {}
            end => break end,
        }
    };
    let (broken, counts) = oracle::judge(&stage, end)?;
    for broken in &broken {
        world.note(format_args!("BROKEN {broken}"));
    }
    let (hash, lines, trace) = world.trace();
    Ok(Simulated { seed, broken, hash, lines, trace, counts })
}
