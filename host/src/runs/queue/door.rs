//! How much may wait before new work is refused: by count and by the bytes of its payloads. Pure.
//!
//! A user may have as much waiting as there is room left for others, and never more than the user's own bound; an
//! environment four times what is left. So whoever floods is refused first and alone: the fuller it is, the less
//! one may have, and some room is left for whoever has nothing waiting until it is all gone.

use std::collections::{HashMap, hash_map::Entry};

use trunnion_core::{id::UserId, scope::Scope};

/// How many times the room that is left an environment may have waiting.
const SCOPE_SHARE: usize = 4;

/// Bounds on what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of everybody together.
    pub all: Load,
    /// Of one user.
    pub per_user: Load,
}

/// Pieces of work, and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Pieces.
    pub count: usize,
    /// Bytes.
    pub bytes: usize,
}

/// Whose bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The user's.
    User,
    /// The environment's.
    Environment,
    /// The host's.
    Host,
}

/// Counts what waits.
#[derive(Debug)]
pub(super) struct Door {
    bounds: Bounds,
    all: Load,
    scopes: HashMap<Scope, Load>,
    users: HashMap<(Scope, UserId), Load>,
}

impl Load {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    const fn reaches(self, bound: Self) -> bool {
        self.count >= bound.count || self.bytes >= bound.bytes
    }

    const fn times(self, factor: usize) -> Self {
        Self { count: self.count.saturating_mul(factor), bytes: self.bytes.saturating_mul(factor) }
    }

    fn least(self, other: Self) -> Self {
        Self { count: self.count.min(other.count), bytes: self.bytes.min(other.bytes) }
    }
}

impl Door {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, all: Load::default(), scopes: HashMap::new(), users: HashMap::new() }
    }

    /// Whether anything new may wait at all.
    pub(super) const fn admits_any(&self) -> Result<(), Full> {
        if self.all.reaches(self.bounds.all) { Err(Full::Host) } else { Ok(()) }
    }

    /// Whether new work of a user may wait.
    pub(super) fn admits(&self, scope: &Scope, user: &UserId) -> Result<(), Full> {
        let room = Load {
            count: self.bounds.all.count.saturating_sub(self.all.count),
            bytes: self.bounds.all.bytes.saturating_sub(self.all.bytes),
        };
        let of_user = self.users.get(&(*scope, *user)).copied().unwrap_or_default();
        if of_user.count > 0 && of_user.reaches(self.bounds.per_user.least(room)) {
            return Err(Full::User);
        }
        self.admits_any()?;
        let of_scope = self.scopes.get(scope).copied().unwrap_or_default();
        if of_scope.reaches(room.times(SCOPE_SHARE)) { Err(Full::Environment) } else { Ok(()) }
    }

    /// Work with a payload of `bytes` begins to wait.
    pub(super) fn enter(&mut self, scope: Scope, user: UserId, bytes: usize) {
        self.all.add(bytes);
        self.scopes.entry(scope).or_default().add(bytes);
        self.users.entry((scope, user)).or_default().add(bytes);
    }

    /// It waits no longer.
    pub(super) fn leave(&mut self, scope: Scope, user: UserId, bytes: usize) {
        fn remove<K>(entry: Entry<'_, K, Load>, bytes: usize) {
            if let Entry::Occupied(mut load) = entry {
                load.get_mut().remove(bytes);
                if load.get().count == 0 {
                    load.remove();
                }
            }
        }
        self.all.remove(bytes);
        remove(self.scopes.entry(scope), bytes);
        remove(self.users.entry((scope, user)), bytes);
    }

    /// Everything that waits.
    pub(super) const fn load(&self) -> Load {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::{
        id::{Id, WorkspaceId},
        scope::Environment,
    };

    use super::*;

    fn scope(number: u8) -> Scope {
        Scope::new(WorkspaceId(Id::from_bytes([number; 12])), Environment::Production)
    }

    fn user(number: u8) -> UserId {
        UserId(Id::from_bytes([number; 12]))
    }

    fn door(all: usize, per_user: usize) -> Door {
        let load = |count| Load { count, bytes: count * 100 };
        Door::new(Bounds { all: load(all), per_user: load(per_user) })
    }

    /// Enters until it is refused; how many got in, and why no more.
    fn flood(door: &mut Door, of: u8, name: u8, bytes: usize) -> (usize, Full) {
        let mut entered = 0;
        loop {
            if let Err(full) = door.admits(&scope(of), &user(name)) {
                return (entered, full);
            }
            door.enter(scope(of), user(name), bytes);
            entered += 1;
        }
    }

    #[test]
    fn a_flood_is_refused_while_others_are_accepted() {
        let mut door = door(1_000, 400);
        assert_eq!(flood(&mut door, 1, 1, 1), (400, Full::User));
        assert_eq!(door.admits(&scope(1), &user(2)), Ok(()));
        // A second one finds 600 places, and may have as many as it leaves.
        assert_eq!(flood(&mut door, 2, 2, 1), (300, Full::User));
        assert_eq!(door.admits(&scope(2), &user(3)), Ok(()));
        for _ in 0..100 {
            door.leave(scope(1), user(1), 1);
        }
        assert_eq!(door.load().count, 600);
        assert_eq!(door.admits(&scope(1), &user(1)), Ok(()), "it may come again when its work was done");
    }

    #[test]
    fn few_large_payloads_count_like_many_small_ones() {
        let mut door = door(1_000, 400);
        assert_eq!(flood(&mut door, 1, 1, 10_000), (4, Full::User));
    }

    #[test]
    fn an_environment_of_many_users_leaves_room_for_another() {
        let mut door = door(1_000, 400);
        let mut users = 0..=u8::MAX;
        let full = loop {
            let name = users.next().unwrap();
            let admitted = (0..4).try_for_each(|_| {
                door.admits(&scope(1), &user(name))?;
                door.enter(scope(1), user(name), 1);
                Ok(())
            });
            if let Err(full) = admitted {
                break full;
            }
        };
        assert_eq!((full, door.load().count), (Full::Environment, 800));
        assert_eq!(door.admits(&scope(2), &user(1)), Ok(()));
    }

    #[test]
    fn what_left_is_forgotten() {
        let mut door = door(10, 10);
        for name in 0..5 {
            door.enter(scope(name), user(name), 7);
        }
        for name in 0..5 {
            door.leave(scope(name), user(name), 7);
        }
        assert_eq!(door.load(), Load::default());
        assert!(door.users.is_empty() && door.scopes.is_empty());
    }

    #[test]
    fn when_nothing_is_left_everybody_is_refused() {
        let mut door = door(3, 3);
        for name in 0..3 {
            door.enter(scope(name), user(name), 1);
        }
        assert_eq!(door.admits_any(), Err(Full::Host));
        assert_eq!(door.admits(&scope(9), &user(9)), Err(Full::Host));
    }
}
