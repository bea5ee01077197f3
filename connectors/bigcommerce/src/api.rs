//! BigCommerce's REST API: addresses, headers, rate limits, and what its failures mean.
//!
//! A 429 with the rate-limit headers asks this store to wait; one without them means that the platform is
//! overloaded, which waiting for a quota would not cure.

use std::time::Duration;

use trunnion_sdk::{
    http::{RequestBuilder, Response, Vendor},
    prelude::*,
};

/// The connection parameter that names the store.
pub(crate) const STORE_HASH: &str = "store_hash";

/// The rate limit of a store, shared by all apps it has installed.
pub(crate) const STORE_BUCKET: &str = "store";

static BIGCOMMERCE: Vendor =
    Vendor::new().observe(observe_quota).message(explanation).retry_after(wait).classify(classify);

/// The store's hash.
pub(crate) fn store_hash(ctx: &Context) -> Result<&str> {
    ctx.parameter(STORE_HASH)
}

/// Begins a GET of `path`, which starts with the API's version.
pub(crate) fn get<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(usual(ctx.http().of(&BIGCOMMERCE).get(url(ctx, path)?)))
}

/// Begins a POST to `path`.
pub(crate) fn post<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(usual(ctx.http().of(&BIGCOMMERCE).post(url(ctx, path)?)))
}

/// Begins a PUT to `path`.
pub(crate) fn put<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(usual(ctx.http().of(&BIGCOMMERCE).put(url(ctx, path)?)))
}

/// Begins a DELETE of `path`.
pub(crate) fn delete<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(usual(ctx.http().of(&BIGCOMMERCE).delete(url(ctx, path)?)))
}

fn url(ctx: &Context, path: &str) -> Result<String> {
    Ok(format!("https://api.bigcommerce.com/stores/{}{path}", store_hash(ctx)?))
}

