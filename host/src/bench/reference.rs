//! The reference: a bare axum server in a process of its own, as the host is. It answers at once and keeps nothing,
//! or passes every request on with reqwest, as the simplest thing that does the host's hops.

use std::{
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use clap::Args;
use reqwest::RequestBuilder;
use tokio::net::TcpListener;

use super::{load::Requests, process::Process};

/// The hidden command that is the reference's process.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Passes requests on to the server at this address.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

/// What the reference does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does<'a> {
    /// Reads it and answers.
    Answer,
    /// Passes it on to the server at this address, and the answer back.
    PassOn(&'a str),
}

/// A running reference.
#[derive(Debug)]
pub(super) struct Reference(Process);

impl Reference {
    /// Starts it.
    pub(super) async fn start(does: Does<'_>) -> Result<Self> {
        let mut command = Process::own()?;
        command.args(["bench", "__reference"]);
        if let Does::PassOn(to) = does {
            command.args(["--to", to]);
        }
        let process = Process::start(&mut command).await.context("starting the reference")?;
        process.map(Self).context("the reference did not say where it listens")
    }

    /// Its process.
    pub(super) const fn process(&self) -> &Process {
        &self.0
    }
}

/// Another scenario's requests, sent to the reference by the way that leads on to the vendor.
#[derive(Debug)]
pub(super) struct Referred<R> {
    base: String,
    requests: Arc<R>,
}

/// Requests that can also be sent without the host between.
pub(super) trait Direct: Requests {
    /// The request that has the same effect at the vendor, at the server `base`.
    fn direct(&self, http: &reqwest::Client, base: &str, number: u64) -> RequestBuilder;
}

impl<R: Direct> Referred<R> {
    /// The reference's part of `requests`.
    pub(super) fn new(reference: &Reference, requests: Arc<R>) -> Arc<Self> {
        Arc::new(Self { base: reference.0.base().to_owned(), requests })
    }
}

impl<R: Direct> Requests for Referred<R> {
    fn request(&self, http: &reqwest::Client, number: u64) -> RequestBuilder {
        self.requests.direct(http, &self.base, number)
    }
}

/// Serves until the process is killed.
pub(super) async fn serve(serve: Serve) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("the reference found no free port")?;
    let router = match serve.to {
        None => Router::new().fallback(async |_: Bytes| StatusCode::OK),
        Some(to) => {
            let http =
                reqwest::Client::builder().no_proxy().build().context("no HTTP client could be made")?;
            Router::new().fallback(pass_on).with_state(Arc::new(Next { http, to }))
        }
    };
    {
        let mut out = io::stdout().lock();
        writeln!(out, "listening on http://{}", listener.local_addr()?)?;
        out.flush()?;
    }
    axum::serve(listener, router).await.context("the reference ended")?;
    bail!("the reference stopped serving")
}

#[derive(Debug)]
struct Next {
    http: reqwest::Client,
    to: String,
}

async fn pass_on(State(next): State<Arc<Next>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = parts.uri.path();
    match next.http.request(parts.method, format!("{}{path}", next.to)).body(body).send().await {
        Ok(answer) => {
            let status = answer.status();
            match answer.bytes().await {
                Ok(body) => (status, body).into_response(),
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
