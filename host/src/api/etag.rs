//! `ETag`, `If-Match` and `If-None-Match`: two who edit the same draft do not overwrite each other.
//!
//! A tag is the commit that wrote the record; it says nothing else, and is compared as it is.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
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
