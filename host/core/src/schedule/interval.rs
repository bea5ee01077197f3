//! Intervals: `2m`, `6h`, `1d`.
//!
//! Invariant: ticks are the whole multiples of the interval since 1970-01-01T00:00:00Z, so that neither a
//! restart nor a redeploy moves them.

use std::{fmt, time::Duration};

use crate::clock::Timestamp;

/// Shorter ones are refused: a tick is a durable run, cron counts in minutes too, and what must be quicker than
/// a minute is an event or a webhook.
const SHORTEST: Duration = Duration::from_secs(60);
/// Longer ones are what cron's months are for.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(Duration);

impl Interval {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let interval = span(text).ok_or_else(|| {
            format!("`{text}` is not an interval; write a whole number and `m`, `h` or `d`, such as `2m`")
        })?;
        if interval < SHORTEST {
            return Err(format!(
                "`{text}` is shorter than one minute; write `1m` or more, or start the workflow by an event"
            ));
        }
        if interval > LONGEST {
            return Err(format!("`{text}` is longer than 366 days; write `cron` with a month instead"));
        }
        Ok(Self(interval))
    }

    pub(super) fn next_after(self, now: Timestamp) -> Option<Timestamp> {
        let every = u64::try_from(self.0.as_millis()).ok()?;
        let next = (now.as_millis().checked_div(every)?).checked_add(1)?.checked_mul(every)?;
        Some(Timestamp::from_millis(next))
    }
}

/// A whole number and its unit: `30s`, `2m`, `6h` or `1d`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let (unit_at, unit) = text.char_indices().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..unit_at)?;
    let number: u64 =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (number, unit) = match seconds {
            seconds if seconds % 86_400 == 0 => (seconds / 86_400, "day"),
            seconds if seconds % 3_600 == 0 => (seconds / 3_600, "hour"),
            seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
            seconds => (seconds, "second"),
        };
        match number {
            1 => write!(f, "every {unit}"),
            number => write!(f, "every {number} {unit}s"),
        }
    }
}
