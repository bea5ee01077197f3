//! Polling: when a poller polls, how far back it looks, what is late, and when it tries again.
//!
//! Pure: the caller says what time it is. Ticks are fixed points of time, a poller's own inside each interval, so
//! that pollers are spread evenly and neither a restart nor a new release moves them.
//!
//! Invariants: the tick after a moment is strictly later than it, by at most the interval; a repetition inside the
//! longest look back is still in the ledger.

use std::time::Duration;

use crate::{
    call::CallError,
    clock::Timestamp,
    id::InstallationId,
    manifest::{PollSpec, Recheck},
    retry::retryable,
    schedule::span,
};

/// Nobody polls more often.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Nobody polls more rarely: a vendor's cursors and the ledger must outlive the pause.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// No poll looks further back: half of the seven days for which the ledger is promised.
pub const LONGEST_LOOK_BACK: Duration = Duration::from_secs(84 * 3600);
/// A repetition that is seen again after this time is written down anew, so that the ledger does not forget what
/// polls still see.
pub const REMEMBER_AFTER: Duration = Duration::from_secs(48 * 3600);
/// A cursor that moves although nothing new comes is written down after this time, for vendors whose cursors end.
pub const KEEP_CURSOR_AFTER: Duration = Duration::from_secs(24 * 3600);
/// After a start, every poller polls within this time, however long its interval.
const FIRST_WITHIN: Duration = Duration::from_secs(300);
/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause after failures, unless the interval is longer or the vendor asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// When one poller polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    // Half as wide as elsewhere: hosts keep one for each poller, and no interval is longer than a day.
    interval_ms: u32,
    phase_ms: u32,
}

impl Pace {
    /// The pace of `installation`, polling every `interval`.
    #[must_use]
    pub fn new(interval: Duration, installation: InstallationId) -> Self {
        let interval_ms = narrow(millis(interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)));
        // The last six bytes of an id are random.
        let random =
            installation.as_bytes().iter().skip(6).fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        Self { interval_ms, phase_ms: narrow(random % u64::from(interval_ms)) }
    }

    /// The interval.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_millis(self.interval_ms.into())
    }

    /// The first tick after `now`.
    #[must_use]
    pub fn after(self, now: Timestamp) -> Timestamp {
        let (interval, phase) = (u64::from(self.interval_ms), u64::from(self.phase_ms));
        let passed = now.as_millis().saturating_sub(phase) / interval;
        let mut next = passed.saturating_mul(interval).saturating_add(phase);
        if next <= now.as_millis() {
            next = next.saturating_add(interval);
        }
        Timestamp::from_millis(next)
    }

    /// The first poll after a start at `now`: the next tick, or sooner where the interval is long, since a tick may
    /// have passed while nothing ran.
    #[must_use]
    pub fn first_after_start(self, now: Timestamp) -> Timestamp {
        self.after(now).min(now + Duration::from_millis(u64::from(self.phase_ms) % millis(FIRST_WITHIN)))
    }

    /// Whether the poll that was due at `due` takes the deeper look: the first one of each period of it.
    #[must_use]
    pub fn rechecks(self, recheck: &Recheck, due: Timestamp) -> bool {
        let Some(before) = due.as_millis().checked_sub(self.interval_ms.into()) else { return true };
        // Spread by the phase as well: not every poller looks deeper at the same full hour.
        let period = |at: u64| {
            at.saturating_add(u64::from(self.phase_ms).rotate_left(17)).checked_div(recheck.every_ms)
        };
        period(before) != period(due.as_millis())
    }
}

/// When to try again after the poll failed with `error` for the `failures`th time in a row (from 1); no earlier than
/// the vendor asks. `jitter` is a chance in 0..=255.
#[must_use]
pub fn after_failure(pace: Pace, error: &CallError, failures: u32, jitter: u8, now: Timestamp) -> Timestamp {
    let longest = LONGEST_PAUSE.max(pace.interval());
    let pause = if retryable(error) {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
        FIRST_PAUSE.saturating_mul(factor).min(longest)
    } else {
        longest
    };
    // Between 3/4 and 5/4, so that what failed together does not return together.
    let pause = pause.saturating_sub(pause / 4) + pause / 2 * u32::from(jitter) / 255;
    now + error.retry_after().map_or(pause, |asked| asked.max(pause))
}

