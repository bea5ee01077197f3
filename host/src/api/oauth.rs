//! `/oauth/callback`: where vendors send people back to. It is called by browsers, so it answers with pages.
//!
//! What a vendor said is shown as text and nothing else; the page loads the host's own style and script, and its address,
//! which carries the code, goes nowhere. The script tells the page of this host that opened the window how it ended.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use url::{Url, form_urlencoded};

use super::{Services, error::Failure};
use crate::{error::Error, ui::Assets, vault::Returned};

/// The page's own script and style, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The route.
pub fn routes(assets: &Arc<Assets>) -> Router<Services> {
    let assets = Arc::clone(assets);
    let callback = move |State(services): State<Services>, RawQuery(query): RawQuery| async move {
        come_back(&services, &assets, query).await
    };
    Router::new().route("/oauth/callback", get(callback))
}

async fn come_back(services: &Services, assets: &Assets, query: Option<String>) -> Response {
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let Returned { redirect, outcome } = match services.vault.come_back(query).await {
        Ok(returned) => returned,
        Err(error) => Returned { redirect: None, outcome: Err(error) },
    };
    let told = match outcome {
        Ok(connection) => Ok(connection.id.to_string()),
        Err(error) => Err(failure(error)),
    };
    match redirect.and_then(|url| Url::parse(&url).ok()) {
        Some(url) => sent_on(url, &told, assets),
        None => page(&told, assets),
    }
}

/// A failure of the host itself is in its log, and nobody else's business.
fn failure(error: Error) -> Failure {
    if matches!(error, Error::Commit(_) | Error::Read(_) | Error::Key(_) | Error::Internal(_)) {
        tracing::error!(error = &error as &dyn std::error::Error, "a person came back from a vendor in vain");
    }
    error.into()
}

/// Sends the person to where the ISV wants them, with what came of it.
fn sent_on(mut url: Url, told: &Result<String, Failure>, assets: &Assets) -> Response {
    {
        let mut query = url.query_pairs_mut();
        match told {
            Ok(credential) => query.append_pair("success", "true").append_pair("credentialId", credential),
            Err(failure) => query
                .append_pair("success", "false")
                .append_pair("code", failure.code())
                .append_pair("error", failure.message()),
        };
    }
    let Ok(to) = HeaderValue::from_str(url.as_str()) else { return page(told, assets) };
    quiet((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

fn page(told: &Result<String, Failure>, assets: &Assets) -> Response {
    let (status, title, text, data) = match told {
        Ok(connection) => {
            let data = format!("data-connection=\"{}\"", escaped(connection));
            (StatusCode::OK, "Connected", "You can close this window.", data)
        }
        Err(failure) => {
            let (code, error) = (escaped(failure.code()), escaped(failure.message()));
            let data = format!("data-code=\"{code}\" data-error=\"{error}\"");
            (failure.status(), "Not connected", failure.message(), data)
        }
    };
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"{}\"><script type=\"module\" src=\"{}\"></script>\n\
         <body {data}><main><div class=\"centre\"><h1>{title}</h1>\n<p>{}</p></div></main></body>\n</html>\n",
        assets.address("modal.css"),
        assets.address("callback.js"),
        escaped(text)
    );
    quiet((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response())
}

fn quiet(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_said_is_text() {
        assert_eq!(escaped("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
    }
}
