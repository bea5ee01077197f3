//! Whose turn it is: a fair queue of environments, users inside them, and lanes inside a user. Pure.
//!
//! Every environment and every user has a clock of its own, which advances by the service it was given: the time a
//! worker was occupied. Whoever's clock is furthest behind is next, so that a user whose runs take ten times as long
//! gets a tenth as many, and an environment with a thousand users no more than one with two. Service is charged
//! when it begins, by what the user's work usually takes, and corrected when it ends. Whoever was away begins at the
//! present: idleness saves nothing up.
//!
//! Workers: one user may occupy all while nobody else waits. The *reserve* beyond them is for those who come then:
//! its first half for users who occupy fewer than what is left of it, its second for such environments. So long
//! calls of one never make another wait for their end.
//!
//! Lanes: a user's work stands in the lane of what it will call (a connection, a destination). A lane with as many
//! calls under way as it may have waits without a worker; the user's other lanes go on, in turns.
//!
//! Memory: the payloads of what is under way have a bound as well. A heavy piece is begun where its user then holds no
//! more than what is left, and in any case where no other heavy one is under way; else its lane waits for room. So the
//! fuller it is, the less one may hold. Users who hold nothing are let in first, in the order in which they came; the
//! others look again with each end of their own. What is light never waits for room.
//!
//! Adding, taking and finishing cost O(log n) in the users that wait; memory is one item and its lane's share.

use std::collections::{BTreeSet, HashMap, VecDeque};

use trunnion_core::{
    id::{ConnectionId, UserId},
    scope::{Environment, Scope},
};

/// What a piece of work occupies beside time, as microseconds: so that a thousand instant ones are not free.
const LEAST_COST: u64 = 1_000;

/// What a user's first piece is taken to cost, before anything is known.
const FIRST_GUESS: u64 = 10_000;

/// How much more of the machine a production environment gets than one for development.
const PRODUCTION_WEIGHT: u64 = 4;

/// What a piece of work will call, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Nothing, or it is not known yet.
    Open,
    /// An account at a vendor.
    Connection(ConnectionId),
    /// A stream's destination, by a hash of its name.
    Destination(u32),
}

/// Where a piece of work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) scope: Scope,
    pub(super) user: UserId,
    pub(super) lane: Lane,
}

/// How much may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    /// For anybody.
    pub(super) workers: usize,
    /// Beyond them, for those who occupy few.
    pub(super) reserve: usize,
    /// In one lane.
    pub(super) per_lane: usize,
    /// Bytes of heavy payloads.
    pub(super) bytes: usize,
}

/// What a piece weighs at least to be heavy, in bytes.
pub(super) const HEAVY: usize = 64 << 10;

/// What has a weight while it is under way.
pub(super) trait Weighs {
    /// Bytes of its payload, once it is in memory.
    fn bytes(&self) -> usize;
}

impl Slots {
    /// What a piece counts for against the bound on bytes: nothing where it is light, and never so much that it could
    /// not be let in beside others.
    fn heaviness(&self, item: &impl Weighs) -> usize {
        let bytes = item.bytes();
        if bytes < HEAVY { 0 } else { bytes.min(self.bytes / 4) }
    }
}

/// Work that was taken and has not been finished: to be given back to [`Fair::finish`].
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) stand: Stand,
    charged: u64,
    bytes: usize,
}

/// Work that waits for a worker, and the count of what is under way.
#[derive(Debug)]
pub(super) struct Fair<T> {
    slots: Slots,
    scopes: HashMap<Scope, ScopeLine<T>>,
    /// Environments that have something to take, by their clocks.
    order: BTreeSet<(u64, Scope)>,
    /// The clock of the environment that was served last.
    now: u64,
    busy: usize,
    /// Bytes of heavy payloads under way.
    held: usize,
    /// Users who hold nothing and wait for room, whoever came first.
    outside: VecDeque<(Scope, UserId)>,
}

#[derive(Debug)]
struct ScopeLine<T> {
    account: Account,
    users: HashMap<UserId, UserLine<T>>,
    /// Users that have something to take, by their clocks.
    order: BTreeSet<(u64, UserId)>,
    /// The same, those who occupy the fewest workers first.
    least: BTreeSet<(usize, u64, UserId)>,
}