/// The interval of a workflow's poller: what it chose with `every`, else the trigger's own.
#[must_use]
pub fn interval(spec: &PollSpec, every: Option<&str>) -> Duration {
    let chosen = every.and_then(span).unwrap_or(Duration::from_millis(spec.interval_ms));
    chosen.max(Duration::from_millis(spec.min_interval_ms)).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

/// What is wrong with the interval that a workflow chose; `None` where it is fine.
pub(crate) fn unfit(spec: &PollSpec, every: &str) -> Option<String> {
    let shortest = Duration::from_millis(spec.min_interval_ms).max(SHORTEST_INTERVAL);
    match span(every) {
        None => Some(format!(
            "`{every}` is not an interval; write a whole number and `s`, `m`, `h` or `d`, such as `5m`"
        )),
        Some(chosen) if chosen < shortest => Some(format!(
            "`{every}` is shorter than this trigger allows; write at least `{}s`",
            shortest.as_millis().div_ceil(1000)
        )),
        Some(chosen) if chosen > LONGEST_INTERVAL => {
            Some(format!("`{every}` is longer than a day; write `1d` or less, or use a schedule"))
        }
        Some(_) => None,
    }
}

/// Whether a record that nobody had seen came later than the overlap covers: polls had already seen up to
/// `watermark` when the vendor showed it.
#[must_use]
pub fn is_late(spec: &PollSpec, watermark: Option<Timestamp>, occurred_at: Option<Timestamp>) -> bool {
    match (watermark, occurred_at) {
        (Some(watermark), Some(occurred_at)) => {
            occurred_at + Duration::from_millis(spec.overlap_ms) < watermark
        }
        _ => false,
    }
}

/// What is wrong with a declaration: the member, and what to do.
pub(crate) fn faults(spec: &PollSpec) -> Vec<(&'static str, String)> {
    let PollSpec { interval_ms, min_interval_ms, overlap_ms, recheck, cursor_format, .. } = spec;
    let mut faults = Vec::new();
    let (shortest, longest) = (millis(SHORTEST_INTERVAL), millis(LONGEST_INTERVAL));
    for (name, value) in [("interval_ms", interval_ms), ("min_interval_ms", min_interval_ms)] {
        if !(shortest..=longest).contains(value) {
            faults.push((name, format!("is {value}; write {shortest} (a second) to {longest} (a day)")));
        }
    }
    if min_interval_ms > interval_ms {
        let message = format!("is {min_interval_ms}, more than `interval_ms` ({interval_ms}); lower it");
        faults.push(("min_interval_ms", message));
    }
    let furthest = millis(LONGEST_LOOK_BACK);
    if *overlap_ms > furthest {
        let message =
            format!("is {overlap_ms}; at most {furthest} (three and a half days) can be looked over again");
        faults.push(("overlap_ms", message));
    }
    if let Some(Recheck { every_ms, look_back_ms }) = recheck {
        if every_ms < interval_ms {
            let message =
                format!("is {every_ms}, less than `interval_ms` ({interval_ms}); write a multiple of it");
            faults.push(("recheck/every_ms", message));
        }
        if look_back_ms <= overlap_ms || *look_back_ms > furthest {
            let message = format!(
                "is {look_back_ms}; write more than `overlap_ms` ({overlap_ms}), at most {furthest} (three and a half days)"
            );
            faults.push(("recheck/look_back_ms", message));
        }
    }
    if !cursor_format.reads.contains(&cursor_format.writes) {
        let writes = cursor_format.writes;
        let message =
            format!("lacks {writes}, which this version writes, so that it could not go on; add it");
        faults.push(("cursor_format/reads", message));
    }
    faults
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds of at most a day.
fn narrow(millis: u64) -> u32 {
    u32::try_from(millis).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
