//! Simulated time: tokio's paused clock inside a life, standing still between lives.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use trunnion_core::clock::{Clock, Timestamp};

/// When every simulation begins.
pub const BEGINNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The clock of every life of one simulation.
#[derive(Debug)]
pub struct SimulatedClock(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The time when the present life began; between lives, the time.
    base: Timestamp,
    began: Option<Instant>,
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self(Mutex::new(State { base: BEGINNING, began: None }))
    }
}

impl SimulatedClock {
    /// A life begins, in the present runtime.
    pub fn begin(&self) {
        self.lock().began = Some(Instant::now());
    }

    /// It ended, and the next one begins so much later.
    pub fn end(&self, pause: Duration) {
        let mut state = self.lock();
        state.base = state.now() + pause;
        state.began = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> Timestamp {
        self.began.map_or(self.base, |began| self.base + began.elapsed())
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.lock().now()
    }
}
