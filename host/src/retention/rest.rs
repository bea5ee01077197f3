//! How fast retention goes: it rests for several times as long as it works.

use std::time::Duration;

use tokio::time::Instant;

/// Of the time, at most a fifth is work.
const REST: u32 = 4;
/// A step so short that it cannot be measured rests as long as this.
const LEAST: Duration = Duration::from_millis(2);
/// A step that was slow for other reasons does not stop the sweep for long.
const MOST: Duration = Duration::from_secs(2);

/// A step under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(Instant);

impl Pace {
    /// A step begins.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// It has ended: lets everybody else go on for a while.
    pub(super) async fn rest(self) {
        tokio::time::sleep((self.0.elapsed() * REST).clamp(LEAST, MOST)).await;
    }
}
