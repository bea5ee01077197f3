//! The line that a run joins when its event is accepted, where its workflow is throttled or ordered.

use serde_json::Value;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::RunId,
    machine::{Outcome, RunState, Status},
    mapping::{Environment, Results, Template, UserNames},
    records::{Installation, LineKey, LinePlace},
    release::{Concurrent, Release},
    scope::Scope,
};
use trunnion_store::tables::Users;

use super::{Acceptor, Arrival};
use crate::{error::Result, runs::queue::Joined};

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
            trigger: &arrival.data,
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
