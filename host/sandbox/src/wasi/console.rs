//! `wasi:cli`: standard output and error as lines of the connector's log, no input, no environment.
//!
//! A line is kept until its end is seen or the call is over. What goes to standard error is where languages
//! put exceptions and panics, so it is logged as an error.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Resource;
use wasmtime_wasi_io::{
    async_trait,
    bytes::Bytes,
    poll::Pollable,
    streams::{DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult},
};

use super::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use crate::{answer::LogLevel, state::State};

/// Bytes that a guest may print at once.
const MAX_PRINTED: usize = 64 << 10;

/// Something a guest printed, not yet taken apart.
pub(crate) struct Printed {
    level: LogLevel,
    bytes: Bytes,
}

/// One line that is not finished, of each level that prints.
#[derive(Default)]
pub(crate) struct Unfinished {
    out: Vec<u8>,
    error: Vec<u8>,
}

impl Unfinished {
    fn of(&mut self, level: LogLevel) -> &mut Vec<u8> {
        if level == LogLevel::Error { &mut self.error } else { &mut self.out }
    }
}

struct Printer {
    level: LogLevel,
    printed: Arc<Mutex<Vec<Printed>>>,
}

#[async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MAX_PRINTED {
            return Err(StreamError::trap("more was printed at once than `check-write` allows"));
        }
        // Nothing in here runs guest code, so a poisoned lock guards whole data.
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        printed.push(Printed { level: self.level, bytes });
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_PRINTED)
    }
}

/// Standard input: at its end from the beginning.
struct NoInput;

#[async_trait]
impl Pollable for NoInput {
    async fn ready(&mut self) {}
}

impl InputStream for NoInput {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

impl State {
    fn printer(&mut self, level: LogLevel) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.count_host_call()?;
        let printer: DynOutputStream = Box::new(Printer { level, printed: Arc::clone(&self.wasi().printed) });
        Ok(self.table.push(printer)?)
    }

    /// Puts what was printed into the log, line by line.
    pub(super) fn log_printed(&mut self) {
        let Some(wasi) = &self.wasi else { return };
        let printed = std::mem::take(&mut *wasi.printed.lock().unwrap_or_else(PoisonError::into_inner));
        // One byte more than the log keeps, so that it sees where a line was cut.
        let limit = self.shared.options.max_log_line_bytes.saturating_add(1);
        for Printed { level, bytes } in printed {
            let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
            while let Some(part) = parts.next() {
                let line = self.current.unfinished.of(level);
                let room = limit.saturating_sub(line.len());
                line.extend(part.iter().take(room));
                if parts.peek().is_some() {
                    self.log_line(level);
                }
            }
        }
    }

    /// Puts lines without an end into the log, since nothing more will come.
    pub(crate) fn log_unfinished(&mut self) {
        self.log_printed();
        for level in [LogLevel::Info, LogLevel::Error] {
            if !self.current.unfinished.of(level).is_empty() {
                self.log_line(level);
            }
        }
    }

    fn log_line(&mut self, level: LogLevel) {
        let line = std::mem::take(self.current.unfinished.of(level));
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if !line.is_empty() {
            self.log(level, line);
        }
    }
}

impl stdin::Host for State {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        self.count_host_call()?;
        let empty: DynInputStream = Box::new(NoInput);
        Ok(self.table.push(empty)?)
    }
}

impl stdout::Host for State {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.printer(LogLevel::Info)
    }
}

impl stderr::Host for State {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.printer(LogLevel::Error)
    }
}

impl environment::Host for State {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.count_host_call()?;
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.count_host_call()?;
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.count_host_call()?;
        Ok(None)
    }
}

impl exit::Host for State {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        let how = if status.is_ok() { "success" } else { "failure" };
        Err(self.stop(format!("it ended itself with `exit` ({how}) instead of answering")))
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(self.stop(format!("it ended itself with `exit` ({code}) instead of answering")))
    }
}

impl terminal_input::Host for State {}
impl terminal_output::Host for State {}

impl terminal_input::HostTerminalInput for State {
    fn drop(&mut self, terminal: Resource<terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        match self.table.delete(terminal)? {}
    }
}

impl terminal_output::HostTerminalOutput for State {
    fn drop(&mut self, terminal: Resource<terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        match self.table.delete(terminal)? {}
    }
}

impl terminal_stdin::Host for State {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<terminal_input::TerminalInput>>> {
        self.count_host_call()?;
        Ok(None)
    }
}

impl terminal_stdout::Host for State {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        self.count_host_call()?;
        Ok(None)
    }
}

impl terminal_stderr::Host for State {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        self.count_host_call()?;
        Ok(None)
    }
}
