//! Retention: what may be forgotten is, in the background, in small steps; and what erased users and uninstalled
//! workflows left behind (`left`).
//!
//! A reconciler: woken by a timer, without input, idempotent. Owns how long ended runs with their logs, dead letters
//! and the ledger are kept. Runs that have not ended are never touched, however old they are, unless their user was
//! erased.
//!
//! A step reads and deletes a bounded number of records in one commit, then rests for several times as long as it
//! took, so that runs never wait for more than one small commit. What is old is found without looking at the rest:
//! ids begin with their time, so the old ones of an environment (or of a workflow in an index) come first.

mod left;
mod rest;
mod steps;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use trunnion_core::clock::Clock;
use trunnion_store::Store;

use self::{rest::Pace, steps::Forgetting};
use crate::{runs::Queue, settings};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often everything is swept.
const PERIOD: Duration = Duration::from_secs(3600);

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days that ended runs with their logs, and dead letters, are kept in development environments that say nothing
    /// themselves. Default: 60.
    pub development_days: u32,
    /// Days that ended runs with their logs, and dead letters, are kept in production environments that say nothing
    /// themselves. Default: 60.
    pub production_days: u32,
    /// Days that a repetition is recognised. Default: 8; 7 is the least, since that is what callers are promised.
    pub ledger_days: LedgerDays,
}

/// Days that a repetition is recognised: at least seven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct LedgerDays(u32);

impl LedgerDays {
    const LEAST: u32 = 7;
}

impl TryFrom<u32> for LedgerDays {
    type Error = String;

    fn try_from(days: u32) -> Result<Self, String> {
        if days < Self::LEAST {
            return Err(format!(
                "`ledger_days` is {days}; repetitions are promised to be recognised for {} days, so it is at least that",
                Self::LEAST
            ));
        }
        Ok(Self(days))
    }
}

impl From<LedgerDays> for u32 {
    fn from(days: LedgerDays) -> Self {
        days.0
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        // A day more than promised, so that the longest vendor schedule fits.
        Self { development_days: 60, production_days: 60, ledger_days: LedgerDays(8) }
    }
}

/// Forgets.
#[derive(Clone, Debug)]
pub struct Retention {
    store: Store,
    clock: Arc<dyn Clock>,
    config: RetentionConfig,
    queue: Arc<Queue>,
}

/// What one sweep forgot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Forgotten {
    runs: usize,
    dead_letters: usize,
    ledger: usize,
    /// What nobody can read or needs any more.
    left_behind: usize,
    /// The most changes that one commit made.
    largest_step: usize,
}

impl Retention {
    /// Over `store`; keys that nobody can let go of any more are let go of in `queue`.
    #[must_use]
    pub const fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        config: RetentionConfig,
        queue: Arc<Queue>,
    ) -> Self {
        Self { store, clock, config, queue }
    }

    /// Sweeps until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = shutdown.cancelled() => return,
            }
            let swept = tokio::select! {
                swept = self.sweep() => swept,
                // A step is one commit, which is whole or not at all; the next sweep finds what is left.
                () = shutdown.cancelled() => return,
            };
            match swept {
                Ok(forgotten) => tracing::debug!(?forgotten, "what may be forgotten was"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not everything that may be forgotten was; the next sweep tries again"
                ),
            }
        }
    }

    /// One sweep over everything, step by step.
    async fn sweep(&self) -> Result<Forgotten, crate::error::Error> {
        let mut forgotten = Forgotten::default();
        let now = self.clock.now();
        let own_days = settings::log_days(&self.store).await?;
        let forgetting = Forgetting { store: &self.store, config: self.config, own_days, now };
        forgetting.runs(&mut forgotten).await?;
        forgetting.listed_runs(&mut forgotten).await?;
        forgetting.dead_letters(&mut forgotten).await?;
        forgetting.left_behind(&self.queue, &mut forgotten).await?;
        let before = now - DAY * u32::from(self.config.ledger_days);
        loop {
            let pace = Pace::start();
            let step = self.store.expire_ledger(before).await.map_err(steps::ledger_error)?;
            forgotten.ledger += step.removed;
            if step.wrapped {
                return Ok(forgotten);
            }
            pace.rest().await;
        }
    }
}
