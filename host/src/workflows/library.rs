//! The ISV's side: event schemas, integrations, workflow drafts and their releases.

use std::sync::Arc;

use serde_json::Value;
use trunnion_core::{
    definition::{Definition, Trigger},
    id::{IntegrationId, WorkflowId},
    problem::Problem,
    records::{EventSchema, Integration, StoredRelease, Workflow},
    release,
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select, Store, Version, Versioned,
    tables::{EventSchemas, Integrations, Releases as ReleasesTable, Workflows},
};

use crate::{
    condition::Condition,
    context::Context,
    error::{Error, Result},
    workflows::catalog::Catalog,
};

/// What a workspace defines.
#[derive(Clone, Debug)]
pub struct Library {
    context: Context,
}

/// The store key of a custom event's name.
#[must_use]
pub fn event_key(store: &Store, scope: &Scope, name: &str) -> [u8; 16] {
    // The workspace's two environments share event schemas, so the key is that of one fixed environment.
    let shared = Scope::new(scope.workspace, trunnion_core::scope::Environment::Development);
    store.keyed_hash(&shared, "event-name", name.as_bytes())
}

impl Library {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Sets a custom event's description and sample.
    pub async fn put_event(
        &self,
        scope: &Scope,
        name: &str,
        description: String,
        sample: Value,
        condition: &Condition,
    ) -> Result<Versioned<EventSchema>> {
        if name.trim().is_empty() || name.chars().count() > 200 {
            return Err(Error::invalid("event-name-invalid", "an event's name has 1 to 200 characters"));
        }
        if !sample.is_object() {
            let message =
                format!("the sample of event `{name}` must be a JSON object, as its events will be");
            return Err(Error::invalid("event-sample-invalid", message));
        }
        let key = event_key(&self.context.store, scope, name);
        let now = self.context.now();
        let known = self.context.store.get::<EventSchemas>(scope, &key).await?;
        let version = known.as_ref().map(|known| known.version);
        condition.holds(version, &format!("event `{name}`"))?;
        if known.as_ref().is_some_and(|known| known.record.sample != sample) {
            self.fits_released(scope, name, &sample).await?;
        }
        let created_at = known.map_or(now, |known| known.record.created_at);
        let schema = EventSchema { name: name.to_owned(), description, sample, created_at, updated_at: now };
        let mut batch = Batch::new();
        match version {
            Some(version) => batch.replace::<EventSchemas>(scope, &key, &schema, version),
            None => batch.insert::<EventSchemas>(scope, &key, &schema),
        }
        match self.context.store.commit(batch).await {
            Ok(version) => Ok(Versioned { version, record: schema }),
            Err(CommitError::Conflict { .. }) => {
                let message = format!(
                    "event `{name}` was changed by somebody else at the same time; read it and try again"
                );
                Err(Error::conflict("event-changed", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Refuses a sample under which the newest release of a workflow would be wrong that is right under the present
    /// one: an event serves every workflow that uses it.
    async fn fits_released(&self, scope: &Scope, name: &str, sample: &Value) -> Result<()> {
        let mut faults = Vec::new();
        for workflow in self.workflows(scope).await? {
            let Some(StoredRelease { definition, number, .. }) = self.latest(scope, &workflow).await? else {
                continue;
            };
            if !matches!(&definition.trigger, Trigger::Event { event } if event == name) {
                continue;
            }
            let catalog = Catalog::of(&self.context, scope, &definition).await?;
            let problems = |catalog: &Catalog| {
                release::check(&definition, catalog).err().map_or_else(Vec::new, |problems| problems.0)
            };
            let before = problems(&catalog);
            let after = problems(&catalog.with_sample(name, sample.clone()));
            let new = after.iter().filter(|problem| before.iter().all(|known| known.at != problem.at));
            faults.extend(new.map(|problem| {
                format!("release {number} of workflow `{}` ({}): {problem}", definition.name, workflow.id)
            }));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the sample of event `{name}` is in use; with this one: {}; keep what they use, release them without it \
             first, or define another event",
            faults.join("; ")
        );
        Err(Error::conflict("event-in-use", message))
    }

    /// The schema of a custom event; an unknown one is an error that names those that exist.
    pub async fn event(&self, scope: &Scope, name: &str) -> Result<Arc<EventSchema>> {
        Ok(self.stored_event(scope, name).await?.record)
    }

    /// As [`Library::event`], and which commit wrote it.
    pub async fn stored_event(&self, scope: &Scope, name: &str) -> Result<Versioned<Arc<EventSchema>>> {
        let key = event_key(&self.context.store, scope, name);
        if let Some(schema) = self.context.store.recall::<EventSchemas>(scope, &key).await? {
            return Ok(schema);
        }
        let known: Vec<_> =
            self.events(scope).await?.into_iter().map(|schema| format!("`{}`", schema.name)).collect();
        let known = if known.is_empty() {
            "none is defined".to_owned()
        } else {
            format!("known: {}", known.join(", "))
        };
        let message = format!("unknown event `{name}`; define it with PUT /v1/events/{{name}} ({known})");
        Err(Error::not_found("event-unknown", message))
    }

    /// Every custom event of the workspace, by name.
    pub async fn events(&self, scope: &Scope) -> Result<Vec<EventSchema>> {
        let entries = self.context.store.list::<EventSchemas>(scope, Select::all()).await?;
        let mut events: Vec<_> = entries.into_iter().map(|entry| entry.record).collect();
        events.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(events)
    }

    /// Makes an integration around an app.
    pub async fn create_integration(&self, scope: &Scope, app: &str) -> Result<Integration> {
        self.require_app(app)?;
        let integration =
            Integration { id: self.context.ids.next(), app: app.to_owned(), created_at: self.context.now() };
        let mut batch = Batch::new();
        batch.insert::<Integrations>(scope, &integration.id, &integration);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(integration)
    }

    /// Every integration of the workspace, oldest first.
    pub async fn integrations(&self, scope: &Scope) -> Result<Vec<Integration>> {
        let entries = self.context.store.list::<Integrations>(scope, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// One integration.
    pub async fn integration(&self, scope: &Scope, id: IntegrationId) -> Result<Integration> {
        match self.context.store.get::<Integrations>(scope, &id).await? {
            Some(integration) => Ok(integration.record),
            None => Err(Error::not_found("integration-unknown", format!("there is no integration `{id}`"))),
        }
    }

    /// Makes a workflow with a draft.
    pub async fn create_workflow(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        draft: Definition,
    ) -> Result<Versioned<Workflow>> {
        self.integration(scope, integration).await?;
        let now = self.context.now();
        let id = self.context.ids.next();
        let workflow =
            Workflow { id, integration, draft, latest_release: 0, created_at: now, updated_at: now };
        let mut batch = Batch::new();
        batch.insert::<Workflows>(scope, &workflow.id, &workflow);
        let version = self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(Versioned { version, record: workflow })
    }

    /// Replaces a workflow's draft, where the workflow still is what its editor saw.
    pub async fn put_draft(
        &self,
        scope: &Scope,
        id: WorkflowId,
        draft: Definition,
        condition: &Condition,
    ) -> Result<Versioned<Workflow>> {
        let stored = self.stored_workflow(scope, id).await?;
        condition.holds(Some(stored.version), &format!("workflow `{id}`"))?;
        let workflow = Workflow { draft, updated_at: self.context.now(), ..stored.record };
        let mut batch = Batch::new();
        batch.replace::<Workflows>(scope, &id, &workflow, stored.version);
        let version = self.commit_edit(batch, id).await?;
        Ok(Versioned { version, record: workflow })
    }

    /// One workflow.
    pub async fn workflow(&self, scope: &Scope, id: WorkflowId) -> Result<Workflow> {
        Ok(self.stored_workflow(scope, id).await?.record)
    }

    /// Every workflow of the workspace, oldest first.
    pub async fn workflows(&self, scope: &Scope) -> Result<Vec<Workflow>> {
        let entries = self.context.store.list::<Workflows>(scope, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// Every problem of a workflow's draft, without releasing it.
    pub async fn problems(&self, scope: &Scope, workflow: &Workflow) -> Result<Vec<Problem>> {
        let draft = &workflow.draft;
        let catalog = Catalog::of(&self.context, scope, draft).await?.of_workflow(workflow.id);
        Ok(release::check(draft, &catalog).err().map_or_else(Vec::new, |problems| problems.0))
    }

    /// Releases a workflow's draft: checks it and makes it an immutable numbered version.
    pub async fn release(&self, scope: &Scope, id: WorkflowId) -> Result<StoredRelease> {
        let _settled = self.context.registry.settled().await;
        let stored = self.stored_workflow(scope, id).await?;
        let workflow = stored.record;
        let problems = self.problems(scope, &workflow).await?;
        if !problems.is_empty() {
            let listed: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let message =
                format!("workflow `{}` cannot be released: {}", workflow.draft.name, listed.join("; "));
            return Err(Error::Invalid { code: "definition-invalid", message, problems });
        }
        let number = workflow.latest_release + 1;
        let released_at = self.context.now();
        let release = StoredRelease {
            workflow: id,
            integration: workflow.integration,
            number,
            definition: workflow.draft.clone(),
            released_at,
        };
        let workflow = Workflow { latest_release: number, ..workflow };
        let mut batch = Batch::new();
        batch.replace::<Workflows>(scope, &id, &workflow, stored.version);
        batch.insert::<ReleasesTable>(scope, &(id, number), &release);
        self.commit_edit(batch, id).await?;
        Ok(release)
    }

    /// The newest release of a workflow, if it has one.
    pub async fn latest(&self, scope: &Scope, workflow: &Workflow) -> Result<Option<StoredRelease>> {
        if workflow.latest_release == 0 {
            return Ok(None);
        }
        let stored =
            self.context.store.get::<ReleasesTable>(scope, &(workflow.id, workflow.latest_release)).await?;
        Ok(stored.map(|stored| stored.record))
    }

    /// Every release of a workflow, oldest first.
    pub async fn releases(&self, scope: &Scope, workflow: WorkflowId) -> Result<Vec<StoredRelease>> {
        let select = Select::all().prefix(&workflow);
        let entries = self.context.store.list::<ReleasesTable>(scope, select).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    fn require_app(&self, app: &str) -> Result<()> {
        if self.context.registry.active(app).is_some() {
            return Ok(());
        }
        let known = self.context.registry.known_apps();
        let message = format!("there is no connector for the app `{app}`; this host has {known}");
        Err(Error::not_found("app-unknown", message))
    }

    /// One workflow, and which commit wrote it.
    pub async fn stored_workflow(&self, scope: &Scope, id: WorkflowId) -> Result<Versioned<Workflow>> {
        match self.context.store.get::<Workflows>(scope, &id).await? {
            Some(stored) => Ok(stored),
            None => Err(Error::not_found("workflow-unknown", format!("there is no workflow `{id}`"))),
        }
    }

    async fn commit_edit(&self, batch: Batch, id: WorkflowId) -> Result<Version> {
        match self.context.store.commit(batch).await {
            Ok(version) => Ok(version),
            Err(CommitError::Conflict { .. }) => {
                let message = format!(
                    "workflow `{id}` was changed by somebody else at the same time; read it and try again"
                );
                Err(Error::conflict("workflow-changed", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }
}
