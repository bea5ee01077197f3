//! What arrived where it was to arrive, and when: events are numbered by the scenario, so that an arrival names
//! its event, whether the host or a reference made it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

/// The arrivals of one scenario.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    pages: Mutex<Pages>,
}

/// The arrivals of one event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    /// When the first came.
    pub(super) first: Option<Instant>,
    /// How many there were.
    pub(super) count: u32,
}

#[derive(Debug, Default)]
struct Pages {
    /// By the event's number.
    calls: Vec<Calls>,
    expected: HashMap<u64, oneshot::Sender<()>>,
    held: Option<(u64, watch::Receiver<bool>)>,
}

/// Holds the answer to one event's call until it is dropped.
#[derive(Debug)]
pub(super) struct Hold(watch::Sender<bool>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Arrivals {
    fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an arrival, and says until when its answer is held back.
    pub(super) fn arrived(&self, number: u64) -> Option<watch::Receiver<bool>> {
        let now = Instant::now();
        let mut pages = self.open();
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if pages.calls.len() <= at {
            pages.calls.resize(at.saturating_add(1), Calls::default());
        }
        if let Some(calls) = pages.calls.get_mut(at) {
            calls.first.get_or_insert(now);
            calls.count += 1;
        }
        if let Some(expected) = pages.expected.remove(&number) {
            // Whoever expected it may have given up.
            let _gone = expected.send(());
        }
        pages.held.as_ref().filter(|(held, _)| *held == number).map(|(_, released)| released.clone())
    }

    /// The arrivals of an event so far.
    pub(super) fn calls(&self, number: u64) -> Calls {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.open().calls.get(at).copied().unwrap_or_default()
    }

    /// Resolves when an event arrives for the first time from now on.
    pub(super) fn expect(&self, number: u64) -> oneshot::Receiver<()> {
        let (told, arrival) = oneshot::channel();
        self.open().expected.insert(number, told);
        arrival
    }

    /// Holds the answers to an event's calls back for as long as the value lives.
    pub(super) fn hold(&self, number: u64) -> Hold {
        let (release, released) = watch::channel(false);
        self.open().held = Some((number, released));
        Hold(release)
    }
}
