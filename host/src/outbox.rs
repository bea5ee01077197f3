//! The outbox: what the host tells the ISV of its own accord, operational events and errors of runs, from the commit of
//! what they tell until they are taken.
//!
//! Invariants: a notice is durable in the very commit of what it tells, so neither is there without the other; its
//! `webhook-id` is its own id, the same over every attempt and redrive. What is about a user is sealed under the user's
//! key and goes with it. Nothing is told of notices themselves, or a receiver that is down would be told of that without
//! end. What steps put into batches leaves by the same way, in the commit of the step. `outlets` says where notices go,
//! `postman` brings them there, `event_bridge` speaks to AWS.

mod event_bridge;
pub mod outlets;
mod postman;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use trunnion_core::{
    call::CallError,
    definition::{Definition, StepKind},
    id::{Id, UserId},
    machine::{Outcome, Status, idempotency_key},
    payload::Part,
    records::{BatchRule, Connection, EventType, LiveRun, Notice, NoticeOrigin, Outlet, StreamDestination},
    release::Release,
    scope::Scope,
};
use trunnion_store::{
    Batch,
    tables::{BatchItems, Notices, Outlets as OutletTable},
};

use self::outlets::{ERRORS, EVENT_BRIDGE, EVENTS};
pub use self::{outlets::Outlets, postman::Postman};
use crate::{
    context::Context,
    error::Result,
    patience::{Patience, may_be_tried_again},
    runs::{Queue, Work, queue::NOTICES},
    streams::batches::{self, Gathering, Item},
};

/// Takes in what is to be told.
#[derive(Clone, Debug)]
pub struct Outbox {
    context: Context,
    queue: Arc<Queue>,
    gathering: Arc<Gathering>,
    /// The newest place of an item: a later one is behind it, within a millisecond as well.
    newest: Arc<Mutex<Option<Id>>>,
}

/// What leaves the host with a commit: it is added to that, and sent on its way once that was made.
#[derive(Debug, Default)]
pub struct Leaving {
    notices: Vec<(Id, Notice)>,
    items: Vec<Item>,
}

/// An operational event that is about to become true.
#[derive(Debug)]
pub struct Happening {
    /// What it is.
    pub kind: EventType,
    /// Under whose key it is sealed; none where it is about nobody.
    pub user: Option<UserId>,
    /// What is said of it: ids, and no more of a person than those.
    pub data: Value,
}

impl Happening {
    /// Something about a connection.
    #[must_use]
    pub fn to_connection(kind: EventType, connection: &Connection) -> Self {
        let user = (!connection.is_own()).then_some(connection.user);
        let data = json!({ "connection_id": connection.id, "app": connection.app, "user_id": user });
        Self { kind, user, data }
    }

    /// Work became a dead letter: `about` says which, beside its id.
    #[must_use]
    pub fn dead_letter(id: Id, user: Option<UserId>, error: &CallError, about: Value) -> Self {
        let mut data = Map::new();
        data.insert("dead_letter_id".to_owned(), json!(id));
        if let Value::Object(about) = about {
            data.extend(about);
        }
        data.insert("error".to_owned(), json!(error.kind()));
        Self { kind: EventType::DeadLetterCreated, user, data: Value::Object(data) }
    }
}

impl Leaving {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self { notices: Vec::new(), items: Vec::new() }
    }

    /// An item of a batch.
    #[must_use]
    pub fn item(item: Item) -> Self {
        Self { notices: Vec::new(), items: vec![item] }
    }

    /// Whether that is nothing.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.notices.is_empty() && self.items.is_empty()
    }

    /// Adds it to the commit of what it tells.
    pub fn add_to(&self, batch: &mut Batch, scope: &Scope) {
        for (id, notice) in &self.notices {
            batch.insert::<Notices>(scope, id, notice);
        }
        for Item { id, line, record, .. } in &self.items {
            batch.insert::<BatchItems>(scope, &(*line, *id), record);
        }
    }

    /// Lets go of what would be told: what it tells is not so any more.
    pub fn tell_nobody(&mut self) {
        self.notices.clear();
    }

    /// Takes in what else leaves with the same commit.
    pub fn extend(&mut self, other: Self) {
        self.notices.extend(other.notices);
        self.items.extend(other.items);
    }
}

impl Outbox {
    /// Notices are brought on their way by `queue`.
    #[must_use]
    pub fn new(context: Context, queue: Arc<Queue>) -> Self {
        Self { context, queue, gathering: Arc::default(), newest: Arc::default() }
    }

    /// What is known in memory of every destination's batches.
    #[must_use]
    pub fn gathering(&self) -> &Gathering {
        &self.gathering
    }

