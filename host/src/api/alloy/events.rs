//! What the ISV's server starts: `GET /events`, `POST /run/event` and `POST /run/workflow`.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::payload::Payload;
use utoipa::{IntoParams, ToSchema};

use super::{lenient, required};
use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        path,
        schema::{Done, Listed},
    },
    triggers::{
        accept::Seen,
        custom::{self, CustomEvent},
        request::Incoming,
    },
};

/// A custom event and a payload as it is sent.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedEvent {
    name: String,
    description: String,
    body: Value,
}

/// Lists the custom events
#[utoipa::path(get, path = "/events", operation_id = "listCustomEvents",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every event of the workspace.", body = Listed<NamedEvent>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Listed<NamedEvent>>, Failure> {
    let events = services.library.events(&scope).await?;
    let shape = |event: &trunnion_core::records::EventSchema| NamedEvent {
        name: event.name.clone(),
        description: event.description.clone(),
        body: event.sample.clone(),
    };
    Ok(Json(events.iter().map(shape).collect()))
}

/// An event of a user's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventToRun)]
pub(super) struct RunEvent {
    /// The custom event's name.
    event: String,
    /// The user, by id or username.
    #[schema(required, nullable = false)]
    user_id: Option<String>,
    /// The payload, also as a text that holds it.
    #[schema(value_type = Object)]
    data: Payload,
}

/// How a call is told from a repeated one.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header that the handlers read")]
struct Idempotency {
    /// The same key with the same body starts nothing a second time, for at least seven days.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// Sends a custom event
#[utoipa::path(post, path = "/run/event", operation_id = "runEvent",
    security(("environment_key" = [])), params(Idempotency), request_body = RunEvent,
    responses((status = OK, description = "It is on disk, and every workflow of the user that it starts begins.", body = Done),
        (status = UNPROCESSABLE_ENTITY, description = "The same Idempotency-Key came with another body."),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting.")))]
pub(super) async fn run(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    headers: HeaderMap,
    body: body::Json<RunEvent>,
) -> Result<Json<Done>, Failure> {
    services.acceptor.admit()?;
    let body::Json { value: RunEvent { event, user_id, data }, raw } = body;
    let user = services.users.find(&scope, required(user_id.as_deref())?).await?;
    let seen = match headers.get("idempotency-key") {
        None => None,
        Some(key) => {
            let mut name = user.id.as_bytes().to_vec();
            name.extend_from_slice(key.as_bytes());
            let key = services.context.store.keyed_hash(&scope, "idempotency-key", &name);
            Some(Seen { key, body_hash: Some(hex::encode(digest(&SHA256, &raw))) })
        }
    };
    let event = CustomEvent {
        user: user.id,
        username: user.username,
        name: event,
        data: lenient::payload(data),
        seen,
    };
    custom::accept(&services.context, &services.library, &services.acceptor, &scope, event).await?;
    Ok(Json(Done { message: "Event successfully triggered" }))
}

/// A workflow to be started, by id or name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkflowToRun)]
pub(super) struct RunWorkflow {
    workflow_id: Option<String>,
    workflow_name: Option<String>,
    /// The user, by id or username.
    #[schema(required, nullable = false)]
    user_id: Option<String>,
    /// The payload, also as a text that holds it.
    #[schema(value_type = Object)]
    data: Value,
}

/// Starts a workflow
///
/// One whose trigger is a request, as a request to the user's copy of it would; nobody waits for what it
/// answers.
#[utoipa::path(post, path = "/run/workflow", operation_id = "runWorkflow",
    security(("environment_key" = [])), params(Idempotency), request_body = RunWorkflow,
    responses((status = OK, description = "It begins.", body = Done),
        (status = UNPROCESSABLE_ENTITY, description = "The same Idempotency-Key came with another body."),
        (status = TOO_MANY_REQUESTS, description = "Too much work is waiting.")))]
pub(super) async fn run_workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    headers: HeaderMap,
    body: body::Json<RunWorkflow>,
) -> Result<Json<Done>, Failure> {
    services.acceptor.admit()?;
    let RunWorkflow { workflow_id, workflow_name, user_id, data } = body.value;
    let user = services.users.find(&scope, required(user_id.as_deref())?).await?;
    let installer = &services.installer;
    let copy = match (&workflow_id, &workflow_name) {
        (Some(id), _) => installer.copy_of(&scope, user.id, path::id(id, "workflow")?).await?,
        (None, Some(name)) => installer.named(&scope, user.id, name).await?,
        (None, None) => {
            let message = "the body needs `workflowId` or `workflowName`";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "workflow-missing", message));
        }
    };
    let Some(entrance) = &copy.entrance else {
        let message = format!(
            "workflow `{}` is not started by requests; send its custom event to /run/event, or wait for what starts it",
            copy.workflow
        );
        return Err(Failure::new(StatusCode::BAD_REQUEST, "trigger-unfit", message));
    };
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut sent = vec![text("content-type", "application/json"), text("prefer", "respond-async")];
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    sent.extend(key.map(|key| text("idempotency-key", key)));
    let data = lenient::object(data).to_string();
    let incoming = Incoming { method: "POST", query: "", headers: &sent, body: data.as_bytes() };
    services.requests.receive(&entrance.path_token, incoming).await?;
    Ok(Json(Done { message: "success" }))
}
