//! Integrations, workflows and blocks in Alloy's words.

use serde::Serialize;
use trunnion_core::{
    definition::{Definition, EventBlock, Step, StepKind},
    id::{UserId, WorkflowId},
    machine::idempotency_key,
    records::{self, Installation, StoredRelease},
    scope::Scope,
};
use utoipa::ToSchema;

use crate::{
    api::{
        Services,
        error::Failure,
        schema::{Id, Moment},
    },
    triggers::request::request_url,
};

/// An integration with the released workflows that a user can install of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserIntegration)]
pub(super) struct UserIntegration {
    integration_id: Id,
    app: String,
    /// Whether the user has installed any of its workflows.
    installed: bool,
    icon: String,
    workflows: Vec<UserWorkflow>,
}

/// A workflow by its newest release, and a user's copy of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserWorkflow {
    workflow_id: Id,
    integration_id: Id,
    name: String,
    created_at: Moment,
    updated_at: Moment,
    /// Whether the user has a copy.
    installed: bool,
    /// The newest release.
    version: u32,
    /// The release of the user's copy; null without one: clients look for the key.
    #[schema(required)]
    installed_version: Option<u32>,
    /// Where requests start the user's copy, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_url: Option<String>,
    /// Whether events start the user's copy.
    active: bool,
    /// The trigger first.
    blocks: Vec<Block>,
}

/// A block of a workflow.
#[derive(Serialize, ToSchema)]
struct Block {
    name: String,
    /// A UUID: the same for the same step of the same workflow.
    id: String,
    /// An app, or what it does.
    #[serde(rename = "type")]
    kind: String,
    icon: String,
}

pub(super) async fn integration(
    services: &Services,
    scope: &Scope,
    integration: &records::Integration,
    user: UserId,
) -> Result<UserIntegration, Failure> {
    let installed = services.installer.of_user(scope, user).await?;
    let mut workflows = Vec::new();
    for known in services.library.workflows(scope).await? {
        if known.integration == integration.id
            && let Some(release) = services.library.latest(scope, &known).await?
        {
            let copy = installed.iter().find(|copy| copy.workflow == known.id);
            workflows.push(workflow(services, (&known, &release), copy));
        }
    }
    Ok(UserIntegration {
        integration_id: Id::of(integration.id),
        app: integration.app.clone(),
        installed: workflows.iter().any(|workflow| workflow.installed),
        icon: icon(services, &integration.app),
        workflows,
    })
}

pub(super) fn workflow(
    services: &Services,
    (workflow, release): (&records::Workflow, &StoredRelease),
    copy: Option<&Installation>,
) -> UserWorkflow {
    let entrance = copy.and_then(|copy| copy.entrance.as_ref());
    UserWorkflow {
        workflow_id: Id::of(workflow.id),
        integration_id: Id::of(workflow.integration),
        name: release.definition.name.clone(),
        created_at: Moment::of(workflow.created_at),
        updated_at: Moment::of(release.released_at),
        installed: copy.is_some(),
        version: release.number,
        installed_version: copy.map(|copy| copy.release),
        request_url: entrance.map(|entrance| request_url(&services.context.public_url, entrance)),
        active: copy.is_some_and(|copy| copy.active),
        blocks: blocks(services, release.workflow, &release.definition),
    }
}

/// A workflow's blocks as Alloy shows them: the trigger first.
fn blocks(services: &Services, workflow: WorkflowId, definition: &Definition) -> Vec<Block> {
    let EventBlock { name, kind } = definition.trigger.event_block();
    let trigger = block(services, workflow, "trigger", &name, &kind);
    // A step with the environment's own connection is hidden from users.
    let hidden = |step: &Step| {
        matches!(
            &step.kind,
            StepKind::Action { connection: Some(_), .. } | StepKind::Batch { connection: Some(_), .. }
        )
    };
    let shown = definition.every_step().into_iter().filter(|(_, step)| !hidden(step));
    let steps = shown.map(|(_, step)| {
        let (name, kind) = match &step.kind {
            StepKind::Action { app, action, .. } | StepKind::Batch { app, action, .. } => {
                (action, app.as_str())
            }
            StepKind::Stream { destination, .. } => (destination, "dataStream"),
            StepKind::Filter { .. } => (&step.id, "filter"),
            StepKind::Branch { .. } => (&step.id, "branch"),
            StepKind::ForEach { .. } => (&step.id, "forEach"),
            StepKind::Set { .. } => (&step.id, "set"),
            StepKind::Delay { .. } => (&step.id, "delay"),
            StepKind::Call { .. } => (&step.id, "call"),
            StepKind::Respond { .. } => (&step.id, "respond"),
        };
        block(services, workflow, &step.id, name, kind)
    });
    std::iter::once(trigger).chain(steps).collect()
}

fn block(services: &Services, workflow: WorkflowId, step: &str, name: &str, kind: &str) -> Block {
    Block {
        name: name.to_owned(),
        id: block_id(workflow, step),
        kind: kind.to_owned(),
        icon: icon(services, kind),
    }
}

/// A block's UUID: the same for the same step of the same workflow.
pub(super) fn block_id(workflow: WorkflowId, step: &str) -> String {
    idempotency_key(workflow.0.into(), step)
}

/// The icon of an app; none where it has none, or is no app.
pub(super) fn icon(services: &Services, app: &str) -> String {
    services.context.registry.manifest(app).map(|manifest| manifest.icon.clone()).unwrap_or_default()
}
