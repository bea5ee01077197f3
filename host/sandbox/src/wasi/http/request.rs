//! What a guest sends: the request, its body and its options.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::Resource;
use wasmtime_wasi_io::{
    async_trait,
    poll::Pollable,
    streams::{DynOutputStream, OutputStream, StreamError, StreamResult},
};

use super::{
    Fields,
    types::{self, ErrorCode, Method, Scheme},
};
use crate::{broker::Held, state::State};

/// Bytes that a guest may write at once.
const MAX_WRITTEN: usize = 64 << 10;

/// A body, once the guest has finished it, and its room.
pub(super) type Body = oneshot::Receiver<(Bytes, Held)>;

/// A request that a guest puts together.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside their private module")]
#[derive(Debug)]
pub struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Fields,
    /// Absent where the guest has not asked for one: then there is none.
    pub(super) body: Option<Body>,
}

/// The body of a request.
#[expect(unreachable_pub, reason = "as above")]
#[derive(Debug)]
pub struct OutgoingBody {
    written: Arc<Mutex<Option<Written>>>,
    finished: oneshot::Sender<(Bytes, Held)>,
    announced: Option<u64>,
    streamed: bool,
}

/// What is to be said about how a request is sent.
#[expect(unreachable_pub, reason = "as above")]
#[derive(Debug, Default)]
pub struct RequestOptions {
    /// The broker hands over whole answers: this is the time for one.
    pub(super) first_byte: Option<Duration>,
}

/// What there is of a body; gone once it is finished.
#[derive(Debug)]
struct Written {
    bytes: Vec<u8>,
    held: Held,
    limit: usize,
}

struct Writer(Arc<Mutex<Option<Written>>>);

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written.as_mut().ok_or(StreamError::Closed)?;
        if bytes.len() > MAX_WRITTEN {
            return Err(StreamError::trap("more was written at once than `check-write` allows"));
        }
        if written.bytes.len().saturating_add(bytes.len()) > written.limit || !written.held.take(bytes.len())
        {
            return Err(StreamError::LastOperationFailed(wasmtime::Error::msg(format!(
                "the request is larger than {} bytes (`egress.max_request_bytes`), or all that the connector keeps in the \
                 host than its memory; send it in parts",
                written.limit
            ))));
        }
        written.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(_) => Ok(MAX_WRITTEN),
            None => Err(StreamError::Closed),
        }
    }
}

type Set = wasmtime::Result<Result<(), ()>>;

impl State {
    /// A part of the URL, which takes room in the host.
    fn set_text(
        &mut self,
        request: &Resource<OutgoingRequest>,
        text: Option<String>,
        part: fn(&mut OutgoingRequest) -> &mut Option<String>,
    ) -> Set {
        self.count_host_call()?;
        let mut more = self.wasi().room.hold();
        self.keep(&mut more, text.as_ref().map_or(0, String::len))?;
        let request = self.table.get_mut(request)?;
        request.headers.hold(more);
        *part(request) = text;
        Ok(Ok(()))
    }
}

impl types::HostOutgoingRequest for State {
    fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingRequest>> {
        self.count_host_call()?;
        let headers = self.table.delete(headers)?;
        let (method, scheme, authority, path) = (Method::Get, None, None, None);
        Ok(self.table.push(OutgoingRequest { method, scheme, authority, path, headers, body: None })?)
    }

