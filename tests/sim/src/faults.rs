//! What goes wrong, and how often: a profile drawn from the seed, and the throws that follow it.
//!
//! Seeds differ in what they are about: most leave whole kinds of faults out, so that the others are met deep
//! inside a run and not only at its beginning. Chances are per ten thousand.

use std::time::Duration;

use trunnion_core::call::CallError;

use crate::dice::Dice;

/// How often each fault happens.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A commit is refused by a full disk.
    pub full: u64,
    /// A commit fails, may have been applied, and the store takes no more until the next start.
    pub broken_disk: u64,
    /// A read fails.
    pub read: u64,
    /// The process dies before a commit is applied.
    pub death_before_commit: u64,
    /// The process dies after a commit was applied, before anybody hears of it.
    pub death_after_commit: u64,
    /// The process dies while a vendor works.
    pub death_in_call: u64,
    /// Seconds from one death to the next, at most; 0 for none by the clock.
    pub deaths_every: u64,
    /// The vendor refuses, and nothing was done.
    pub refused: u64,
    /// Nobody can tell what the vendor did.
    pub doubtful: u64,
    /// The vendor takes long.
    pub slow: u64,
    /// Asking what became of an attempt gives nothing.
    pub unknown: u64,
    /// Parsing a delivery fails.
    pub unparsed: u64,
    /// Whoever sends an event goes away before the answer.
    pub hung_up: u64,
}

impl Faults {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Of a seed.
    pub fn drawn(dice: &mut Dice) -> Self {
        let mut level = |levels: &[u64]| *dice.pick(levels).unwrap_or(&0);
        Self {
            full: level(&[0, 0, 50, 300]),
            broken_disk: level(&[0, 0, 0, 60]),
            read: level(&[0, 0, 20, 100]),
            death_before_commit: level(&[0, 0, 100, 400]),
            death_after_commit: level(&[0, 0, 100, 400]),
            death_in_call: level(&[0, 0, 200, 1_000]),
            deaths_every: level(&[0, 0, 30, 120]),
            refused: level(&[0, 300, 1_000, 3_000]),
            doubtful: level(&[0, 300, 1_000, 3_000]),
            slow: level(&[0, 0, 300, 2_000]),
            unknown: level(&[0, 300, 2_000]),
            unparsed: level(&[0, 0, 500, 2_000]),
            hung_up: level(&[0, 0, 1_000]),
        }
    }

    /// How long a vendor takes.
    pub fn latency(&self, dice: &mut Dice) -> Duration {
        if dice.happens(self.slow) {
            Duration::from_millis(dice.within(5_000, 29_000))
        } else {
            Duration::from_millis(dice.below(80))
        }
    }

    /// What a vendor does about a request that changes something.
    pub fn fate(&self, dice: &mut Dice) -> Fate {
        let words = || "as the simulation drew it".to_owned();
        if dice.happens(self.refused) {
            return Fate::Refused(match dice.below(12) {
                0 => CallError::InvalidInput { field: String::new(), message: words() },
                1 => CallError::NotFound { message: words() },
                2 => CallError::Conflict { message: words() },
                3 => CallError::Rejected { status: 422, message: words() },
                4..=6 => CallError::RateLimited { retry_after_ms: Some(dice.within(1, 120_000)) },
                7 => CallError::RateLimited { retry_after_ms: None },
                _ => CallError::Unavailable { message: words() },
            });
        }
        if dice.happens(self.doubtful) {
            let error = match dice.below(3) {
                0 => CallError::Uncertain { message: words() },
                1 => CallError::Trapped { message: words() },
                _ => CallError::Other { code: "odd".to_owned(), message: words() },
            };
            return Fate::Doubtful { error, done: dice.below(2) == 0 };
        }
        Fate::Done
    }

    /// What parsing fails with, where it does.
    pub fn unparsed(&self, dice: &mut Dice) -> Option<CallError> {
        let words = || "as the simulation drew it".to_owned();
        dice.happens(self.unparsed).then(|| match dice.below(8) {
            0 => CallError::InvalidInput { field: String::new(), message: words() },
            1 | 2 => CallError::RateLimited { retry_after_ms: Some(dice.within(1, 60_000)) },
            3..=5 => CallError::Trapped { message: words() },
            _ => CallError::Unavailable { message: words() },
        })
    }
}

/// What becomes of a request that changes something.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is done, and the answer arrives.
    Done,
    /// It is not done, and the answer says so.
    Refused(CallError),
    /// The answer does not say whether it is done.
    Doubtful {
        /// What it says.
        error: CallError,
        /// Whether it is.
        done: bool,
    },
}