/// What an environment was given.
#[derive(Debug)]
struct Account {
    clock: u64,
    in_flight: usize,
    /// The clock of its user that was served last.
    now: u64,
}

#[derive(Debug)]
struct UserLine<T> {
    clock: u64,
    in_flight: usize,
    /// Bytes of heavy payloads of its pieces under way.
    held: usize,
    waiting: usize,
    /// What a piece of this user's work has cost of late.
    usual: u64,
    lanes: HashMap<Lane, LaneLine<T>>,
    /// Lanes that have something to take, whose turn it is first.
    turns: VecDeque<Lane>,
    /// Lanes whose next piece waits for room. Whoever has one holds something, or stands outside.
    too_heavy: VecDeque<Lane>,
    door: Door,
}

/// Where a user stands who may have to wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Nowhere near: as others came first, so do they.
    Away,
    /// Among those outside.
    Outside,
    /// Let in, before those who are still outside.
    Called,
}

/// What is left for heavy payloads.
#[derive(Clone, Copy, Debug)]
struct Room {
    slots: Slots,
    held: usize,
    /// Whether somebody stands outside.
    contended: bool,
}

impl Room {
    /// Whether a user who holds `own` may have a piece of `bytes` begun.
    const fn has(&self, bytes: usize, own: usize, door: Door) -> bool {
        if bytes == 0 || self.held == 0 {
            return true;
        }
        let in_turn = !self.contended || matches!(door, Door::Called);
        in_turn && own + bytes <= self.slots.bytes.saturating_sub(self.held + bytes)
    }
}

#[derive(Debug)]
struct LaneLine<T> {
    waiting: VecDeque<T>,
    in_flight: usize,
}

impl<T> Default for LaneLine<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), in_flight: 0 }
    }
}

impl<T> UserLine<T> {
    fn new(clock: u64) -> Self {
        Self {
            clock,
            in_flight: 0,
            held: 0,
            waiting: 0,
            usual: FIRST_GUESS,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            too_heavy: VecDeque::new(),
            door: Door::Away,
        }
    }

    fn add(&mut self, lane: Lane, item: T, per_lane: usize) {
        let line = self.lanes.entry(lane).or_default();
        if line.waiting.is_empty() && line.in_flight < per_lane {
            self.turns.push_back(lane);
        }
        line.waiting.push_back(item);
        self.waiting += 1;
    }

    /// The next piece for which there is room, and its heaviness.
    fn take(&mut self, room: Room) -> Option<(Lane, T, usize)>
    where
        T: Weighs,
    {
        let per_lane = room.slots.per_lane;
        while let Some(lane) = self.turns.pop_front() {
            let line = self.lanes.get_mut(&lane)?;
            let bytes = room.slots.heaviness(line.waiting.front()?);
            if !room.has(bytes, self.held, self.door) {
                self.too_heavy.push_back(lane);
                continue;
            }
            let item = line.waiting.pop_front()?;
            line.in_flight += 1;
            if !line.waiting.is_empty() && line.in_flight < per_lane {
                self.turns.push_back(lane);
            }
            self.waiting -= 1;
            self.held += bytes;
            return Some((lane, item, bytes));
        }
        None
    }

    /// What the first piece that waits for room counts for; none where none does.
    fn too_heavy(&self, slots: Slots) -> Option<usize>
    where
        T: Weighs,
    {
        let line = self.lanes.get(self.too_heavy.front()?)?;
        Some(slots.heaviness(line.waiting.front()?))
    }

    /// Has what waits for room look again.
    fn look_again(&mut self) {
        self.turns.append(&mut self.too_heavy);
    }

    fn leave(&mut self, lane: Lane, per_lane: usize) {
        let Some(line) = self.lanes.get_mut(&lane) else { return };
        if line.in_flight == per_lane && !line.waiting.is_empty() {
            self.turns.push_back(lane);
        }
        line.in_flight = line.in_flight.saturating_sub(1);
        if line.in_flight == 0 && line.waiting.is_empty() {
            self.lanes.remove(&lane);
        }
    }
}

