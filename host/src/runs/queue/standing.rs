//! The queue's side of lines: joining one, waiting in it, leaving it, and who begins then.
//!
//! Invariant: a run that waits in a line is in no other part of the queue, but counts as waiting at the door.

use std::sync::{Arc, MutexGuard, PoisonError};

use trunnion_core::{
    clock::Timestamp,
    id::{InstallationId, RunId},
    machine::{Outcome, Status},
    records::{LineKey, LinePlace, LiveRun},
    scope::Scope,
};

use super::{
    Queue, Work,
    lines::{LineId, LineView, Lines, Waiter},
    work::{Item, likely_lane, weight_of_run},
};

/// A place in a line that a run is about to be accepted with; given up where it is dropped before it is stored.
#[derive(Debug)]
pub struct Joined {
    queue: Arc<Queue>,
    id: LineId,
    place: LinePlace,
    waits: bool,
    stored: bool,
}

impl Joined {
    /// The place, for the run's record.
    #[must_use]
    pub const fn place(&self) -> LinePlace {
        self.place
    }

    /// Whether the run must wait for others.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.waits
    }

    /// The run is stored: it waits in its place, and whoever may now begins.
    pub(super) fn stored(mut self, waiter: Waiter) {
        self.stored = true;
        let (scope, ..) = self.id;
        if self.waits {
            self.queue.state().door.enter(scope, waiter.user, waiter.bytes);
        }
        let begin = self.queue.lines().stored(self.id, self.place.order, waiter);
        self.queue.begin(scope, begin);
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if !self.stored {
            let (scope, installation, _) = self.id;
            self.queue.leave(scope, installation, self.place);
        }
    }
}

impl Queue {
    /// A place at the end of a line, for a run that is about to be accepted.
    #[must_use]
    pub fn join(
        self: &Arc<Self>,
        (scope, installation): (Scope, InstallationId),
        run: RunId,
        line: LinePlace,
    ) -> Joined {
        let id = (scope, installation, line.key);
        let place = self.lines().join(id, line.limit, run);
        let line = LinePlace { order: place.order, ..line };
        Joined { queue: Arc::clone(self), id, place: line, waits: !place.begins, stored: false }
    }

    /// Whether a run must still wait for others of its line.
    #[must_use]
    pub fn stands_back(&self, scope: &Scope, run: &LiveRun) -> bool {
        run.line.is_some_and(|place| self.lines().waits(&(*scope, run.installation, place.key), place.order))
    }

    /// A run has ended, durably: it leaves its line, unless it failed and so holds it.
    pub fn ended(&self, scope: &Scope, run: &LiveRun) {
        if let Some(place) = run.line.filter(|place| !holds_line(place, &run.state.status)) {
            self.leave(*scope, run.installation, place);
        }
    }

    /// A run leaves its line; whoever may now begins.
    pub fn leave(&self, scope: Scope, installation: InstallationId, place: LinePlace) {
        let (waited, begin) = self.lines().leave((scope, installation, place.key), place.order);
        if let Some(waiter) = waited {
            self.state().door.leave(scope, waiter.user, waiter.bytes);
        }
        self.begin(scope, begin);
    }

    /// A stored run that nobody has in hand: after a start, or since it was revived. Where it has a line, it takes its
    /// old place there and begins with [`Self::advance`]; otherwise it is due at its time.
    pub fn restore(&self, scope: Scope, run: &LiveRun, due: Timestamp) {
        let lane = likely_lane(run);
        let bytes = weight_of_run(run);
        let Some(place) = run.line else {
            return self.push_run_at(due, lane, Work::RunDue { scope, id: run.id, user: run.user }, bytes);
        };
        let id = (scope, run.installation, place.key);
        let waiter = Waiter { run: run.id, user: run.user, lane, bytes, due: Some(due) };
        let mut lines = self.lines();
        lines.restore(id, place.order, place.limit, waiter);
        let waits = lines.waits(&id, place.order);
        drop(lines);
        if waits {
            self.state().door.enter(scope, run.user, bytes);
        } else {
            self.push_run_at(due, lane, Work::RunDue { scope, id: run.id, user: run.user }, bytes);
        }
    }

    /// A failed run holds its key, after a start.
    pub fn hold_line(
        &self,
        scope: Scope,
        (installation, key, order): (InstallationId, LineKey, u64),
        run: RunId,
    ) {
        self.lines().hold((scope, installation, key), order, run);
    }

    /// Lets everybody begin who may, after [`Self::restore`].
    pub fn advance(&self) {
        let ids = self.lines().ids();
        for id in ids {
            let begin = self.lines().advance(id);
            self.begin(id.0, begin);
        }
    }

    /// A run that had ended lives again, durably: it goes on at once, or when its line lets it.
    pub fn revive(&self, scope: Scope, run: &LiveRun) {
        self.restore(scope, run, self.clock.now());
        if let Some(place) = run.line {
            let begin = self.lines().advance((scope, run.installation, place.key));
            self.begin(scope, begin);
        }
    }

    /// The lines of an installation, by key.
    #[must_use]
    pub fn lines_of(
        &self,
        scope: &Scope,
        installation: InstallationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Vec<LineView> {
        self.lines().of(*scope, installation, after, limit)
    }

    /// One line of an installation.
    #[must_use]
    pub fn line(&self, scope: &Scope, installation: InstallationId, key: LineKey) -> Option<LineView> {
        self.lines().one(&(*scope, installation, key))
    }

    fn begin(&self, scope: Scope, waiters: Vec<Waiter>) {
        for Waiter { run, user, lane, bytes, due } in waiters {
            let work = Work::RunDue { scope, id: run, user };
            let mut state = self.state();
            state.door.leave(scope, user, bytes);
            match due {
                Some(due) => state.timers.set(due, Item::weighing(bytes, lane, work)),
                None => state.add(Item::weighing(bytes, lane, work)),
            }
            drop(state);
            self.wake.notify_one();
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a run that ended so holds its line.
#[must_use]
pub fn holds_line(place: &LinePlace, status: &Status) -> bool {
    place.ordered && matches!(status, Status::Ended { outcome: Outcome::Failed { .. }, .. })
}
