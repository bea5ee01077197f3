//! Retention: what may be forgotten is, in the background, in small steps.
//!
//! A reconciler: woken by a timer, without input, idempotent. Today it expires the ledger, whose entries
//! recognise repetitions for at least seven days.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How long a repetition is recognised: a day more than promised, so that the longest vendor schedule fits.
const LEDGER: Duration = Duration::from_secs(8 * 24 * 3600);

/// How often the ledger is swept.
const PERIOD: Duration = Duration::from_secs(3600);

/// Forgets.
#[derive(Clone, Debug)]
pub struct Retention {
    context: Context,
}

impl Retention {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Sweeps until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = shutdown.cancelled() => return,
            }
            self.sweep(&shutdown).await;
        }
    }

    /// One sweep over the whole ledger, step by step so that nothing else waits for it.
    async fn sweep(&self, shutdown: &CancellationToken) {
        let before = self.context.now() - LEDGER;
        let mut removed = 0;
        while !shutdown.is_cancelled() {
            match self.context.store.expire_ledger(before).await {
                Ok(step) => {
                    removed += step.removed;
                    if step.wrapped {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the ledger could not be swept; the next sweep tries again"
                    );
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
        tracing::debug!(removed, "the ledger was swept");
    }
}