impl<T> ScopeLine<T> {
    fn new(clock: u64) -> Self {
        let account = Account { clock, in_flight: 0, now: 0 };
        Self { account, users: HashMap::new(), order: BTreeSet::new(), least: BTreeSet::new() }
    }
}

impl<T: Weighs> Fair<T> {
    pub(super) fn new(slots: Slots) -> Self {
        Self {
            slots,
            scopes: HashMap::new(),
            order: BTreeSet::new(),
            now: 0,
            busy: 0,
            held: 0,
            outside: VecDeque::new(),
        }
    }

    /// Pieces of one user that wait.
    pub(super) fn waiting_of(&self, scope: &Scope, user: &UserId) -> usize {
        self.scopes.get(scope).and_then(|line| line.users.get(user)).map_or(0, |line| line.waiting)
    }

    /// Pieces that were taken and are not finished.
    pub(super) const fn busy(&self) -> usize {
        self.busy
    }

    /// Adds work at the end of its lane.
    pub(super) fn add(&mut self, stand: Stand, item: T) {
        let per_lane = self.slots.per_lane;
        self.change(stand.scope, stand.user, |_, user| user.add(stand.lane, item, per_lane));
    }

    /// The next piece, where one may be begun.
    pub(super) fn take(&mut self) -> Option<(T, Taken)> {
        // Whoever is passed over for want of room is not picked again before there may be some.
        while let Some((scope, user)) = self.pick() {
            if let Some(taken) = self.take_of(scope, user) {
                return Some(taken);
            }
        }
        None
    }

    fn take_of(&mut self, scope: Scope, user: UserId) -> Option<(T, Taken)> {
        let present = self.scopes.get(&scope).map(|line| line.account.clock);
        let room = Room { slots: self.slots, held: self.held, contended: !self.outside.is_empty() };
        let (taken, waits) = self.change(scope, user, |account, user| {
            let present = user.clock;
            let taken = user.take(room).map(|(lane, item, bytes)| {
                account.now = account.now.max(present);
                let charged = user.usual;
                user.in_flight += 1;
                user.clock = user.clock.saturating_add(charged);
                account.in_flight += 1;
                account.clock = account.clock.saturating_add(charged / weight(scope));
                (lane, item, bytes, charged)
            });
            let waits = user.held == 0 && !user.too_heavy.is_empty() && user.door != Door::Outside;
            if waits {
                user.door = Door::Outside;
            } else if user.held > 0 {
                user.door = Door::Away;
            }
            (taken, waits)
        });
        if waits {
            self.outside.push_back((scope, user));
        }
        let (lane, item, bytes, charged) = taken?;
        self.now = self.now.max(present.unwrap_or_default());
        self.busy += 1;
        self.held += bytes;
        if bytes > 0 {
            self.let_in();
        }
        Some((item, Taken { stand: Stand { scope, user, lane }, charged, bytes }))
    }

    /// Lets in whoever stands outside and has room by now: one, since the next may not have it beside that one.
    fn let_in(&mut self) {
        while let Some((scope, user)) = self.outside.front().copied() {
            let line = self.scopes.get(&scope).and_then(|line| line.users.get(&user));
            let bytes = line.and_then(|line| line.too_heavy(self.slots));
            let room = Room { slots: self.slots, held: self.held, contended: true };
            if !room.has(bytes.unwrap_or_default(), 0, Door::Called) {
                return;
            }
            self.outside.pop_front();
            self.change(scope, user, |_, user| {
                user.door = Door::Called;
                user.look_again();
            });
            if bytes.is_some() {
                return;
            }
        }
    }

    /// A piece has ended that occupied its worker for `micros`.
    pub(super) fn finish(&mut self, taken: Taken, micros: u64) {
        let Taken { stand, charged, bytes } = taken;
        let per_lane = self.slots.per_lane;
        let cost = micros.saturating_add(LEAST_COST);
        self.busy = self.busy.saturating_sub(1);
        self.held = self.held.saturating_sub(bytes);
        self.change(stand.scope, stand.user, |account, user| {
            let corrected = |clock: u64, weight: u64| {
                clock.saturating_add(cost / weight).saturating_sub(charged / weight)
            };
            user.in_flight = user.in_flight.saturating_sub(1);
            user.clock = corrected(user.clock, 1);
            user.usual = user.usual.saturating_mul(3).saturating_add(cost) / 4;
            user.held = user.held.saturating_sub(bytes);
            user.leave(stand.lane, per_lane);
            if bytes > 0 {
                user.look_again();
            }
            account.in_flight = account.in_flight.saturating_sub(1);
            account.clock = corrected(account.clock, weight(stand.scope));
        });
        if bytes > 0 {
            self.let_in();
        }
    }

