//! Deploy-time flows: workflows that a user's installing or removing of an integration's workflows starts.
//!
//! They are installed like any other workflow, and run for every installation of the user that is completed and
//! every removal of a copy: a removed flow for its own, too. What they are told is fixed with the run, so that a
//! flow whose copy is gone still knows it, and has the connections it was installed with.

use serde_json::{Map, Value, json};
use trunnion_core::{
    definition::{Definition, Trigger},
    id::IntegrationId,
    records::{EventSource, Installation},
    scope::Scope,
};
use trunnion_store::tables::Subscriptions as Table;

use super::{Installer, Planned};
use crate::{
    error::Result,
    triggers::{
        accept::{Arrival, Beginning},
        request::request_url,
    },
};

/// A copy of a workflow, and what is said of it.
struct Told {
    installation: Installation,
    /// What it is started by, where it is a deploy-time flow.
    flow: Option<Flow>,
    said: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Installed,
    Removed,
}

impl Installer {
    /// The runs that completing an installation begins.
    pub(super) async fn tell_of_installing(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        planned: &[Planned],
        existing: &[Installation],
    ) -> Result<Vec<Beginning>> {
        let mut copies = Vec::new();
        for plan in planned {
            let known = existing.iter().find(|known| known.id == plan.installation.id);
            let before = known.map(|known| known.release);
            copies.push(self.told(scope, &plan.definition, &plan.installation, before).await?);
        }
        let planned = |known: &Installation| planned.iter().any(|plan| plan.installation.id == known.id);
        let others = existing.iter().filter(|known| !planned(known));
        copies.extend(self.siblings(scope, integration, others).await?);
        let data = self.data(scope, integration, &copies, &[]).await?;
        Ok(begin(copies, Flow::Installed, &EventSource::Installed { integration }, &data))
    }

    /// The runs that the removal of a copy begins.
    pub(super) async fn tell_of_removing(
        &self,
        scope: &Scope,
        leaving: &Installation,
    ) -> Result<Vec<Beginning>> {
        let compiled = self.releases.get(scope, leaving.workflow, leaving.release).await?;
        let integration = compiled.release.integration;
        let definition = &compiled.release.definition;
        let left = self.told(scope, definition, leaving, Some(leaving.release)).await?;
        let all = self.of_user(scope, leaving.user).await?;
        let others = all.iter().filter(|known| known.id != leaving.id);
        let mut copies = self.siblings(scope, integration, others).await?;
        let data = self.data(scope, integration, &copies, std::slice::from_ref(&left)).await?;
        copies.push(left);
        Ok(begin(copies, Flow::Removed, &EventSource::Removed { integration }, &data))
    }

    /// Those of these copies that belong to the integration.
    async fn siblings(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        copies: impl Iterator<Item = &Installation>,
    ) -> Result<Vec<Told>> {
        let mut siblings = Vec::new();
        for copy in copies {
            let compiled = self.releases.get(scope, copy.workflow, copy.release).await?;
            if compiled.release.integration == integration {
                let definition = &compiled.release.definition;
                siblings.push(self.told(scope, definition, copy, Some(copy.release)).await?);
            }
        }
        Ok(siblings)
    }

    async fn told(
        &self,
        scope: &Scope,
        definition: &Definition,
        installation: &Installation,
        previous: Option<u32>,
    ) -> Result<Told> {
        let mut webhook = None;
        if let Some(id) = installation.subscription
            && let Some(stored) = self.context.store.get::<Table>(scope, &id).await?
        {
            webhook = Some(format!("{}/hooks/{}", self.context.public_url, stored.record.path_token));
        }
        let flow = match &definition.trigger {
            Trigger::Installed => Some(Flow::Installed),
            Trigger::Removed => Some(Flow::Removed),
            _ => None,
        };
        let trigger = json!(definition.trigger);
        let mut said = Map::new();
        let mut put = |name: &str, value: Value| said.insert(name.to_owned(), value);
        put("id", json!(installation.workflow));
        put("name", json!(definition.name));
        put("trigger", trigger.get("type").cloned().unwrap_or_default());
        put("release", json!(installation.release));
        put("previous_release", json!(previous));
        put("active", json!(installation.active));
        put("webhook_url", json!(webhook));
        let request = installation.entrance.as_ref();
        put("request_url", json!(request.map(|entrance| request_url(&self.context.public_url, entrance))));
        Ok(Told { installation: installation.clone(), flow, said: Value::Object(said) })
    }

    async fn data(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        copies: &[Told],
        removed: &[Told],
    ) -> Result<Value> {
        let app = self.library.integration(scope, integration).await?.app;
        let said = |copies: &[Told]| copies.iter().map(|copy| copy.said.clone()).collect::<Vec<_>>();
        Ok(json!({
            "integration": { "id": integration, "app": app },
            "workflows": said(copies),
            "removed": said(removed),
        }))
    }
}

fn begin(copies: Vec<Told>, flow: Flow, source: &EventSource, data: &Value) -> Vec<Beginning> {
    let told = copies.into_iter().filter(|copy| copy.flow == Some(flow) && copy.installation.active);
    let beginning = |copy: Told| Beginning {
        arrival: Arrival {
            source: source.clone(),
            data: data.clone().into(),
            trigger: [0; 16],
            seen: None,
            unmatched: None,
        },
        installation: copy.installation,
    };
    told.map(beginning).collect()
}
