//! Headless installation: start and complete.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{
    definition::{ConfigField, FieldKind},
    id::{InstallSessionId, IntegrationId, WorkflowId},
    records::StoredRelease,
};

use super::shapes::block_id;
use crate::{
    api::{Services, body, caller::Installing, error::Failure, path},
    workflows::install::{Started, Values, Wish},
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    user_id: Option<String>,
    integration_id: String,
    #[serde(default)]
    credential_ids: Vec<String>,
    credential_id: Option<String>,
    #[serde(default)]
    workflow_ids: Vec<String>,
}

pub(super) async fn start(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    body: body::Json<Start>,
) -> Result<Json<Value>, Failure> {
    let Start { user_id, integration_id, credential_ids, credential_id, workflow_ids } = body.value;
    let (scope, user) = party.of(&services, user_id.as_deref()).await?;
    let connections = credential_ids.iter().chain(&credential_id);
    let wish = Wish {
        user: user.id,
        integration: path::id::<IntegrationId>(&integration_id, "integration")?,
        connections: connections.map(|id| path::id(id, "credential")).collect::<Result<_, _>>()?,
        workflows: workflow_ids.iter().map(|id| path::id(id, "workflow")).collect::<Result<_, _>>()?,
        releases: BTreeMap::new(),
        link,
    };
    let Started { session, releases } = services.installer.start(&scope, &wish).await?;
    let data: Vec<_> = releases.iter().filter_map(open_fields).collect();
    Ok(Json(json!({ "installationId": session.id, "data": data })))
}

/// What the user fills in of a workflow; nothing where it has no open fields.
fn open_fields(release: &StoredRelease) -> Option<Value> {
    let definition = &release.definition;
    let fields: Vec<_> = definition.fields.iter().map(field).collect();
    let (step, app) = (
        definition.steps.first()?,
        definition.connected_apps().first().copied().unwrap_or_default().to_owned(),
    );
    (!fields.is_empty()).then(|| {
        let block = block_id(release.workflow, &step.id);
        json!({ "workflowId": release.workflow, "app": app, "blockId": block, "fields": fields })
    })
}

fn field(field: &ConfigField) -> Value {
    let (kind, options) = match &field.kind {
        FieldKind::Text => ("text", None),
        FieldKind::Number => ("number", None),
        FieldKind::Boolean => ("boolean", None),
        FieldKind::Choice { options } => {
            let options =
                options.iter().map(|option| json!({ "displayName": option.title, "value": option.value }));
            ("dropdown", Some(options.collect::<Vec<_>>()))
        }
    };
    let mut shape =
        json!({ "name": field.name, "displayName": field.title, "type": kind, "required": field.required });
    if let (Some(options), Some(shape)) = (options, shape.as_object_mut()) {
        shape.insert("options".to_owned(), Value::Array(options));
    }
    shape
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Complete {
    installation_id: String,
    #[serde(default)]
    data: Vec<Filled>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filled {
    workflow_id: String,
    #[serde(default)]
    fields: Vec<FilledField>,
}

#[derive(Debug, Deserialize)]
struct FilledField {
    name: String,
    value: Value,
}

pub(super) async fn complete(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    body: body::Json<Complete>,
) -> Result<Json<Value>, Failure> {
    let Complete { installation_id, data } = body.value;
    let id: InstallSessionId = path::id(&installation_id, "installation under way")?;
    let mut values: Values = BTreeMap::new();
    for Filled { workflow_id, fields } in data {
        let workflow: WorkflowId = path::id(&workflow_id, "workflow")?;
        let filled = values.entry(workflow).or_default();
        filled.extend(fields.into_iter().map(|field| (field.name, field.value)));
    }
    let (scope, user) = party.whose();
    services.installer.complete(&scope, (user, id), values).await?;
    Ok(Json(json!({ "message": "Installation completed successfully" })))
}
