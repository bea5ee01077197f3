//! Routes: a pre-process flow hands its request to the workflow and user that its last step names.
//!
//! Invariants: the run it starts has an id that follows from the flow's, so that there is one, however often this is
//! performed; once it is there, the flow's own record forgets the request, which belongs to the user it was for.

use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    id::{UserId, WorkflowId},
    machine::called_run,
    payload::{Part, Payload},
    records::{EventSource, LiveRun, User},
    release::{ROUTED, Release},
    scope::Scope,
};
use trunnion_store::{
    Select,
    tables::{EndedRuns, LiveRuns, Workflows},
};

use super::act::{Effect, Place};
use crate::{
    context::Context,
    error::{Error, Result},
    triggers::accept::{Acceptor, Arrival, call_key},
    users::Users,
};

/// Hands requests on.
#[derive(Clone, Debug)]
pub struct Routes {
    context: Context,
    acceptor: Acceptor,
    users: Users,
}

/// Where a request goes.
struct Target {
    workflow: WorkflowId,
    user: User,
    data: Payload,
}

impl Routes {
    /// Starts runs by `acceptor`.
    #[must_use]
    pub const fn new(context: Context, acceptor: Acceptor, users: Users) -> Self {
        Self { context, acceptor, users }
    }

    /// Starts what the step before names, in one commit; where that was done before, says so again.
    pub(super) async fn route(&self, place: &Place<'_>) -> Result<Result<Effect, CallError>> {
        let Place { scope, run, state, .. } = *place;
        let named = state.results.last().map_or(&Payload::NULL, |result| &result.output);
        let id = called_run(run.id, ROUTED);
        let store = &self.context.store;
        let begun = store.get::<LiveRuns>(scope, &id).await?.is_some()
            || store.get::<EndedRuns>(scope, &id).await?.is_some();
        let done = |workflow: WorkflowId, user: UserId| {
            Effect::Output(json!({ "workflow": workflow, "user": user, "run": id }).into())
        };
        let Target { workflow, user, data } = match self.target(scope, run, named).await? {
            Ok(target) => target,
            Err(error) => return Ok(Err(error)),
        };
        if begun {
            return Ok(Ok(done(workflow, user.id)));
        }
        let callback = matches!(run.source, EventSource::Request { callback: true });
        let arrival = Arrival {
            source: EventSource::Preprocess { run: run.id, callback },
            data,
            trigger: call_key(store, scope, user.id, workflow),
            seen: None,
            unmatched: None,
        };
        let accepted = self.acceptor.accept(scope, vec![arrival], |_| {}).await?;
        if accepted.runs.is_empty() {
            let message = format!(
                "user `{}` has no active copy of workflow `{workflow}` that can be called; install it, or activate it",
                user.username
            );
            return Ok(Err(CallError::NotFound { message }));
        }
        Ok(Ok(done(workflow, user.id)))
    }

    async fn target(
        &self,
        scope: &Scope,
        run: &LiveRun,
        named: &Payload,
    ) -> Result<Result<Target, CallError>> {
        let text = |member: &str| match named.get(member).map(Part::to_value).as_deref() {
            Some(Value::String(text)) => Ok(text.clone()),
            // Vendors' account numbers are usernames here and there.
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => {
                let message = "the last step of a pre-process flow gives `workflow`, `user` and `data`; this one has none \
                               that is a text"
                    .to_owned();
                Err(CallError::InvalidInput { field: format!("/{member}"), message })
            }
        };
        let (workflow, user) = match (text("workflow"), text("user")) {
            (Ok(workflow), Ok(user)) => (workflow, user),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let user = match self.users.find(scope, &user).await {
            Ok(user) => user,
            Err(Error::NotFound { message, .. }) => return Ok(Err(CallError::NotFound { message })),
            Err(error) => return Err(error),
        };
        let Some(workflow) = self.workflow(scope, run, &workflow).await? else {
            let message = format!(
                "there is no workflow `{workflow}` in this integration; name it by its id or its name"
            );
            return Ok(Err(CallError::NotFound { message }));
        };
        let data = named.get("data").map(Part::to_payload).unwrap_or_default();
        Ok(Ok(Target { workflow, user, data }))
    }

    /// A workflow by its id, or by its name in the integration of the flow.
    async fn workflow(&self, scope: &Scope, run: &LiveRun, named: &str) -> Result<Option<WorkflowId>> {
        if let Ok(id) = named.parse() {
            return Ok(Some(id));
        }
        let store = &self.context.store;
        let Some(own) = store.get::<Workflows>(scope, &run.workflow).await? else { return Ok(None) };
        let all = store.list::<Workflows>(scope, Select::all()).await?;
        let found = all
            .into_iter()
            .map(|entry| entry.record)
            .find(|workflow| workflow.integration == own.record.integration && workflow.draft.name == named);
        Ok(found.map(|workflow| workflow.id))
    }
}

/// What a run that handed its request on keeps of it: where to. The request is in the other run, under its user's key.
pub(super) fn forget_request(run: &mut LiveRun) {
    if run.state.ended() && Release::routed_to(&run.state).is_some() {
        run.trigger = Payload::NULL;
        run.state.results.retain(|result| result.id == ROUTED);
        run.log.clear();
    }
}
