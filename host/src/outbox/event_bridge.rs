//! AWS EventBridge: errors are put on the ISV's own bus, signed with the ISV's own key
//! (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>).
//!
//! One event per request: an answer of 200 may still say that its entry failed, and that is then this event's outcome.
//! Another key, bus or region may be set while it is tried again, so nothing of it is a decision for good.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::{
    call::CallError,
    id::Id,
    records::{EventBridge, Notice},
};
use trunnion_sandbox::broker::{Post, Posted, Signer};
use url::Url;
use zeroize::Zeroizing;

use crate::context::Context;

/// Time one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a run's error is called on the bus.
const DETAIL_TYPE: &str = "workflow.error";

/// Characters that are quoted of an answer that nobody understands.
const LONGEST_QUOTE: usize = 400;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Puts an error on the bus.
pub(super) async fn put(
    context: &Context,
    bridge: &EventBridge,
    id: Id,
    notice: &Notice,
) -> Result<(), CallError> {
    let at = match &bridge.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://events.{}.amazonaws.com/", bridge.region),
    };
    let invalid = |error: &dyn std::fmt::Display| CallError::Unavailable {
        message: format!("the event bus cannot be reached at `{at}`: {error}; set another endpoint"),
    };
    let url = Url::parse(&at).map_err(|error| invalid(&error))?;
    let body = json!({ "Entries": [{
        "EventBusName": bridge.event_bus,
        "Source": bridge.source,
        "DetailType": DETAIL_TYPE,
        "Detail": detail(id, notice).to_string(),
        "Time": notice.at.as_secs(),
    }] });
    let body = body.to_string();
    let mut headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1")),
        (TARGET, HeaderValue::from_static("AWSEvents.PutEvents")),
    ]);
    let signer = Signer {
        access_key: Zeroizing::new(bridge.access_key_id.clone()),
        secret_key: Zeroizing::new(bridge.secret_access_key.clone()),
        session_token: bridge.session_token.clone().map(Zeroizing::new),
        service: "events".to_owned(),
        region: bridge.region.clone(),
    };
    signer
        .sign((&Method::POST, &url), &mut headers, body.as_bytes(), context.now())
        .map_err(|error| invalid(&error))?;
    let post =
        Post { url: url.into(), method: Method::POST, headers, body: Bytes::from(body), timeout: TIMEOUT };
    match context.broker.post(post).await {
        Ok(posted) => judge(&posted),
        Err(error) => Err(CallError::Unavailable { message: format!("the event bus: {error}") }),
    }
}

/// The error as its webhook has it, with what there goes in headers.
fn detail(id: Id, notice: &Notice) -> Value {
    let mut detail = notice.body.as_object().cloned().unwrap_or_else(Map::new);
    detail.insert("noticeId".to_owned(), json!(id));
    detail.insert("userId".to_owned(), json!(notice.user));
    if let Some(origin) = &notice.origin {
        detail.insert("blockName".to_owned(), json!(origin.event.name));
        detail.insert("startedByType".to_owned(), json!(origin.event.kind));
    }
    Value::Object(detail)
}

/// What AWS answers to PutEvents.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    failed_entry_count: u64,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    error_code: Option<String>,
    error_message: Option<String>,
}

/// What AWS answers where it takes nothing.
#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// What a refusal says; its own words, where it is not written as AWS writes it.
fn refusal(body: &[u8]) -> Refusal {
    serde_json::from_slice(body).unwrap_or_else(|_| Refusal {
        kind: String::new(),
        message: String::from_utf8_lossy(body).chars().take(LONGEST_QUOTE).collect(),
    })
}

fn judge(posted: &Posted) -> Result<(), CallError> {
    let unavailable = |message: String| CallError::Unavailable { message };
    if posted.status != 200 {
        let Refusal { kind, message } = refusal(&posted.body);
        if kind.contains("Throttling") || posted.status == 429 {
            return Err(CallError::RateLimited { retry_after_ms: None });
        }
        return Err(unavailable(format!("the event bus answered HTTP {}: {kind} {message}", posted.status)));
    }
    let answer: Answer = serde_json::from_slice(&posted.body).map_err(|error| {
        unavailable(format!("the event bus answered what PutEvents does not answer: {error}"))
    })?;
    if answer.failed_entry_count == 0 {
        return Ok(());
    }
    let failed = answer.entries.into_iter().find(|entry| entry.error_code.is_some());
    let Some(Entry { error_code, error_message }) = failed else {
        return Err(unavailable("the event bus did not take the event, and does not say why".to_owned()));
    };
    let (code, message) = (error_code.unwrap_or_default(), error_message.unwrap_or_default());
    if code.contains("Throttling") {
        return Err(CallError::RateLimited { retry_after_ms: None });
    }
    Err(unavailable(format!("the event bus did not take the event: {code} {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &'static str) -> Result<(), CallError> {
        let body = Bytes::from_static(body.as_bytes());
        judge(&Posted { status, headers: HeaderMap::new(), body, duration: Duration::ZERO })
    }

    #[test]
    fn an_entry_that_failed_inside_a_200_is_tried_again() {
        assert_eq!(answered(200, r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#), Ok(()));
        let failed =
            r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"no"}]}"#;
        let error = answered(200, failed).unwrap_err();
        assert!(
            matches!(&error, CallError::Unavailable { message } if message.contains("InternalFailure no"))
        );
        assert!(trunnion_core::retry::retryable(&error));
        let slow = r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException"}]}"#;
        assert_eq!(answered(200, slow), Err(CallError::RateLimited { retry_after_ms: None }));
        let refused =
            r#"{"__type":"UnrecognizedClientException","message":"The security token is invalid."}"#;
        let error = answered(400, refused).unwrap_err();
        assert!(error.to_string().contains("UnrecognizedClientException The security token"), "{error}");
        assert!(answered(200, "<html>").is_err(), "not what AWS answers");
        let error = answered(503, "<Code>Overloaded</Code>").unwrap_err();
        assert!(error.to_string().contains("HTTP 503:  <Code>Overloaded"), "{error}");
    }
}
