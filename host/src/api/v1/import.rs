//! `/v1/import`: users, integrations and workflows under the ids they have at Alloy, in the words of its answers.

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::id::{UserId, WorkflowId};
use utoipa::ToSchema;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure, once::Unkept, schema},
    import::{BlockRow, Fate, IntegrationRow, Subject, UserRow, WorkflowRow},
};

/// Users, as Alloy's `GET /users` answers them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UsersToImport)]
pub(super) struct Users {
    /// At most 1,000.
    #[serde(alias = "data")]
    users: Vec<User>,
}

/// A user. Members that Alloy adds are passed over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserToImport)]
pub(super) struct User {
    /// The id, 24 hex digits, which is kept.
    #[serde(alias = "user_id")]
    user_id: String,
    /// The unique name.
    username: Option<String>,
    /// What a person calls the user.
    #[serde(alias = "full_name")]
    full_name: Option<String>,
}

/// Integrations, as Alloy's `GET /integrations` answers them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = IntegrationsToImport)]
pub(super) struct Integrations {
    /// With their workflows at most 1,000.
    #[serde(alias = "data")]
    integrations: Vec<Integration>,
}

/// An integration. Members that Alloy adds are passed over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IntegrationToImport)]
pub(super) struct Integration {
    /// The id, 24 hex digits, which is kept.
    #[serde(alias = "integration_id")]
    integration_id: String,
    /// The app.
    app: String,
    /// Its workflows.
    #[serde(default)]
    workflows: Vec<Workflow>,
}

/// A workflow. Members that Alloy adds are passed over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkflowToImport)]
pub(super) struct Workflow {
    /// The id, 24 hex digits, which is kept.
    #[serde(alias = "workflow_id")]
    workflow_id: String,
    /// What a person calls it.
    name: String,
    /// Its blocks, the trigger first.
    #[serde(default)]
    blocks: Vec<Block>,
    /// Its definition for this host, where there is one already; Alloy does not give one.
    definition: Option<Value>,
    /// Who has installed it, as Alloy's `GET /workflows/{id}/users` answers.
    #[serde(default)]
    users: Vec<Installed>,
}

/// A block of a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BlockToImport)]
pub(super) struct Block {
    /// What it does.
    name: String,
    /// Its app, or what it is.
    #[serde(rename = "type")]
    kind: String,
}

/// Somebody who has installed a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstalledToImport)]
pub(super) struct Installed {
    /// Who.
    #[serde(alias = "user_id")]
    user_id: String,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportResult)]
enum Became {
    /// It is here now.
    Created,
    /// It was here already, and is left as it is.
    Unchanged,
    /// It was not taken; `message` says why.
    Refused,
}

/// How many rows became what.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ImportCounts)]
pub(super) struct Counts {
    /// Made.
    created: usize,
    /// Here already, and left as they are.
    unchanged: usize,
    /// Not taken.
    refused: usize,
}

/// A row of the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedRow)]
pub(super) struct Row {
    /// Whether it is a `user`, an `integration` or a `workflow`.
    kind: &'static str,
    /// Its id as it was given.
    id: String,
    /// What became of it.
    result: Became,
    /// Why it was not taken; null where it was.
    #[schema(required)]
    message: Option<String>,
}

/// What became of users.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportedUsers {
    /// How many.
    #[serde(flatten)]
    counts: Counts,
    /// Each row, in order.
    rows: Vec<Row>,
}

/// What became of integrations and workflows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportedWorkflows {
    /// How many.
    #[serde(flatten)]
    counts: Counts,
    /// Each integration, followed by its workflows.
    rows: Vec<Row>,
    /// Whose accounts have to be connected again, since credentials cannot be brought along.
    reconnect: Vec<Reconnect>,
    /// Who had installed something and is not here: users are imported first.
    unknown_users: Vec<String>,
}

