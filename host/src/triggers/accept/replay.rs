//! Replays: a new run of an old event, under the release and the credentials that its installation has now.
//!
//! The new run has idempotency keys of its own; each run names the other. Through `accept` like every other run: it is
//! durable and leased in the commit that names it in the old one.

use trunnion_core::{
    id::RunId,
    records::{EventSource, LiveRun},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Versioned,
    tables::{EndedRuns, Installations, LiveRuns},
};

use super::{Acceptor, Arrival, MAX_CONFLICTS, add_run};
use crate::error::{Error, Result};

impl Acceptor {
    /// Starts a run anew with its original event; the new run's id.
    pub async fn replay(&self, scope: &Scope, id: RunId) -> Result<RunId> {
        for _ in 0..MAX_CONFLICTS {
            let Versioned { record: old, version } = self.ended(scope, id).await?;
            self.queue.admit_user(scope, old.user)?;
            let key = (old.user, old.installation);
            let Some(installation) = self.context.store.get::<Installations>(scope, &key).await? else {
                let message = format!(
                    "the workflow of run `{id}` is no longer installed for its user; install it again"
                );
                return Err(Error::not_found("installation-unknown", message));
            };
            if !installation.record.active {
                let message =
                    format!("the workflow of run `{id}` is paused for its user; let it go on first");
                return Err(Error::conflict("installation-paused", message));
            }
            let arrival = Arrival {
                source: source_of(&old)?,
                data: old.trigger.clone(),
                trigger: [0; 16],
                seen: None,
                unmatched: None,
            };
            let mut held = self.start(scope, &arrival, old.event, &installation.record).await?;
            held.run.replay_of = Some(id);
            let new = held.run.id;
            let mut named = old;
            named.replays.push(new);
            let mut batch = Batch::new();
            batch.replace::<EndedRuns>(scope, &id, &named, version);
            add_run(&mut batch, scope, &held.run);
            match self.commit(scope, batch, vec![held]).await? {
                Ok(_) => return Ok(new),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        Err(Error::conflict("run-busy", format!("run `{id}` changes too quickly to be replayed; try again")))
    }

    async fn ended(&self, scope: &Scope, id: RunId) -> Result<Versioned<LiveRun>> {
        if let Some(ended) = self.context.store.get::<EndedRuns>(scope, &id).await? {
            return Ok(ended);
        }
        if self.context.store.get::<LiveRuns>(scope, &id).await?.is_some() {
            let message =
                format!("run `{id}` has not ended; wait for its end, or cancel it, before it is replayed");
            return Err(Error::conflict("run-not-ended", message));
        }
        Err(Error::not_found("run-unknown", format!("there is no run `{id}`")))
    }
}

/// Where a replayed event comes from: as before, but nobody waits for its answer any more.
fn source_of(old: &LiveRun) -> Result<EventSource> {
    match &old.source {
        EventSource::Call { run: caller, .. } => {
            let message = format!(
                "run `{}` was called by run `{caller}`; replay that one, which calls it anew",
                old.id
            );
            Err(Error::conflict("run-called", message))
        }
        EventSource::Request { .. } => Ok(EventSource::Request { callback: false }),
        EventSource::Preprocess { run, .. } => Ok(EventSource::Preprocess { run: *run, callback: false }),
        other => Ok(other.clone()),
    }
}
