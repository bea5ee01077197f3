//! What a definition may refer to: connectors, custom events and stream destinations, as they are now.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use trunnion_core::{
    definition::{Definition, StepKind, Trigger},
    id::WorkflowId,
    manifest::Manifest,
    release::{self, Callee},
    scope::{Environment, Scope},
};
use trunnion_store::{
    Store,
    tables::{EventSchemas, OwnConnections, Releases, StreamDestinations, Workflows},
};

use crate::{context::Context, error::Result, workflows::library::event_key};

/// The part of the workspace that one definition refers to, read once.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    manifests: BTreeMap<String, Arc<Manifest>>,
    samples: BTreeMap<String, Value>,
    destinations: Vec<String>,
    callees: BTreeMap<WorkflowId, Callee>,
    /// The apps of the environment's own connections, by name.
    connections: BTreeMap<String, String>,
    own: Option<WorkflowId>,
}

impl Catalog {
    /// Reads what `definition` names. A destination counts as known where either environment has it, since a
    /// release serves both.
    pub async fn of(context: &Context, scope: &Scope, definition: &Definition) -> Result<Self> {
        Self::under(&context.store, scope, definition, |app| context.registry.manifest(app)).await
    }

    /// As [`Catalog::of`], with these manifests in the place of the active ones.
    pub async fn under(
        store: &Store,
        scope: &Scope,
        definition: &Definition,
        manifest: impl Fn(&str) -> Option<Arc<Manifest>>,
    ) -> Result<Self> {
        let manifests = definition.apps().into_iter().filter_map(manifest);
        let mut catalog = manifests.fold(Self::default(), Self::with);
        if let Trigger::Event { event } = &definition.trigger
            && let Some(schema) = store.get::<EventSchemas>(scope, &event_key(store, scope, event)).await?
        {
            catalog.samples.insert(event.clone(), schema.record.sample);
        }
        for (_, step) in definition.every_step() {
            for (_, _, name) in step.own_connections() {
                for environment in Environment::ALL {
                    let place = Scope::new(scope.workspace, environment);
                    if let Some(own) = store.get::<OwnConnections>(&place, &name.to_owned()).await? {
                        catalog.connections.insert(name.to_owned(), own.record.app);
                    }
                }
            }
            match &step.kind {
                StepKind::Stream { destination, .. } => {
                    for environment in Environment::ALL {
                        let place = Scope::new(scope.workspace, environment);
                        if store.get::<StreamDestinations>(&place, destination).await?.is_some() {
                            catalog.destinations.push(destination.clone());
                        }
                    }
                }
                StepKind::Call { workflow, .. } => {
                    if let Ok(id) = workflow.parse() {
                        catalog.callees.insert(id, callee(store, scope, id).await?);
                    }
                }
                _ => {}
            }
        }
        Ok(catalog)
    }

    /// The same with `sample` as that of the event `name`.
    #[must_use]
    pub fn with_sample(mut self, name: &str, sample: Value) -> Self {
        self.samples.insert(name.to_owned(), sample);
        self
    }

    /// The same for the definition of this workflow, which cannot call itself.
    #[must_use]
    pub const fn of_workflow(mut self, own: WorkflowId) -> Self {
        self.own = Some(own);
        self
    }

    /// The same with `manifest` as its app's.
    #[must_use]
    pub fn with(mut self, manifest: Arc<Manifest>) -> Self {
        self.manifests.insert(manifest.id.clone(), manifest);
        self
    }
}

impl release::Catalog for Catalog {
    fn manifest(&self, app: &str) -> Option<Arc<Manifest>> {
        self.manifests.get(app).cloned()
    }

    fn event_sample(&self, name: &str) -> Option<Value> {
        self.samples.get(name).cloned()
    }

    fn destination(&self, name: &str) -> bool {
        self.destinations.iter().any(|known| known == name)
    }

    fn connection(&self, name: &str) -> Option<&str> {
        self.connections.get(name).map(String::as_str)
    }

    fn callee(&self, workflow: WorkflowId) -> Callee {
        if self.own == Some(workflow) {
            return Callee::Itself;
        }
        self.callees.get(&workflow).copied().unwrap_or(Callee::Unknown)
    }
}

/// Whether a workflow can be called, by its newest release.
async fn callee(store: &Store, scope: &Scope, id: WorkflowId) -> Result<Callee> {
    let Some(workflow) = store.get::<Workflows>(scope, &id).await? else { return Ok(Callee::Unknown) };
    let newest = (id, workflow.record.latest_release);
    let Some(release) = store.get::<Releases>(scope, &newest).await? else { return Ok(Callee::Unreleased) };
    Ok(match release.record.definition.trigger {
        Trigger::Call { .. } => Callee::Callable,
        _ => Callee::OtherTrigger,
    })
}
