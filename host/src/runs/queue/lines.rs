//! Lines: runs of throttled and ordered workflows, in the order in which their events were accepted. Pure.
//!
//! A line is an installation's (throttled) or a key's of it (ordered). Its first runs, as many as its limit says, may
//! be under way; the others wait until one leaves. A run joins just before the commit that accepts it, so that its
//! place is in that commit; until the commit is known to have been made, whoever stands behind it waits as well, since
//! otherwise a later run could begin before an earlier one. A run of an ordered line that failed does not leave.
//!
//! All of this is an index of what is in the store: a run's record has its line and its place in it.

use std::collections::BTreeMap;

use trunnion_core::{
    clock::Timestamp,
    id::{InstallationId, RunId, UserId},
    records::LineKey,
    scope::Scope,
};

use super::fair::Lane;

/// Which line.
pub(super) type LineId = (Scope, InstallationId, LineKey);

/// A run that waits for its place, or that may now begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) run: RunId,
    pub(super) user: UserId,
    pub(super) lane: Lane,
    pub(super) bytes: usize,
    /// Not before this time, where it has a time of its own to wait for.
    pub(super) due: Option<Timestamp>,
}

/// A run's place, as it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Counts joinings, over all lines.
    pub(super) order: u64,
    /// Whether it need not wait.
    pub(super) begins: bool,
}

/// What people see of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    /// Its key.
    pub key: LineKey,
    /// The runs that hold it, each behind its place.
    pub holders: Vec<(u64, RunId)>,
    /// Runs behind them.
    pub waiting: usize,
}

/// All lines that anybody stands in.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: BTreeMap<LineId, Line>,
    joined: u64,
}

#[derive(Debug, Default)]
struct Line {
    limit: usize,
    begun: BTreeMap<u64, RunId>,
    /// Those who wait; `None` of whom it is not yet known that they are stored.
    waiting: BTreeMap<u64, Option<Waiter>>,
}

impl Line {
    /// Lets begin whoever may now.
    fn advance(&mut self) -> Vec<Waiter> {
        let mut begin = Vec::new();
        while self.begun.len() < self.limit
            && let Some(first) = self.waiting.first_entry()
            && let Some(waiter) = *first.get()
        {
            self.begun.insert(*first.key(), waiter.run);
            first.remove();
            begin.push(waiter);
        }
        begin
    }
}

impl Lines {
    /// Joins a line whose limit is `limit`, at its end.
    pub(super) fn join(&mut self, id: LineId, limit: u32, run: RunId) -> Place {
        self.joined += 1;
        let order = self.joined;
        let line = self.line(id, limit);
        let begins = line.waiting.is_empty() && line.begun.len() < line.limit;
        if begins {
            line.begun.insert(order, run);
        } else {
            line.waiting.insert(order, None);
        }
        Place { order, begins }
    }

    /// A run that joined is stored; who may begin now.
    pub(super) fn stored(&mut self, id: LineId, order: u64, waiter: Waiter) -> Vec<Waiter> {
        let Some(line) = self.lines.get_mut(&id) else { return Vec::new() };
        if let Some(place) = line.waiting.get_mut(&order) {
            *place = Some(waiter);
        }
        line.advance()
    }

    /// A run comes to its old place, after a start. Nobody begins by this alone.
    pub(super) fn restore(&mut self, id: LineId, order: u64, limit: u32, waiter: Waiter) {
        self.joined = self.joined.max(order);
        let line = self.line(id, limit);
        if !line.begun.contains_key(&order) {
            line.waiting.insert(order, Some(waiter));
        }
    }

    /// A failed run holds its line, after a start.
    pub(super) fn hold(&mut self, id: LineId, order: u64, run: RunId) {
        self.joined = self.joined.max(order);
        self.line(id, 1).begun.insert(order, run);
    }

    /// Lets begin whoever may, in one line.
    pub(super) fn advance(&mut self, id: LineId) -> Vec<Waiter> {
        self.lines.get_mut(&id).map(Line::advance).unwrap_or_default()
    }

    /// The lines there are, those first whose next run came first: their keys say nothing.
    pub(super) fn ids(&self) -> Vec<LineId> {
        let next = |line: &Line| line.waiting.keys().next().copied();
        let mut lines: Vec<_> = self.lines.iter().map(|(id, line)| (next(line), *id)).collect();
        lines.sort_unstable();
        lines.into_iter().map(|(_, id)| id).collect()
    }

