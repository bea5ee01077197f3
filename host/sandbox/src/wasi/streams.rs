//! `wasi:io` as `wasmtime-wasi-io` has it, counted and metered: waiting is not charged to the guest.

use wasmtime::component::Resource;
use wasmtime_wasi_io::{
    bindings::wasi::io::{error, poll, streams},
    poll::DynPollable,
    streams::{DynInputStream, DynOutputStream, Error, StreamError, StreamResult},
};

use crate::state::State;

/// Things that a guest may wait for at once.
const MAX_POLLED: usize = 1_000;

impl error::Host for State {}

impl error::HostError for State {
    fn to_debug_string(&mut self, error: Resource<Error>) -> wasmtime::Result<String> {
        self.count_host_call()?;
        error::HostError::to_debug_string(&mut self.table, error)
    }

    fn drop(&mut self, error: Resource<Error>) -> wasmtime::Result<()> {
        error::HostError::drop(&mut self.table, error)
    }
}

impl poll::Host for State {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.count_host_call()?;
        if pollables.len() > MAX_POLLED {
            return Err(self.stop(format!(
                "it waited for {} things at once, {MAX_POLLED} are allowed",
                pollables.len()
            )));
        }
        self.meter.leave();
        let ready = poll::Host::poll(&mut self.table, pollables).await;
        self.meter.enter();
        ready
    }
}

impl poll::HostPollable for State {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.count_host_call()?;
        self.meter.leave();
        let ready = poll::HostPollable::block(&mut self.table, pollable).await;
        self.meter.enter();
        ready
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        poll::HostPollable::ready(&mut self.table, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(&mut self.table, pollable)
    }
}

impl State {
    /// Counts a call of a stream, whose errors are of another type.
    fn count_stream_call(&mut self) -> StreamResult<()> {
        self.count_host_call().map_err(StreamError::Trap)
    }
}

impl streams::Host for State {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(&mut self.table, error)
    }
}

impl streams::HostInputStream for State {
    fn read(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        self.count_stream_call()?;
        streams::HostInputStream::read(&mut self.table, stream, length)
    }

    async fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<Vec<u8>> {
        self.count_stream_call()?;
        self.meter.leave();
        let read = streams::HostInputStream::blocking_read(&mut self.table, stream, length).await;
        self.meter.enter();
        read
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        self.count_stream_call()?;
        streams::HostInputStream::skip(&mut self.table, stream, length)
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        self.count_stream_call()?;
        self.meter.leave();
        let skipped = streams::HostInputStream::blocking_skip(&mut self.table, stream, length).await;
        self.meter.enter();
        skipped
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.count_host_call()?;
        streams::HostInputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        streams::HostInputStream::drop(&mut self.table, stream).await
    }
}

// No stream that a guest writes to ever waits: they end in the log, or in a body that is sent when it is whole.
impl streams::HostOutputStream for State {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.count_stream_call()?;
        streams::HostOutputStream::check_write(&mut self.table, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.count_stream_call()?;
        let written = streams::HostOutputStream::write(&mut self.table, stream, bytes);
        self.log_printed();
        written
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.count_stream_call()?;
        let written =
            streams::HostOutputStream::blocking_write_and_flush(&mut self.table, stream, bytes).await;
        self.log_printed();
        written
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        self.count_stream_call()?;
        let written = streams::HostOutputStream::write_zeroes(&mut self.table, stream, length);
        self.log_printed();
        written
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        self.count_stream_call()?;
        let written =
            streams::HostOutputStream::blocking_write_zeroes_and_flush(&mut self.table, stream, length).await;
        self.log_printed();
        written
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.count_stream_call()?;
        streams::HostOutputStream::flush(&mut self.table, stream)
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.count_stream_call()?;
        streams::HostOutputStream::blocking_flush(&mut self.table, stream).await
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        self.count_stream_call()?;
        let spliced = streams::HostOutputStream::splice(&mut self.table, to, from, length);
        self.log_printed();
        spliced
    }

    async fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        self.count_stream_call()?;
        self.meter.leave();
        let spliced = streams::HostOutputStream::blocking_splice(&mut self.table, to, from, length).await;
        self.meter.enter();
        self.log_printed();
        spliced
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.count_host_call()?;
        streams::HostOutputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        streams::HostOutputStream::drop(&mut self.table, stream).await
    }
}
