//! Integrations, workflows and blocks in Alloy's words.

use serde_json::{Map, Value, json};
use trunnion_core::{
    definition::{Definition, EventBlock, Step, StepKind},
    id::{UserId, WorkflowId},
    machine::idempotency_key,
    records::{Installation, Integration, StoredRelease, Workflow},
    scope::Scope,
};

use crate::{
    api::{Services, error::Failure},
    triggers::request::request_url,
};

/// An integration with the released workflows that a user can install of it.
pub(super) async fn integration(
    services: &Services,
    scope: &Scope,
    integration: &Integration,
    user: UserId,
) -> Result<Value, Failure> {
    let installed = services.installer.of_user(scope, user).await?;
    let mut shapes = Vec::new();
    for known in services.library.workflows(scope).await? {
        if known.integration == integration.id
            && let Some(release) = services.library.latest(scope, &known).await?
        {
            let copy = installed.iter().find(|copy| copy.workflow == known.id);
            shapes.push(workflow(services, (&known, &release), copy));
        }
    }
    let any = shapes.iter().any(|workflow| workflow.get("installed") == Some(&Value::Bool(true)));
    Ok(json!({
        "integrationId": integration.id,
        "app": integration.app,
        "installed": any,
        "icon": icon(services, &integration.app),
        "workflows": shapes,
    }))
}

/// A workflow by its newest release, and a user's copy of it. `installedVersion` is there without one, too: clients
/// look for the key.
pub(super) fn workflow(
    services: &Services,
    (workflow, release): (&Workflow, &StoredRelease),
    copy: Option<&Installation>,
) -> Value {
    let mut shape = Map::new();
    let mut put = |name: &str, value: Value| shape.insert(name.to_owned(), value);
    put("workflowId", json!(workflow.id));
    put("integrationId", json!(workflow.integration));
    put("name", json!(release.definition.name));
    put("createdAt", json!(workflow.created_at.to_string()));
    put("updatedAt", json!(release.released_at.to_string()));
    put("installed", json!(copy.is_some()));
    put("version", json!(release.number));
    put("installedVersion", json!(copy.map(|copy| copy.release)));
    if let Some(entrance) = copy.and_then(|copy| copy.entrance.as_ref()) {
        put("requestUrl", json!(request_url(&services.context.public_url, entrance)));
    }
    put("active", json!(copy.is_some_and(|copy| copy.active)));
    put("blocks", blocks(services, release.workflow, &release.definition));
    Value::Object(shape)
}

/// A workflow's blocks as Alloy shows them: the trigger first.
fn blocks(services: &Services, workflow: WorkflowId, definition: &Definition) -> Value {
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
    Value::Array(std::iter::once(trigger).chain(steps).collect())
}

fn block(services: &Services, workflow: WorkflowId, step: &str, name: &str, kind: &str) -> Value {
    json!({ "name": name, "id": block_id(workflow, step), "type": kind, "icon": icon(services, kind) })
}

/// A block's UUID: the same for the same step of the same workflow.
pub(super) fn block_id(workflow: WorkflowId, step: &str) -> String {
    idempotency_key(workflow.0.into(), step)
}

/// The icon of an app; none where it has none, or is no app.
pub(super) fn icon(services: &Services, app: &str) -> String {
    services.context.registry.manifest(app).map(|manifest| manifest.icon.clone()).unwrap_or_default()
}
