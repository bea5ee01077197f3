//! `wasi:http/outgoing-handler`, over the broker: the same rules as the contract's `http`, said in other words.
//!
//! A guest asks for its credential with the header `x-trunnion-auth: connection` (or `app`, or `none`), which
//! never leaves the host, or names a secret by reference anywhere in a request. A request leaves once its body
//! is whole; its answer is given once it is whole. Why one came to nothing stands in the log, since the error
//! codes of WASI have no room for it. What is under way when a call ends, ends with it.

pub(super) mod fields;
pub(super) mod request;
pub(super) mod response;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::AbortOnDropHandle;
use trunnion_core::clock::Timestamp;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::Error;

use self::{
    fields::Fields,
    request::{OutgoingRequest, RequestOptions},
    response::Response,
};
use super::bindings::wasi::http::{
    outgoing_handler,
    types::{self, ErrorCode, Method, Scheme},
};
use crate::{
    answer::{Exchange, LogLevel},
    broker::{Auth, Held, Incoming, Outgoing, Redirects, SendError, Sent},
    state::State,
};

/// The request header that chooses the credential.
const AUTH: &str = "x-trunnion-auth";
/// What libraries set, and the host decides.
const HOSTS_OWN: &[&str] = &["content-length", "accept-encoding"];

/// An answer and its room in the host's memory, or why there is none.
pub(super) type Arrived = (Result<Incoming, SendError>, Held);

/// A request under way. Ends when dropped.
pub(crate) struct Sending {
    /// Its place among the call's exchanges.
    exchange: usize,
    /// Whether it may change something at the vendor.
    changes: bool,
    progress: Arc<Progress>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Progress {
    left: AtomicBool,
    ended: Mutex<Option<Ended>>,
}

struct Ended {
    exchange: Exchange,
    may_have_arrived: bool,
}

impl Sending {
    /// Whether the vendor's state may differ because of it.
    pub(crate) fn may_have_changed_something(&self) -> bool {
        let arrived = match &*self.ended() {
            Some(ended) => ended.may_have_arrived,
            None => self.progress.left.load(Ordering::Acquire),
        };
        self.changes && arrived
    }

