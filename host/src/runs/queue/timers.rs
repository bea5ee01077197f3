//! What waits for its time: earliest first, and what was set first where times are the same. Pure.

use std::{cmp::Reverse, collections::BinaryHeap};

use trunnion_core::clock::Timestamp;

/// Items by their times.
#[derive(Debug)]
pub(super) struct Timers<T> {
    waiting: BinaryHeap<Reverse<Timer<T>>>,
    set: u64,
}

#[derive(Debug)]
struct Timer<T> {
    due: Timestamp,
    number: u64,
    item: T,
}

impl<T> PartialEq for Timer<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl<T> Eq for Timer<T> {}

impl<T> PartialOrd for Timer<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Timer<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { waiting: BinaryHeap::new(), set: 0 }
    }
}

impl<T> Timers<T> {
    /// Keeps `item` until `due`.
    pub(super) fn set(&mut self, due: Timestamp, item: T) {
        self.set += 1;
        self.waiting.push(Reverse(Timer { due, number: self.set, item }));
    }

    /// The next item whose time has come.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.waiting.pop().map(|Reverse(timer)| timer.item)
    }

    /// When the next item's time comes.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.waiting.peek().map(|Reverse(timer)| timer.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_the_order_of_their_times_and_then_of_their_setting() {
        let mut timers = Timers::default();
        for (due, item) in [(20, 'c'), (10, 'a'), (20, 'd'), (10, 'b'), (30, 'e')] {
            timers.set(Timestamp::from_millis(due), item);
        }
        assert_eq!(timers.next(), Some(Timestamp::from_millis(10)));
        assert_eq!(timers.due(Timestamp::from_millis(9)), None);
        let due = std::iter::from_fn(|| timers.due(Timestamp::from_millis(20))).collect::<String>();
        assert_eq!(due, "abcd");
        assert_eq!(timers.next(), Some(Timestamp::from_millis(30)));
    }
}
