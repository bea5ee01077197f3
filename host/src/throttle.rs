//! How many calls of one API key are taken: a bucket for each key and kind of call, in memory.
//!
//! It bounds callers, as `limits` bounds what vendors are asked. Events have a bucket of their own, since what they
//! bring is bounded where it waits (`runs::queue`).

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock as Timepiece, middleware::StateInformationMiddleware,
    nanos::Nanos, state::keyed::HashMapStateStore,
};
use serde::{Deserialize, Serialize};
use trunnion_core::{clock::Clock, id::ApiKeyId};

/// What a bucket holds is what may come in this time.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How many calls of one API key are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Calls of one API key in a minute, events aside; 0: as many as come. Default: 60,000.
    pub requests_per_minute: u32,
    /// Calls of one API key in a minute that start runs; 0: as many as come. Default: 0.
    pub events_per_minute: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self { requests_per_minute: 60_000, events_per_minute: 0 }
    }
}

/// What a call draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whatever starts runs.
    Events,
    /// Everything else.
    Requests,
}

/// Where a bucket stands after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it holds when it is full.
    pub quota: u32,
    /// What is left.
    pub left: u32,
    /// When it is full again.
    pub full_in: Duration,
}

/// A call too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// What the bucket holds when it is full.
    pub quota: u32,
    /// When the next call is taken.
    pub again_in: Duration,
}

/// The buckets.
#[derive(Debug)]
pub struct Throttle {
    requests: Option<Buckets>,
    events: Option<Buckets>,
}

type Limiter = RateLimiter<ApiKeyId, HashMapStateStore<ApiKeyId>, HostClock, StateInformationMiddleware>;

#[derive(Debug)]
struct Buckets {
    quota: NonZeroU32,
    limiter: Limiter,
    clock: HostClock,
}

/// The host's clock, as the limiter reads it.
#[derive(Clone, Debug)]
struct HostClock(Arc<dyn Clock>);

impl Timepiece for HostClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(Duration::from_millis(self.0.now().as_millis()))
    }
}

impl Throttle {
    /// Full buckets.
    #[must_use]
    pub fn new(config: RateLimitConfig, clock: &Arc<dyn Clock>) -> Self {
        let buckets = |quota: u32| NonZeroU32::new(quota).map(|quota| Buckets::new(quota, clock));
        Self { requests: buckets(config.requests_per_minute), events: buckets(config.events_per_minute) }
    }

    /// What a full bucket of this kind holds; nothing where there is no bound.
    #[must_use]
    pub fn quota(&self, kind: Kind) -> Option<u32> {
        self.buckets(kind).map(|buckets| buckets.quota.get())
    }

    /// Takes a call of `key` from its bucket. Nothing where there is no bound.
    pub fn take(&self, key: ApiKeyId, kind: Kind) -> Option<Result<Standing, TooMany>> {
        self.buckets(kind).map(|buckets| buckets.take(key))
    }

    const fn buckets(&self, kind: Kind) -> Option<&Buckets> {
        match kind {
            Kind::Events => self.events.as_ref(),
            Kind::Requests => self.requests.as_ref(),
        }
    }
}

impl Buckets {
    fn new(quota: NonZeroU32, clock: &Arc<dyn Clock>) -> Self {
        let clock = HostClock(Arc::clone(clock));
        let full = Quota::per_minute(quota);
        let limiter = Limiter::new(full, HashMapStateStore::default(), clock.clone());
        Self { quota, limiter, clock }
    }

    fn take(&self, key: ApiKeyId) -> Result<Standing, TooMany> {
        let quota = self.quota.get();
        match self.limiter.check_key(&key) {
            Ok(after) => {
                let left = after.remaining_burst_capacity().min(quota);
                Ok(Standing { quota, left, full_in: WINDOW * (quota - left) / quota })
            }
            Err(refused) => Err(TooMany { quota, again_in: self.wait(&refused) }),
        }
    }

    fn wait(&self, refused: &NotUntil<Nanos>) -> Duration {
        refused.wait_time_from(self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::{
        clock::{ManualClock, Timestamp},
        id::Id,
    };

    use super::*;

    fn key(number: u8) -> ApiKeyId {
        ApiKeyId(Id::from_bytes([number; 12]))
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_fills_evenly_for_each_key() {
        let manual = Arc::new(ManualClock::new(Timestamp::from_millis(1_900_000_000_000)));
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        let config = RateLimitConfig { requests_per_minute: 60, events_per_minute: 0 };
        let throttle = Throttle::new(config, &clock);
        let take = |number| throttle.take(key(number), Kind::Requests).unwrap();
        for left in (0..60).rev() {
            let standing = take(1).unwrap();
            assert_eq!((standing.quota, standing.left), (60, left));
            assert_eq!(standing.full_in, Duration::from_secs(u64::from(60 - left)));
        }
        let refused = take(1).unwrap_err();
        assert_eq!(refused, TooMany { quota: 60, again_in: Duration::from_secs(1) });
        assert_eq!(take(2).unwrap().left, 59, "another key has a bucket of its own");
        manual.advance(Duration::from_secs(2));
        assert_eq!(take(1).unwrap().left, 1);
        take(1).unwrap();
        take(1).unwrap_err();
        assert_eq!(throttle.take(key(1), Kind::Events), None, "no bound is none");
    }
}
