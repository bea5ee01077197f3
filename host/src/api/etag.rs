//! `ETag`, `If-Match` and `If-None-Match`: two who edit the same draft do not overwrite each other, and who has seen a thing
//! as it is is not sent it again.
//!
//! A tag is the commit that wrote the record; it says nothing else, and is compared as it is.

use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use trunnion_store::Version;
use utoipa::IntoParams;

use super::{Services, error::Failure};
use crate::condition::Condition;

/// An answer that shows a record as this commit wrote it.
#[derive(Debug)]
pub(super) struct Tagged<T>(pub(super) Version, pub(super) T);

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(Version(version), answer) = self;
        let mut response = answer.into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"{version:x}\"")) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// How a request says what of a thing its caller has seen.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the description of a header that `unless_seen` reads")]
pub(super) struct Seen {
    /// ETags that the caller has, or `*`: where one is that of what there is, the answer is 304 without it.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// Answers 304 where a GET names the tag of what it would be shown. It goes around every route of `/v1`: where there is a
/// tag, it counts.
pub(super) async fn unless_seen(request: Request, next: Next) -> Response {
    let asked = request.method() == Method::GET;
    let seen = request.headers().get(header::IF_NONE_MATCH).filter(|_| asked).cloned();
    let mut response = next.run(request).await;
    let Some(seen) = seen.as_ref().and_then(|seen| seen.to_str().ok()) else { return response };
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let same = |tag: &str| {
        // Compared weakly, as RFC 9110 has it: what passed a proxy may come back marked so.
        let named = |one: &str| one.trim().trim_start_matches("W/") == tag;
        seen.trim() == "*" || seen.split(',').any(named)
    };
    if response.status() == StatusCode::OK && tag.is_some_and(same) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    response
}

/// How a request says what must hold of what it changes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the description of headers that `If` reads")]
pub(super) struct Conditions {
    /// The ETags of which one must be that of what is changed, or `*`: it must be there.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// `*`: it must not be there.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// What a request says must hold of what it changes.
#[derive(Debug)]
pub(super) struct If(pub(super) Condition);

impl FromRequestParts<Services> for If {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Services) -> Result<Self, Failure> {
        let Parts { headers, .. } = parts;
        match (text(headers, &header::IF_MATCH)?, text(headers, &header::IF_NONE_MATCH)?) {
            (None, None) => Ok(Self(Condition::Any)),
            (None, Some("*")) => Ok(Self(Condition::Absent)),
            (Some("*"), None) => Ok(Self(Condition::Present)),
            (Some(tags), None) => Ok(Self(Condition::OneOf(tags.split(',').filter_map(version).collect()))),
            _ => {
                Err(malformed("a change takes `If-Match` with ETags or `*`, or `If-None-Match: *`, not both"))
            }
        }
    }
}

/// The commit of a tag. One that is weak, or is none of ours, is nobody's.
fn version(tag: &str) -> Option<Version> {
    let digits = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    u64::from_str_radix(digits, 16).ok().map(Version)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| malformed(&format!("`{name}` is not text")))?;
    Ok(Some(text.trim()))
}

fn malformed(message: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "condition-malformed", message)
}
