//! The line that a run joins when its event is accepted, where its workflow is throttled or ordered; and the keys that
//! failed runs of an installation hold, when that is removed.

use serde_json::Value;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{InstallationId, RunId},
    machine::{Outcome, RunState, Status},
    mapping::{Environment, Results, Template, UserNames},
    records::{Installation, LineKey, LinePlace},
    release::{Concurrent, Release},
    scope::Scope,
};
use trunnion_store::{
    Batch, Select,
    tables::{HeldKeys, Users},
};

use super::{Acceptor, Arrival};
use crate::{error::Result, runs::queue::Joined};

/// Keys that are let go of when an installation is removed; retention finds the others.
const LET_GO: usize = 1_000;

/// What a run names as its step where its key could not be computed.
const STEP: &str = "concurrency";

impl Acceptor {
    /// Joins the line that a new run of `installation` belongs to, at its end; or says why there is no key to tell
    /// which.
    pub(super) async fn line(
        &self,
        scope: &Scope,
        release: &Release,
        (installation, run): (&Installation, RunId),
        arrival: &Arrival,
    ) -> Result<Result<Option<Joined>, CallError>> {
        let (key, limit, ordered) = match &release.concurrent {
            Concurrent::Parallel => return Ok(Ok(None)),
            Concurrent::Throttled { limit } => (LineKey::FIRST, *limit, false),
            Concurrent::Ordered { by } => match self.key(scope, by, (installation, run), arrival).await? {
                Ok(key) => (key, 1, true),
                Err(error) => return Ok(Err(error)),
            },
        };
        let line = LinePlace { key, order: 0, limit, ordered };
        Ok(Ok(Some(self.queue.join((*scope, installation.id), run, line))))
    }

    /// Adds to the commit that removes an installation that its failed runs hold no keys any more: nobody is left to
    /// skip or redrive them in order. They are to be [let go](Self::let_go) of once that is durable.
    pub async fn release_keys(
        &self,
        scope: &Scope,
        installation: InstallationId,
        batch: &mut Batch,
    ) -> Result<Vec<(InstallationId, LinePlace)>> {
        let select = Select::all().prefix(&installation);
        let held = self.context.store.page::<HeldKeys>(scope, select, LET_GO).await?;
        let place = |key, order| LinePlace { key: LineKey(key), order, limit: 1, ordered: true };
        Ok(held
            .entries
            .into_iter()
            .map(|entry| {
                batch.delete::<HeldKeys>(scope, &entry.key);
                let (installation, key, order) = entry.key;
                (installation, place(key, order))
            })
            .collect())
    }

    /// Lets those begin who waited behind these places.
    pub fn let_go(&self, scope: Scope, places: Vec<(InstallationId, LinePlace)>) {
        for (installation, place) in places {
            self.queue.leave(scope, installation, place);
        }
    }

    async fn key(
        &self,
        scope: &Scope,
        by: &Template,
        (installation, run): (&Installation, RunId),
        arrival: &Arrival,
    ) -> Result<Result<LineKey, CallError>> {
        let wrong =
            |message: String| CallError::InvalidInput { field: "/concurrency/by".to_owned(), message };
        let Some(user) = self.context.store.get::<Users>(scope, &installation.user).await? else {
            return Ok(Err(wrong(format!("user `{}` was removed", installation.user))));
        };
        let user = user.record;
        let environment = Environment {
            trigger: arrival.data.whole(),
            steps: Results { own: &[], outer: None },
            item: None,
            config: &installation.config,
            user: UserNames { id: user.id, username: &user.username, full_name: user.full_name.as_deref() },
            run,
        };
        let text = match by.render(&environment) {
            Ok(Value::Null) => {
                let message = "gives null for this event, and without a key there is no order; write a default, as in \
                               `{{ trigger.orderId | default('none') }}`";
                return Ok(Err(wrong(message.to_owned())));
            }
            Ok(Value::String(text)) => text,
            // A vendor that sends 7 one day and "7" another means the same.
            Ok(other) => other.to_string(),
            Err(error) => return Ok(Err(wrong(error.to_string()))),
        };
        let name = [installation.id.as_bytes(), text.as_bytes()].concat();
        Ok(Ok(LineKey(self.context.store.keyed_hash(scope, "run-key", &name))))
    }
}

/// A run that could not even be queued: it is recorded as failed, so that somebody sees it and can replay it.
pub(super) fn unordered(error: CallError, now: Timestamp) -> RunState {
    let outcome = Outcome::Failed { step: STEP.to_owned(), error, dead_letter: None };
    RunState { status: Status::Ended { outcome, at: now }, ..RunState::queued(now) }
}
