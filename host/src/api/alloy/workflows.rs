//! `/workflows`: what is released, and who has installed what of it.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::{
    id::{IntegrationId, WorkflowId},
    records::StoredRelease,
};

use super::shapes;
use crate::{
    api::{
        Services,
        caller::{Party, Tenant},
        error::Failure,
        path,
    },
    error::Error,
    workflows::releases::version_id,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    user_id: Option<String>,
    /// An integration's id, or its app.
    integration: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    party: Party,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, filter.user_id.as_deref()).await?;
    let integrations = services.library.integrations(&scope).await?;
    let named = filter.integration.as_deref().map(|name| {
        let id = name.parse::<IntegrationId>().ok();
        let of_name = integrations.iter().filter(move |known| Some(known.id) == id || known.app == name);
        of_name.map(|known| known.id).collect::<Vec<_>>()
    });
    let installed = services.installer.of_user(&scope, user.id).await?;
    let mut found = Vec::new();
    for workflow in services.library.workflows(&scope).await? {
        let wanted = named.as_ref().is_none_or(|named| named.contains(&workflow.integration));
        if wanted && let Some(release) = services.library.latest(&scope, &workflow).await? {
            let copy = installed.iter().find(|copy| copy.workflow == workflow.id);
            found.push(shapes::workflow(&services, (&workflow, &release), copy));
        }
    }
    Ok(Json(json!({ "data": found })))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForUser {
    user_id: Option<String>,
}

pub(super) async fn one(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    // What was never released is for nobody but the ISV.
    let Some(release) = services.library.latest(&scope, &workflow).await? else {
        return Err(unknown(&workflow.id));
    };
    let copy = services.installer.find(&scope, user.id, workflow.id).await?;
    Ok(Json(json!({ "data": shapes::workflow(&services, (&workflow, &release), copy.as_ref()) })))
}

/// Every release. Active is the one that the user's copy runs, if it does.
pub(super) async fn versions(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Value>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    let copy = services.installer.find(&scope, user.id, workflow.id).await?;
    let runs = copy.filter(|copy| copy.active).map(|copy| copy.release);
    let shape = |release: &StoredRelease| {
        json!({
            "versionId": version_id(release.workflow, release.number),
            "versionName": format!("Version {}", release.number),
            "lastModified": release.released_at.to_string(),
            "status": if runs == Some(release.number) { "active" } else { "inactive" },
        })
    };
    let releases = services.library.releases(&scope, workflow.id).await?;
    Ok(Json(json!({ "data": releases.iter().map(shape).collect::<Vec<_>>() })))
}

/// Who has installed a workflow.
pub(super) async fn users(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Value>, Failure> {
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    let mut found = Vec::new();
    for copy in services.installer.of_workflow(&scope, workflow.id).await? {
        let user = match services.users.find(&scope, &copy.user.to_string()).await {
            Ok(user) => user,
            // Deleted in this moment.
            Err(Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        found.push(json!({
            "username": user.username,
            "fullName": user.full_name,
            "userId": user.id,
            "workflowActive": copy.active,
            "installedVersion": copy.release,
        }));
    }
    if found.is_empty() {
        let message = format!("nobody in {} has installed workflow `{}`", scope.environment, workflow.id);
        return Err(Failure::new(StatusCode::NOT_FOUND, "installation-unknown", message));
    }
    Ok(Json(json!({ "data": found })))
}

/// What is not an id names no workflow.
pub(super) fn known(workflow: &str) -> Result<WorkflowId, Failure> {
    path::id(workflow, "workflow").map_err(|_: Failure| unknown(&workflow))
}

fn unknown(workflow: &impl std::fmt::Display) -> Failure {
    let message = format!("there is no workflow `{workflow}`");
    Failure::new(StatusCode::NOT_FOUND, "workflow-unknown", message)
}
