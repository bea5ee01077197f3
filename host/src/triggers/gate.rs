//! Who is taken in next: the work of taking events in is the processor's, and a user who sends many at once must not
//! fill it before others.
//!
//! So few are inside at once as keep the processors busy; whoever comes then waits, behind others of the same user only,
//! and users take turns. A pass is held while an event is prepared, and given up before its commit is waited for: so a
//! slow disk does not bound how many share one sync. This bounds no one on an idle host, and refuses nobody: what may
//! wait for its run is the queue's door.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use trunnion_core::{id::UserId, scope::Scope};

/// Who waits with whom.
type Party = (Scope, UserId);

/// Lets a few in at once, users in turns. A cheap handle.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    places: usize,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    waiting: HashMap<Party, VecDeque<oneshot::Sender<Pass>>>,
    /// Those of `waiting`, whose turn it is first.
    turns: VecDeque<Party>,
}

/// A place inside, until it is dropped. One that nobody came for is passed on.
#[derive(Debug)]
pub struct Pass(Option<Gate>);

impl Gate {
    /// Lets `places` in at once, at least one.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), places: places.max(1) }))
    }

    /// Waits for a place, in a user's turn.
    pub async fn enter(&self, scope: &Scope, user: UserId) -> Pass {
        let called = {
            let mut state = self.state();
            if state.inside < self.0.places {
                state.inside += 1;
                return Pass(Some(self.clone()));
            }
            let (call, called) = oneshot::channel();
            let party = (*scope, user);
            let line = state.waiting.entry(party).or_default();
            line.push_back(call);
            if line.len() == 1 {
                state.turns.push_back(party);
            }
            called
        };
        // The gate itself holds on to no caller without calling it: only a host that ends lets one go.
        called.await.unwrap_or(Pass(None))
    }

    /// Gives a place to whoever is next.
    fn leave(&self) {
        loop {
            let Some(call) = self.state().next() else { return };
            match call.send(Pass(Some(self.clone()))) {
                Ok(()) => return,
                // It went away while it waited.
                Err(mut pass) => pass.0 = None,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is called in the place of whoever left; a place is free where nobody is.
    fn next(&mut self) -> Option<oneshot::Sender<Pass>> {
        let party = self.turns.pop_front();
        let call = party.and_then(|party| {
            let line = self.waiting.get_mut(&party)?;
            let call = line.pop_front();
            if line.is_empty() {
                self.waiting.remove(&party);
            } else {
                self.turns.push_back(party);
            }
            call
        });
        if call.is_none() {
            self.inside = self.inside.saturating_sub(1);
        }
        call
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::BoxFuture};
    use trunnion_core::{
        id::{Id, WorkspaceId},
        scope::Environment,
    };

    use super::*;

    fn scope() -> Scope {
        Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Production)
    }

    fn user(number: u8) -> UserId {
        UserId(Id::from_bytes([number; 12]))
    }

    /// A caller who waits at the gate.
    fn caller(gate: &Gate, number: u8) -> BoxFuture<'static, Pass> {
        let gate = gate.clone();
        let mut caller = async move { gate.enter(&scope(), user(number)).await }.boxed();
        assert!((&mut caller).now_or_never().is_none(), "it must wait");
        caller
    }

    fn is_in(caller: &mut BoxFuture<'static, Pass>) -> Option<Pass> {
        caller.now_or_never()
    }

    #[test]
    fn one_user_may_have_every_place_while_nobody_else_comes() {
        let gate = Gate::new(2);
        let first = gate.enter(&scope(), user(1)).now_or_never();
        let second = gate.enter(&scope(), user(1)).now_or_never();
        assert!(first.is_some() && second.is_some());
        let mut third = caller(&gate, 1);
        drop(first);
        assert!(is_in(&mut third).is_some());
    }

    #[test]
    fn users_take_turns_however_many_one_of_them_sends() {
        let gate = Gate::new(1);
        let inside = gate.enter(&scope(), user(1)).now_or_never();
        let (mut second, mut third) = (caller(&gate, 1), caller(&gate, 1));
        let mut other = caller(&gate, 2);
        drop(inside);
        let inside = is_in(&mut second).expect("its turn came first");
        assert!(is_in(&mut other).is_none() && is_in(&mut third).is_none());
        drop(inside);
        let inside = is_in(&mut other).expect("the other user's turn");
        assert!(is_in(&mut third).is_none());
        drop(inside);
        drop(is_in(&mut third).expect("nobody else is left"));
        assert!(gate.enter(&scope(), user(3)).now_or_never().is_some(), "every place is free again");
    }

    #[test]
    fn a_caller_that_goes_away_costs_no_place() {
        let gate = Gate::new(1);
        let inside = gate.enter(&scope(), user(1)).now_or_never();
        let gone = caller(&gate, 1);
        let called_and_gone = caller(&gate, 2);
        let mut last = caller(&gate, 3);
        drop(gone);
        drop(inside);
        assert!(is_in(&mut last).is_none(), "the second has been called");
        drop(called_and_gone);
        assert!(is_in(&mut last).is_some());
    }
}
