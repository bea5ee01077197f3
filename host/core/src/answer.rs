//! What a run answers to whoever waits for it: an HTTP status, headers and a body.
//!
//! Owns what a `respond` step may give, and what a run answers that came to its end without one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::machine::{Outcome, RunState, Status};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header values by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

/// A part of an answer that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unanswerable {
    /// JSON pointer into the step.
    pub at: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Headers that are the connection's or the host's own.
const RESERVED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "date",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
];

const MOST_HEADERS: usize = 50;
const LONGEST_VALUE: usize = 4_096;

impl Answer {
    /// An answer of what a step's mappings gave.
    pub fn compose(status: &Value, headers: &Value, body: Value) -> Result<Self, Unanswerable> {
        let wrong = |at: &str, message: String| Unanswerable { at: at.to_owned(), message };
        let number = status.as_u64().and_then(|status| u16::try_from(status).ok());
        let status = number.filter(|status| (200..=599).contains(status)).ok_or_else(|| {
            wrong("/status", format!("an answer's status is a number from 200 to 599; it was given {status}"))
        })?;
        let Value::Object(members) = headers else {
            return Err(wrong("/headers", "headers are an object of names and texts".to_owned()));
        };
        if members.len() > MOST_HEADERS {
            let message = format!("there are {} headers; at most {MOST_HEADERS} are sent", members.len());
            return Err(wrong("/headers", message));
        }
        let mut headers = BTreeMap::new();
        for (name, value) in members {
            let (name, value) = header(name, value).map_err(|message| wrong("/headers", message))?;
            headers.insert(name, value);
        }
        Ok(Self { status, headers, body })
    }

    /// What a run answers that has ended without answering; `None` while it has not.
    #[must_use]
    pub fn of_end(state: &RunState) -> Option<Self> {
        let Status::Ended { outcome, .. } = &state.status else { return None };
        let (status, body) = match outcome {
            Outcome::Succeeded => (
                200,
                state.results.last().map_or(Value::Null, |result| result.output.to_value().into_owned()),
            ),
            Outcome::Filtered { .. } => (204, Value::Null),
            Outcome::Failed { step, error, .. } => {
                (500, json!({ "message": format!("step `{step}` failed: {error}") }))
            }
            Outcome::Cancelled => (409, json!({ "message": "the run was cancelled" })),
        };
        Some(Self { status, headers: BTreeMap::new(), body })
    }
}

fn header(name: &str, value: &Value) -> Result<(String, String), String> {
    let lower = name.to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` is not a header's name; use letters, digits and `-`"));
    }
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("trunnion-") {
        return Err(format!("the header `{name}` is the host's own; leave it out"));
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return Err(format!("the header `{name}` must be a text")),
    };
    if text.len() > LONGEST_VALUE || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(format!("the header `{name}` must be ASCII text of at most {LONGEST_VALUE} characters"));
    }
    Ok((lower, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::CallError, clock::Timestamp, machine::StepResult, payload::Payload};

    fn state(outcome: Option<Outcome>, outputs: &[Value]) -> RunState {
        let mut state = RunState::queued(Timestamp::ZERO);
        state.results = outputs
            .iter()
            .map(|output| StepResult {
                id: "one".to_owned(),
                started_at: Timestamp::ZERO,
                ended_at: Timestamp::ZERO,
                attempts: 1,
                input: Payload::NULL,
                output: output.clone().into(),
                error: None,
            })
            .collect();
        if let Some(outcome) = outcome {
            state.status = Status::Ended { outcome, at: Timestamp::ZERO };
        }
        state
    }

    #[test]
    fn a_run_that_ends_without_an_answer_answers_with_what_it_came_to() {
        let answer =
            |outcome| Answer::of_end(&state(Some(outcome), &[json!(1), json!({ "id": 2 })])).unwrap();
        let done = answer(Outcome::Succeeded);
        assert_eq!((done.status, done.body), (200, json!({ "id": 2 })));
        let filtered = answer(Outcome::Filtered { step: "big".to_owned() });
        assert_eq!((filtered.status, filtered.body), (204, Value::Null));
        let error = CallError::NotFound { message: "order 7".to_owned() };
        let failed = answer(Outcome::Failed { step: "update".to_owned(), error, dead_letter: None });
        assert_eq!(failed.status, 500);
        assert_eq!(failed.body["message"], "step `update` failed: not found: order 7");
        assert_eq!(answer(Outcome::Cancelled).status, 409);
        assert_eq!(Answer::of_end(&state(Some(Outcome::Succeeded), &[])).unwrap().body, Value::Null);
        assert_eq!(Answer::of_end(&state(None, &[json!(1)])), None, "it is still under way");
    }

    #[test]
    fn what_cannot_be_sent_is_said() {
        let composed = |status: Value, headers: Value| Answer::compose(&status, &headers, json!({ "a": 1 }));
        let answer = composed(json!(201), json!({ "Location": "/orders/7", "x-count": 3 })).unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers["location"], "/orders/7");
        assert_eq!(answer.headers["x-count"], "3");
        for status in [json!(100), json!(600), json!(70_000), json!("200"), json!(200.5), json!(null)] {
            assert_eq!(composed(status.clone(), json!({})).unwrap_err().at, "/status", "{status}");
        }
        for (headers, words) in [
            (json!([]), "an object"),
            (json!({ "set-cookie": "a=b" }), "the host's own"),
            (json!({ "Content-Length": "7" }), "the host's own"),
            (json!({ "Trunnion-Run": "7" }), "the host's own"),
            (json!({ "x a": "7" }), "not a header's name"),
            (json!({ "": "7" }), "not a header's name"),
            (json!({ "x-a": "7\r\nx-b: 8" }), "ASCII text"),
            (json!({ "x-a": "é" }), "ASCII text"),
            (json!({ "x-a": ["7"] }), "must be a text"),
        ] {
            let refused = composed(json!(200), headers.clone()).unwrap_err();
            assert!(refused.message.contains(words), "{headers}: {refused}");
        }
    }
}
