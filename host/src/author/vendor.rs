//! A vendor on this machine: takes the requests that a connector's hosts would get, and has a [`Play`] answer them.
//!
//! It is behind the broker, which sends a connector's hosts here as an operator's rewrites do; so what arrives has
//! been authorised, and bears its secrets.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header::DATE},
    response::Response,
};
use futures_util::future::BoxFuture;
use tokio::{net::TcpListener, task::JoinHandle};
use trunnion_core::manifest::Manifest;
use trunnion_sandbox::broker::Rewrite;

use super::credential::Credential;

/// The `Date` of answers that have none of their own.
const AT_NO_TIME: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

/// Bytes of a request that are taken; the broker's own limit is below.
const MAX_BODY: usize = 32 << 20;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The host that the connector named.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An answer.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Nothing, for as long as anybody waits.
    Silence,
}

/// Who answers.
pub trait Play: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, asked: Asked) -> BoxFuture<'_, Said>;
}

/// The vendor, until it is dropped.
#[derive(Debug)]
pub struct Vendor {
    url: String,
    server: JoinHandle<()>,
}

impl Vendor {
    /// Starts it on a free port of this machine.
    pub async fn start(play: Arc<dyn Play>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(play);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the vendor on this machine ended");
            }
        });
        Ok(Self { url, server })
    }

    /// What sends everything that a connector may send here.
    #[must_use]
    pub fn rewrites(&self, manifest: &Manifest, credential: &Credential) -> Vec<Rewrite> {
        let filled = manifest.hosts.iter().map(|host| filled(host, credential));
        // A parameter may name several hosts.
        let hosts = filled.flat_map(|hosts| hosts.split(',').map(str::to_owned).collect::<Vec<_>>());
        hosts.map(|host| Rewrite { host, url: self.url.clone() }).collect()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A host pattern with its parameters in place.
fn filled(pattern: &str, credential: &Credential) -> String {
    credential
        .parameters
        .iter()
        .fold(pattern.to_owned(), |host, (name, value)| host.replace(&format!("{{{name}}}"), value))
}

async fn answer(State(play): State<Arc<dyn Play>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let host = header("x-forwarded-host").or_else(|| header("host")).unwrap_or_default();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return bare(StatusCode::BAD_REQUEST) };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers =
        parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    let asked = Asked { method: parts.method.to_string(), host, path, headers, body };
    match play.answer(asked).await {
        Said::Silence => std::future::pending().await,
        Said::Answer { status, headers, body } => {
            let mut response = Response::builder().status(status);
            // Without one the server would write the present moment, and a connector that hands headers on would answer
            // otherwise each time.
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(DATE.as_str())) {
                response = response.header(DATE, AT_NO_TIME);
            }
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(body.into()).unwrap_or_else(|_| bare(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

fn bare(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
