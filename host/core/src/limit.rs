//! A vendor's rate limit as far as it is known: when a call may go.
//!
//! Pure: the present moment is an argument. Only the vendor closes a limit, by what it says is left or by a 429:
//! the manifest's numbers are those of the smallest plan and would slow down a larger one, so they only say how
//! fast what waits may follow. Every call that has to wait is given a moment of its own, so that those that waited
//! together do not come back together.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    manifest::{Manifest, Refill},
};

/// The shortest and the longest time that a limit is closed by a 429 that names none; it doubles in between. The
/// longest is beyond the per-minute quotas that vendors have.
const FIRST_CLOSING: Duration = Duration::from_secs(1);
const LONGEST_CLOSING: Duration = Duration::from_secs(600);

/// A 429 that asks for less still closes the limit for so long.
const SHORTEST_ASKED: Duration = Duration::from_millis(250);

/// What asks for more is tried after so long.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// How a limit fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Requests (or points) in a full limit.
    pub capacity: u64,
    /// The time in which an empty one fills.
    pub window: Duration,
    /// How it fills.
    pub refill: Refill,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may go now.
    Now,
    /// It is to come again at this moment, which is its own.
    At(Timestamp),
}

/// How often a call asks for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// For the first time.
    First,
    /// At the moment that it was given before.
    Again,
}

/// What is known of one limit. The default is a limit that nothing was heard of yet: it is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    left: Option<Left>,
    closed_until: Timestamp,
    /// The last moment that was given away.
    last_turn: Timestamp,
    /// Refusals in a row that opened and closed the limit again.
    refusals: u32,
    /// The most that the vendor ever said is left: larger plans hold more than the manifest says.
    most_seen: u64,
}

/// What the vendor said is left, less what has gone since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    count: u64,
    at: Timestamp,
    full_at: Timestamp,
}

impl Pace {
    /// Of vendors whose limits no manifest names: ten a second, where calls wait at all.
    pub const UNDECLARED: Self =
        Self { capacity: 600, window: Duration::from_secs(60), refill: Refill::Steady };
}

/// The limits that an action draws from: those it names, else all of the manifest's; one without a name where the
/// manifest has none. What is no action (a parse, a poll) draws from all.
#[must_use]
pub fn drawn_from<'a>(manifest: &'a Manifest, action: Option<&str>) -> Vec<(&'a str, Pace)> {
    let named = action.and_then(|action| manifest.action(action)).map(|action| action.buckets.as_slice());
    let named = named.filter(|named| !named.is_empty());
    let drawn: Vec<_> = manifest
        .buckets
        .iter()
        .filter(|bucket| named.is_none_or(|named| named.contains(&bucket.id)))
        .map(|bucket| {
            let window = Duration::from_millis(bucket.window_ms);
            (bucket.id.as_str(), Pace { capacity: bucket.capacity, window, refill: bucket.refill })
        })
        .collect();
    if drawn.is_empty() { vec![("", Pace::UNDECLARED)] } else { drawn }
}

impl Limit {
    /// When the limit opens; none where it is open.
    #[must_use]
    pub fn opens_at(&self, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        if self.closed_until > now {
            return Some(self.closed_until);
        }
        let left = self.left.filter(|left| left.full_at > now)?;
        match pace.refill {
            _ if left.count > 0 => None,
            Refill::AtOnce => Some(left.full_at),
            Refill::Steady => Some(left.at + self.gap(pace)).filter(|next| *next > now),
        }
    }

    /// Gives a moment away, not before `earliest`.
    pub fn reserve(&mut self, pace: Pace, earliest: Timestamp) -> Timestamp {
        self.last_turn = earliest.max(self.last_turn + self.gap(pace));
        self.last_turn
    }

    /// A call goes.
    pub const fn spend(&mut self, now: Timestamp) {
        if let Some(left) = &mut self.left {
            left.count = left.count.saturating_sub(1);
            left.at = now;
        }
    }

    /// The vendor said what is left, and when all of it is there again.
    pub fn observe(&mut self, remaining: u64, full_in: Duration, now: Timestamp) {
        let full_in = full_in.min(LONGEST_ASKED);
        self.most_seen = self.most_seen.max(remaining);
        self.left = Some(Left { count: remaining, at: now, full_at: now + full_in });
    }

    /// A call was let pass.
    pub const fn passed(&mut self) {
        self.refusals = 0;
    }

    /// The vendor refused a call for now: the moment at which that call may come again.
    pub fn refused(&mut self, pace: Pace, asked: Option<Duration>, now: Timestamp) -> Timestamp {
        // Calls that were under way together are refused together, and that is one refusal.
        let already = self.closed_until > now;
        if !already {
            self.refusals = self.refusals.saturating_add(1);
        }
        let closing = match asked {
            Some(asked) => Some(asked.clamp(SHORTEST_ASKED, LONGEST_ASKED)),
            None if already => None,
            None => {
                let doubled = 2_u32.saturating_pow(self.refusals.saturating_sub(1).min(16));
                Some(FIRST_CLOSING.saturating_mul(doubled).min(LONGEST_CLOSING))
            }
        };
        if let Some(closing) = closing {
            self.closed_until = self.closed_until.max(now + closing);
        }
        self.reserve(pace, self.closed_until)
    }

    /// Whether it says no more than a limit that nothing was heard of.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.closed_until <= now && self.last_turn <= now && self.left.is_none_or(|left| left.full_at <= now)
    }

    /// The time between calls that waited; whole milliseconds, since that is what clocks here tell.
    fn gap(&self, pace: Pace) -> Duration {
        let capacity = pace.capacity.max(self.most_seen).max(1);
        let window = u64::try_from(pace.window.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(window.div_ceil(capacity))
    }
}

/// Asks every limit that a call draws from: it goes where all are open, and waits for the last one to open where
/// not. A call that comes at the moment it was given goes ahead of those that come for the first time.
pub fn turn(limits: &mut [(&mut Limit, Pace)], asking: Asking, now: Timestamp) -> Turn {
    let opens = limits
        .iter()
        .filter(|(limit, _)| asking == Asking::First || limit.closed_until > now)
        .filter_map(|(limit, pace)| limit.opens_at(*pace, now))
        .max();
    let Some(opens) = opens else {
        for (limit, _) in limits {
            limit.spend(now);
        }
        return Turn::Now;
    };
    let mut at = opens;
    for (limit, pace) in limits {
        if limit.opens_at(*pace, now).is_some() {
            at = at.max(limit.reserve(*pace, opens));
        }
    }
    Turn::At(at)
}

#[cfg(test)]
mod tests;
