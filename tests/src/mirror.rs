//! A server that tells everything it is told: it answers with the request it got, secrets included, and
//! redirects where `/redirect?to=…` says. What the hostile guest talks to.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State as Shelf,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::record::Recorded;

/// Stands in every answer: what a look through memory must find, if it looks at all.
pub const MARKER: &str = "mirror-marker-51e2d84b067f3a9c";

/// A running mirror; stops with the last clone.
#[derive(Clone)]
pub struct Mirror {
    requests: Requests,
    base: String,
    _server: Arc<Server>,
}

type Requests = Arc<Mutex<Vec<Recorded>>>;

struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Mirror {
    /// Starts on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the mirror needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let requests = Requests::default();
        let router = Router::new().fallback(any(reflect)).with_state(Arc::clone(&requests));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { requests, base, _server: Arc::new(Server(server)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.requests).clone()
    }
}

fn locked(requests: &Requests) -> MutexGuard<'_, Vec<Recorded>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn reflect(
    Shelf(requests): Shelf<Requests>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = match target(&uri) {
        Some(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        None => told(&method, &uri, &headers, &body),
    };
    let status = answer.status();
    locked(&requests).push(Recorded { method, uri, headers, body, status });
    answer
}

/// Where `/redirect?to=…` leads.
fn target(uri: &Uri) -> Option<String> {
    let query = uri.query().filter(|_| uri.path() == "/redirect")?;
    url::form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "to").then(|| value.into_owned()))
}

/// The request, and each of its headers once more as base64 and percent-encoded.
fn told(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let body = String::from_utf8_lossy(body).into_owned();
    let mut told = vec![format!("{method} {uri}"), body.clone(), STANDARD.encode(body)];
    let mut back = HeaderMap::new();
    back.insert("x-mirror", HeaderValue::from_static(MARKER));
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        told.push(format!("{name}: {text}"));
        told.push(STANDARD.encode(&text));
        told.push(url::form_urlencoded::byte_serialize(text.as_bytes()).collect());
        if let Ok(name) = header::HeaderName::try_from(format!("x-told-{name}")) {
            back.insert(name, value.clone());
        }
    }
    (back, json!({ "marker": MARKER, "told": told }).to_string()).into_response()
}
