//! What outlives a process: its disk, the vendors, time; and what they saw.
//!
//! Owns [`Life`], one process from start to death. A dead process does nothing more: whatever of it asks the
//! world for anything waits for ever, until its runtime is dropped.

use std::{
    collections::hash_map::DefaultHasher,
    fmt::Display,
    future::pending,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::sync::Notify;
use trunnion_core::clock::{Clock, SeededRandom, Timestamp};
use trunnion_store::{KeyRing, memory::Memory};

use crate::{
    clock::{BEGINNING, SimulatedClock},
    dice::Dice,
    faults::Faults,
    seen::Seen,
};

/// Everything outside the process.
#[derive(Debug)]
pub struct World {
    /// Time.
    pub clock: Arc<SimulatedClock>,
    /// The source of ids.
    pub random: Arc<SeededRandom>,
    /// What is durable.
    pub memory: Arc<Memory>,
    /// The data keys.
    pub keys: Arc<KeyRing>,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub struct State {
    /// Chance.
    pub dice: Dice,
    /// What goes wrong at present.
    pub faults: Faults,
    /// What was seen from outside.
    pub seen: Seen,
    /// Which life it is, from 1.
    pub life: u64,
    trace: Trace,
}

/// What happened, as lines; their hash says whether two simulations were the same.
#[derive(Debug)]
struct Trace {
    kept: Option<Vec<String>>,
    hash: DefaultHasher,
    lines: u64,
}

/// Whether the lines of a trace are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// Only their hash is.
    Off,
    /// They are.
    On,
}

impl World {
    /// A world without anything yet.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes for the data keys.
    pub fn new(mut dice: Dice, tracing: Tracing) -> Result<Self> {
        Ok(Self {
            clock: Arc::default(),
            random: Arc::new(SeededRandom::new(dice.next())),
            memory: Arc::new(Memory::new()),
            keys: Arc::new(KeyRing::in_memory()?),
            state: Mutex::new(State {
                dice,
                faults: Faults::none(),
                seen: Seen::default(),
                life: 0,
                trace: Trace {
                    kept: (tracing == Tracing::On).then(Vec::new),
                    hash: DefaultHasher::new(),
                    lines: 0,
                },
            }),
        })
    }

    /// What changes. Held only for a moment, never over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes a line of the trace.
    pub fn note(&self, line: impl Display) {
        let after = self.now().since(BEGINNING);
        let mut state = self.state();
        let line = format!("{:>10.3} life {} {line}", after.as_secs_f64(), state.life);
        state.trace.lines += 1;
        line.hash(&mut state.trace.hash);
        if let Some(kept) = &mut state.trace.kept {
            kept.push(line);
        }
    }

    /// Writes a line about what goes wrong inside the host, or ends it.
    pub fn trouble(&self, line: &str) {
        let now = self.now();
        self.state().seen.troubles.push(now);
        self.note(line);
    }

    /// The hash of every line so far, how many there are, and the lines where they are kept.
    #[must_use]
    pub fn trace(&self) -> (u64, u64, Vec<String>) {
        let state = self.state();
        (state.trace.hash.finish(), state.trace.lines, state.trace.kept.clone().unwrap_or_default())
    }
}

/// One process, from start to death.
#[derive(Debug, Default)]
pub struct Life {
    dead: AtomicBool,
    death: Notify,
}

impl Life {
    /// Ends it, at once.
    pub fn end(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.death.notify_waiters();
    }

    /// Whether it ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Returns only in a living process.
    pub async fn living(&self) {
        if self.ended() {
            pending().await
        }
    }

    /// Ends it; for whoever is inside the process, nothing comes after.
    pub async fn die<T>(&self) -> T {
        self.end();
        pending().await
    }

    /// Waits in a living process; a dead one never wakes.
    pub async fn sleep(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.living().await;
    }

    /// Waits for the end.
    pub async fn over(&self) {
        loop {
            let death = self.death.notified();
            if self.ended() {
                return;
            }
            death.await;
        }
    }
}
