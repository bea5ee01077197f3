//! Who is next: work in memory, fair by environment and user, and work that waits for its time.
//!
//! Everything here is also on disk: the queue is an index of what this process has leased or will lease. What waits
//! is bounded (`door`), whose turn it is is fair (`fair`), runs of throttled and ordered workflows wait for each other
//! (`lines`), and of what waits long only the name is kept in memory:
//! it is read again when its turn comes.
//!
//! Invariant: a run or delivery is in one pair of hands in this process: whoever has its [`Hold`]. As long as that
//! lives, nobody takes the lease over, however long ago it should have ended.

mod door;
mod fair;
mod hold;
mod lines;
mod standing;
mod timers;
mod work;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use trunnion_core::{
    clock::{Clock, Timestamp},
    id::{Id, RunId, UserId},
    machine::{LEASE, Lease, Status},
    payload::Part,
    records::Delivery,
    scope::Scope,
};
use trunnion_store::Version;

pub(super) use self::work::weight_of_run;
pub use self::{
    door::{Bounds, Load},
    fair::Lane,
    hold::Hold,
    lines::LineView,
    standing::{Joined, holds_line},
    work::{CALLBACKS, NOTICES, Work, lane_of, lane_of_step, likely_lane},
};
use self::{
    door::{Door, Full},
    fair::{Fair, HEAVY, Slots, Taken},
    hold::Holding,
    lines::{Lines, Waiter},
    timers::Timers,
    work::{Item, weight_of_delivery},
};
use super::execute::Held;
use crate::error::{Error, Result};

/// Pieces of one user's work that wait in memory with everything they need; of further ones only the name is kept.
const KEPT_PER_USER: usize = 256;

/// Which part of the room for payloads that wait the large ones have.
const LARGE_SHARE: usize = 4;

/// When a user who was refused may come again, and when everybody may.
const USER_RETRY: Duration = Duration::from_secs(5);
const HOST_RETRY: Duration = Duration::from_secs(1);

/// What a queue may hold and have under way.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pieces under way at once, whoever's.
    pub workers: usize,
    /// Pieces under way at once for one connection or destination of a user.
    pub per_connection: usize,
    /// What may wait.
    pub waiting: Bounds,
    /// Bytes of payloads that wait in memory; of further ones only the names are kept.
    pub kept_bytes: usize,
    /// Bytes of large payloads under way at once.
    pub working_bytes: usize,
}

/// Work that is ready, in fair order, and work that waits for its time.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    wake: Notify,
    clock: Arc<dyn Clock>,
    holder: String,
    kept_bytes: usize,
    holding: Arc<Holding>,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct State {
    fair: Fair<Item>,
    door: Door,
    timers: Timers<Item>,
    /// Bytes of payloads in `fair`.
    kept_bytes: usize,
}

/// A worker's turn with a piece of work. When it is dropped, its time is counted and the next piece may come.
#[derive(Debug)]
pub struct Turn {
    queue: Arc<Queue>,
    taken: Option<Taken>,
    began: Timestamp,
}

impl Limits {
    /// Workers beyond `workers`, for those who have few under way while one has many.
    const fn reserve(&self) -> usize {
        match self.workers {
            // Nothing is to be worked on, not even a little.
            0 => 0,
            1..8 => 2,
            workers => workers / 4,
        }
    }
}

