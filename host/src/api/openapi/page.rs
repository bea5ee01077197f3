//! `/docs`: the document for people. Plain ES modules; the page loads its own files and the document, and nothing else.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::api::error::Failure;

const PAGE: &str = include_str!("../../../ui/docs/page.html");
const SCRIPT: &str = include_str!("../../../ui/docs/docs.js");
const STYLE: &str = include_str!("../../../ui/docs/docs.css");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

pub(super) async fn page() -> Response {
    let mut response = dressed(PAGE, "text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "docs.js" => dressed(SCRIPT, "text/javascript; charset=utf-8"),
        "docs.css" => dressed(STYLE, "text/css; charset=utf-8"),
        _ => Failure::new(StatusCode::NOT_FOUND, "route-unknown", "there is no such file; load /docs again")
            .into_response(),
    }
}

fn dressed(text: &'static str, kind: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        // They are the host's version, and small.
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
