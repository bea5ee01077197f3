//! BigQuery's REST API: addresses, and what its failures mean.
//!
//! A 403 is BigQuery's word for three things: slow down (`rateLimitExceeded`), come back much later (`quotaExceeded`) and
//! no. The reason tells them apart.

use std::time::Duration;

use trunnion_sdk::{
    http::{RequestBuilder, Response, Vendor, encode},
    prelude::*,
};

/// The connection parameter that names the project.
pub(crate) const PROJECT: &str = "project";

/// The rate limit of a user in a project: 100 requests a second of each method. Streaming is exempt.
pub(crate) const API_BUCKET: &str = "api";
/// The limit of streaming, which is one of bytes: nothing is known of it before BigQuery refuses.
pub(crate) const STREAMING_BUCKET: &str = "streaming";

const API: &str = "https://bigquery.googleapis.com/bigquery/v2/projects";
const UPLOADS: &str = "https://bigquery.googleapis.com/upload/bigquery/v2/projects";

/// A used-up quota does not come back within seconds.
const QUOTA_WAIT: Duration = Duration::from_secs(600);

static BIGQUERY: Vendor = Vendor::new().message(explanation).classify(classify);

/// Begins a GET of `path`, below the project.
pub(crate) fn get<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(ctx.http().of(&BIGQUERY).get(url(ctx, path)?).auth_connection())
}

/// Begins a POST to `path`, below the project.
pub(crate) fn post<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(ctx.http().of(&BIGQUERY).post(url(ctx, path)?).auth_connection())
}

/// Begins a PATCH of `path`, below the project.
pub(crate) fn patch<'c>(ctx: &'c Context, path: &str) -> Result<RequestBuilder<'c>> {
    Ok(ctx.http().of(&BIGQUERY).patch(url(ctx, path)?).auth_connection())
}

/// Begins an upload of a job with its data.
pub(crate) fn upload(ctx: &Context) -> Result<RequestBuilder<'_>> {
    let project = encode(ctx.parameter(PROJECT)?);
    let url = format!("{UPLOADS}/{project}/jobs?uploadType=multipart");
    Ok(ctx.http().of(&BIGQUERY).post(url).auth_connection())
}

/// The path of a table, below the project.
pub(crate) fn table(dataset: &str, table: &str) -> String {
    format!("/datasets/{}/tables/{}", encode(dataset), encode(table))
}

fn url(ctx: &Context, path: &str) -> Result<String> {
    Ok(format!("{API}/{}{path}", encode(ctx.parameter(PROJECT)?)))
}

/// The reason that BigQuery gives for a refusal.
fn reason(answer: &Response) -> Option<String> {
    let body: Value = answer.json().ok()?;
    Some(body.pointer("/error/errors/0/reason")?.as_str()?.to_owned())
}

fn explanation(answer: &Response) -> Option<String> {
    let body: Value = answer.json().ok()?;
    let message = body.pointer("/error/message")?.as_str()?;
    Some(reason(answer).map_or_else(|| message.to_owned(), |reason| format!("{message} ({reason})")))
}

fn classify(answer: &Response) -> Option<Error> {
    match (answer.status, reason(answer)?.as_str()) {
        (403, "rateLimitExceeded" | "jobRateLimitExceeded") => Some(Error::RateLimited { retry_after: None }),
        (403, "quotaExceeded") => Some(Error::RateLimited { retry_after: Some(QUOTA_WAIT) }),
        // Documented as passing: BigQuery was not able to begin.
        (400 | 403, "backendError" | "internalError") => {
            Some(Error::Unavailable(explanation(answer).unwrap_or_default()))
        }
        _ => None,
    }
}

/// What the tests of every module start from.
#[cfg(test)]
pub(crate) mod testing {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;

    /// Where the test's project lives.
    pub(crate) const PROJECT_URL: &str = "https://bigquery.googleapis.com/bigquery/v2/projects/acme";
    pub(crate) const UPLOAD_URL: &str =
        "https://bigquery.googleapis.com/upload/bigquery/v2/projects/acme/jobs";

    pub(crate) fn host() -> FakeHost {
        FakeHost::new().with_parameter(PROJECT, "acme").with_account("acme")
    }

    /// A refusal as BigQuery words it.
    pub(crate) fn refusal(status: u16, reason: &str, message: &str) -> Answer {
        let errors = json!([{ "domain": "global", "reason": reason, "message": message }]);
        Answer::json(status, &json!({ "error": { "code": status, "message": message, "errors": errors } }))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        testing::{PROJECT_URL, host, refusal},
        *,
    };

    fn meeting(status: u16, reason: &str) -> Error {
        let host = host();
        host.http().once("GET", &format!("{PROJECT_URL}/datasets"), refusal(status, reason, "no"));
        get(&host.context(), "/datasets").unwrap().send().unwrap_err()
    }

    #[test]
    fn the_reason_decides_what_a_refusal_means() {
        let limited = |wait: Option<u64>| Error::RateLimited { retry_after: wait.map(Duration::from_secs) };
        assert_eq!(meeting(403, "rateLimitExceeded"), limited(None));
        assert_eq!(meeting(403, "quotaExceeded"), limited(Some(600)));
        assert!(matches!(meeting(403, "accessDenied"), Error::Rejected { status: 403, .. }));
        assert!(matches!(meeting(400, "invalid"), Error::Rejected { status: 400, .. }));
        assert!(matches!(meeting(401, "authError"), Error::AuthExpired(_)));
        assert!(matches!(meeting(404, "notFound"), Error::NotFound(_)));
        assert!(matches!(meeting(409, "duplicate"), Error::Conflict(_)));
        assert!(matches!(meeting(503, "backendError"), Error::Unavailable(_)));
        assert!(matches!(meeting(403, "backendError"), Error::Unavailable(_)));
    }

    #[test]
    fn a_refusal_repeats_the_vendors_words() {
        let Error::Rejected { message, .. } = meeting(400, "invalid") else { panic!("400 is a rejection") };
        assert!(message.ends_with("answered 400: no (invalid)"), "{message}");
    }

    #[test]
    fn a_table_is_named_by_its_encoded_path() {
        assert_eq!(table("raw", "a/b"), "/datasets/raw/tables/a%2Fb");
        let error = get(&trunnion_sdk::test::FakeHost::new().context(), "/datasets").unwrap_err();
        assert!(error.to_string().contains("`project`"), "{error}");
    }
}