    fn body(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        self.count_host_call()?;
        let limit = self.shared.broker.max_request_bytes();
        let held = self.wasi().room.hold();
        let request = self.table.get_mut(&request)?;
        if request.body.is_some() {
            return Ok(Err(()));
        }
        let (finished, body) = oneshot::channel();
        request.body = Some(body);
        let written = Arc::new(Mutex::new(Some(Written { bytes: Vec::new(), held, limit })));
        let announced = request.headers.content_length();
        Ok(Ok(self.table.push(OutgoingBody { written, finished, announced, streamed: false })?))
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Method> {
        self.count_host_call()?;
        Ok(self.table.get(&request)?.method.clone())
    }

    fn set_method(&mut self, request: Resource<OutgoingRequest>, method: Method) -> Set {
        self.count_host_call()?;
        let valid =
            !matches!(&method, Method::Other(other) if http::Method::from_bytes(other.as_bytes()).is_err());
        if valid {
            self.table.get_mut(&request)?.method = method;
        }
        Ok(valid.then_some(()).ok_or(()))
    }

    fn path_with_query(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>> {
        self.count_host_call()?;
        Ok(self.table.get(&request)?.path.clone())
    }

    fn set_path_with_query(&mut self, request: Resource<OutgoingRequest>, path: Option<String>) -> Set {
        // With a path that begins otherwise, the end of the authority would be the guest's choice twice.
        if path.as_ref().is_some_and(|path| !path.is_empty() && !path.starts_with(['/', '?'])) {
            self.count_host_call()?;
            return Ok(Err(()));
        }
        self.set_text(&request, path, |request| &mut request.path)
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<Scheme>> {
        self.count_host_call()?;
        Ok(self.table.get(&request)?.scheme.clone())
    }

    fn set_scheme(&mut self, request: Resource<OutgoingRequest>, scheme: Option<Scheme>) -> Set {
        self.count_host_call()?;
        self.table.get_mut(&request)?.scheme = scheme;
        Ok(Ok(()))
    }

    fn authority(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>> {
        self.count_host_call()?;
        Ok(self.table.get(&request)?.authority.clone())
    }

    fn set_authority(&mut self, request: Resource<OutgoingRequest>, authority: Option<String>) -> Set {
        self.set_text(&request, authority, |request| &mut request.authority)
    }

    fn headers(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Resource<Fields>> {
        self.count_host_call()?;
        let shown = self.table.get(&request)?.headers.shown();
        self.push_shown(shown)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl types::HostOutgoingBody for State {
    fn write(
        &mut self,
        body: Resource<OutgoingBody>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        self.count_host_call()?;
        let own = self.table.get_mut(&body)?;
        if std::mem::replace(&mut own.streamed, true) {
            return Ok(Err(()));
        }
        let stream: DynOutputStream = Box::new(Writer(Arc::clone(&own.written)));
        Ok(Ok(self.table.push_child(stream, &body)?))
    }

    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<Fields>>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.count_host_call()?;
        let body = self.table.delete(body)?;
        if let Some(trailers) = trailers
            && self.table.delete(trailers)?.entries().next().is_some()
        {
            let why = "trailers are not sent; put the fields into the request's headers";
            return Ok(Err(ErrorCode::InternalError(Some(why.to_owned()))));
        }
        let written = body.written.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Written { bytes, held, .. }) = written else {
            return Err(wasmtime::Error::msg("a body was finished twice"));
        };
        let length = u64::try_from(bytes.len())?;
        if body.announced.is_some_and(|announced| announced != length) {
            return Ok(Err(ErrorCode::HttpRequestBodySize(Some(length))));
        }
        // Nobody waits for it where the request itself was dropped.
        drop(body.finished.send((bytes.into(), held)));
        Ok(Ok(()))
    }

    fn drop(&mut self, body: Resource<OutgoingBody>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl types::HostRequestOptions for State {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestOptions>> {
        self.count_host_call()?;
        Ok(self.table.push(RequestOptions::default())?)
    }

    fn connect_timeout(&mut self, _options: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        self.count_host_call()?;
        Ok(None)
    }

    /// Not supported: connections are the host's and outlive a request.
    fn set_connect_timeout(&mut self, _options: Resource<RequestOptions>, _time: Option<u64>) -> Set {
        self.count_host_call()?;
        Ok(Err(()))
    }

    fn first_byte_timeout(&mut self, options: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        self.count_host_call()?;
        let time = self.table.get(&options)?.first_byte;
        Ok(time.and_then(|time| u64::try_from(time.as_nanos()).ok()))
    }

    fn set_first_byte_timeout(&mut self, options: Resource<RequestOptions>, time: Option<u64>) -> Set {
        self.count_host_call()?;
        self.table.get_mut(&options)?.first_byte = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn between_bytes_timeout(&mut self, _options: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        self.count_host_call()?;
        Ok(None)
    }

    /// Not supported: the broker hands over whole answers.
    fn set_between_bytes_timeout(&mut self, _options: Resource<RequestOptions>, _time: Option<u64>) -> Set {
        self.count_host_call()?;
        Ok(Err(()))
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}
