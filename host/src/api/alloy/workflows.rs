//! `/workflows`: what is released, and who has installed what of it.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    id::{IntegrationId, WorkflowId},
    records::StoredRelease,
};
use utoipa::{IntoParams, ToSchema};

use super::shapes::{self, UserWorkflow};
use crate::{
    api::{
        Services,
        caller::{Party, Tenant},
        error::Failure,
        path,
        schema::{Id, Listed, Moment, One},
    },
    error::Error,
    workflows::releases::version_id,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// The user, by id or username; not needed with a user token.
    user_id: Option<String>,
    /// An integration's id, or its app.
    integration: Option<String>,
}

/// Lists what is released
#[utoipa::path(get, path = "/workflows", operation_id = "listUserWorkflows",
    security(("environment_key" = []), ("user_token" = [])), params(Filter),
    responses((status = OK, description = "Every released workflow, as the user sees it.", body = Listed<UserWorkflow>)))]
pub(super) async fn list(
    State(services): State<Services>,
    party: Party,
    Query(filter): Query<Filter>,
) -> Result<Json<Listed<UserWorkflow>>, Failure> {
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
    Ok(Json(Listed { data: found }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ForUser {
    /// The user, by id or username; not needed with a user token.
    user_id: Option<String>,
}

/// Shows a workflow as a user sees it
#[utoipa::path(get, path = "/workflows/{workflow}", operation_id = "getUserWorkflow",
    security(("environment_key" = []), ("user_token" = [])), params(ForUser),
    responses((status = OK, description = "The workflow.", body = One<UserWorkflow>)))]
pub(super) async fn one(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<One<UserWorkflow>>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    // What was never released is for nobody but the ISV.
    let Some(release) = services.library.latest(&scope, &workflow).await? else {
        return Err(unknown(&workflow.id));
    };
    let copy = services.installer.find(&scope, user.id, workflow.id).await?;
    Ok(Json(One { data: shapes::workflow(&services, (&workflow, &release), copy.as_ref()) }))
}

/// A release.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowVersion {
    version_id: String,
    /// `Version` and its number.
    version_name: String,
    last_modified: Moment,
    /// `active` where the user's copy runs it, otherwise `inactive`.
    status: &'static str,
}

/// Somebody who has installed a workflow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowUser {
    username: String,
    #[schema(required)]
    full_name: Option<String>,
    user_id: Id,
    workflow_active: bool,
    /// The release of their copy.
    installed_version: u32,
}

/// Lists a workflow's releases
///
/// Active is the one that the user's copy runs, if it does.
#[utoipa::path(get, path = "/workflows/{workflow}/versions", operation_id = "listWorkflowVersions",
    security(("environment_key" = []), ("user_token" = [])), params(ForUser),
    responses((status = OK, description = "Every release.", body = Listed<WorkflowVersion>)))]
pub(super) async fn versions(
    State(services): State<Services>,
    party: Party,
    Path(workflow): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<Listed<WorkflowVersion>>, Failure> {
    let (scope, user) = party.of(&services, query.user_id.as_deref()).await?;
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    let copy = services.installer.find(&scope, user.id, workflow.id).await?;
    let runs = copy.filter(|copy| copy.active).map(|copy| copy.release);
    let shape = |release: &StoredRelease| WorkflowVersion {
        version_id: version_id(release.workflow, release.number),
        version_name: format!("Version {}", release.number),
        last_modified: Moment::of(release.released_at),
        status: if runs == Some(release.number) { "active" } else { "inactive" },
    };
    let releases = services.library.releases(&scope, workflow.id).await?;
    Ok(Json(releases.iter().map(shape).collect()))
}

/// Lists who has installed a workflow
#[utoipa::path(get, path = "/workflows/{workflow}/users", operation_id = "listWorkflowUsers",
    security(("environment_key" = [])),
    responses((status = OK, description = "Everybody who has.", body = Listed<WorkflowUser>)))]
pub(super) async fn users(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
) -> Result<Json<Listed<WorkflowUser>>, Failure> {
    let workflow = services.library.workflow(&scope, known(&workflow)?).await?;
    let mut found = Vec::new();
    for copy in services.installer.of_workflow(&scope, workflow.id).await? {
        let user = match services.users.find(&scope, &copy.user.to_string()).await {
            Ok(user) => user,
            // Deleted in this moment.
            Err(Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        found.push(WorkflowUser {
            username: user.username,
            full_name: user.full_name,
            user_id: Id::of(user.id),
            workflow_active: copy.active,
            installed_version: copy.release,
        });
    }
    if found.is_empty() {
        let message = format!("nobody in {} has installed workflow `{}`", scope.environment, workflow.id);
        return Err(Failure::new(StatusCode::NOT_FOUND, "installation-unknown", message));
    }
    Ok(Json(Listed { data: found }))
}

/// What is not an id names no workflow.
pub(super) fn known(workflow: &str) -> Result<WorkflowId, Failure> {
    path::id(workflow, "workflow").map_err(|_: Failure| unknown(&workflow))
}

fn unknown(workflow: &impl std::fmt::Display) -> Failure {
    let message = format!("there is no workflow `{workflow}`");
    Failure::new(StatusCode::NOT_FOUND, "workflow-unknown", message)
}
