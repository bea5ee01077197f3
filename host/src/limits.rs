//! Vendors' rate limits, for each connection, and for streams each destination: whether a call may go now.
//!
//! The rules are `trunnion_core::limit`'s; this keeps what is known, in memory: a restart forgets it, which costs
//! at most the calls that the vendor then refuses. Nobody waits here: whoever may not go is told when to come
//! again, and waits for it without a worker.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::ConnectionId,
    limit::{self, Asking, Limit, Pace, Turn},
    scope::Scope,
};
use trunnion_sandbox::Observation;

/// How many connections are known before those that nothing is known of any more are looked for.
const FIRST_SWEEP: usize = 1_024;

/// Whose limits they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Limited {
    /// A connection's, at its vendor.
    Connection(Scope, ConnectionId),
    /// A stream's destination, by its name.
    Destination(Scope, String),
}

/// The limits that a call draws from, by name.
pub type Drawn<'a> = [(&'a str, Pace)];

/// What is known of every limit.
#[derive(Debug, Default)]
pub struct RateLimits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    limits: HashMap<Limited, BTreeMap<String, Limit>>,
    sweep_at: usize,
}

impl RateLimits {
    /// Whether a call may go now, or when it is to come again.
    #[must_use]
    pub fn turn(&self, of: &Limited, drawn: &Drawn<'_>, asking: Asking, now: Timestamp) -> Turn {
        let mut known = self.known();
        let Some(limits) = known.limits.get_mut(of) else { return Turn::Now };
        let mut asked: Vec<_> = limits
            .iter_mut()
            .filter_map(|(name, limit)| {
                let (_, pace) = drawn.iter().find(|(drawn, _)| *drawn == name.as_str())?;
                Some((limit, *pace))
            })
            .collect();
        limit::turn(&mut asked, asking, now)
    }

    /// Takes in what became of a call. Where the vendor refused it for now: when it is to come again.
    pub fn told(
        &self,
        of: &Limited,
        drawn: &Drawn<'_>,
        observations: &[Observation],
        error: Option<&CallError>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut known = self.known();
        for Observation { bucket, remaining, reset_ms } in observations {
            known.limit(of, bucket, now).observe(*remaining, Duration::from_millis(*reset_ms), now);
        }
        let Some(CallError::RateLimited { .. }) = error else {
            let went_well = known.limits.get_mut(of).filter(|_| error.is_none());
            went_well.into_iter().flat_map(BTreeMap::values_mut).for_each(Limit::passed);
            return None;
        };
        let asked = error.and_then(CallError::retry_after);
        let turns = drawn.iter().map(|(name, pace)| known.limit(of, name, now).refused(*pace, asked, now));
        turns.max()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn limit(&mut self, of: &Limited, name: &str, now: Timestamp) -> &mut Limit {
        if !self.limits.contains_key(of) && self.limits.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.limits.retain(|_, limits| !limits.values().all(|limit| limit.is_idle(now)));
            self.sweep_at = self.limits.len() * 2;
        }
        let limits = self.limits.entry(of.clone()).or_default();
        limits.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::{
        id::{Id, WorkspaceId},
        scope::Environment,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const UNDECLARED: [(&str, Pace); 1] = [("", Pace::UNDECLARED)];

    fn connection(number: u32) -> Limited {
        let scope = Scope::new(WorkspaceId(Id::from_bytes([0; 12])), Environment::Development);
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Limited::Connection(scope, ConnectionId(Id::from_bytes(bytes)))
    }

    #[test]
    fn a_429_concerns_its_own_connection_only() {
        let limits = RateLimits::default();
        let error = CallError::RateLimited { retry_after_ms: Some(60_000) };
        let again = limits.told(&connection(1), &UNDECLARED, &[], Some(&error), NOW);
        assert_eq!(again, Some(NOW + Duration::from_secs(60)));
        assert!(matches!(limits.turn(&connection(1), &UNDECLARED, Asking::First, NOW), Turn::At(_)));
        assert_eq!(limits.turn(&connection(2), &UNDECLARED, Asking::First, NOW), Turn::Now);
        let other = [("search", Pace::UNDECLARED)];
        assert_eq!(limits.turn(&connection(1), &other, Asking::First, NOW), Turn::Now);
    }

    #[test]
    fn what_nothing_is_known_of_any_more_is_forgotten() {
        let limits = RateLimits::default();
        let left = [Observation { bucket: "all".to_owned(), remaining: 5, reset_ms: 1_000 }];
        for number in 0..10_000 {
            let now = NOW + Duration::from_millis(u64::from(number) * 10);
            assert_eq!(limits.told(&connection(number), &UNDECLARED, &left, None, now), None);
        }
        assert!(limits.known().limits.len() < 2_000, "{}", limits.known().limits.len());
    }
}