    /// A user's item for a destination that gathers, behind all that came before it.
    #[must_use]
    pub fn item(
        &self,
        scope: &Scope,
        user: UserId,
        (to, rule): (&StreamDestination, BatchRule),
        body: Part<'_>,
    ) -> Item {
        let id = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh: Id = self.context.ids.next();
            let id = newest.map_or(fresh, |newest| if fresh > newest { fresh } else { newest.following() });
            *newest = Some(id);
            id
        };
        let line = batches::waiting_line(&self.context.store, scope, &to.name);
        let record = batches::item_of(user, body, self.context.now());
        Item { id, line, stream: Arc::from(to.name.as_str()), rule, record }
    }

    /// Has a destination's batches looked after, whose rule may be another now.
    pub fn look_after(&self, scope: &Scope, stream: &str) {
        self.queue.push(batches::due(*scope, Arc::from(stream)));
    }

    /// What is to be told of this, where somebody wants to know.
    pub async fn event(&self, scope: &Scope, happening: Happening) -> Result<Leaving> {
        let Happening { kind, user, data } = happening;
        let Some(outlet) = self.outlet(scope, EVENTS).await? else { return Ok(Leaving::none()) };
        let Outlet::Stream { stream, types } = &*outlet else { return Ok(Leaving::none()) };
        if !types.is_empty() && !types.contains(&kind) {
            return Ok(Leaving::none());
        }
        let now = self.context.now();
        let body = json!({ "type": kind, "timestamp": now.to_string(), "data": data });
        let notice = self.notice(user, Some(stream.clone()), body, None);
        Ok(Leaving { notices: vec![notice], items: Vec::new() })
    }

    /// What is to be told of a run that ended: its error, and that it is a dead letter. The disk is waited for: this
    /// stands between what the run performed and its being written down.
    pub async fn of_run(&self, scope: &Scope, run: &LiveRun, release: &Release) -> Result<Leaving> {
        let mut patience = Patience::new();
        loop {
            match self.of_ended(scope, run, release).await {
                Err(error) if may_be_tried_again(&error) => {
                    tracing::error!(run = %run.id, error = &error as &dyn std::error::Error, "it could not be read whom to tell of a run's error; trying again");
                    patience.pause().await;
                }
                other => return other,
            }
        }
    }

    async fn of_ended(&self, scope: &Scope, run: &LiveRun, release: &Release) -> Result<Leaving> {
        let Status::Ended { outcome: Outcome::Failed { step, error, dead_letter }, at } = &run.state.status
        else {
            return Ok(Leaving::none());
        };
        let mut leaving = Leaving::none();
        if dead_letter.is_some() {
            let about = json!({
                "kind": "run", "run_id": run.id, "workflow_id": run.workflow, "user_id": run.user, "step": step,
            });
            let happening = Happening::dead_letter(run.id.0, Some(run.user), error, about);
            leaving.extend(self.event(scope, happening).await?);
        }
        let event = release.definition.trigger.event_block();
        let block = block_type(&release.definition, step).unwrap_or_else(|| format!("alloy.{}", event.kind));
        let at = at.to_string();
        let shape = |id: Id| {
            json!({
                "_id": id,
                "workflowId": run.workflow,
                "executionId": run.id,
                "blockId": idempotency_key(run.workflow.0.into(), step),
                "blockType": block,
                "error": format!("Error: {error}"),
                "createdAt": at,
                "updatedAt": at,
                "__v": 0,
            })
        };
        let origin = NoticeOrigin { workflow: run.workflow, run: run.id, event: event.clone() };
        for outlet in [ERRORS, EVENT_BRIDGE] {
            let stream = match self.outlet(scope, outlet).await?.as_deref() {
                None => continue,
                Some(Outlet::Stream { stream, .. }) => Some(stream.clone()),
                Some(Outlet::EventBridge(_)) => None,
            };
            let (id, mut notice) = self.notice(Some(run.user), stream, Value::Null, Some(origin.clone()));
            notice.body = shape(id);
            leaving.notices.push((id, notice));
        }
        Ok(leaving)
    }

    /// Sends on its way what a commit has made durable. What a death between leaves is found by the next start.
    pub fn go(&self, scope: &Scope, leaving: Leaving) {
        for (id, notice) in leaving.notices {
            self.queue.push(due(*scope, id, &notice));
        }
        for item in leaving.items {
            if let Some(time) = self.gathering.arrived(*scope, &item) {
                self.queue.push_at_to(time, NOTICES, batches::due(*scope, item.stream));
            }
        }
    }

    fn notice(
        &self,
        user: Option<UserId>,
        stream: Option<String>,
        body: Value,
        origin: Option<NoticeOrigin>,
    ) -> (Id, Notice) {
        let now = self.context.now();
        let notice = Notice {
            user,
            stream,
            body,
            origin,
            at: now,
            attempts: 0,
            lease: None,
            not_before: now,
            last_error: None,
        };
        (self.context.ids.next(), notice)
    }

    async fn outlet(&self, scope: &Scope, name: &str) -> Result<Option<Arc<Outlet>>> {
        let stored = self.context.store.recall::<OutletTable>(scope, &name.to_owned()).await?;
        Ok(stored.map(|stored| stored.record))
    }
}

/// What brings a notice to its outlet. What is about nobody stands in the environment's own line.
#[must_use]
pub fn due(scope: Scope, id: Id, notice: &Notice) -> Work {
    Work::NoticeDue { scope, id, user: notice.user.unwrap_or(Connection::OWN) }
}

/// The type of a step as Alloy has it: its app, or one of Alloy's own.
fn block_type(definition: &Definition, step: &str) -> Option<String> {
    let (_, found) = definition.every_step().into_iter().find(|(_, known)| known.id == step)?;
    let own = match &found.kind {
        StepKind::Action { app, .. } | StepKind::Batch { app, .. } => return Some(format!("alloy.{app}")),
        StepKind::Stream { .. } => "alloy.dataStream",
        StepKind::Filter { .. } => "alloy.filter",
        StepKind::Branch { .. } => "alloy.branch",
        StepKind::ForEach { .. } => "alloy.forEach",
        StepKind::Set { .. } => "alloy.set",
        StepKind::Delay { .. } => "alloy.delay",
        StepKind::Call { .. } => "alloy.call",
        StepKind::Respond { .. } => "alloy.respond",
    };
    Some(own.to_owned())
}
