//! What is still to be done outside, over lives.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use trunnion_core::clock::Timestamp;

use super::tries_again;
use crate::{clock::BEGINNING, plan::Act, world::World};

/// How long somebody waits before trying again.
pub(super) const AGAIN: Duration = Duration::from_secs(2);

/// What is still to be done outside, over lives.
#[derive(Debug, Default)]
pub struct Agenda {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<(Timestamp, u64), Act>,
    under_way: BTreeMap<u64, Act>,
    counter: u64,
}

impl Agenda {
    /// As planned.
    #[must_use]
    pub fn new(acts: &[(Duration, Act)]) -> Self {
        let agenda = Self::default();
        for (after, act) in acts {
            agenda.add(BEGINNING + *after, act.clone());
        }
        agenda
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, at: Timestamp, act: Act) {
        {
            let mut state = self.state();
            state.counter += 1;
            let number = state.counter;
            state.waiting.insert((at, number), act);
        }
        self.changed.notify_one();
    }

    /// What is due, with a number to report its end by.
    pub fn due(&self, now: Timestamp) -> Option<(u64, Act)> {
        let mut state = self.state();
        let first = state.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, number), act) = first.remove_entry();
        state.under_way.insert(number, act.clone());
        Some((number, act))
    }

    /// When the next thing is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.state().waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether nobody does or will do anything.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.under_way.is_empty()
    }

    /// Returns when there is something new to do.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Something is over; whether it is to be tried again.
    pub(super) fn over(&self, number: u64, again: Option<Timestamp>) {
        let act = self.state().under_way.remove(&number);
        if let (Some(act), Some(at)) = (act, again) {
            self.add(at, act);
        }
        self.changed.notify_one();
    }

    /// Something is over and needs no answer.
    pub fn forget(&self, number: u64) {
        self.over(number, None);
    }

    /// The process died: nobody who waited for its answer got one.
    pub fn cut_off(&self, world: &World, now: Timestamp) {
        let cut: Vec<_> = std::mem::take(&mut self.state().under_way).into_values().collect();
        for act in cut {
            if let Act::Request(place) = act {
                cut_off(world, place, now);
            }
            if tries_again(world, &act) {
                self.add(now + AGAIN, act);
            }
        }
    }
}

/// Notes that whoever sent a request has gone without an answer.
pub(super) fn cut_off(world: &World, place: usize, now: Timestamp) {
    if let Some(request) = world.state().seen.requests.get_mut(place) {
        request.cut_off.push(now);
    }
}