    /// A run leaves; what it weighed where it waited, and who may begin now.
    pub(super) fn leave(&mut self, id: LineId, order: u64) -> (Option<Waiter>, Vec<Waiter>) {
        let Some(line) = self.lines.get_mut(&id) else { return (None, Vec::new()) };
        line.begun.remove(&order);
        let waited = line.waiting.remove(&order).flatten();
        let begin = line.advance();
        if line.begun.is_empty() && line.waiting.is_empty() {
            self.lines.remove(&id);
        }
        (waited, begin)
    }

    /// Whether a run must still wait for others.
    pub(super) fn waits(&self, id: &LineId, order: u64) -> bool {
        self.lines.get(id).is_some_and(|line| line.waiting.contains_key(&order))
    }

    /// The lines of an installation behind the key `after`.
    pub(super) fn of(
        &self,
        scope: Scope,
        installation: InstallationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Vec<LineView> {
        let first = (scope, installation, after.unwrap_or(LineKey::FIRST));
        self.lines
            .range(first..)
            .take_while(|((in_scope, of, _), _)| *in_scope == scope && *of == installation)
            .filter(|((_, _, key), _)| after.is_none_or(|after| *key > after))
            .take(limit)
            .map(|((_, _, key), line)| line.view(*key))
            .collect()
    }

    /// One line.
    pub(super) fn one(&self, id: &LineId) -> Option<LineView> {
        self.lines.get(id).map(|line| line.view(id.2))
    }

    fn line(&mut self, id: LineId, limit: u32) -> &mut Line {
        let line = self.lines.entry(id).or_default();
        // The newest release's word.
        line.limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        line
    }
}

impl Line {
    fn view(&self, key: LineKey) -> LineView {
        let holders = self.begun.iter().map(|(order, run)| (*order, *run)).collect();
        LineView { key, holders, waiting: self.waiting.len() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trunnion_core::{
        id::{Id, WorkspaceId},
        scope::Environment,
    };

    use super::*;

    fn line(key: u8) -> LineId {
        let scope = Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Production);
        (scope, InstallationId(Id::from_bytes([2; 12])), LineKey([key; 16]))
    }

    fn waiter(name: u64) -> Waiter {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&name.to_be_bytes());
        let (run, user) = (RunId(Id::from_bytes(bytes)), UserId(Id::from_bytes([3; 12])));
        Waiter { run, user, lane: Lane::Open, bytes: 1, due: None }
    }

    fn join(lines: &mut Lines, key: u8, limit: u32, name: u64) -> Place {
        lines.join(line(key), limit, waiter(name).run)
    }

    #[test]
    fn one_of_a_key_is_under_way_and_the_others_follow_in_their_order() {
        let mut lines = Lines::default();
        let places: Vec<Place> = (0..3).map(|name| join(&mut lines, 1, 1, name)).collect();
        assert_eq!(places.iter().map(|place| place.begins).collect::<Vec<_>>(), [true, false, false]);
        assert!(join(&mut lines, 2, 1, 9).begins, "another key");
        for (name, place) in places.iter().enumerate() {
            assert!(lines.stored(line(1), place.order, waiter(name as u64)).is_empty());
        }
        assert_eq!(lines.leave(line(1), places[0].order), (None, vec![waiter(1)]));
        assert_eq!(
            lines.leave(line(1), places[2].order),
            (Some(waiter(2)), vec![]),
            "cancelled while it waited"
        );
        assert_eq!(lines.leave(line(1), places[1].order), (None, vec![]));
        assert_eq!(lines.one(&line(1)), None);
    }

    #[test]
    fn nobody_begins_before_an_earlier_one_is_stored() {
        let mut lines = Lines::default();
        let places: Vec<Place> = (0..3).map(|name| join(&mut lines, 1, 1, name)).collect();
        assert!(lines.stored(line(1), places[2].order, waiter(2)).is_empty());
        assert_eq!(
            lines.leave(line(1), places[0].order),
            (None, vec![]),
            "the first was not accepted after all"
        );
        assert!(lines.waits(&line(1), places[2].order));
        assert_eq!(lines.stored(line(1), places[1].order, waiter(1)), [waiter(1)]);
        assert!(!lines.waits(&line(1), places[1].order));
    }

