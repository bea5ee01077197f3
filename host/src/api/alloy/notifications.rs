//! `GET /logs`: what ended in the whole environment, filtered, sorted and by pages.

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    machine::{Outcome, Status},
    records::{Integration, LiveRun, User, Workflow},
    scope::Scope,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    shapes::{block_id, icon},
    workflows::known,
};
use crate::{
    api::{
        Services,
        caller::Tenant,
        error::Failure,
        schema::{Id, Moment},
    },
    error::Error,
    runs::notices::{Notice, SortBy, Wanted},
};

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

const FAILED: &str = "executionError";
const WELL: &str = "executionSuccess";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// A JSON list of conditions, each `{"columns", "operators", "userinput", "condition"}`.
    filters: Option<String>,
    /// Only those of this workflow.
    workflow_id: Option<String>,
    /// Only those of this user, by id or username.
    associated_user_id: Option<String>,
    /// Leaves out so many.
    #[serde(default)]
    #[param(minimum = 0, required = false)]
    skip: usize,
    /// At most so many; 10 where nothing is said, and never more than 100.
    #[param(minimum = 0)]
    limit: Option<usize>,
    /// `createdAt`, `completedAt`, `message` or `userId`.
    sort_by: Option<String>,
    /// `desc` or `asc`.
    sort_order: Option<String>,
}

/// What ended, a page of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notifications {
    notifications: Vec<Notification>,
    last_fetched: Moment,
    pagination: Pagination,
}

/// Where a page stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    total_items: usize,
    total_pages: usize,
    /// Counts from 1.
    current_page: usize,
    page_size: usize,
}

/// Something that ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Notification {
    #[serde(rename = "_id")]
    id: Id,
    /// `executionSuccess` or `executionError`.
    message: &'static str,
    data: NotificationData,
    started_at: Moment,
    #[schema(required)]
    completed_at: Option<Moment>,
    created_at: Moment,
    /// Always false.
    custom_version: bool,
    /// The release.
    workflow_version: u32,
    /// The workspace.
    team_id: Id,
    forge_workflow_id: Id,
    workflow_id: Id,
    user_id: Id,
    /// Null where they were deleted since.
    #[schema(required)]
    user: Option<NotificationUser>,
    forge_workflow: NotificationWorkflow,
}

/// The execution that ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationData {
    execution_id: Id,
    execution_uuid: Id,
}

/// Whose it was.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationUser {
    /// The username.
    email: String,
    #[schema(required)]
    full_name: Option<String>,
}

/// The workflow that it was of.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationWorkflow {
    name: String,
    integration_id: NotificationIntegration,
}

/// The integration that it was of.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationIntegration {
    #[serde(rename = "_id")]
    id: Id,
    name: String,
    block_id: String,
    icon: String,
}

