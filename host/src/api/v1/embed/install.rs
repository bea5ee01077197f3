//! What there is to install, and installing it: start and completion in one call.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::id::{ConnectionId, IntegrationId, WorkflowId};
use utoipa::ToSchema;

use super::{Visitor, shape};
use crate::{
    api::{Services, body, caller::Installing, error::Failure, path, schema::Id},
    workflows::{install::Wish, offer::Wanted},
};

/// What is to be installed: an integration, or some workflows of one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = EmbedPlan)]
pub(super) struct Plan {
    /// That of the workflows where none is named; that of an install link in any case.
    integration_id: Option<String>,
    /// Every released workflow where none is named.
    workflow_ids: Vec<String>,
    /// Other releases than the newest.
    version_ids: Vec<String>,
}

/// Shows what there is to install
///
/// With what has to be connected and filled in.
#[utoipa::path(post, path = "/plan", operation_id = "planEmbedInstallation", request_body = Plan,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "What there is.", body = shape::EmbedOffer)))]

pub(super) async fn plan(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Plan>,
) -> Result<Json<shape::EmbedOffer>, Failure> {
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

/// What a person chose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmbedInstall)]
pub(super) struct Install {
    integration_id: String,
    workflows: Vec<Chosen>,
    /// The connections to use, where the user has several of an app.
    #[serde(default)]
    connections: Vec<String>,
    /// What was filled in, by workflow and field.
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, Value>>,
}

/// A workflow as the person was shown it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmbedChosenWorkflow)]
struct Chosen {
    workflow_id: String,
    release: u32,
}

/// What is installed now.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbedInstalled {
    workflow_ids: Vec<Id>,
}

/// Installs workflows
///
/// Start and completion in one call; nothing is installed where one of them fails.
#[utoipa::path(post, path = "/installations", operation_id = "installEmbedded", request_body = Install,
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "They are installed.", body = EmbedInstalled),
        (status = CONFLICT, description = "They changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later, or too much work is waiting."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]

pub(super) async fn install(
    State(services): State<Services>,
    installing: Installing,
    body: body::Json<Install>,
) -> Result<Json<EmbedInstalled>, Failure> {
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
    let workflow_ids = installed.iter().map(|copy| Id::of(copy.workflow)).collect();
    Ok(Json(EmbedInstalled { workflow_ids }))
}
