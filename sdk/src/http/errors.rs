//! From a status or a broken exchange to the contract's error. Pure: a table over status and method.

use std::time::Duration;

use serde_json::Value;

use crate::{
    error::Error,
    http::{Response, SendError, Vendor},
};

/// How much of a vendor's plain-text explanation is kept.
const MESSAGE_MAX_CHARS: usize = 300;

/// What a repetition of the request does, and how to name it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) repeatable: bool,
}

impl Sent {
    /// The answer is lost: nothing happened that a repetition would double, or nobody knows.
    fn lost(&self, what: &str) -> Error {
        let name = &self.name;
        if self.repeatable {
            Error::Unavailable(format!("{name}: {what}"))
        } else {
            Error::Uncertain(format!("{name}: {what}; it may have been carried out"))
        }
    }

    pub(super) fn failure(&self, error: SendError) -> Error {
        let name = &self.name;
        match error {
            SendError::Denied(message) => Error::other("denied", message),
            SendError::Unreachable(message) => Error::Unavailable(format!("{name}: {message}")),
            SendError::TimedOut(message) | SendError::Interrupted(message) => self.lost(&message),
            SendError::TooLarge(message) => Error::other("answer-too-large", format!("{name}: {message}")),
            SendError::Unauthorized(message) => Error::AuthExpired(message),
            SendError::Other { code, message } => Error::other(code, format!("{name}: {message}")),
        }
    }

    /// What an answer other than 2xx means.
    pub(super) fn refusal(&self, answer: &Response, vendor: &Vendor) -> Error {
        if let Some(error) = (vendor.classify)(answer) {
            return error;
        }
        let status = answer.status;
        let said = || {
            let message = (vendor.message)(answer).or_else(|| message(answer));
            let message = message.unwrap_or_else(|| "no explanation".to_owned());
            format!("{} answered {status}: {message}", self.name)
        };
        let wait = || (vendor.retry_after)(answer).or_else(|| retry_after(answer));
        match status {
            401 => Error::AuthExpired(said()),
            404 | 410 => Error::NotFound(said()),
            409 | 412 => Error::Conflict(said()),
            429 => Error::RateLimited { retry_after: wait() },
            // Refused before any work was begun.
            423 | 425 | 503 => match wait() {
                Some(wait) => Error::RateLimited { retry_after: Some(wait) },
                None => Error::Unavailable(said()),
            },
            408 | 500..=599 => self.lost(&said()),
            _ => Error::rejected(status, said()),
        }
    }
}

/// `Retry-After` in seconds. Its other form, a date, is not read: the host then waits as its own policy says.
fn retry_after(answer: &Response) -> Option<Duration> {
    answer.header_number("retry-after").map(Duration::from_secs)
}

/// The explanation in the places where most APIs put one.
fn message(answer: &Response) -> Option<String> {
    if let Ok(body) = answer.json::<Value>() {
        let places = [
            "/message",
            "/error/message",
            "/error_description",
            "/detail",
            "/title",
            "/errors/0/message",
            "/0/message",
            "/error",
        ];
        let found = places.iter().find_map(|place| body.pointer(place).and_then(Value::as_str));
        if let Some(found) = found {
            return Some(found.to_owned());
        }
    }
    let text: String = answer.text().trim().chars().take(MESSAGE_MAX_CHARS).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(repeatable: bool) -> Sent {
        Sent { name: "GET https://api.acme.com/x".into(), repeatable }
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Response { status, headers, body: body.into() }
    }

    #[test]
    fn every_status_has_its_case() {
        let of = |status, repeatable| sent(repeatable).refusal(&answer(status, &[], ""), &Vendor::new());
        assert!(matches!(of(400, true), Error::Rejected { status: 400, .. }));
        assert!(matches!(of(401, true), Error::AuthExpired(_)));
        assert!(matches!(of(403, true), Error::Rejected { status: 403, .. }));
        assert!(matches!(of(404, true), Error::NotFound(_)));
        assert!(matches!(of(409, true), Error::Conflict(_)));
        assert!(matches!(of(422, true), Error::Rejected { status: 422, .. }));
        assert_eq!(of(429, true), Error::RateLimited { retry_after: None });
        assert!(matches!(of(503, false), Error::Unavailable(_)));
        for status in [408, 500, 502, 504] {
            assert!(matches!(of(status, true), Error::Unavailable(_)), "{status}");
            assert!(matches!(of(status, false), Error::Uncertain(_)), "{status}");
        }
    }

    #[test]
    fn waiting_times_are_the_vendors_first() {
        let vendor =
            Vendor::new().retry_after(|answer| answer.header_number("x-wait-ms").map(Duration::from_millis));
        let headers = [("x-wait-ms", "1500"), ("retry-after", "9")];
        let error = sent(true).refusal(&answer(429, &headers, ""), &vendor);
        assert_eq!(error, Error::RateLimited { retry_after: Some(Duration::from_millis(1500)) });
        let error = sent(true).refusal(&answer(503, &[("retry-after", "9")], ""), &vendor);
        assert_eq!(error, Error::RateLimited { retry_after: Some(Duration::from_secs(9)) });
    }

    #[test]
    fn a_lost_answer_is_uncertain_only_where_repeating_could_double() {
        let lost = || SendError::TimedOut("no answer within 30 s".into());
        assert!(matches!(sent(true).failure(lost()), Error::Unavailable(_)));
        assert!(matches!(sent(false).failure(lost()), Error::Uncertain(_)));
        let never_left = SendError::Unreachable("connection refused".into());
        assert!(matches!(sent(false).failure(never_left), Error::Unavailable(_)));
    }

    #[test]
    fn the_vendors_words_are_passed_on() {
        for body in [
            r#"{"message":"too short"}"#,
            r#"{"error":{"message":"too short"}}"#,
            r#"[{"status":400,"message":"too short"}]"#,
            r#"{"status":400,"title":"too short"}"#,
            "too short",
        ] {
            let Error::Rejected { message, .. } = sent(true).refusal(&answer(400, &[], body), &Vendor::new())
            else {
                panic!("400 is a rejection");
            };
            assert_eq!(message, "GET https://api.acme.com/x answered 400: too short", "{body}");
        }
    }
}