/// The published description requires `Content-Type` even of several requests without a body.
fn usual(request: RequestBuilder<'_>) -> RequestBuilder<'_> {
    request.auth_connection().header("Accept", "application/json").header("Content-Type", "application/json")
}

fn reset(answer: &Response) -> Option<Duration> {
    answer.header_number("x-rate-limit-time-reset-ms").map(Duration::from_millis)
}

fn observe_quota(ctx: &Context, answer: &Response) {
    if let (Some(left), Some(reset)) = (answer.header_number("x-rate-limit-requests-left"), reset(answer)) {
        ctx.observe_limit(STORE_BUCKET, left, reset);
    }
}

fn wait(answer: &Response) -> Option<Duration> {
    reset(answer).or_else(|| answer.header_number("x-retry-after").map(Duration::from_secs))
}

fn classify(answer: &Response) -> Option<Error> {
    match answer.status {
        429 if wait(answer).is_none() && answer.header("retry-after").is_none() => Some(Error::Unavailable(
            "BigCommerce answered 429 without a time to wait: its platform is overloaded".into(),
        )),
        403 => Some(Error::rejected(
            403,
            format!(
                "BigCommerce answered 403: {}; give the API account the scope this needs (see the connector's README)",
                explanation(answer).unwrap_or_else(|| "the token lacks a scope".into())
            ),
        )),
        // The plan's limit is reached; trying again cannot help.
        507 => Some(Error::rejected(
            507,
            format!(
                "BigCommerce answered 507: {}",
                explanation(answer).unwrap_or_else(|| "the store's plan allows no more of these".into())
            ),
        )),
        _ => None,
    }
}

/// v2 answers `[{status, message}]`, v3 `{status, title, errors: {field: text}}`.
fn explanation(answer: &Response) -> Option<String> {
    let body: Value = answer.json().ok()?;
    if let Some(message) = body.pointer("/0/message").and_then(Value::as_str) {
        return Some(message.to_owned());
    }
    let title = body.get("title").and_then(Value::as_str)?;
    let fields = body.get("errors").and_then(Value::as_object).into_iter().flatten();
    let fields: Vec<String> =
        fields.map(|(field, text)| format!("`{field}`: {}", text.as_str().unwrap_or_default())).collect();
    Some(if fields.is_empty() { title.to_owned() } else { format!("{title} ({})", fields.join(", ")) })
}

/// What the tests of every module start from.
#[cfg(test)]
pub(crate) mod testing {
    use trunnion_sdk::test::FakeHost;

    /// Where the test's store lives.
    pub(crate) const STORE: &str = "https://api.bigcommerce.com/stores/abc123";

    pub(crate) fn host() -> FakeHost {
        FakeHost::new().with_parameter(super::STORE_HASH, "abc123").with_account("abc123")
    }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::{Auth, SendError},
        test::{Answer, FakeHost, Observed},
    };

    use super::{
        testing::{STORE, host},
        *,
    };

    fn answering(answer: Answer) -> (FakeHost, Result<Response>) {
        let host = host();
        host.http().once("GET", &format!("{STORE}/v2/orders/1"), answer);
        let ctx = host.context();
        let result = get(&ctx, "/v2/orders/1").unwrap().send();
        (host, result)
    }

    #[test]
    fn requests_carry_the_connection_and_both_content_headers() {
        let (host, _) = answering(Answer::empty(204));
        let seen = &host.http().requests()[0];
        assert_eq!(seen.0.auth, Auth::Connection);
        assert_eq!(seen.header("accept"), Some("application/json"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.0.headers.len(), 2);
    }

    #[test]
    fn quota_headers_are_reported_on_success_and_failure() {
        for status in [200, 429] {
            let answer = Answer::empty(status)
                .header("X-Rate-Limit-Requests-Left", "42")
                .header("X-Rate-Limit-Time-Reset-Ms", "7000");
            let (host, _) = answering(answer);
            let expected = Observed { bucket: "store".into(), remaining: 42, reset: Duration::from_secs(7) };
            assert_eq!(host.observed(), [expected]);
        }
    }

    #[test]
    fn a_429_waits_as_long_as_its_headers_say() {
        let (_, result) = answering(Answer::empty(429).header("X-Rate-Limit-Time-Reset-Ms", "7000"));
        assert_eq!(result, Err(Error::RateLimited { retry_after: Some(Duration::from_secs(7)) }));
        let (_, result) = answering(Answer::empty(429).header("X-Retry-After", "15"));
        assert_eq!(result, Err(Error::RateLimited { retry_after: Some(Duration::from_secs(15)) }));
    }

    #[test]
    fn a_429_without_headers_is_an_overloaded_platform() {
        assert!(matches!(answering(Answer::empty(429)).1, Err(Error::Unavailable(_))));
    }

    #[test]
    fn failures_of_the_platform_may_be_retried() {
        for status in [423, 500, 502, 503, 504] {
            assert!(matches!(answering(Answer::empty(status)).1, Err(Error::Unavailable(_))), "{status}");
        }
        let lost = SendError::TimedOut("no answer within 30 s".into());
        assert!(matches!(answering(Answer::fail(lost)).1, Err(Error::Unavailable(_))));
    }

    #[test]
    fn refusals_repeat_the_vendors_words() {
        let v2 = Answer::json(400, &json!([{"status": 400, "message": "The field 'status_id' is invalid."}]));
        let Err(Error::Rejected { status: 400, message }) = answering(v2).1 else {
            panic!("400 is a rejection")
        };
        assert!(message.ends_with("The field 'status_id' is invalid."), "{message}");

        let v3 = json!({"status": 422, "title": "JSON data is invalid", "errors": {"destination": "must be https"}});
        let Err(Error::Rejected { message, .. }) = answering(Answer::json(422, &v3)).1 else {
            panic!("422 is a rejection")
        };
        assert!(message.ends_with("JSON data is invalid (`destination`: must be https)"), "{message}");
    }

    #[test]
    fn a_missing_scope_and_a_full_plan_are_final_and_say_so() {
        let Err(Error::Rejected { status: 403, message }) = answering(Answer::empty(403)).1 else {
            panic!("403 is a rejection")
        };
        assert!(message.contains("scope"), "{message}");
        assert!(matches!(answering(Answer::empty(507)).1, Err(Error::Rejected { status: 507, .. })));
    }

    #[test]
    fn a_connection_without_store_hash_is_named() {
        let ctx = FakeHost::new().context();
        let error = get(&ctx, "/v2/store").unwrap_err();
        assert!(error.to_string().contains("`store_hash`"), "{error}");
    }
}
