//! What is known in memory of batches: what has come for each destination since somebody looked, and who looks.
//!
//! A hint only: what waits is in the store, and a look at it decides. Invariants: an item that is durable leads to a look, at
//! once where its limits say so and else when its time has come; of those who look after one destination, one does, and who
//! comes meanwhile makes them look once more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use trunnion_core::{clock::Timestamp, records::BatchRule, scope::Scope};

use super::Item;

/// What is known in memory of the batches of every destination.
#[derive(Debug, Default)]
pub struct Gathering(Mutex<HashMap<(Scope, Arc<str>), Gathered>>);

/// What has come for one destination since it was last looked at, and whether somebody looks now.
#[derive(Debug, Default)]
struct Gathered {
    count: u64,
    bytes: u64,
    in_hand: bool,
    again: bool,
}

/// Says that somebody looks after a destination's batches.
#[derive(Debug)]
pub(super) struct InHand<'a> {
    gathering: &'a Gathering,
    of: (Scope, Arc<str>),
    /// It was let go of: by now it may be in somebody else's hands.
    let_go: bool,
}

impl Gathering {
    /// Takes in an item that is durable. When its destination is to be looked at for it, where that is not known yet.
    pub fn arrived(&self, scope: Scope, item: &Item) -> Option<Timestamp> {
        let BatchRule { max_items, max_bytes, max_wait_ms } = item.rule;
        let mut all = self.all();
        let gathered = all.entry((scope, Arc::clone(&item.stream))).or_default();
        gathered.count += 1;
        gathered.bytes += item.record.bytes;
        if gathered.count >= u64::from(max_items) || gathered.bytes >= max_bytes {
            (gathered.count, gathered.bytes) = (0, 0);
            return Some(item.record.at);
        }
        (gathered.count == 1).then(|| item.record.at + Duration::from_millis(max_wait_ms))
    }

    /// Begins to look after a destination; `None` where somebody does, who then looks once more.
    pub(super) fn enter(&self, scope: Scope, stream: &Arc<str>) -> Option<InHand<'_>> {
        let of = (scope, Arc::clone(stream));
        let mut all = self.all();
        let gathered = all.entry(of.clone()).or_default();
        if gathered.in_hand {
            gathered.again = true;
            return None;
        }
        *gathered = Gathered { in_hand: true, ..Gathered::default() };
        drop(all);
        Some(InHand { gathering: self, of, let_go: false })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(Scope, Arc<str>), Gathered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InHand<'_> {
    /// Whether somebody came meanwhile, whose word must be looked after; otherwise it is let go of in the same moment.
    pub(super) fn is_asked_again(&mut self) -> bool {
        let mut all = self.gathering.all();
        let Some(gathered) = all.get_mut(&self.of) else { return false };
        if std::mem::take(&mut gathered.again) {
            (gathered.count, gathered.bytes) = (0, 0);
            return true;
        }
        gathered.in_hand = false;
        self.let_go = true;
        false
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if !self.let_go
            && let Some(gathered) = self.gathering.all().get_mut(&self.of)
        {
            gathered.in_hand = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trunnion_core::{
        id::{Id, UserId, WorkspaceId},
        payload::Part,
        scope::Environment,
    };

    use super::*;
    use crate::streams::batches::item_of;

    const RULE: BatchRule = BatchRule { max_items: 3, max_bytes: 100, max_wait_ms: 60_000 };

    fn item(seconds: u64, length: usize) -> Item {
        let user = UserId(Id::from_bytes([2; 12]));
        let at = Timestamp::from_millis(seconds * 1_000);
        let record = item_of(user, Part::Parsed(&json!("x".repeat(length - 2))), at);
        Item { id: Id::from_bytes([3; 12]), stream: Arc::from("orders"), line: [0; 16], rule: RULE, record }
    }

    fn scope() -> Scope {
        Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Development)
    }

    #[test]
    fn the_first_item_sets_the_time_and_the_limits_do_not_wait_for_it() {
        let gathering = Gathering::default();
        let come =
            |seconds, length| gathering.arrived(scope(), &item(seconds, length)).map(|at| at.as_secs());
        assert_eq!(come(0, 10), Some(60));
        assert_eq!(come(1, 10), None, "the first one's time stands");
        assert_eq!(come(2, 10), Some(2), "three are enough");
        assert_eq!(come(3, 10), Some(63), "what comes next is counted anew");
        assert_eq!(come(4, 90), Some(4), "so many bytes are enough");
        assert_eq!(come(5, 500), Some(5), "one that is too large does not wait either");
    }

    #[test]
    fn nobody_who_comes_while_a_destination_is_in_hand_is_passed_over() {
        let gathering = Gathering::default();
        let stream = Arc::from("orders");
        let mut in_hand = gathering.enter(scope(), &stream).unwrap();
        assert!(gathering.enter(scope(), &stream).is_none());
        assert!(in_hand.is_asked_again(), "for whoever was turned away");
        assert!(!in_hand.is_asked_again());
        let second = gathering.enter(scope(), &stream).unwrap();
        drop(in_hand);
        assert!(
            gathering.enter(scope(), &stream).is_none(),
            "the first had let go before: it is the second's"
        );
        drop(second);
        assert!(gathering.enter(scope(), &stream).is_some());
    }
}
