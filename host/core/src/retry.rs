//! Retry policy: whether and when a failed step is tried again. A table, not a loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::CallError;

/// How often and how far apart a step is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Milliseconds before the second attempt.
    pub delay_ms: u64,
    /// What each further delay is multiplied by.
    pub backoff: u32,
    /// No delay is longer than this, in milliseconds, unless the vendor asks for more.
    pub max_delay_ms: u64,
}

impl RetryPolicy {
    /// For calls to a vendor: 8 attempts over about half an hour.
    #[must_use]
    pub const fn action() -> Self {
        Self { attempts: 8, delay_ms: 1_000, backoff: 4, max_delay_ms: 600_000 }
    }

    /// For deliveries to the ISV: 10 attempts over about two days, as Standard Webhooks recommends.
    #[must_use]
    pub const fn stream() -> Self {
        Self { attempts: 10, delay_ms: 5_000, backoff: 6, max_delay_ms: 36_000_000 }
    }

    /// For parsing a raw delivery: 6 attempts over about an hour.
    #[must_use]
    pub const fn parse() -> Self {
        Self { attempts: 6, delay_ms: 1_000, backoff: 6, max_delay_ms: 1_800_000 }
    }

    /// When to try again after attempt number `attempt` (from 1) failed with `error`; `None`: never.
    ///
    /// `jitter` is a chance in 0..=255: delays are spread between 3/4 and 5/4 of their value, so that what
    /// failed together does not return together. A vendor's own Retry-After is never shortened.
    #[must_use]
    pub fn next(&self, error: &CallError, attempt: u32, jitter: u8) -> Option<Duration> {
        if attempt >= self.attempts || !retryable(error) {
            return None;
        }
        let factor = u64::from(self.backoff.max(1)).saturating_pow(attempt.saturating_sub(1).min(20));
        let delay = self.delay_ms.saturating_mul(factor).min(self.max_delay_ms);
        let spread = delay / 2 * u64::from(jitter) / 255;
        let delay = Duration::from_millis(delay - delay / 4 + spread);
        Some(error.retry_after().map_or(delay, |asked| asked.max(delay)))
    }
}

/// Whether trying again can help at all.
#[must_use]
pub const fn retryable(error: &CallError) -> bool {
    match error {
        CallError::RateLimited { .. }
        | CallError::Unavailable { .. }
        | CallError::Uncertain { .. }
        | CallError::Trapped { .. }
        | CallError::Other { .. } => true,
        CallError::InvalidInput { .. }
        | CallError::AuthExpired { .. }
        | CallError::NotFound { .. }
        | CallError::Conflict { .. }
        | CallError::Rejected { .. }
        | CallError::Denied { .. }
        | CallError::Disabled { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_and_when() {
        let policy = RetryPolicy { attempts: 3, delay_ms: 1_000, backoff: 10, max_delay_ms: 5_000 };
        let down = CallError::Unavailable { message: "503".to_owned() };
        let refused = CallError::Rejected { status: 400, message: "no".to_owned() };
        let slow = CallError::RateLimited { retry_after_ms: Some(60_000) };
        let table = [
            (&down, 1, 0, Some(750)),
            (&down, 1, 255, Some(1_250)),
            (&down, 2, 0, Some(3_750)),
            (&down, 3, 0, None),
            (&refused, 1, 0, None),
            (&slow, 1, 0, Some(60_000)),
        ];
        for (error, attempt, jitter, expected) in table {
            assert_eq!(
                policy.next(error, attempt, jitter),
                expected.map(Duration::from_millis),
                "{error} {attempt}"
            );
        }
    }
}
