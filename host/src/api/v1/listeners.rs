//! `/v1/listeners`: developers' machines that take a development environment's streams.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trunnion_core::id::Id;
use utoipa::ToSchema;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure, schema},
    streams::listeners::{Asked, Delivery, Told},
};

/// What a listener asks, and what became of what it was given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListenerAsk)]
pub(super) struct Ask {
    /// The id of the answer before; absent the first time.
    #[schema(value_type = Option<schema::Id>)]
    listener: Option<Id>,
    /// The names of streams that it takes; all where none is named.
    #[serde(default)]
    streams: BTreeSet<String>,
    /// What became of deliveries.
    #[serde(default)]
    answers: Vec<Answer>,
    /// Seconds to wait for a delivery, at most 20.
    #[serde(default)]
    wait_secs: u64,
    /// Whether it does not come back.
    #[serde(default)]
    leave: bool,
}

/// What a listener's receiver answered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListenerAnswer)]
struct Answer {
    /// The delivery's id.
    #[schema(value_type = schema::Id)]
    delivery: Id,
    /// The status; absent where there was no answer.
    status: Option<u16>,
    /// Its Retry-After, in seconds.
    retry_after_secs: Option<u64>,
}

/// What a listener is to deliver.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToDeliver {
    /// Its id, to be told the next time.
    #[schema(value_type = schema::Id)]
    listener: Id,
    /// Each to be POSTed to its receiver as it is.
    #[schema(value_type = Vec<StreamToDeliver>)]
    deliveries: Vec<Delivery>,
}

/// What a listener is to POST to its receiver.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what the streams hand on")]
struct StreamToDeliver {
    /// Names it in the answer.
    id: schema::Id,
    /// The stream's name.
    stream: String,
    /// The stream's own destination, which `X-Alloy-Signature` is over.
    url: String,
    /// The headers, every signature among them.
    headers: BTreeMap<String, String>,
    /// The body, which the signatures are over byte for byte.
    body: String,
}

/// Takes streams in the place of their destinations
///
/// For a developer's machine, in a development environment only: `trunnion listen` calls this. It answers what is to be
/// POSTed to the local receiver, and is told of its answers by the next call.
#[utoipa::path(post, path = "/listeners", operation_id = "listen",
    security(("environment_key" = [])), request_body = Ask,
    responses((status = OK, description = "What is to be delivered.", body = ToDeliver)))]
pub(super) async fn ask(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    body: body::Json<Ask>,
) -> Result<Json<ToDeliver>, Failure> {
    let Ask { listener, streams, answers, wait_secs, leave } = body.value;
    let told = |Answer { delivery, status, retry_after_secs }| {
        (delivery, Told { status, retry_after: retry_after_secs })
    };
    let asked = Asked {
        listener,
        streams,
        answers: answers.into_iter().map(told).collect(),
        wait: Duration::from_secs(wait_secs),
        leaves: leave,
    };
    let (listener, deliveries) = services.listeners.ask(&scope, asked).await?;
    Ok(Json(ToDeliver { listener, deliveries }))
}
