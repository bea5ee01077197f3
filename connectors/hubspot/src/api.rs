//! HubSpot's REST API: addresses, rate limits, and what its failures mean.
//!
//! Invariant: every address of a versioned part is made here, of the one version in `VERSION`.

use std::time::Duration;

use trunnion_sdk::{
    http::{RequestBuilder, Response, Vendor},
    prelude::*,
};

/// The version that every address names: `v3`, or a date such as `2026-09`, which HubSpot supports for 18 months.
const VERSION: &str = "v3";

/// The rate limit of most requests: of the app in this account.
pub(crate) const GENERAL: &str = "general";

/// That of searches: of the account. Their answers do not report it.
pub(crate) const SEARCH: &str = "search";

static HUBSPOT: Vendor = Vendor::new().observe(observe_quota).retry_after(wait).classify(classify);
/// Answers of a search say nothing of its limit, and what they say of the other one counts for nothing.
static SEARCHING: Vendor = Vendor::new().retry_after(wait).classify(classify);

/// Objects of a kind, or below: `objects("contacts/search")`.
pub(crate) fn objects(rest: &str) -> String {
    of_version("objects", rest, VERSION)
}

/// From one object to another, or below.
pub(crate) fn associations(rest: &str) -> String {
    // Version 3 of associations is of another shape; the dated versions continue the fourth.
    of_version("objects", rest, if VERSION == "v3" { "v4" } else { VERSION })
}

/// The properties of a kind of object.
pub(crate) fn properties(plural: &str) -> String {
    of_version("properties", plural, VERSION)
}

/// The pipelines of a kind of object, with their stages.
pub(crate) fn pipelines(plural: &str) -> String {
    of_version("pipelines", plural, VERSION)
}

/// The people who may own something.
pub(crate) fn owners() -> String {
    of_version("owners", "", VERSION).trim_end_matches('/').to_owned()
}

/// `/crm/v3/objects/…`, and `/crm/objects/2026-09/…` since versions are dates.
fn of_version(part: &str, rest: &str, version: &str) -> String {
    if version.starts_with('v') {
        format!("/crm/{version}/{part}/{rest}")
    } else {
        format!("/crm/{part}/{version}/{rest}")
    }
}

fn url(path: &str) -> String {
    format!("https://api.hubapi.com{path}")
}

/// Begins a GET of `path`.
pub(crate) fn get<'c>(ctx: &'c Context, path: &str) -> RequestBuilder<'c> {
    ctx.http().of(&HUBSPOT).get(url(path)).auth_connection()
}

/// Begins a POST to `path`.
pub(crate) fn post<'c>(ctx: &'c Context, path: &str) -> RequestBuilder<'c> {
    ctx.http().of(&HUBSPOT).post(url(path)).auth_connection()
}

/// Begins a search: a POST that changes nothing.
pub(crate) fn search<'c>(ctx: &'c Context, path: &str) -> RequestBuilder<'c> {
    ctx.http().of(&SEARCHING).post(url(path)).auth_connection().repeatable()
}

/// Begins a PUT to `path`.
pub(crate) fn put<'c>(ctx: &'c Context, path: &str) -> RequestBuilder<'c> {
    ctx.http().of(&HUBSPOT).put(url(path)).auth_connection()
}

/// Begins a PATCH of `path`.
pub(crate) fn patch<'c>(ctx: &'c Context, path: &str) -> RequestBuilder<'c> {
    ctx.http().of(&HUBSPOT).patch(url(path)).auth_connection()
}

/// Begins a DELETE of `path`.
pub(crate) fn delete<'c>(ctx: &'c Context, path: &str) -> RequestBuilder<'c> {
    ctx.http().of(&HUBSPOT).delete(url(path)).auth_connection()
}

fn observe_quota(ctx: &Context, answer: &Response) {
    let left = answer.header_number("x-hubspot-ratelimit-remaining");
    let window = answer.header_number("x-hubspot-ratelimit-interval-milliseconds");
    if let (Some(left), Some(window)) = (left, window) {
        ctx.observe_limit(GENERAL, left, Duration::from_millis(window));
    }
}

/// A 429 names the policy that was exceeded; how long to wait is that policy's window.
fn wait(answer: &Response) -> Option<Duration> {
    if answer.header("retry-after").is_some() {
        return None;
    }
    let body: Value = answer.json().ok()?;
    match body.get("policyName").and_then(Value::as_str)? {
        "SECONDLY" => Some(Duration::from_secs(1)),
        "TEN_SECONDLY_ROLLING" => Some(Duration::from_secs(10)),
        // It ends at midnight in the account's time zone, which the answer does not tell.
        "DAILY" => Some(Duration::from_secs(3600)),
        _ => None,
    }
}

