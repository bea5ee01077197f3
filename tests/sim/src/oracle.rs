//! The oracle: what must hold of what was seen, whatever went wrong. Reads what the host left and what the world
//! saw, and knows nothing of how either came to be.
//!
//! `accepted`: nothing lost, nothing twice, nothing stuck. `ticks`, `called`: the same for what the clock and other
//! runs start. `answers`: requests. `calls`: keys, repeat classes, order, cancellation. `lines`: runs that wait for each
//! other. `outcomes`: what a run says of itself is what happened.

mod accepted;
mod answers;
mod called;
mod calls;
mod lines;
mod outcomes;
mod ticks;

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use trunnion_core::{
    id::RunId,
    machine::idempotency_key,
    records::{DeadLetter, Delivery, EndedRun, LiveRun, Poller},
};
use trunnion_store::{
    Select, Store, Table,
    table::PlaceOf,
    tables::{Callbacks, DeadLetters, Deliveries, EndedRuns, LiveItems, LiveRuns, Pollers},
};

use crate::{
    Counts,
    flow::{Facts, Flow, Line},
    plan::Plan,
    process::{End, Stage},
    seen::{Call, Seen, Unit},
};

/// A host in which so many pieces of work may wait keeps none out.
const MANY: usize = 100;

/// A promise that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which, in a word.
    pub promise: &'static str,
    /// What was seen instead.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}

/// Everything there is to judge by.
#[derive(Debug)]
struct Evidence<'a> {
    plan: &'a Plan,
    seen: &'a Seen,
    end: End,
    ended: Vec<EndedRun>,
    live: Vec<LiveRun>,
    deliveries: Vec<Delivery>,
    callbacks: usize,
    pollers: Vec<Poller>,
    /// Whose items are stored.
    items: Vec<RunId>,
    dead: Vec<DeadLetter>,
}

/// Runs by the marker of what caused them and their flow.
type ByCause = BTreeMap<(String, usize), Vec<RunId>>;

/// What is found wrong, as it is found.
#[derive(Debug, Default)]
struct Findings(Vec<Broken>);

impl Findings {
    fn add(&mut self, promise: &'static str, what: impl Into<String>) {
        self.0.push(Broken { promise, what: what.into() });
    }

    fn check(&mut self, holds: bool, promise: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.add(promise, what());
        }
    }
}

impl Evidence<'_> {
    /// A run's workflow.
    fn flow_of(&self, run: &LiveRun) -> Option<&Flow> {
        let number = self.seen.workflows.iter().position(|known| *known == run.workflow)?;
        self.plan.flows.get(number)
    }

    /// A run's workflow, and what it knows of what started it.
    fn story_of(&self, run: &LiveRun) -> Option<(&Flow, Facts)> {
        let flow = self.flow_of(run)?;
        let user = self.seen.users.iter().position(|user| *user == run.user)?;
        Some((flow, flow.facts(&run.trigger.to_value(), user)))
    }

    /// Whether runs that wait for others of their line may fill the host for so long that it takes nothing else in.
    fn may_be_full(&self) -> bool {
        self.plan.max_waiting < MANY && self.plan.flows.iter().any(|flow| flow.line != Line::Parallel)
    }

    fn every_run(&self) -> impl Iterator<Item = &LiveRun> {
        self.ended.iter().chain(&self.live)
    }

    fn by_cause(&self) -> ByCause {
        let mut runs = ByCause::new();
        for run in self.every_run() {
            if let Some((flow, facts)) = self.story_of(run) {
                runs.entry((facts.marker, flow.number)).or_default().push(run.id);
            }
        }
        runs
    }

    /// The calls that a run's steps made, in order, each with its place among all.
    fn calls_of<'b>(&'b self, flow: &Flow, facts: &'b Facts) -> impl Iterator<Item = (usize, &'b Call)> {
        let number = flow.number;
        let calls = self.seen.calls.iter().enumerate();
        calls.filter(move |(_, call)| call.unit.marker == facts.marker && call.unit.flow == number)
    }
}

/// The idempotency key that a unit of a run has over every attempt.
fn key_of(run: RunId, unit: &Unit, each: Option<&str>) -> String {
    match (unit.item, each) {
        (Some(item), Some(each)) => idempotency_key(run, &format!("{each}[{item}].{}", unit.step)),
        _ => idempotency_key(run, &unit.step),
    }
}

/// What did not hold, and how much happened.
///
/// # Errors
/// Where what the host left cannot be read.
pub fn judge(stage: &Stage, end: End) -> Result<(Vec<Broken>, Counts)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let backend = std::sync::Arc::<trunnion_store::memory::Memory>::clone(&stage.world.memory);
    let store = Store::new(backend, std::sync::Arc::clone(&stage.world.keys));
    let items = runtime.block_on(store.list::<LiveItems>(&stage.scope, Select::all()))?;
    let state = stage.world.state();
    let evidence = Evidence {
        plan: &stage.plan,
        seen: &state.seen,
        end,
        ended: runtime.block_on(all::<EndedRuns>(&store, &stage.scope))?,
        live: runtime.block_on(all::<LiveRuns>(&store, &stage.scope))?,
        deliveries: runtime.block_on(all::<Deliveries>(&store, &stage.scope))?,
        callbacks: runtime.block_on(all::<Callbacks>(&store, &stage.scope))?.len(),
        pollers: runtime.block_on(all::<Pollers>(&store, &stage.scope))?,
        items: items.into_iter().map(|entry| entry.key.0).collect(),
        dead: runtime.block_on(all::<DeadLetters>(&store, &stage.scope))?,
    };
    let mut findings = Findings::default();
    accepted::judge(&evidence, &mut findings);
    calls::judge(&evidence, &mut findings);
    lines::judge(&evidence, &mut findings);
    outcomes::judge(&evidence, &mut findings);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let counts = Counts {
        lives: state.life,
        runs: count(evidence.ended.len()),
        calls: count(state.seen.calls.len()),
        dead: count(evidence.dead.len()),
    };
    Ok((findings.0, counts))
}

async fn all<T: Table>(store: &Store, place: &PlaceOf<T>) -> Result<Vec<T::Record>> {
    let entries = store.list::<T>(place, Select::all()).await?;
    Ok(entries.into_iter().map(|entry| entry.record).collect())
}
