//! Headless installation: start and complete.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::{
    definition::{ConfigField, FieldKind},
    id::{InstallSessionId, IntegrationId, WorkflowId},
    records::StoredRelease,
};
use utoipa::ToSchema;

use super::shapes::block_id;
use crate::{
    api::{
        Services, body,
        caller::Installing,
        error::Failure,
        path,
        schema::{Done, Id},
    },
    workflows::install::{Started, Values, Wish},
};

/// What is to be installed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstallationToStart)]
pub(super) struct Start {
    /// The user, by id or username; not needed with a user token.
    user_id: Option<String>,
    integration_id: String,
    /// The credentials to use, where the user has several of an app.
    #[serde(default)]
    credential_ids: Vec<String>,
    /// One of them.
    credential_id: Option<String>,
    /// Every released workflow where none is named.
    #[serde(default)]
    workflow_ids: Vec<String>,
}

/// An installation under way, and what the user fills in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartedInstallation {
    installation_id: Id,
    data: Vec<OpenFields>,
}

/// What the user fills in of a workflow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenFields {
    workflow_id: Id,
    app: String,
    block_id: String,
    fields: Vec<OpenField>,
}

/// A field to fill in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenField {
    name: String,
    display_name: String,
    /// `text`, `number`, `boolean` or `dropdown`.
    #[serde(rename = "type")]
    kind: &'static str,
    required: bool,
    /// Of a dropdown: what there is to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Vec<OpenOption>>,
}

/// A value that there is to choose.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenOption {
    display_name: String,
    value: Value,
}

/// Begins an installation
///
/// Answers with what the user fills in; nothing is installed yet.
#[utoipa::path(post, path = "/headless/startInstallation", operation_id = "startInstallation",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), request_body = Start,
    responses((status = OK, description = "It has begun.", body = StartedInstallation),
        (status = CONFLICT, description = "Something changed in the same moment.")))]
pub(super) async fn start(
    State(services): State<Services>,
    Installing { party, link }: Installing,
    body: body::Json<Start>,
) -> Result<Json<StartedInstallation>, Failure> {
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
    let data = releases.iter().filter_map(open_fields).collect();
    Ok(Json(StartedInstallation { installation_id: Id::of(session.id), data }))
}

/// What the user fills in of a workflow; nothing where it has no open fields.
fn open_fields(release: &StoredRelease) -> Option<OpenFields> {
    let definition = &release.definition;
    let fields: Vec<_> = definition.fields.iter().map(field).collect();
    let (step, app) = (
        definition.steps.first()?,
        definition.connected_apps().first().copied().unwrap_or_default().to_owned(),
    );
    (!fields.is_empty()).then(|| OpenFields {
        workflow_id: Id::of(release.workflow),
        app,
        block_id: block_id(release.workflow, &step.id),
        fields,
    })
}

fn field(field: &ConfigField) -> OpenField {
    let (kind, options) = match &field.kind {
        FieldKind::Text => ("text", None),
        FieldKind::Number => ("number", None),
        FieldKind::Boolean => ("boolean", None),
        FieldKind::Choice { options } => {
            let options = options
                .iter()
                .map(|option| OpenOption { display_name: option.title.clone(), value: option.value.clone() });
            ("dropdown", Some(options.collect()))
        }
    };
    OpenField {
        name: field.name.clone(),
        display_name: field.title.clone(),
        kind,
        required: field.required,
        options,
    }
}

/// What the user filled in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstallationToComplete)]
pub(super) struct Complete {
    installation_id: String,
    #[serde(default)]
    data: Vec<Filled>,
}

/// What was filled in of a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FilledWorkflow)]
struct Filled {
    workflow_id: String,
    #[serde(default)]
    fields: Vec<FilledField>,
}

/// A field and its value.
#[derive(Debug, Deserialize, ToSchema)]
struct FilledField {
    name: String,
    value: Value,
}

/// Completes an installation
///
/// Webhooks are registered at the vendor; where that fails, nothing is installed.
#[utoipa::path(post, path = "/headless/completeInstallation", operation_id = "completeInstallation",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), request_body = Complete,
    responses((status = OK, description = "It is installed.", body = Done),
        (status = CONFLICT, description = "Something changed in the same moment."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn complete(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    body: body::Json<Complete>,
) -> Result<Json<Done>, Failure> {
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
    Ok(Json(Done { message: "Installation completed successfully" }))
}
