//! The real clock and random source: the only place that asks the operating system for either.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use trunnion_core::clock::{Clock, Random, Timestamp};

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the real clock")]
    fn now(&self) -> Timestamp {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis());
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::panic,
        reason = "without randomness every id and secret would be guessable: stopping is the only safe way"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        if rand::fill(bytes).is_err() {
            panic!("the operating system gives no random bytes; ids and secrets cannot be made safely");
        }
    }
}
