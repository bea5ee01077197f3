//! The only place that waits: polls a state until it holds or a deadline passes.

use std::{
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use tokio::time::{Instant, MissedTickBehavior, interval};
use trunnion_core::clock::Timestamp;

/// How long a state may take to come about; generous, since two cores carry everything at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `probe` gives a value; the error names `what` was waited for.
pub async fn until<T, F, P>(what: &str, mut probe: P) -> Result<T>
where
    P: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    until_within(what, PATIENCE, &mut probe).await
}

/// As [`until`], with a deadline of its own.
pub async fn until_within<T, F, P>(what: &str, patience: Duration, mut probe: P) -> Result<T>
where
    P: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let start = now();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(value) = probe().await {
            return Ok(value);
        }
        if start.elapsed() > patience {
            bail!("waited {} s in vain for {what}", patience.as_secs());
        }
    }
}

/// Lets time pass, for chaos that comes at any moment: never to give a state time to come about.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A point to measure from.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for the start of a fake's simulated clock: signatures are checked against real time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "signature libraries compare with the real time")]
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