    #[test]
    fn after_a_start_the_order_is_the_stored_one() {
        let mut lines = Lines::default();
        for order in [7, 3, 5] {
            lines.restore(line(1), order, 1, waiter(order));
        }
        assert_eq!(lines.advance(line(1)), [waiter(3)]);
        assert!(join(&mut lines, 1, 1, 9).order > 7);
        lines.hold(line(2), 12, waiter(12).run);
        lines.restore(line(2), 13, 1, waiter(13));
        assert_eq!(lines.advance(line(2)), []);
        assert_eq!(lines.leave(line(2), 12), (None, vec![waiter(13)]));
        assert!(join(&mut lines, 3, 1, 9).order > 13);
    }

    #[test]
    fn after_a_start_lines_advance_in_the_order_of_what_waits_in_them() {
        let mut lines = Lines::default();
        for (key, order) in [(1, 9), (2, 4), (3, 6)] {
            lines.restore(line(key), order, 1, waiter(order));
        }
        assert_eq!(lines.ids(), [line(2), line(3), line(1)]);
    }

    #[test]
    fn the_lines_of_an_installation_are_listed_page_by_page() {
        let mut lines = Lines::default();
        for key in 0..5 {
            join(&mut lines, key, 1, u64::from(key));
            join(&mut lines, key, 1, 100);
        }
        let (scope, installation, _) = line(0);
        let first = lines.of(scope, installation, None, 3);
        assert_eq!(first.iter().map(|view| view.key.0[0]).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(
            first[1],
            LineView { key: LineKey([1; 16]), holders: vec![(3, waiter(1).run)], waiting: 1 }
        );
        let rest = lines.of(scope, installation, Some(first[2].key), 3);
        assert_eq!(rest.iter().map(|view| view.key.0[0]).collect::<Vec<_>>(), [3, 4]);
    }

    proptest! {
        /// Any mixture of joining, storing and leaving: never more under way than the limit, always in order.
        #[test]
        fn limits_hold_and_order_is_kept(happenings in prop::collection::vec((0_u8..3, 0_usize..8), 0..200), limit in 1_u32..4) {
            let mut lines = Lines::default();
            let (mut joined, mut unstored, mut begun, mut order) = (0, Vec::new(), Vec::new(), Vec::new());
            for (happening, which) in happenings {
                let mut begin = |waiters: Vec<Waiter>, begun: &mut Vec<u64>| {
                    for waiter in waiters {
                        let name = u64::from_be_bytes(waiter.run.as_bytes()[4..].try_into().unwrap());
                        begun.push(name);
                        order.push(name);
                    }
                };
                match happening {
                    0 => {
                        joined += 1;
                        let place = join(&mut lines, 1, limit, joined);
                        prop_assert_eq!(place.order, joined);
                        if place.begins {
                            begin(vec![waiter(joined)], &mut begun);
                        } else {
                            unstored.push(joined);
                        }
                    }
                    1 if !unstored.is_empty() => {
                        let name = unstored.remove(which % unstored.len());
                        begin(lines.stored(line(1), name, waiter(name)), &mut begun);
                    }
                    2 if !begun.is_empty() => {
                        let name = begun.remove(which % begun.len());
                        begin(lines.leave(line(1), name).1, &mut begun);
                    }
                    _ => {}
                }
                prop_assert!(begun.len() <= limit as usize);
            }
            prop_assert!(order.is_sorted());
            for name in unstored {
                let started = lines.stored(line(1), name, waiter(name));
                begun.extend(started.iter().map(|waiter| u64::from_be_bytes(waiter.run.as_bytes()[4..].try_into().unwrap())));
            }
            let mut left = 0;
            while let Some(name) = begun.pop() {
                left += 1;
                let (_, started) = lines.leave(line(1), name);
                begun.extend(started.iter().map(|waiter| u64::from_be_bytes(waiter.run.as_bytes()[4..].try_into().unwrap())));
            }
            prop_assert!(left <= joined);
            prop_assert!(lines.lines.is_empty(), "everybody comes to their turn");
        }
    }
}
