//! What a guest gets back: the answer that is to come, the answer, its body.

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::Resource;
use wasmtime_wasi_io::{
    async_trait,
    poll::{DynPollable, Pollable, subscribe},
    streams::{DynInputStream, InputStream, StreamError, StreamResult},
};

use super::{
    Arrived, Fields, error_code,
    types::{self, ErrorCode},
};
use crate::{
    answer::LogLevel,
    broker::{Held, SendError},
    state::State,
};

/// An answer that is to come.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside their private module")]
#[derive(Debug)]
pub struct Response(Coming);

#[derive(Debug)]
enum Coming {
    Awaited(oneshot::Receiver<Arrived>),
    Here(Box<Result<Arrived, oneshot::error::RecvError>>),
    Taken,
}

/// An answer.
#[expect(unreachable_pub, reason = "as above")]
#[derive(Debug)]
pub struct IncomingResponse {
    status: u16,
    headers: Fields,
    body: Option<IncomingBody>,
}

/// The body of an answer.
#[expect(unreachable_pub, reason = "as above")]
#[derive(Debug)]
pub struct IncomingBody {
    rest: Option<(Bytes, Held)>,
}

/// The trailers of an answer, of which there are none.
#[expect(unreachable_pub, reason = "as above")]
#[derive(Debug, Default)]
pub struct NoTrailers {
    taken: bool,
}

impl Response {
    pub(super) const fn new(arrival: oneshot::Receiver<Arrived>) -> Self {
        Self(Coming::Awaited(arrival))
    }
}

#[async_trait]
impl Pollable for Response {
    async fn ready(&mut self) {
        if let Coming::Awaited(arrival) = &mut self.0 {
            self.0 = Coming::Here(Box::new(arrival.await));
        }
    }
}

#[async_trait]
impl Pollable for NoTrailers {
    async fn ready(&mut self) {}
}

/// A body being read.
struct Reader {
    rest: Bytes,
    _held: Held,
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.rest.is_empty() {
            return Err(StreamError::Closed);
        }
        Ok(self.rest.split_to(size.min(self.rest.len())))
    }
}

impl State {
    /// Gives out a copy of fields, if there was room for it.
    pub(super) fn push_shown(&mut self, shown: Option<Fields>) -> wasmtime::Result<Resource<Fields>> {
        match shown {
            Some(shown) => Ok(self.table.push(shown)?),
            None => Err(self.no_room()),
        }
    }

    fn incoming(
        &mut self,
        arrived: Arrived,
    ) -> wasmtime::Result<Result<Resource<IncomingResponse>, ErrorCode>> {
        let (incoming, held) = match arrived {
            (Ok(incoming), held) => (incoming, held),
            (Err(error), _) => return Ok(Err(self.failed(&error))),
        };
        let mut room = self.wasi().room.hold();
        let size = incoming.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.keep(&mut room, size)?;
        let response = IncomingResponse {
            status: incoming.status,
            headers: Fields::of_answer(&incoming.headers, room),
            body: Some(IncomingBody { rest: Some((incoming.body.into(), held)) }),
        };
        Ok(Ok(self.table.push(response)?))
    }

    fn never_left(&mut self) -> ErrorCode {
        let why = "its body was never finished, or the call that sent it is over";
        self.log(LogLevel::Warn, &format!("a request through `wasi:http` came to nothing: {why}"));
        ErrorCode::HttpProtocolError
    }

    fn failed(&mut self, error: &SendError) -> ErrorCode {
        self.log(LogLevel::Warn, &format!("a request through `wasi:http` came to nothing: {error}"));
        error_code(error)
    }
}

type Got<T> = wasmtime::Result<Option<Result<Result<T, ErrorCode>, ()>>>;

impl types::HostFutureIncomingResponse for State {
    fn subscribe(&mut self, response: Resource<Response>) -> wasmtime::Result<Resource<DynPollable>> {
        self.count_host_call()?;
        subscribe(&mut self.table, response)
    }

    fn get(&mut self, response: Resource<Response>) -> Got<Resource<IncomingResponse>> {
        self.count_host_call()?;
        let Response(coming) = self.table.get_mut(&response)?;
        if let Coming::Awaited(arrival) = coming {
            match arrival.try_recv() {
                Ok(arrived) => *coming = Coming::Here(Box::new(Ok(arrived))),
                Err(oneshot::error::TryRecvError::Empty) => return Ok(None),
                // The request was never complete, or its call is over.
                Err(oneshot::error::TryRecvError::Closed) => {
                    *coming = Coming::Taken;
                    return Ok(Some(Ok(Err(self.never_left()))));
                }
            }
        }
        match std::mem::replace(coming, Coming::Taken) {
            Coming::Here(arrived) => match *arrived {
                Ok(arrived) => Ok(Some(Ok(self.incoming(arrived)?))),
                Err(_) => Ok(Some(Ok(Err(self.never_left())))),
            },
            Coming::Awaited(_) | Coming::Taken => Ok(Some(Err(()))),
        }
    }

    fn drop(&mut self, response: Resource<Response>) -> wasmtime::Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl types::HostIncomingResponse for State {
    fn status(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<u16> {
        self.count_host_call()?;
        Ok(self.table.get(&response)?.status)
    }

    fn headers(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<Resource<Fields>> {
        self.count_host_call()?;
        let shown = self.table.get(&response)?.headers.shown();
        self.push_shown(shown)
    }

    fn consume(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>> {
        self.count_host_call()?;
        match self.table.get_mut(&response)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl types::HostIncomingBody for State {
    fn stream(
        &mut self,
        body: Resource<IncomingBody>,
    ) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>> {
        self.count_host_call()?;
        let Some((rest, held)) = self.table.get_mut(&body)?.rest.take() else { return Ok(Err(())) };
        let stream: DynInputStream = Box::new(Reader { rest, _held: held });
        Ok(Ok(self.table.push_child(stream, &body)?))
    }

    fn finish(&mut self, body: Resource<IncomingBody>) -> wasmtime::Result<Resource<NoTrailers>> {
        self.count_host_call()?;
        self.table.delete(body)?;
        Ok(self.table.push(NoTrailers::default())?)
    }

    fn drop(&mut self, body: Resource<IncomingBody>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl types::HostFutureTrailers for State {
    fn subscribe(&mut self, trailers: Resource<NoTrailers>) -> wasmtime::Result<Resource<DynPollable>> {
        self.count_host_call()?;
        subscribe(&mut self.table, trailers)
    }

    fn get(&mut self, trailers: Resource<NoTrailers>) -> Got<Option<Resource<Fields>>> {
        self.count_host_call()?;
        let taken = std::mem::replace(&mut self.table.get_mut(&trailers)?.taken, true);
        Ok(Some(if taken { Err(()) } else { Ok(Ok(None)) }))
    }

    fn drop(&mut self, trailers: Resource<NoTrailers>) -> wasmtime::Result<()> {
        self.table.delete(trailers)?;
        Ok(())
    }
}
