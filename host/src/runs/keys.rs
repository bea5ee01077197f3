//! Lines of ordered workflows, as people see and mend them: who holds a key, who waits behind it, and going on without
//! whoever holds it.
//!
//! Invariant: a run is skipped in one commit, which takes its place from its record, and the mark that it holds its
//! key where it had failed; only then does the next one begin.

use trunnion_core::{
    id::{InstallationId, RunId},
    machine::{RunState, Status},
    records::{LineKey, LinePlace, LiveRun},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Version,
    tables::{EndedRuns, HeldKeys, LiveRuns},
};

use super::{log::RunLog, queue::LineView};
use crate::{
    error::{Error, Result},
    finish::finish,
};

/// How often a skip is tried again after the run moved on meanwhile.
const MAX_CONFLICTS: u32 = 16;

impl RunLog {
    /// The keys of an installation that anybody holds, after `after`, by key.
    #[must_use]
    pub fn keys(
        &self,
        scope: &Scope,
        installation: InstallationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Vec<LineView> {
        self.queue.lines_of(scope, installation, after, limit)
    }

    /// Lets a key's next run begin without the one that holds it, which failed or waits. The skipped run keeps its
    /// state: a failed one can still be redriven, a waiting one goes on when its time comes; both out of order.
    ///
    /// To its end: where the caller goes away after the commit, the next run must begin all the same.
    pub async fn skip(&self, scope: &Scope, installation: InstallationId, key: LineKey) -> Result<RunId> {
        let (this, scope) = (self.clone(), *scope);
        finish(async move { this.skip_here(&scope, installation, key).await }).await
    }

    async fn skip_here(&self, scope: &Scope, installation: InstallationId, key: LineKey) -> Result<RunId> {
        for _ in 0..MAX_CONFLICTS {
            let holder =
                self.queue.line(scope, installation, key).and_then(|line| line.holders.first().copied());
            let Some((order, id)) = holder else { return Err(unknown(installation, key)) };
            let (place, mut batch) = match self.holder(scope, id).await? {
                Some(Holder::Live(run, version)) => {
                    let Some((place, run)) = out_of_line(run) else { return Err(unknown(installation, key)) };
                    let RunState { attempt, step, waits, .. } = &run.state;
                    let begun = *attempt > 0 || *step > 0 || waits.is_some();
                    if !begun || !matches!(run.state.status, Status::Queued { .. }) {
                        let message = format!(
                            "run `{id}` is under way, or about to be; wait until it has ended, or cancel it \
                             (POST /v1/runs/{id}/cancel)"
                        );
                        return Err(Error::conflict("key-busy", message));
                    }
                    let mut batch = Batch::new();
                    batch.replace::<LiveRuns>(scope, &id, &run, version);
                    (place, batch)
                }
                Some(Holder::Ended(run, version)) => {
                    let Some((place, run)) = out_of_line(run) else { return Err(unknown(installation, key)) };
                    let mut batch = Batch::new();
                    batch.replace::<EndedRuns>(scope, &id, &run, version);
                    (place, batch)
                }
                // The run is no longer kept; its key is held all the same.
                None if key != LineKey::FIRST => {
                    (LinePlace { key, order, limit: 1, ordered: true }, Batch::new())
                }
                None => return Err(unknown(installation, key)),
            };
            // Also of a live one, which may have failed and been redriven.
            batch.delete::<HeldKeys>(scope, &(installation, place.key.0, place.order));
            match self.context.store.commit(batch).await {
                Ok(_) => {
                    self.queue.leave(*scope, installation, place);
                    return Ok(id);
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = format!("the run that holds key `{key}` changes too quickly to be skipped; try again");
        Err(Error::conflict("key-busy", message))
    }

    async fn holder(&self, scope: &Scope, id: RunId) -> Result<Option<Holder>> {
        if let Some(run) = self.context.store.get::<LiveRuns>(scope, &id).await? {
            return Ok(Some(Holder::Live(run.record, run.version)));
        }
        let ended = self.context.store.get::<EndedRuns>(scope, &id).await?;
        Ok(ended.map(|run| Holder::Ended(run.record, run.version)))
    }
}

/// The run that holds a key.
enum Holder {
    Live(LiveRun, Version),
    Ended(LiveRun, Version),
}

/// A run of an ordered line without its place.
fn out_of_line(run: LiveRun) -> Option<(LinePlace, LiveRun)> {
    let place = run.line.filter(|place| place.ordered)?;
    Some((place, LiveRun { line: None, ..run }))
}

fn unknown(installation: InstallationId, key: LineKey) -> Error {
    let message = format!(
        "no run holds the key `{key}` of installation `{installation}`; \
         GET /v1/installations/{installation}/keys lists those that are held"
    );
    Error::not_found("key-unknown", message)
}