/// A user who had workflows of an app installed and has no account of it connected here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reconnect {
    /// Who.
    #[schema(value_type = schema::Id)]
    user_id: UserId,
    /// Their name.
    username: String,
    /// The app to connect.
    app: String,
    /// What is to be installed then.
    #[schema(value_type = Vec<schema::Id>)]
    workflow_ids: Vec<WorkflowId>,
}

/// Takes over users
///
/// From what Alloy's `GET /users` answers, under the ids they have there. Each row says what became of it; doing it again
/// changes nothing.
#[utoipa::path(post, path = "/import/users", operation_id = "importUsers",
    security(("environment_key" = [])), request_body = Users,
    responses((status = OK, description = "What became of each row.", body = ImportedUsers),
        (status = CONFLICT, description = "Another import is under way.")))]
pub(super) async fn users(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Users>,
) -> Result<(Extension<Unkept>, Json<ImportedUsers>), Failure> {
    let row = |User { user_id, username, full_name }| UserRow { id: user_id, username, full_name };
    let rows: Vec<_> = body.value.users.into_iter().map(row).collect();
    let fates = services.importer.users(&scope, &rows).await?;
    let rows = rows.into_iter().zip(fates).map(|(row, fate)| ("user", row.id, fate));
    let (counts, rows) = told(rows);
    Ok((Extension(Unkept), Json(ImportedUsers { counts, rows })))
}

/// Takes over integrations and workflows
///
/// From what Alloy's `GET /integrations` answers, under the ids they have there. Credentials cannot be brought along:
/// the answer says who has to connect what again.
#[utoipa::path(post, path = "/import/workflows", operation_id = "importWorkflows",
    security(("environment_key" = [])), request_body = Integrations,
    responses((status = OK, description = "What became of each row.", body = ImportedWorkflows),
        (status = CONFLICT, description = "Another import is under way.")))]
pub(super) async fn workflows(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Integrations>,
) -> Result<(Extension<Unkept>, Json<ImportedWorkflows>), Failure> {
    let rows: Vec<_> = body.value.integrations.into_iter().map(integration).collect();
    let imported = services.importer.workflows(&scope, &rows).await?;
    let kind = |subject| match subject {
        Subject::Integration => "integration",
        Subject::Workflow => "workflow",
    };
    let (counts, rows) = told(imported.rows.into_iter().map(|(subject, id, fate)| (kind(subject), id, fate)));
    let reconnect = imported.reconnect.into_iter().map(|it| Reconnect {
        user_id: it.user.id,
        username: it.user.username,
        app: it.app,
        workflow_ids: it.workflows,
    });
    let reconnect = reconnect.collect();
    let imported = ImportedWorkflows { counts, rows, reconnect, unknown_users: imported.unknown_users };
    Ok((Extension(Unkept), Json(imported)))
}

fn integration(Integration { integration_id, app, workflows }: Integration) -> IntegrationRow {
    let workflow = |Workflow { workflow_id, name, blocks, definition, users }| WorkflowRow {
        id: workflow_id,
        name,
        blocks: blocks.into_iter().map(|Block { name, kind }| BlockRow { name, kind }).collect(),
        definition,
        users: users.into_iter().map(|Installed { user_id }| user_id).collect(),
    };
    IntegrationRow { id: integration_id, app, workflows: workflows.into_iter().map(workflow).collect() }
}

fn told(fates: impl Iterator<Item = (&'static str, String, Fate)>) -> (Counts, Vec<Row>) {
    let mut counts = Counts::default();
    let row = |(kind, id, fate)| {
        let (result, message) = match fate {
            Fate::Created => (Became::Created, None),
            Fate::Unchanged => (Became::Unchanged, None),
            Fate::Refused(why) => (Became::Refused, Some(why)),
        };
        match result {
            Became::Created => counts.created += 1,
            Became::Unchanged => counts.unchanged += 1,
            Became::Refused => counts.refused += 1,
        }
        Row { kind, id, result, message }
    };
    let rows = fates.map(row).collect();
    (counts, rows)
}
