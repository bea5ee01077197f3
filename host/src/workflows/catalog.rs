//! What a definition may refer to: connectors, custom events and stream destinations, as they are now.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use trunnion_core::{
    definition::{Definition, StepKind, Trigger},
    manifest::Manifest,
    release,
    scope::{Environment, Scope},
};
use trunnion_store::{
    Store,
    tables::{EventSchemas, StreamDestinations},
};

use crate::{context::Context, error::Result, workflows::library::event_key};

/// The part of the workspace that one definition refers to, read once.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    manifests: BTreeMap<String, Arc<Manifest>>,
    samples: BTreeMap<String, Value>,
    destinations: Vec<String>,
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
            if let StepKind::Stream { destination, .. } = &step.kind {
                for environment in Environment::ALL {
                    let place = Scope::new(scope.workspace, environment);
                    if store.get::<StreamDestinations>(&place, destination).await?.is_some() {
                        catalog.destinations.push(destination.clone());
                    }
                }
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
}
