//! What the ISV's server starts: `GET /events`, `POST /run/event` and `POST /run/workflow`.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{lenient, required};
use crate::{
    api::{Services, body, caller::Tenant, error::Failure, path},
    triggers::{
        accept::Seen,
        custom::{self, CustomEvent},
        request::Incoming,
    },
};

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
) -> Result<Json<Value>, Failure> {
    let events = services.library.events(&scope).await?;
    let shape = |event: &trunnion_core::records::EventSchema| json!({ "name": event.name, "description": event.description, "body": event.sample });
    Ok(Json(json!({ "data": events.iter().map(shape).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunEvent {
    event: String,
    user_id: Option<String>,
    data: Value,
}

pub(super) async fn run(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    headers: HeaderMap,
    body: body::Json<RunEvent>,
) -> Result<Json<Value>, Failure> {
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
        data: lenient::object(data),
        seen,
    };
    custom::accept(&services.context, &services.library, &services.acceptor, &scope, event).await?;
    Ok(Json(json!({ "message": "Event successfully triggered" })))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunWorkflow {
    workflow_id: Option<String>,
    workflow_name: Option<String>,
    user_id: Option<String>,
    data: Value,
}

/// Starts a workflow whose trigger is a request, as a request to the user's copy of it would; nobody waits for what it
/// answers.
pub(super) async fn run_workflow(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    headers: HeaderMap,
    body: body::Json<RunWorkflow>,
) -> Result<Json<Value>, Failure> {
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
    Ok(Json(json!({ "message": "success" })))
}