    /// Moves work that is under way to another lane, where that has room; says whether it had.
    pub(super) fn shift(&mut self, taken: &mut Taken, to: Lane) -> bool {
        if taken.stand.lane == to {
            return true;
        }
        let (from, per_lane) = (taken.stand.lane, self.slots.per_lane);
        let moved = self.change(taken.stand.scope, taken.stand.user, |_, user| {
            let line = user.lanes.entry(to).or_default();
            let room = line.in_flight < per_lane;
            if room {
                line.in_flight += 1;
                if line.in_flight == per_lane {
                    user.turns.retain(|lane| *lane != to);
                    user.too_heavy.retain(|lane| *lane != to);
                }
                user.leave(from, per_lane);
            }
            room
        });
        if moved {
            taken.stand.lane = to;
        }
        moved
    }

    /// Everything that waits, whatever the bounds: for a process that stops.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.order.clear();
        self.outside.clear();
        let users = self.scopes.drain().flat_map(|(_, line)| line.users);
        users.flat_map(|(_, line)| line.lanes).flat_map(|(_, line)| line.waiting).collect()
    }

    /// Whose turn it is among those who may have a worker now.
    fn pick(&self) -> Option<(Scope, UserId)> {
        let Slots { workers, reserve, .. } = self.slots;
        let shared = workers + reserve.div_ceil(2);
        let mut lines = self.order.iter().filter_map(|(_, scope)| Some((*scope, self.scopes.get(scope)?)));
        if self.busy < workers {
            let (scope, line) = lines.next()?;
            let (_, user) = line.order.first()?;
            return Some((scope, *user));
        }
        let room = (workers + reserve).saturating_sub(self.busy);
        let shared_room = shared.saturating_sub(self.busy);
        // What is passed over here occupies workers, so there are at most as many as those.
        lines.find_map(|(scope, line)| {
            let (in_flight, _, user) = line.least.first()?;
            let may = if shared_room > 0 { *in_flight < shared_room } else { line.account.in_flight < room };
            may.then_some((scope, *user))
        })
    }

    /// Changes a user's line, with the indexes kept true.
    fn change<R>(
        &mut self,
        scope: Scope,
        user: UserId,
        change: impl FnOnce(&mut Account, &mut UserLine<T>) -> R,
    ) -> R {
        let line = self.scopes.entry(scope).or_insert_with(|| ScopeLine::new(self.now));
        let scope_ready = !line.order.is_empty();
        if scope_ready {
            self.order.remove(&(line.account.clock, scope));
        }
        let who = line.users.entry(user).or_insert_with(|| UserLine::new(line.account.now));
        let user_ready = !who.turns.is_empty();
        if user_ready {
            line.order.remove(&(who.clock, user));
            line.least.remove(&(who.in_flight, who.clock, user));
        }
        let changed = change(&mut line.account, who);
        if !who.turns.is_empty() {
            if !user_ready {
                who.clock = who.clock.max(line.account.now);
            }
            line.order.insert((who.clock, user));
            line.least.insert((who.in_flight, who.clock, user));
        } else if who.in_flight == 0 && who.waiting == 0 {
            line.users.remove(&user);
        }
        if !line.order.is_empty() {
            if !scope_ready {
                line.account.clock = line.account.clock.max(self.now);
            }
            self.order.insert((line.account.clock, scope));
        } else if line.users.is_empty() {
            self.scopes.remove(&scope);
        }
        changed
    }
}

const fn weight(scope: Scope) -> u64 {
    match scope.environment {
        Environment::Production => PRODUCTION_WEIGHT,
        Environment::Development => 1,
    }
}

#[cfg(test)]
mod tests;