fn classify(answer: &Response) -> Option<Error> {
    if answer.status != 403 {
        return None;
    }
    let body: Option<Value> = answer.json().ok();
    let said = body.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str);
    let said = said.unwrap_or("the token lacks a scope");
    Some(Error::rejected(
        403,
        format!(
            "HubSpot answered 403: {said}; give the app the scope this needs (see the connector's README)"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::{Auth, SendError},
        test::{Answer, FakeHost, Observed},
    };

    use super::*;

    const CONTACT: &str = "https://api.hubapi.com/crm/v3/objects/contacts/1";

    fn answering(answer: Answer) -> (FakeHost, Result<Response>) {
        let host = FakeHost::new();
        host.http().once("GET", CONTACT, answer);
        let result = get(&host.context(), &objects("contacts/1")).send();
        (host, result)
    }

    #[test]
    fn addresses_name_one_version_in_either_form() {
        assert_eq!(of_version("objects", "contacts/1", "v3"), "/crm/v3/objects/contacts/1");
        assert_eq!(of_version("objects", "contacts/1", "2026-09"), "/crm/objects/2026-09/contacts/1");
        assert_eq!(
            associations("contacts/1/associations/deals/2"),
            "/crm/v4/objects/contacts/1/associations/deals/2"
        );
        let (host, _) = answering(Answer::json(200, &json!({})));
        assert_eq!(host.http().requests()[0].0.auth, Auth::Connection);
    }

    #[test]
    fn quota_headers_are_reported_except_by_searches() {
        let quota = |status| {
            Answer::json(status, &json!({}))
                .header("X-HubSpot-RateLimit-Remaining", "42")
                .header("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
        };
        let (host, _) = answering(quota(200));
        let expected = Observed { bucket: "general".into(), remaining: 42, reset: Duration::from_secs(10) };
        assert_eq!(host.observed(), [expected]);
        let host = FakeHost::new();
        host.http().once("POST", "https://api.hubapi.com/x", quota(200));
        search(&host.context(), "/x").send().unwrap();
        assert!(host.observed().is_empty());
    }

    #[test]
    fn a_429_waits_for_the_window_of_the_policy_it_names() {
        for (policy, seconds) in [("SECONDLY", 1), ("TEN_SECONDLY_ROLLING", 10), ("DAILY", 3600)] {
            let body = json!({"status": "error", "errorType": "RATE_LIMIT", "policyName": policy, "message": "slow"});
            let (_, result) = answering(Answer::json(429, &body));
            assert_eq!(result, Err(Error::RateLimited { retry_after: Some(Duration::from_secs(seconds)) }));
        }
        let told = Answer::json(429, &json!({"policyName": "DAILY"})).header("Retry-After", "7");
        let waited = Error::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(answering(told).1, Err(waited));
        assert_eq!(answering(Answer::empty(429)).1, Err(Error::RateLimited { retry_after: None }));
    }

    #[test]
    fn failures_mean_what_they_say() {
        let scopes = json!({"category": "MISSING_SCOPES", "message": "This app hasn't been granted all required scopes"});
        let (_, result) = answering(Answer::json(403, &scopes));
        let Err(Error::Rejected { status: 403, message }) = result else { panic!("{result:?}") };
        assert!(message.contains("hasn't been granted") && message.contains("README"), "{message}");
        assert!(matches!(answering(Answer::empty(403)).1, Err(Error::Rejected { .. })));
        assert!(matches!(answering(Answer::empty(404)).1, Err(Error::NotFound(_))));
        assert!(matches!(answering(Answer::empty(423)).1, Err(Error::Unavailable(_))));
        assert!(matches!(answering(Answer::empty(502)).1, Err(Error::Unavailable(_))));
        let taken = json!({"category": "CONFLICT", "message": "Contact already exists. Existing ID: 7"});
        let Err(Error::Conflict(message)) = answering(Answer::json(409, &taken)).1 else { panic!("409") };
        assert!(message.ends_with("Existing ID: 7"), "{message}");
        let lost = || Answer::fail(SendError::TimedOut("no answer".into()));
        let host = FakeHost::new();
        for path in ["https://api.hubapi.com/x", "https://api.hubapi.com/y"] {
            host.http().once("POST", path, lost());
        }
        let ctx = host.context();
        assert!(matches!(post(&ctx, "/x").send(), Err(Error::Uncertain(_))));
        assert!(matches!(search(&ctx, "/y").send(), Err(Error::Unavailable(_))));
    }
}
