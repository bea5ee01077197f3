//! The oracle: what must hold of what was seen, whatever went wrong. Reads what the host left and what the world
//! saw, and knows nothing of how either came to be.
//!
//! `accepted`: nothing lost, nothing twice, nothing stuck. `calls`: keys, repeat classes, order, cancellation.
//! `outcomes`: what a run says of itself is what happened.

mod accepted;
mod calls;
mod outcomes;

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use serde_json::Value;
use trunnion_core::{
    id::{RunId, WorkflowId},
    machine::idempotency_key,
    records::{DeadLetter, Delivery, EndedRun, LiveRun},
};
use trunnion_store::{
    Select, Store,
    tables::{DeadLetters, Deliveries, EndedRuns, LiveItems, LiveRuns},
};

use crate::{
    Counts,
    plan::Plan,
    process::{End, Stage},
    seen::{Seen, Unit},
};

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
    items: usize,
    dead: Vec<DeadLetter>,
}

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
    /// The number of a run's flow.
    fn flow_of(&self, workflow: WorkflowId) -> Option<usize> {
        self.seen.workflows.iter().position(|known| *known == workflow)
    }

    fn every_run(&self) -> impl Iterator<Item = &LiveRun> {
        self.ended.iter().chain(&self.live)
    }

    /// Runs by the marker of their event and their flow.
    fn by_cause(&self) -> BTreeMap<(String, usize), Vec<RunId>> {
        let mut runs: BTreeMap<_, Vec<RunId>> = BTreeMap::new();
        for run in self.every_run() {
            if let Some(flow) = self.flow_of(run.workflow) {
                runs.entry((marker(&run.trigger), flow)).or_default().push(run.id);
            }
        }
        runs
    }
}

/// The marker of a payload.
fn marker(payload: &Value) -> String {
    payload.get("marker").and_then(Value::as_str).unwrap_or_default().to_owned()
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
    let (ended, live, deliveries, items, dead) = runtime.block_on(Box::pin(async {
        let backend = std::sync::Arc::<trunnion_store::memory::Memory>::clone(&stage.world.memory);
        let store = Store::new(backend, std::sync::Arc::clone(&stage.world.keys));
        let scope = &stage.scope;
        let ended = store.list::<EndedRuns>(scope, Select::all()).await?;
        let live = store.list::<LiveRuns>(scope, Select::all()).await?;
        let deliveries = store.list::<Deliveries>(scope, Select::all()).await?;
        let items = store.list::<LiveItems>(scope, Select::all()).await?;
        let dead = store.list::<DeadLetters>(scope, Select::all()).await?;
        anyhow::Ok((ended, live, deliveries, items.len(), dead))
    }))?;
    let state = stage.world.state();
    let evidence = Evidence {
        plan: &stage.plan,
        seen: &state.seen,
        end,
        ended: ended.into_iter().map(|entry| entry.record).collect(),
        live: live.into_iter().map(|entry| entry.record).collect(),
        deliveries: deliveries.into_iter().map(|entry| entry.record).collect(),
        items,
        dead: dead.into_iter().map(|entry| entry.record).collect(),
    };
    let mut findings = Findings::default();
    accepted::judge(&evidence, &mut findings);
    calls::judge(&evidence, &mut findings);
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