    /// Writes down what became of it, where that is known.
    pub(crate) fn tell(&self, exchanges: &mut [Exchange]) {
        let (Some(ended), Some(place)) = (self.ended().take(), exchanges.get_mut(self.exchange)) else {
            return;
        };
        *place = ended.exchange;
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Option<Ended>> {
        self.progress.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl outgoing_handler::Host for State {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<Response>, ErrorCode>> {
        let timeout = match options {
            Some(options) => self.table.delete(options)?.first_byte,
            None => None,
        };
        let request = self.table.delete(request)?;
        let on_behalf = self.may_send(1)?;
        let (outgoing, body) = match outgoing(request, timeout) {
            Ok(parts) => parts,
            Err(why) => {
                self.log(LogLevel::Warn, &format!("a request through `wasi:http` is not one: {why}"));
                return Ok(Err(ErrorCode::HttpRequestDenied));
            }
        };
        let exchange = self.current.exchanges.len();
        self.current.exchanges.push(Exchange {
            problem: Some("the call ended before the vendor had answered".to_owned()),
            ..outgoing.exchange()
        });
        let changes = outgoing.changes_something();
        let progress = Arc::new(Progress::default());
        let (arrived, arrival) = oneshot::channel();
        let (broker, clock) = (Arc::clone(&self.shared.broker), Arc::clone(&self.shared.clock));
        let room = self.wasi().room.clone();
        let parallel = self.shared.options.max_parallel_requests.max(1);
        let turns = self.current.turns.get_or_insert_with(|| Arc::new(Semaphore::new(parallel)));
        let (turns, told) = (Arc::clone(turns), Arc::clone(&progress));
        let task = tokio::spawn(async move {
            // Without a whole body there is no request; whoever waits for its answer hears of the dropped sender.
            let Some((body, _held)) = whole(body).await else { return };
            let Ok(_turn) = turns.acquire().await else { return };
            told.left.store(true, Ordering::Release);
            let outgoing = Outgoing { body, at: clock.now(), ..outgoing };
            let sent = broker.send(&on_behalf.subject, &on_behalf.call, outgoing, &room).await;
            let may_have_arrived = sent.may_have_arrived();
            let Sent { result, exchange, held } = sent;
            let ended = Ended { exchange, may_have_arrived };
            told.ended.lock().unwrap_or_else(PoisonError::into_inner).replace(ended);
            // A guest that does not want to know has dropped its end.
            drop(arrived.send((result, held)));
        });
        self.current.sending.push(Sending {
            exchange,
            changes,
            progress,
            _task: AbortOnDropHandle::new(task),
        });
        Ok(Ok(self.table.push(Response::new(arrival))?))
    }
}

/// The request for the broker, still without its body and the time it leaves.
fn outgoing(
    request: OutgoingRequest,
    timeout: Option<Duration>,
) -> Result<(Outgoing, Option<request::Body>), String> {
    let scheme = match request.scheme {
        None | Some(Scheme::Https) => "https",
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(ref other)) => other.as_str(),
    };
    let authority =
        request.authority.as_deref().ok_or("it names no authority; set one such as `api.acme.com`")?;
    let url = format!("{scheme}://{authority}{}", request.path.as_deref().unwrap_or("/"));
    let mut auth = Auth::None;
    let mut headers = Vec::new();
    for (name, value) in request.headers.entries() {
        let value = String::from_utf8(value.to_vec())
            .map_err(|_| format!("the value of header `{name}` is not UTF-8"))?;
        if name == AUTH {
            auth = match value.as_str() {
                "connection" => Auth::Connection,
                "app" => Auth::App,
                "none" => Auth::None,
                _ => return Err(format!("header `{AUTH}` is `connection`, `app` or `none`")),
            };
        } else if !HOSTS_OWN.contains(&name.as_str()) {
            headers.push((name.as_str().to_owned(), value));
        }
    }
    let outgoing = Outgoing {
        method: method(&request.method).to_owned(),
        url,
        headers,
        body: Bytes::new(),
        auth,
        timeout,
        at: Timestamp::ZERO,
        // What a client of WASI makes of a 3xx is its own business; where it goes next is judged like any request.
        redirects: Redirects::Manual,
    };
    Ok((outgoing, request.body))
}

fn method(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => other,
    }
}

/// Waits until the guest has finished the body; nothing where it dropped it instead.
async fn whole(body: Option<request::Body>) -> Option<(Bytes, Option<Held>)> {
    match body {
        None => Some((Bytes::new(), None)),
        Some(body) => body.await.ok().map(|(bytes, held)| (bytes, Some(held))),
    }
}

/// The nearest that WASI has to say it with.
fn error_code(error: &SendError) -> ErrorCode {
    match error {
        SendError::Denied(_) | SendError::Unauthorized(_) => ErrorCode::HttpRequestDenied,
        SendError::Unreachable(_) => ErrorCode::ConnectionRefused,
        SendError::TimedOut(_) => ErrorCode::HttpResponseTimeout,
        SendError::Interrupted(_) => ErrorCode::ConnectionTerminated,
        SendError::TooLarge(_) => ErrorCode::HttpResponseBodySize(None),
    }
}

impl State {
    /// Takes room for something a guest keeps in the host.
    fn keep(&mut self, held: &mut Held, bytes: usize) -> wasmtime::Result<()> {
        if held.take(bytes) { Ok(()) } else { Err(self.no_room()) }
    }

    fn no_room(&mut self) -> wasmtime::Error {
        let limit = self.shared.options.max_memory_bytes;
        self.stop(format!(
            "header fields and bodies that it keeps in the host are larger than {limit} bytes (`max_memory_bytes`)"
        ))
    }
}

// What serves requests has these; a guest that only sends never gets one.

impl types::HostIncomingRequest for State {
    fn drop(&mut self, request: Resource<types::IncomingRequest>) -> wasmtime::Result<()> {
        match self.table.delete(request)? {}
    }
}

impl types::HostOutgoingResponse for State {
    fn drop(&mut self, response: Resource<types::OutgoingResponse>) -> wasmtime::Result<()> {
        match self.table.delete(response)? {}
    }
}

impl types::HostResponseOutparam for State {
    fn drop(&mut self, response: Resource<types::ResponseOutparam>) -> wasmtime::Result<()> {
        match self.table.delete(response)? {}
    }
}

impl types::Host for State {
    fn http_error_code(&mut self, _error: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.count_host_call()?;
        Ok(None)
    }
}
