//! The vendor's budget for each app and shop: a leaky bucket of points on the simulated clock.

use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;

/// What a full bucket holds.
pub const MAXIMUM: u64 = 2_000;

/// Points that come back each second.
pub const RESTORED_PER_SECOND: u64 = 100;

/// A shop's bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Thousandths of points, so that parts of a second count.
    available: u64,
    at: Timestamp,
}

impl Bucket {
    pub(super) const fn full(now: Timestamp) -> Self {
        Self { available: MAXIMUM * 1_000, at: now }
    }

    /// Nobody's points are left.
    pub(super) const fn drain(&mut self, now: Timestamp) {
        *self = Self { available: 0, at: now };
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let restored = passed.saturating_mul(RESTORED_PER_SECOND);
        self.available = self.available.saturating_add(restored).min(MAXIMUM * 1_000);
        self.at = now;
    }

    /// Whether an operation that may cost `requested` is carried out now.
    pub(super) fn allows(&mut self, requested: u64, now: Timestamp) -> bool {
        self.refill(now);
        self.available >= requested * 1_000
    }

    /// Books what an operation really cost.
    pub(super) fn book(&mut self, actual: u64) {
        self.available = self.available.saturating_sub(actual * 1_000);
    }

    /// `extensions.cost` of an answer; a throttled one has no actual cost.
    pub(super) fn cost(&self, requested: u64, actual: Option<u64>) -> Value {
        json!({
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": MAXIMUM,
                "currentlyAvailable": self.available / 1_000,
                "restoreRate": RESTORED_PER_SECOND,
            },
        })
    }
}
