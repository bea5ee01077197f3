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
    id::{RunId, UserId},
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
    /// Runs whose callback a caller may still make superfluous.
    owing: Mutex<HashSet<RunId>>,
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
        Self { queue, callers: Mutex::default(), woken: Mutex::default(), owing: Mutex::default(), most }
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
            EventSource::Request { callback } => self.answered(scope, run, release, (run.id, *callback)),
            EventSource::Preprocess { run: taken_in, callback } => {
                self.answered(scope, run, release, (*taken_in, *callback));
            }
            EventSource::Call { run: caller, .. } if run.state.ended() => {
                self.woken().insert(*caller);
                self.queue.push(Work::RunDue { scope: *scope, id: *caller, user: run.user });
            }
            _ => {}
        }
    }

    /// Tells those who wait for the answer to the request that the run `asked` took in.
    fn answered(&self, scope: &Scope, run: &LiveRun, release: &Release, (asked, callback): (RunId, bool)) {
        if release.answer(&run.state).is_none() {
            return;
        }
        self.stirred(asked);
        if callback && !self.owing().contains(&asked) {
            self.queue.push(Work::CallbackDue { scope: *scope, run: asked, user: run.user });
        }
    }

    /// Whether a run was woken since this was last asked.
    pub fn take_woken(&self, run: RunId) -> bool {
        self.woken().remove(&run)
    }

    /// Whether it was, for whoever comes next to ask again.
    pub fn is_woken(&self, run: RunId) -> bool {
        self.woken().contains(&run)
    }

    /// Says again that a run was woken, where whoever asked could not look.
    pub fn wake_again(&self, run: RunId) {
        self.woken().insert(run);
    }

    fn woken(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a run may have answered.
    fn stirred(&self, run: RunId) {
        if let Some(sender) = self.callers().by_run.get(&run) {
            sender.send_replace(());
        }
    }

    /// Says that the caller of a run may take the answer that its callback would else be sent.
    pub fn owe(self: &Arc<Self>, scope: &Scope, run: RunId, user: UserId) -> Owed {
        self.owing().insert(run);
        let work = Work::CallbackDue { scope: *scope, run, user };
        Owed { waiting: Arc::clone(self), run, work: Some(work) }
    }

    fn owing(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.owing.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A callback that a caller may still make superfluous. Where it does not, as when it hangs up, the callback is looked at
/// when this is dropped.
#[derive(Debug)]
pub struct Owed {
    waiting: Arc<Waiting>,
    run: RunId,
    work: Option<Work>,
}

impl Owed {
    /// The caller has the answer, and the callback is removed.
    pub fn paid(mut self) {
        self.work = None;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.waiting.owing().remove(&self.run);
        if let Some(work) = self.work.take() {
            self.waiting.queue.push(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::{
        clock::{ManualClock, Timestamp},
        id::{Id, WorkspaceId},
        scope::Environment,
    };

    use super::*;
    use crate::runs::queue::{Bounds, Limits, Load};

    fn waiting(most: usize) -> Arc<Waiting> {
        let clock = Arc::new(ManualClock::new(Timestamp::ZERO));
        let load = Load { count: 9, bytes: 1 << 20 };
        let waiting = Bounds { all: load, per_user: load };
        let limits =
            Limits { workers: 9, per_connection: 9, waiting, kept_bytes: 1 << 20, working_bytes: 1 << 20 };
        Arc::new(Waiting::new(Arc::new(Queue::new(clock, "here".to_owned(), limits)), most))
    }

    fn run(number: u8) -> RunId {
        RunId(Id::from_bytes([number; 12]))
    }

    fn is_awaited(waiting: &Waiting, run: RunId) -> bool {
        waiting.callers().by_run.contains_key(&run)
    }

    #[tokio::test]
    async fn whoever_waits_is_told_even_when_it_happened_before_they_listened() {
        let waiting = waiting(2);
        let (mut one, mut other) = (waiting.caller(run(1)).unwrap(), waiting.caller(run(1)).unwrap());
        waiting.stirred(run(1));
        assert!(one.stirred().await && other.stirred().await);
        drop(one);
        assert!(is_awaited(&waiting, run(1)), "the other still waits");
        drop(other);
        assert!(!is_awaited(&waiting, run(1)), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_callback_is_looked_at_when_the_caller_leaves_without_the_answer() {
        let waiting = waiting(2);
        let scope = Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Development);
        let user = UserId(Id::from_bytes([2; 12]));
        waiting.owe(&scope, run(1), user).paid();
        assert_eq!(waiting.queue.waiting().count, 0, "the caller has it");
        let owed = waiting.owe(&scope, run(2), user);
        assert!(waiting.owing().contains(&run(2)));
        drop(owed);
        assert!(waiting.owing().is_empty());
        assert!(
            matches!(waiting.queue.next().await, (Work::CallbackDue { run: due, .. }, _) if due == run(2))
        );
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
