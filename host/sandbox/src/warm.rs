//! Instances kept between calls of the same owner.
//!
//! Invariants: an instance serves one (scope, user, connection, digest) only, and only the very load of the
//! component that it was made from, since exports are found by their place in it; it is taken out while it
//! serves, and comes back only after a call that ended well; number, calls and age are bounded. Stores are
//! dropped outside the lock.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use trunnion_core::{
    clock::Timestamp,
    id::{ConnectionId, UserId},
    records::Digest,
    scope::Scope,
};
use wasmtime::{Store, component::Instance};

use crate::{
    call::{Call, Freshness},
    options::WarmOptions,
    state::State,
};

/// Whose instance it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    scope: Scope,
    user: UserId,
    connection: ConnectionId,
    digest: Digest,
    load: Load,
}

/// One loading of a component: the same digest may be loaded again while calls of an earlier load are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Load(u64);

impl Owner {
    /// Absent where only a fresh instance may serve.
    pub(crate) fn of(call: &Call, digest: &Digest, load: Load) -> Option<Self> {
        match (call.instance, call.user, call.connection) {
            (Freshness::MayBeWarm, Some(user), Some(connection)) => {
                Some(Self { scope: call.scope, user, connection, digest: digest.clone(), load })
            }
            _ => None,
        }
    }
}

/// An instance and what it served so far.
pub(crate) struct Running {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    pub(crate) calls: u32,
    pub(crate) born: Timestamp,
}

/// All that are kept.
pub(crate) struct Warm {
    options: WarmOptions,
    kept: Mutex<Kept>,
    loads: AtomicU64,
}

#[derive(Default)]
struct Kept {
    /// In the order they were put back.
    by_age: BTreeMap<u64, (Owner, Running)>,
    by_owner: HashMap<Owner, Vec<u64>>,
    next: u64,
}

impl Warm {
    pub(crate) fn new(options: WarmOptions) -> Self {
        Self { options, kept: Mutex::default(), loads: AtomicU64::default() }
    }

    /// A load that no other is the same as.
    pub(crate) fn load(&self) -> Load {
        Load(self.loads.fetch_add(1, Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here runs guest or caller code, so a poisoned lock guards whole data.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn too_old(&self, running: &Running, now: Timestamp) -> bool {
        now.since(running.born) >= Duration::from_millis(self.options.max_age_ms)
    }

    /// The owner's newest instance that is young enough.
    pub(crate) fn take(&self, owner: &Owner, now: Timestamp) -> Option<Running> {
        loop {
            let running = self.lock().take(owner)?;
            if !self.too_old(&running, now) {
                return Some(running);
            }
        }
    }

    /// Keeps an instance whose call ended well; may drop it, or the one unused for longest.
    pub(crate) fn put(&self, owner: Owner, running: Running, now: Timestamp) {
        let full = usize::try_from(self.options.max_instances).unwrap_or(usize::MAX);
        if full == 0 || running.calls >= self.options.max_calls || self.too_old(&running, now) {
            return;
        }
        let mut kept = self.lock();
        let evicted = if kept.by_age.len() >= full { kept.take_oldest() } else { None };
        kept.put(owner, running);
        drop(kept);
        drop(evicted);
    }

    /// Drops what is too old.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.drop_where(|_, running| self.too_old(running, now));
    }

    /// Drops what was made from this component.
    pub(crate) fn drop_of(&self, digest: &Digest) {
        self.drop_where(|owner, _| owner.digest == *digest);
    }

    fn drop_where(&self, unwanted: impl Fn(&Owner, &Running) -> bool) {
        let mut kept = self.lock();
        let places: Vec<u64> = kept
            .by_age
            .iter()
            .filter(|(_, (owner, running))| unwanted(owner, running))
            .map(|(place, _)| *place)
            .collect();
        let dropped: Vec<_> = places.into_iter().filter_map(|place| kept.remove(place)).collect();
        drop(kept);
        drop(dropped);
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_age.len()
    }
}

impl Kept {
    fn take(&mut self, owner: &Owner) -> Option<Running> {
        let place = *self.by_owner.get(owner)?.last()?;
        self.remove(place).map(|(_, running)| running)
    }

    fn take_oldest(&mut self) -> Option<(Owner, Running)> {
        let place = *self.by_age.keys().next()?;
        self.remove(place)
    }

    fn put(&mut self, owner: Owner, running: Running) {
        let place = self.next;
        self.next += 1;
        self.by_owner.entry(owner.clone()).or_default().push(place);
        self.by_age.insert(place, (owner, running));
    }

    fn remove(&mut self, place: u64) -> Option<(Owner, Running)> {
        let removed = self.by_age.remove(&place)?;
        if let Some(places) = self.by_owner.get_mut(&removed.0) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.by_owner.remove(&removed.0);
            }
        }
        Some(removed)
    }
}

impl std::fmt::Debug for Warm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warm").field("kept", &self.len()).finish_non_exhaustive()
    }
}
