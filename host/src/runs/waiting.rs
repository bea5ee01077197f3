//! Who waits in memory for a run: callers of requests until it has answered, runs that called it until it has ended.
//!
//! Owns nothing durable: whoever waits looks the run up first and again after every word of it, so
//! that neither a restart nor a missed moment loses an answer. Waiting holds no worker.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use trunnion_core::{
    id::RunId,
    records::{EventSource, LiveRun},
    release::Release,
    scope::Scope,
};

use super::queue::{Queue, Work};

/// Those who wait.
#[derive(Debug)]
pub struct Waiting {
    queue: Arc<Queue>,
    callers: Mutex<Callers>,
    /// Runs that were woken while they were under way, so that they look again before they rest.
    woken: Mutex<HashSet<RunId>>,
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
    /// For callers of at most `most` runs at once; runs are woken in `queue`.
    #[must_use]
    pub fn new(queue: Arc<Queue>, most: usize) -> Self {
        Self { queue, callers: Mutex::default(), woken: Mutex::default(), most }
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

    /// To be called once a state of a run is durable: whoever waits for what it says hears of it.
    pub fn told(&self, scope: &Scope, run: &LiveRun, release: &Release) {
        match &run.source {
            EventSource::Request if release.answer(&run.state).is_some() => drop(self.stirred(run.id)),
            EventSource::Call { run: caller, .. } if run.state.ended() => {
                self.woken().insert(*caller);
                self.queue.push(Work::RunDue { scope: *scope, id: *caller, user: run.user });
            }
            _ => {}
        }
    }

    /// Whether a run was woken since this was last asked.
    pub fn take_woken(&self, run: RunId) -> bool {
        self.woken().remove(&run)
    }

    fn woken(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
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
    use trunnion_core::{
        clock::{ManualClock, Timestamp},
        id::Id,
    };

    use super::*;

    fn waiting(most: usize) -> Arc<Waiting> {
        let clock = Arc::new(ManualClock::new(Timestamp::ZERO));
        Arc::new(Waiting::new(Arc::new(Queue::new(clock, "here".to_owned(), 9)), most))
    }

    fn run(number: u8) -> RunId {
        RunId(Id::from_bytes([number; 12]))
    }

    #[tokio::test]
    async fn whoever_waits_is_told_even_when_it_happened_before_they_listened() {
        let waiting = waiting(2);
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
        let waiting = waiting(1);
        let mut one = waiting.caller(run(1)).unwrap();
        assert!(waiting.caller(run(2)).is_none());
        assert!(waiting.caller(run(1)).is_some(), "whose run is waited for already");
        waiting.close();
        assert!(!one.stirred().await);
        assert!(waiting.caller(run(1)).is_none());
    }
}
