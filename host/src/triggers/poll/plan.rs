//! Which poller's turn it is: everything about pollers that is in memory.
//!
//! An index over the store, made anew at start: for each active poller when it is due, where the round under way
//! stands, and how it fared. Knows no vendor and no store.
//!
//! Invariants: a poller is planned, held back or under way, never two of them, so that no two visits of one poller
//! overlap; a user has at most `per_user` visits under way; whoever has more pages waits behind everybody who is due.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use tokio::sync::oneshot;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{InstallationId, UserId},
    limit::Asking,
    polling::Pace,
    scope::Scope,
};

use super::{
    status::{Cause, Overview, Shown, Stage, Status, Tally, Told, Trouble},
    visit::{Ask, Held, Page, Round},
};

/// A poller's place in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The environment.
    pub scope: Scope,
    /// The installation.
    pub installation: InstallationId,
}

/// Every active poller.
#[derive(Debug)]
pub(super) struct Plan {
    by_place: HashMap<Place, Known>,
    in_order: BTreeSet<(Timestamp, Place)>,
    users: HashMap<(Scope, UserId), Load>,
    per_user: usize,
}

#[derive(Debug)]
struct Known {
    user: UserId,
    pace: Pace,
    due: Timestamp,
    stage: Stage,
    /// Changed while a visit was under way: a new round is due at once.
    again: bool,
    /// Whether `due` is the moment that the vendor's limits gave it.
    asking: Asking,
    status: Status,
    /// Boxed, since hardly any of many pollers has one at a moment.
    wanted: Option<Box<Wanted>>,
}

/// What only a poller has whose round is under way, or for which somebody asked.
#[derive(Debug, Default)]
struct Wanted {
    /// How far somebody wants the next round to look back.
    look_back: Option<Duration>,
    /// How far somebody wanted the round under way to look back.
    looking: Option<Duration>,
    /// Where the round goes on.
    round: Option<Round>,
    /// What the round under way came to by now.
    tally: Tally,
    waiting: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    /// Whether the round under way is the one it asked for.
    begun: bool,
    tell: oneshot::Sender<Told>,
}

#[derive(Debug, Default)]
struct Load {
    under_way: usize,
    held_back: VecDeque<Place>,
}

impl Plan {
    pub(super) fn new(per_user: usize) -> Self {
        Self {
            by_place: HashMap::new(),
            in_order: BTreeSet::new(),
            users: HashMap::new(),
            per_user: per_user.max(1),
        }
    }

    /// Adds a poller that an earlier process knew.
    pub(super) fn recover(&mut self, place: Place, user: UserId, pace: Pace, now: Timestamp) {
        if !self.by_place.contains_key(&place) {
            self.add(place, user, pace, pace.first_after_start(now));
        }
    }

    /// A poller was made, changed, let go on or removed: it is visited at once, from its stored cursor.
    pub(super) fn changed(&mut self, place: Place, user: UserId, now: Timestamp) {
        match self.by_place.get_mut(&place) {
            Some(known) => {
                known.drop_round();
                known.status.failures = 0;
                self.soon(place, now);
            }
            None => self.add(place, user, Pace::new(Duration::from_secs(60), place.installation), now),
        }
    }

    /// Asks for a round that begins now, or as soon as the one under way has ended; `None` where the poller is not
    /// active.
    pub(super) fn ask(
        &mut self,
        place: Place,
        look_back: Option<Duration>,
        now: Timestamp,
    ) -> Option<oneshot::Receiver<Told>> {
        let known = self.by_place.get_mut(&place)?;
        let (tell, told) = oneshot::channel();
        let wanted = known.wanted();
        wanted.waiting.push(Waiter { begun: false, tell });
        wanted.look_back = look_back.max(wanted.look_back);
        // A round that has begun, under way or between two pages, is ended first: whoever waits for the next one then
        // has it begin at once (`Known::after_round`).
        if known.stage == Stage::Planned {
            self.soon(place, now);
        }
        Some(told)
    }

    /// Other versions of connectors are active: what failed may go well now.
    pub(super) fn connectors_changed(&mut self, now: Timestamp) {
        let failing = |known: &Known| match known.status.trouble.as_ref().map(|trouble| &trouble.cause) {
            // What a vendor asked for holds for every version.
            Some(Cause::Failing(error)) => !matches!(error, CallError::RateLimited { .. }),
            Some(Cause::Attention(_)) | None => false,
        };
        self.all_soon(failing, now);
    }

    /// A connection was mended: whoever waits for one looks at its own.
    pub(super) fn connection_mended(&mut self, now: Timestamp) {
        let waits = |known: &Known| {
            let cause = known.status.trouble.as_ref().map(|trouble| &trouble.cause);
            matches!(cause, Some(Cause::Attention(_)))
        };
        self.all_soon(waits, now);
    }

    fn all_soon(&mut self, which: impl Fn(&Known) -> bool, now: Timestamp) {
        let those: Vec<_> =
            self.by_place.iter().filter(|(_, known)| which(known)).map(|(place, _)| *place).collect();
        for place in those {
            self.soon(place, now);
        }
    }

