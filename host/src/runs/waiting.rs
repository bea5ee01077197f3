//! Who waits in memory for a run: callers of requests, until it has answered.
//!
//! Owns nothing durable: whoever waits looks the run up first and again after every word of it, so
//! that neither a restart nor a missed moment loses an answer. Waiting holds no worker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use trunnion_core::{
    id::RunId,
    records::{EventSource, LiveRun},
    release::Release,
};

/// Those who wait.
#[derive(Debug)]
pub struct Waiting {
    callers: Mutex<Callers>,
    most: usize,
}

#[derive(Debug, Default)]
struct Callers {
    by_run: HashMap<RunId, watch::Sender<()>>,
    closed: bool,
}

/// One who waits for a run; leaves by being dropped.
#[derive(Debug)]
pub struct Caller {
    waiting: Arc<Waiting>,
    run: RunId,
    stirred: watch::Receiver<()>,
}

impl Waiting {
    /// For callers of at most `most` runs at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { callers: Mutex::default(), most }
    }

    /// Begins to wait for a run; `None` where so many wait already that nobody else may, or the host stops.
    pub fn caller(self: &Arc<Self>, run: RunId) -> Option<Caller> {
        let mut callers = self.callers();
        if callers.closed || (callers.by_run.len() >= self.most && !callers.by_run.contains_key(&run)) {
            return None;
        }
        let sender = callers.by_run.entry(run).or_insert_with(|| watch::Sender::new(()));
        Some(Caller { waiting: Arc::clone(self), run, stirred: sender.subscribe() })
    }

    /// To be called once a state of a run is durable: where somebody may wait for it and it has answered, they hear of
    /// it.
    pub fn told(&self, run: &LiveRun, release: &Release) {
        if run.source == EventSource::Request && release.answer(&run.state).is_some() {
            self.stirred(run.id);
        }
    }

    /// Says that a run may have answered; whether anybody waits for it.
    fn stirred(&self, run: RunId) -> bool {
        self.callers().by_run.get(&run).is_some_and(|sender| sender.send(()).is_ok())
    }

    /// Lets everybody go, for a host that stops.
    pub fn close(&self) {
        let mut callers = self.callers();
        callers.closed = true;
        callers.by_run.clear();
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    /// Returns when the run may have answered: `false` where nobody will say so any more.
    pub async fn stirred(&mut self) -> bool {
        self.stirred.changed().await.is_ok()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut callers = self.waiting.callers();
        // This one still counts.
        if callers.by_run.get(&self.run).is_some_and(|sender| sender.receiver_count() <= 1) {
            callers.by_run.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::id::Id;

    use super::*;

    fn run(number: u8) -> RunId {
        RunId(Id::from_bytes([number; 12]))
    }

    #[tokio::test]
    async fn whoever_waits_is_told_even_when_it_happened_before_they_listened() {
        let waiting = Arc::new(Waiting::new(2));
        assert!(!waiting.stirred(run(1)), "nobody waits");
        let (mut one, mut other) = (waiting.caller(run(1)).unwrap(), waiting.caller(run(1)).unwrap());
        assert!(waiting.stirred(run(1)));
        assert!(one.stirred().await && other.stirred().await);
        drop(one);
        assert!(waiting.stirred(run(1)), "the other still waits");
        drop(other);
        assert!(!waiting.stirred(run(1)));
        assert!(waiting.callers().by_run.is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn only_so_many_wait_and_a_stop_lets_everybody_go() {
        let waiting = Arc::new(Waiting::new(1));
        let mut one = waiting.caller(run(1)).unwrap();
        assert!(waiting.caller(run(2)).is_none());
        assert!(waiting.caller(run(1)).is_some(), "whose run is waited for already");
        waiting.close();
        assert!(!one.stirred().await);
        assert!(waiting.caller(run(1)).is_none());
    }
}