/// One condition; how it is joined to those before it, it says itself.
#[derive(Debug, Deserialize)]
struct Filter {
    #[serde(alias = "columns")]
    column: Column,
    #[serde(alias = "operators")]
    operator: Operator,
    #[serde(alias = "userinput")]
    input: String,
    #[serde(default)]
    condition: Join,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Column {
    Message,
    UserId,
    WorkflowId,
    ExecutionId,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Operator {
    #[serde(rename = "equals", alias = "is", alias = "=")]
    Equals,
    #[serde(rename = "not equals", alias = "notEquals", alias = "is not", alias = "!=")]
    Differs,
    #[serde(rename = "contains")]
    Contains,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Join {
    #[default]
    #[serde(rename = "and", alias = "AND")]
    And,
    #[serde(rename = "or", alias = "OR")]
    Or,
}

impl Filter {
    fn holds(&self, notice: &Notice) -> bool {
        let value = match self.column {
            Column::Message => message(notice.outline.failed).to_owned(),
            Column::UserId => notice.outline.user.to_string(),
            Column::WorkflowId => notice.workflow.to_string(),
            Column::ExecutionId => notice.run.to_string(),
        };
        match self.operator {
            Operator::Equals => value == self.input,
            Operator::Differs => value != self.input,
            Operator::Contains => value.contains(&self.input),
        }
    }
}

/// Lists what ended in the whole environment
#[utoipa::path(get, path = "/logs", operation_id = "listLogs",
    security(("environment_key" = [])), params(Asked),
    responses((status = OK, description = "A page.", body = Notifications)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(asked): Query<Asked>,
) -> Result<Json<Notifications>, Failure> {
    let filters = filters(asked.filters.as_deref())?;
    let sort = match asked.sort_by.as_deref() {
        None | Some("createdAt") => SortBy::Begun,
        Some("completedAt") => SortBy::Ended,
        Some("message") => SortBy::Outcome,
        Some("userId") => SortBy::User,
        Some(other) => {
            let message =
                format!("`sortBy` cannot be `{other}`; use createdAt, completedAt, message or userId");
            return Err(invalid(message));
        }
    };
    let workflow = match &asked.workflow_id {
        Some(id) => Some(services.library.workflow(&scope, known(id)?).await?.id),
        None => None,
    };
    let user = match &asked.associated_user_id {
        Some(user) => Some(services.users.find(&scope, user).await?.id),
        None => None,
    };
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let fits =
        |notice: &Notice| user.is_none_or(|user| user == notice.outline.user) && all_hold(&filters, notice);
    let ascending = asked.sort_order.as_deref().is_some_and(|order| order.eq_ignore_ascii_case("asc"));
    let wanted = Wanted { workflow, fits, sort, ascending, skip: asked.skip, limit };
    let found = services.runs.notices(&scope, wanted).await?;
    let mut notifications = Vec::new();
    for run in &found.runs {
        notifications.push(shape(&services, &scope, run).await?);
    }
    Ok(Json(Notifications {
        notifications,
        last_fetched: Moment::of(services.context.now()),
        pagination: Pagination {
            total_items: found.total,
            total_pages: found.total.div_ceil(limit),
            current_page: asked.skip / limit + 1,
            page_size: limit,
        },
    }))
}

fn filters(text: Option<&str>) -> Result<Vec<Filter>, Failure> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| {
        invalid(format!(
            "`filters` must be a JSON list of {{\"columns\", \"operators\", \"userinput\", \"condition\"}}: {error}"
        ))
    })
}

/// From the first to the last, each joined to what those before it came to.
fn all_hold(filters: &[Filter], notice: &Notice) -> bool {
    let joined = |so_far: Option<bool>, filter: &Filter| {
        Some(match (so_far, filter.condition) {
            (None, _) => filter.holds(notice),
            (Some(so_far), Join::And) => so_far && filter.holds(notice),
            (Some(so_far), Join::Or) => so_far || filter.holds(notice),
        })
    };
    filters.iter().fold(None, joined).unwrap_or(true)
}

async fn shape(services: &Services, scope: &Scope, run: &LiveRun) -> Result<Notification, Failure> {
    let (failed, completed) = match &run.state.status {
        Status::Ended { outcome, at } => (matches!(outcome, Outcome::Failed { .. }), Some(Moment::of(at))),
        Status::Queued { .. } | Status::Leased { .. } => (false, None),
    };
    let user = match services.users.find(scope, &run.user.to_string()).await {
        Ok(user) => Some(user),
        // Deleted since.
        Err(Error::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let workflow = services.library.workflow(scope, run.workflow).await?;
    let integration = services.library.integration(scope, workflow.integration).await?;
    let id = Id::of(run.id);
    Ok(Notification {
        id: id.clone(),
        message: message(failed),
        data: NotificationData { execution_id: id.clone(), execution_uuid: id },
        started_at: Moment::of(run.accepted_at),
        completed_at: completed,
        created_at: Moment::of(run.accepted_at),
        custom_version: false,
        workflow_version: run.release,
        team_id: Id::of(scope.workspace),
        forge_workflow_id: Id::of(run.workflow),
        workflow_id: Id::of(run.workflow),
        user_id: Id::of(run.user),
        user: user.map(person),
        forge_workflow: forge_workflow(services, &workflow, &integration),
    })
}

/// Most ISVs' usernames are addresses; Alloy calls them so in any case.
fn person(user: User) -> NotificationUser {
    NotificationUser { email: user.username, full_name: user.full_name }
}

fn forge_workflow(
    services: &Services,
    workflow: &Workflow,
    integration: &Integration,
) -> NotificationWorkflow {
    NotificationWorkflow {
        name: workflow.draft.name.clone(),
        integration_id: NotificationIntegration {
            id: Id::of(integration.id),
            name: integration.app.clone(),
            block_id: block_id(workflow.id, "trigger"),
            icon: icon(services, &integration.app),
        },
    }
}

const fn message(failed: bool) -> &'static str {
    if failed { FAILED } else { WELL }
}

fn invalid(message: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "filter-invalid", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trunnion_core::id::{Id, RunId, UserId, WorkflowId};
    use trunnion_store::tables::RunOutline;

    use super::*;

    #[test]
    fn conditions_are_joined_as_each_says() {
        let id = |byte| Id::from_bytes([byte; 12]);
        let outline = RunOutline { user: UserId(id(2)), failed: true, ended_at: None };
        let notice = Notice { run: RunId(id(1)), workflow: WorkflowId(id(3)), outline };
        let one = |column: &str, operator: &str, input: &str, condition: &str| json!({ "columns": column, "operators": operator, "userinput": input, "condition": condition });
        for (given, expected) in [
            (json!([]), true),
            (json!([one("message", "equals", FAILED, "and")]), true),
            (json!([one("message", "contains", "Success", "and")]), false),
            (
                json!([
                    one("message", "equals", WELL, "and"),
                    one("userId", "equals", &id(2).to_string(), "or")
                ]),
                true,
            ),
            (
                json!([
                    one("message", "equals", FAILED, "and"),
                    one("userId", "!=", &id(2).to_string(), "and")
                ]),
                false,
            ),
            (json!([one("workflowId", "is not", &id(3).to_string(), "and")]), false),
            (json!([one("executionId", "is", &id(1).to_string(), "or")]), true),
        ] {
            let read = filters(Some(&given.to_string())).unwrap();
            assert_eq!(all_hold(&read, &notice), expected, "{given}");
        }
        assert!(filters(Some("[{\"columns\": \"colour\"}]")).is_err());
        assert!(filters(Some("nonsense")).is_err());
    }
}
