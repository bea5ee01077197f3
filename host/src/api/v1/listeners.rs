//! `/v1/listeners`: developers' machines that take a development environment's streams.

use std::{collections::BTreeSet, time::Duration};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trunnion_core::id::Id;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    streams::listeners::{Asked, Delivery, Told},
};

/// What a listener asks, and what became of what it was given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The id of the answer before; absent the first time.
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// The delivery's id.
    delivery: Id,
    /// The status; absent where there was no answer.
    status: Option<u16>,
    /// Its Retry-After, in seconds.
    retry_after_secs: Option<u64>,
}

/// What a listener is to deliver.
#[derive(Debug, Serialize)]
pub(super) struct ToDeliver {
    /// Its id, to be told the next time.
    listener: Id,
    /// Each to be POSTed to its receiver as it is.
    deliveries: Vec<Delivery>,
}

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