    fn add(&mut self, place: Place, user: UserId, pace: Pace, due: Timestamp) {
        let known = Known {
            user,
            pace,
            due,
            stage: Stage::Planned,
            again: false,
            asking: Asking::First,
            status: Status::default(),
            wanted: None,
        };
        self.by_place.insert(place, known);
        self.in_order.insert((due, place));
    }

    fn soon(&mut self, place: Place, now: Timestamp) {
        let Some(known) = self.by_place.get_mut(&place) else { return };
        match known.stage {
            Stage::UnderWay => known.again = true,
            Stage::HeldBack => {}
            Stage::Planned if known.due > now => {
                self.in_order.remove(&(known.due, place));
                known.due = now;
                known.asking = Asking::First;
                self.in_order.insert((now, place));
            }
            Stage::Planned => {}
        }
    }

    /// The next visit; otherwise when there is one to be.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<Ask, Option<Timestamp>> {
        while let Some((due, place)) = self.in_order.first().copied() {
            if due > now {
                return Err(Some(due));
            }
            self.in_order.remove(&(due, place));
            let Some(known) = self.by_place.get_mut(&place) else { continue };
            let load = self.users.entry((place.scope, known.user)).or_default();
            if load.under_way >= self.per_user {
                known.stage = Stage::HeldBack;
                load.held_back.push_back(place);
                continue;
            }
            load.under_way += 1;
            known.stage = Stage::UnderWay;
            known.status.last_started_at = Some(now);
            known.status.lag_ms = u32::try_from(now.since(due).as_millis()).unwrap_or(u32::MAX);
            let asking = std::mem::replace(&mut known.asking, Asking::First);
            let wanted = known.wanted();
            let round = wanted.round.take();
            if round.is_none() {
                wanted.tally = Tally::default();
                wanted.looking = wanted.look_back.take();
                wanted.waiting.iter_mut().for_each(|waiter| waiter.begun = true);
            }
            return Ok(Ask { place, due, look_back: wanted.looking, round, asking });
        }
        Err(None)
    }

    /// A visit brought a page.
    pub(super) fn page(&mut self, place: Place, page: Page, now: Timestamp) {
        self.ended(place, now, |known| {
            let Page { pace, accepted, late, duplicates, round } = page;
            known.pace = pace;
            known.status.duplicates += duplicates;
            known.status.failures = 0;
            known.status.trouble = None;
            let Wanted { tally, round: goes_on, .. } = known.wanted();
            tally.pages += 1;
            tally.accepted += accepted;
            tally.late += late;
            tally.duplicates += duplicates;
            if round.is_some() {
                *goes_on = round;
                return now;
            }
            let tally = *tally;
            known.status.rounds = known.status.rounds.saturating_add(1);
            known.status.last_ended_at = Some(now);
            known.tell(&Told::Ended(tally));
            known.after_round(pace.after(now), now)
        });
    }

    /// A visit failed; `due` says when the next one is, given the failures in a row. Whether it is the first failure.
    pub(super) fn failed(
        &mut self,
        place: Place,
        (app, error): (String, CallError),
        pace: Pace,
        now: Timestamp,
        due: impl FnOnce(&CallError, u32) -> Timestamp,
    ) -> u32 {
        let mut failures = 0;
        self.ended(place, now, |known| {
            known.pace = pace;
            known.drop_round();
            known.status.failures = known.status.failures.saturating_add(1);
            failures = known.status.failures;
            let due = due(&error, failures);
            known.tell(&Told::Failed(error.clone()));
            known.trouble(app, Cause::Failing(error), now);
            known.after_round(due, now)
        });
        failures
    }

    /// A visit has to wait for its turn at the vendor's limits; its round goes on there. A poll that was refused is told
    /// to whoever asked for it.
    pub(super) fn limited(&mut self, place: Place, held: Held, now: Timestamp) {
        self.ended(place, now, |known| {
            let Held { pace, until, round, refused } = held;
            known.pace = pace;
            known.asking = Asking::Again;
            if let Some((app, error)) = refused {
                known.status.failures = known.status.failures.saturating_add(1);
                known.tell(&Told::Failed(error.clone()));
                known.trouble(app, Cause::Failing(error), now);
            }
            match round {
                Some(round) => known.wanted().round = Some(round),
                None => known.not_begun(),
            }
            until
        });
    }

    /// A visit found that the credential has to be mended first. It is looked at again at the usual times, which reads
    /// the credential's record and asks nobody.
    pub(super) fn attention(
        &mut self,
        place: Place,
        app: String,
        reason: String,
        pace: Pace,
        now: Timestamp,
    ) {
        self.ended(place, now, |known| {
            known.pace = pace;
            known.drop_round();
            known.tell(&Told::Attention(reason.clone()));
            known.trouble(app, Cause::Attention(reason), now);
            known.after_round(pace.after(now), now)
        });
    }

    /// The host has too much work waiting: nobody was asked for anything.
    pub(super) fn put_off(&mut self, place: Place, now: Timestamp, due: Timestamp) {
        if let Some(known) = self.by_place.get_mut(&place) {
            known.status.put_off = known.status.put_off.saturating_add(1);
        }
        self.postpone(place, now, due);
    }

    /// A visit came to nothing; the round goes on from the stored cursor at `due`.
    pub(super) fn postpone(&mut self, place: Place, now: Timestamp, due: Timestamp) {
        self.ended(place, now, |known| {
            known.not_begun();
            due
        });
    }

    /// There is no such poller any more, or it is paused.
    pub(super) fn forget(&mut self, place: Place, now: Timestamp) {
        let mut asked_again = None;
        self.ended(place, now, |known| {
            if !known.again {
                known.tell(&Told::Stopped);
                known.wanted = None;
            }
            asked_again = Some(known.again);
            now
        });
        if asked_again == Some(false)
            && let Some(known) = self.by_place.remove(&place)
        {
            self.in_order.remove(&(known.due, place));
        }
    }

    /// Ends a visit: the poller is planned anew, and another one of the user may begin.
    fn ended(&mut self, place: Place, now: Timestamp, next: impl FnOnce(&mut Known) -> Timestamp) {
        let Some(known) = self.by_place.get_mut(&place) else { return };
        let due = next(known);
        let user = (place.scope, known.user);
        let due = if std::mem::take(&mut known.again) {
            if known.has_round() {
                known.not_begun();
            }
            known.asking = Asking::First;
            now
        } else {
            due
        };
        known.due = due;
        known.stage = Stage::Planned;
        known.wanted.take_if(|wanted| wanted.is_nothing());
        self.in_order.insert((due, place));
        let Some(load) = self.users.get_mut(&user) else { return };
        load.under_way = load.under_way.saturating_sub(1);
        while let Some(waiting) = load.held_back.pop_front() {
            let Some(held) = self.by_place.get_mut(&waiting) else { continue };
            held.stage = Stage::Planned;
            self.in_order.insert((held.due, waiting));
            break;
        }
        if load.under_way == 0 && load.held_back.is_empty() {
            self.users.remove(&user);
        }
    }

    /// How a poller stands; `None` where it is not active.
    pub(super) fn shown(&self, place: &Place) -> Option<Shown> {
        let known = self.by_place.get(place)?;
        Some(Shown {
            stage: known.stage,
            due: known.due,
            interval: known.pace.interval(),
            backlog: known.has_round(),
            status: known.status.clone(),
        })
    }

    pub(super) fn overview(&self, now: Timestamp) -> Overview {
        let mut overview = Overview { pollers: self.by_place.len(), ..Overview::default() };
        for known in self.by_place.values() {
            match known.stage {
                Stage::UnderWay => overview.under_way += 1,
                Stage::HeldBack => overview.held_back += 1,
                Stage::Planned if known.due <= now => {
                    overview.overdue += 1;
                    overview.waiting = overview.waiting.max(now.since(known.due));
                }
                Stage::Planned => {}
            }
            if let Some(trouble) = &known.status.trouble {
                let kind = match &trouble.cause {
                    Cause::Failing(error) => error.kind(),
                    Cause::Attention(_) => "needs_attention",
                };
                *overview.troubled.entry((trouble.app.clone(), kind)).or_default() += 1;
            }
        }
        overview
    }
}

