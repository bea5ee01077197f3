//! What is in somebody's hands in this process: runs and deliveries that a worker has, or that wait for one with
//! everything they need.
//!
//! A lease says which process works on a thing; a hold says that somebody in this process really does. Leases of a
//! process live as long as it does, so that a step may take longer than any lease: what ends a hold is that whoever
//! had it is gone, be it by a panic.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use trunnion_core::id::Id;

/// Everything that is in hand, and whether it is to end.
#[derive(Debug, Default)]
pub(super) struct Holding(Mutex<HashMap<Id, bool>>);

/// Something in hand, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    holding: Arc<Holding>,
    id: Id,
}

impl Holding {
    pub(super) fn take(holding: &Arc<Self>, id: Id) -> Option<Hold> {
        let mut held = holding.held();
        if held.contains_key(&id) {
            return None;
        }
        held.insert(id, false);
        Some(Hold { holding: Arc::clone(holding), id })
    }

    pub(super) fn cancel(&self, id: Id) {
        if let Some(cancelled) = self.held().get_mut(&id) {
            *cancelled = true;
        }
    }

    pub(super) fn is_cancelled(&self, id: Id) -> bool {
        self.held().get(&id).copied().unwrap_or_default()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Id, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holding.held().remove(&self.id);
    }
}
