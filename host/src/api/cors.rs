//! Which calls pages of other origins may make: those that a user's token is for.
//!
//! The token travels in a header of its own and no cookie counts anywhere, so any origin may ask; whether the token
//! may be used there, it says itself. An API key has no place in a page: `authorization` is not among the headers.

use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use tower_http::cors::{Any, CorsLayer};

use super::{caller::USER_TOKEN, once::KEY as IDEMPOTENCY_KEY};

/// How long a browser may remember the answer.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// For routes that browsers call. It goes around whatever writes failures, so that pages can read those too.
pub fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            HeaderName::from_static(USER_TOKEN),
            HeaderName::from_static(IDEMPOTENCY_KEY),
        ])
        .expose_headers([header::RETRY_AFTER])
        .max_age(MAX_AGE)
}
