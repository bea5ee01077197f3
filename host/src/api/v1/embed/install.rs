//! What there is to install, and installing it: start and completion in one call.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::id::{ConnectionId, IntegrationId, WorkflowId};

use super::{Visitor, shape};
use crate::{
    api::{Services, body, caller::Installing, error::Failure, path},
    workflows::{install::Wish, offer::Wanted},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plan {
    integration_id: Option<String>,
    workflow_ids: Vec<String>,
    version_ids: Vec<String>,
}

pub(super) async fn plan(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Plan>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    let Plan { integration_id, workflow_ids, version_ids } = body.value;
    let integration = integration_id.map(|id| path::id::<IntegrationId>(&id, "integration")).transpose()?;
    let wanted = Wanted {
        // A link says itself what it is about.
        integration: visitor.link.map_or(integration, |link| Some(link.integration)),
        workflows: workflow_ids.iter().map(|id| path::id(id, "workflow")).collect::<Result<_, _>>()?,
        versions: version_ids,
    };
    let offer = services.offers.offer(&visitor.scope, visitor.user.id, &wanted).await?;
    Ok(Json(shape::offer(&offer)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Install {
    integration_id: String,
    workflows: Vec<Chosen>,
    #[serde(default)]
    connections: Vec<String>,
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    workflow_id: String,
    release: u32,
}

pub(super) async fn install(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Install>,
) -> Result<Json<Value>, Failure> {
    let Visitor { scope, user, link } = Visitor::of(&services, installing).await?;
    let Install { integration_id, workflows, connections, values } = body.value;
    let wish = Wish {
        user: user.id,
        integration: path::id::<IntegrationId>(&integration_id, "integration")?,
        connections: connections
            .iter()
            .map(|id| path::id::<ConnectionId>(id, "connection"))
            .collect::<Result<_, _>>()?,
        workflows: workflows
            .iter()
            .map(|chosen| path::id(&chosen.workflow_id, "workflow"))
            .collect::<Result<_, _>>()?,
        // What the person was shown, whatever was released since.
        releases: workflows
            .iter()
            .map(|chosen| Ok((path::id(&chosen.workflow_id, "workflow")?, chosen.release)))
            .collect::<Result<_, Failure>>()?,
        link,
    };
    let mut filled = BTreeMap::new();
    for (workflow, fields) in values {
        filled.insert(path::id::<WorkflowId>(&workflow, "workflow")?, fields);
    }
    let started = services.installer.start(&scope, &wish).await?;
    let installed = services.installer.complete(&scope, (Some(user.id), started.session.id), filled).await?;
    let ids: Vec<_> = installed.iter().map(|copy| copy.workflow).collect();
    Ok(Json(json!({ "workflow_ids": ids })))
}
