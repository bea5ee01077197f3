//! Who is next: work in memory, fair by user, and work that waits for its time.
//!
//! Everything here is also on disk: the queue is an index of what this process has leased or will lease.
//! Fairness: users take turns, so one user's flood delays only that user.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use trunnion_core::{
    clock::{Clock, Timestamp},
    id::{DeliveryId, RunId, UserId},
    machine::{LEASE, Lease},
    records::Delivery,
    scope::Scope,
};
use trunnion_store::Version;

use super::execute::Held;
use crate::error::{Error, Result};

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
}

impl Work {
    const fn turn(&self) -> (Scope, UserId) {
        match self {
            Self::Held(held) => (held.scope, held.run.user),
            Self::RunDue { scope, user, .. } | Self::DeliveryDue { scope, user, .. } => (*scope, *user),
            Self::Delivery { scope, delivery, .. } => (*scope, delivery.user),
        }
    }
}

/// Work that is ready, by user, and work that waits for its time.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    wake: Notify,
    clock: Arc<dyn Clock>,
    holder: String,
    max_ready: usize,
    cancelled: Mutex<HashSet<RunId>>,
}

#[derive(Debug, Default)]
struct State {
    by_user: HashMap<(Scope, UserId), VecDeque<Work>>,
    turns: VecDeque<(Scope, UserId)>,
    ready: usize,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_set: u64,
}

#[derive(Debug)]
struct Timer {
    due: Timestamp,
    number: u64,
    work: Work,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl Queue {
    /// A queue of the process named `holder`, which admits new work while fewer than `max_ready` pieces wait.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, holder: String, max_ready: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            clock,
            holder,
            max_ready,
            cancelled: Mutex::default(),
        }
    }

    /// A lease of this process.
    #[must_use]
    pub fn lease(&self, now: Timestamp) -> Lease {
        Lease { holder: self.holder.clone(), until: now + LEASE }
    }

    /// Whether a lease is this process's own.
    #[must_use]
    pub fn holds(&self, lease: &Lease) -> bool {
        lease.holder == self.holder
    }

    /// Notes that a run which is under way is to end, so that it begins no further item.
    pub fn cancel(&self, run: RunId) {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).insert(run);
    }

    /// Whether a run which is under way is to end.
    #[must_use]
    pub fn is_cancelled(&self, run: RunId) -> bool {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).contains(&run)
    }

    /// Forgets about a run that is no longer under way.
    pub fn forget(&self, run: RunId) {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }

    /// Refuses new work while too much waits: before memory grows.
    pub fn admit(&self) -> Result<()> {
        if self.state().ready < self.max_ready {
            Ok(())
        } else {
            Err(Error::Busy { retry_after: Duration::from_secs(1) })
        }
    }

    /// Adds work that is ready now.
    pub fn push(&self, work: Work) {
        self.state().add(work);
        self.wake.notify_one();
    }

    /// Adds work for later.
    pub fn push_at(&self, due: Timestamp, work: Work) {
        {
            let mut state = self.state();
            state.timers_set += 1;
            let number = state.timers_set;
            state.timers.push(Reverse(Timer { due, number, work }));
        }
        self.wake.notify_one();
    }

    /// The next piece of work, waiting for one.
    pub async fn next(&self) -> Work {
        loop {
            let (work, due) = {
                let mut state = self.state();
                state.ripen(self.clock.now());
                (state.take(), state.timers.peek().map(|Reverse(timer)| timer.due))
            };
            if let Some(work) = work {
                return work;
            }
            let notified = self.wake.notified();
            match due {
                Some(due) => {
                    let wait = due.since(self.clock.now());
                    tokio::select! {
                        () = notified => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                None => notified.await,
            }
        }
    }

    /// Everything that is ready and that no worker took, for a process that stops.
    #[must_use]
    pub fn drain(&self) -> Vec<Work> {
        let mut state = self.state();
        std::iter::from_fn(|| state.take()).collect()
    }

    /// Pieces of work that are ready and wait for a worker.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.state().ready
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, work: Work) {
        let turn = work.turn();
        let waiting = self.by_user.entry(turn).or_default();
        if waiting.is_empty() {
            self.turns.push_back(turn);
        }
        waiting.push_back(work);
        self.ready += 1;
    }

    fn ripen(&mut self, now: Timestamp) {
        while self.timers.peek().is_some_and(|Reverse(timer)| timer.due <= now) {
            if let Some(Reverse(timer)) = self.timers.pop() {
                self.add(timer.work);
            }
        }
    }

    fn take(&mut self) -> Option<Work> {
        let turn = self.turns.pop_front()?;
        let waiting = self.by_user.get_mut(&turn)?;
        let work = waiting.pop_front()?;
        if waiting.is_empty() {
            self.by_user.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        self.ready -= 1;
        Some(work)
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::{
        clock::ManualClock,
        id::{Id, WorkspaceId},
        scope::Environment,
    };

    use super::*;

    fn due(user: u8, run: u8) -> Work {
        Work::RunDue {
            scope: Scope::new(WorkspaceId(Id::from_bytes([0; 12])), Environment::Development),
            id: RunId(Id::from_bytes([run; 12])),
            user: UserId(Id::from_bytes([user; 12])),
        }
    }

    fn queue(clock: &Arc<ManualClock>) -> Queue {
        Queue::new(Arc::<ManualClock>::clone(clock), "here".to_owned(), 3)
    }

    async fn next_user(queue: &Queue) -> u8 {
        let (_, user) = queue.next().await.turn();
        user.as_bytes()[0]
    }

    #[tokio::test]
    async fn users_take_turns_whatever_one_of_them_sends() {
        let queue = queue(&Arc::new(ManualClock::new(Timestamp::ZERO)));
        for run in 0..3 {
            queue.push(due(1, run));
        }
        queue.push(due(2, 9));
        let order = [
            next_user(&queue).await,
            next_user(&queue).await,
            next_user(&queue).await,
            next_user(&queue).await,
        ];
        assert_eq!(order, [1, 2, 1, 1]);
        assert_eq!(queue.ready(), 0);
    }

    #[tokio::test]
    async fn work_for_later_comes_when_its_time_has() {
        let clock = Arc::new(ManualClock::new(Timestamp::ZERO));
        let queue = queue(&clock);
        queue.push_at(Timestamp::from_millis(2_000), due(2, 0));
        queue.push_at(Timestamp::from_millis(1_000), due(1, 0));
        clock.advance(Duration::from_secs(3));
        assert_eq!([next_user(&queue).await, next_user(&queue).await], [1, 2]);
    }

    #[test]
    fn too_much_waiting_work_is_refused_with_a_time_to_return() {
        let queue = queue(&Arc::new(ManualClock::new(Timestamp::ZERO)));
        for run in 0..3 {
            assert!(queue.admit().is_ok());
            queue.push(due(1, run));
        }
        assert!(matches!(queue.admit(), Err(Error::Busy { .. })));
    }
}