impl Queue {
    /// A queue of the process named `holder`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, holder: String, limits: Limits) -> Self {
        let slots = Slots {
            workers: limits.workers,
            reserve: limits.reserve(),
            per_lane: limits.per_connection.max(1),
            bytes: limits.working_bytes,
        };
        let state = State {
            fair: Fair::new(slots),
            door: Door::new(limits.waiting),
            timers: Timers::default(),
            kept_bytes: 0,
        };
        Self {
            state: Mutex::new(state),
            wake: Notify::new(),
            clock,
            holder,
            kept_bytes: limits.kept_bytes,
            holding: Arc::default(),
            lines: Mutex::default(),
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

    /// Takes a run or a delivery in hand; `None` where it already is in somebody's hands here.
    #[must_use]
    pub fn hold(&self, id: Id) -> Option<Hold> {
        Holding::take(&self.holding, id)
    }

    /// Notes that a run which is in somebody's hands is to end, so that it begins no further item.
    pub fn cancel(&self, run: RunId) {
        self.holding.cancel(run.0);
    }

    /// Whether a run which is in somebody's hands is to end.
    #[must_use]
    pub fn is_cancelled(&self, run: RunId) -> bool {
        self.holding.is_cancelled(run.0)
    }

    /// Refuses where the host as a whole has as much waiting as it may.
    pub fn admit(&self) -> Result<()> {
        self.state().door.admits_any().map_err(refusal)
    }

    /// Refuses new work of a user while too much waits, before memory grows: whoever floods first, then their
    /// environment, then everybody.
    pub fn admit_user(&self, scope: &Scope, user: UserId) -> Result<()> {
        self.state().door.admits(scope, &user).map_err(refusal)
    }

    /// Whether new work of a user is to wait in memory with everything it needs; otherwise it is stored as not yet
    /// leased, and only its name waits here.
    #[must_use]
    pub fn keeps(&self, scope: &Scope, user: UserId) -> bool {
        self.keeps_within(self.kept_bytes, scope, user)
    }

    /// As [`Queue::keeps`], for a run of this event. Large payloads have a part of the room, so that a few of them do not
    /// take it from all others.
    #[must_use]
    pub fn keeps_run(&self, scope: &Scope, user: UserId, trigger: Part<'_>) -> bool {
        let room = if trigger.weight() < HEAVY { self.kept_bytes } else { self.kept_bytes / LARGE_SHARE };
        self.keeps_within(room, scope, user)
    }

    fn keeps_within(&self, bytes: usize, scope: &Scope, user: UserId) -> bool {
        let state = self.state();
        state.kept_bytes < bytes && state.fair.waiting_of(scope, &user) < KEPT_PER_USER
    }

    /// Adds work that is ready now.
    pub fn push(&self, work: Work) {
        let lane = match &work {
            Work::Held(held) => lane_of(&held.run, &held.release.program, &held.run.state),
            Work::CallbackDue { .. } => CALLBACKS,
            Work::NoticeDue { .. } | Work::BatchDue { .. } => NOTICES,
            Work::RunDue { .. } | Work::Delivery { .. } | Work::DeliveryDue { .. } => Lane::Open,
        };
        self.push_to(lane, work);
    }

    /// Adds work that is ready now and will call what `lane` says.
    pub fn push_to(&self, lane: Lane, work: Work) {
        self.state().add(Item::new(lane, work));
        self.wake.notify_one();
    }

    /// Adds a run that was just accepted: as it is where it is leased, otherwise by its name, and where it must wait
    /// for others of its line, behind them.
    pub fn push_accepted(&self, mut held: Held) {
        if held.run.state.ended() {
            return;
        }
        let lane = lane_of(&held.run, &held.release.program, &held.run.state);
        let bytes = weight_of_run(&held.run);
        if let Some(joined) = held.joined.take() {
            let waiter = Waiter { run: held.run.id, user: held.run.user, lane, bytes, due: None };
            if joined.waits() {
                drop(held);
                return joined.stored(waiter);
            }
            joined.stored(waiter);
        }
        let work = match held.run.state.status {
            Status::Leased { .. } => Work::Held(Box::new(held)),
            Status::Queued { .. } | Status::Ended { .. } => {
                let due = Work::RunDue { scope: held.scope, id: held.run.id, user: held.run.user };
                // Whoever takes it up must find it in nobody's hands.
                drop(held);
                due
            }
        };
        self.state().add(Item::weighing(bytes, lane, work));
        self.wake.notify_one();
    }

    /// Adds a delivery that was just received: as it is where it is leased, otherwise by its name.
    pub fn push_received(&self, lane: Lane, scope: Scope, delivery: Delivery, version: Version) {
        let bytes = weight_of_delivery(&delivery);
        let work = if delivery.attempts > 0 {
            Work::Delivery { scope, delivery: Box::new(delivery), version }
        } else {
            Work::DeliveryDue { scope, id: delivery.id, user: delivery.user }
        };
        self.state().add(Item::weighing(bytes, lane, work));
        self.wake.notify_one();
    }

    /// Adds work for later.
    pub fn push_at(&self, due: Timestamp, work: Work) {
        self.push_at_to(due, Lane::Open, work);
    }

    /// Adds work for later that will call what `lane` says.
    pub fn push_at_to(&self, due: Timestamp, lane: Lane, work: Work) {
        self.push_item_at(due, Item::new(lane, work));
    }

    /// As [`Queue::push_at_to`], for a run that is `bytes` in memory once it is read.
    pub(super) fn push_run_at(&self, due: Timestamp, lane: Lane, work: Work, bytes: usize) {
        self.push_item_at(due, Item::weighing(bytes, lane, work));
    }

    fn push_item_at(&self, due: Timestamp, item: Item) {
        self.state().timers.set(due, item);
        self.wake.notify_one();
    }

    /// The next piece of work and the turn with it, waiting until there is one and a worker for it.
    pub async fn next(self: &Arc<Self>) -> (Work, Turn) {
        loop {
            let (taken, due) = {
                let mut state = self.state();
                state.ripen(self.clock.now());
                (state.take(), state.timers.next())
            };
            if let Some((work, taken)) = taken {
                let turn = Turn { queue: Arc::clone(self), taken: Some(taken), began: self.clock.now() };
                return (work, turn);
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
        self.state().fair.drain().into_iter().map(|item| item.work).collect()
    }

    /// What is ready and waits for a worker.
    #[must_use]
    pub fn waiting(&self) -> Load {
        self.state().door.load()
    }

    /// Pieces of work that are under way.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.state().fair.busy()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, item: Item) {
        let stand = item.stand();
        self.door.enter(stand.scope, stand.user, item.payload());
        self.kept_bytes += item.kept();
        self.fair.add(stand, item);
    }

    fn ripen(&mut self, now: Timestamp) {
        while let Some(item) = self.timers.due(now) {
            self.add(item);
        }
    }

    fn take(&mut self) -> Option<(Work, Taken)> {
        let (item, taken) = self.fair.take()?;
        self.door.leave(taken.stand.scope, taken.stand.user, item.payload());
        self.kept_bytes = self.kept_bytes.saturating_sub(item.kept());
        Some((item.work, taken))
    }
}

impl Turn {
    /// Whether the work may go on with what `lane` says, without a worker waiting for it: as many calls as may be
    /// under way there already are, where not.
    pub fn enters(&mut self, lane: Lane) -> bool {
        // What calls nothing stays where it is, rather than to queue again for its next call.
        lane == Lane::Open
            || self.taken.as_mut().is_none_or(|taken| self.queue.state().fair.shift(taken, lane))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(taken) = self.taken.take() else { return };
        let time = self.queue.clock.now().since(self.began);
        self.queue.state().fair.finish(taken, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.queue.wake.notify_one();
    }
}

const fn refusal(full: Full) -> Error {
    match full {
        Full::User => Error::UserBusy { retry_after: USER_RETRY },
        Full::Environment | Full::Host => Error::Busy { retry_after: HOST_RETRY },
    }
}

#[cfg(test)]
mod tests;