impl Wanted {
    /// Whether nobody asks and no round goes on.
    const fn is_nothing(&self) -> bool {
        self.look_back.is_none() && self.round.is_none() && self.waiting.is_empty()
    }
}

impl Known {
    fn wanted(&mut self) -> &mut Wanted {
        self.wanted.get_or_insert_default()
    }

    fn has_round(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.round.is_some())
    }

    fn drop_round(&mut self) {
        if let Some(wanted) = &mut self.wanted {
            wanted.round = None;
        }
    }

    /// When the next round is due, after one that ended: at once where somebody asked for it while that one was under way.
    fn after_round(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let waits = |wanted: &Wanted| wanted.waiting.iter().any(|waiter| !waiter.begun);
        if self.wanted.as_deref().is_some_and(waits) { now } else { due }
    }

    /// The round is to begin once more: whoever waits for it still does, and a deeper look is still owed.
    fn not_begun(&mut self) {
        let Some(wanted) = &mut self.wanted else { return };
        wanted.round = None;
        wanted.waiting.iter_mut().for_each(|waiter| waiter.begun = false);
        wanted.look_back = wanted.look_back.max(wanted.looking);
    }

    /// Tells everybody whose round this was.
    fn tell(&mut self, told: &Told) {
        let Some(wanted) = &mut self.wanted else { return };
        let (theirs, others) = wanted.waiting.drain(..).partition(|waiter| waiter.begun);
        wanted.waiting = others;
        let theirs: Vec<Waiter> = theirs;
        for waiter in theirs {
            // Whoever went away meanwhile need not know.
            drop(waiter.tell.send(told.clone()));
        }
    }

    fn trouble(&mut self, app: String, cause: Cause, now: Timestamp) {
        let since = self.status.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.status.trouble = Some(Box::new(Trouble { app, since, cause }));
    }
}

#[cfg(test)]
mod tests;
