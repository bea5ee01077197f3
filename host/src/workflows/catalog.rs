//! What a definition may refer to: connectors, custom events and stream destinations, as they are now.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use trunnion_core::{
    definition::{Definition, StepKind, Trigger},
    manifest::Manifest,
    release,
    scope::{Environment, Scope},
};
use trunnion_store::tables::{EventSchemas, StreamDestinations};

use crate::{context::Context, error::Result, workflows::library::event_key};

/// The part of the workspace that one definition refers to, read once.
#[derive(Debug)]
pub struct Catalog {
    manifests: BTreeMap<String, Arc<Manifest>>,
    samples: BTreeMap<String, Value>,
    destinations: Vec<String>,
}

impl Catalog {
    /// Reads what `definition` names. A destination counts as known where either environment has it, since a
    /// release serves both.
    pub async fn of(context: &Context, scope: &Scope, definition: &Definition) -> Result<Self> {
        let mut catalog =
            Self { manifests: BTreeMap::new(), samples: BTreeMap::new(), destinations: Vec::new() };
        for app in definition.apps() {
            if let Some(manifest) = context.registry.manifest(app) {
                catalog.manifests.insert(app.to_owned(), manifest);
            }
        }
        if let Trigger::Event { event } = &definition.trigger
            && let Some(schema) =
                context.store.get::<EventSchemas>(scope, &event_key(&context.store, scope, event)).await?
        {
            catalog.samples.insert(event.clone(), schema.record.sample);
        }
        for step in &definition.steps {
            if let StepKind::Stream { destination, .. } = &step.kind {
                for environment in Environment::ALL {
                    let place = Scope::new(scope.workspace, environment);
                    if context.store.get::<StreamDestinations>(&place, destination).await?.is_some() {
                        catalog.destinations.push(destination.clone());
                    }
                }
            }
        }
        Ok(catalog)
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
