//! What belongs to one instance and to the call it is serving: limits, meter, log, exchanges.
//!
//! Nothing of one call survives into the next: [`State::begin`] replaces `current` whole. What an instance
//! keeps over calls is its memory, its blobs' budget and nothing the host knows.

mod place;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use trunnion_core::{
    call::CallError,
    clock::{Clock, Random},
};
use wasmtime::{ResourceLimiter, component::ResourceTable};

use crate::{
    answer::{Exchange, LogLevel, LogLine, Observation},
    broker::{Broker, Subject},
    call::Call,
    options::Options,
    wasi::{Sending, Unfinished, Wasi},
};

/// What every instance shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

/// The store's data.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    /// Blobs and what WASI gives out.
    pub(crate) table: ResourceTable,
    pub(crate) blob_bytes: u64,
    pub(crate) current: Current,
    pub(crate) meter: Meter,
    /// Absent until a guest uses WASI.
    pub(crate) wasi: Option<Box<Wasi>>,
    memory: Memory,
}

/// The call being served.
#[derive(Default)]
pub(crate) struct Current {
    /// Absent while a candidate is probed: then nothing may be sent.
    pub(crate) on_behalf: Option<OnBehalf>,
    pub(crate) host_calls: u32,
    pub(crate) requests: u32,
    /// A request that may have changed something at the vendor has left.
    pub(crate) changed_something: bool,
    pub(crate) log: Vec<LogLine>,
    pub(crate) lines_dropped: u64,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) observations: Vec<Observation>,
    /// Which bound the guest passed.
    pub(crate) passed: Option<String>,
    /// Requests through `wasi:http`.
    pub(crate) sending: Vec<Sending>,
    /// How many of them may be under way at once.
    pub(crate) turns: Option<Arc<Semaphore>>,
    /// Lines whose end has not been printed.
    pub(crate) unfinished: Unfinished,
    /// Attempts to open what is not there.
    pub(crate) attempts: u32,
}

/// Whose requests these are.
#[derive(Clone)]
pub(crate) struct OnBehalf {
    pub(crate) subject: Arc<Subject>,
    pub(crate) call: Arc<Call>,
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let memory = Memory { limit: shared.options.max_memory_bytes, used: 0, refused: false };
        let meter = Meter::new(shared.options.cpu_budget());
        Self {
            shared,
            table: ResourceTable::new(),
            blob_bytes: 0,
            current: Current::default(),
            meter,
            wasi: None,
            memory,
        }
    }

    /// Forgets the last call and begins another.
    pub(crate) fn begin(&mut self, on_behalf: Option<OnBehalf>) {
        self.current = Current { on_behalf, ..Current::default() };
        self.meter.restart();
        self.memory.refused = false;
    }

    /// What the call did, taken out; the instance keeps nothing of it.
    pub(crate) fn take_current(&mut self) -> Current {
        self.log_unfinished();
        let mut told = std::mem::take(&mut self.current);
        for sending in told.sending.drain(..) {
            sending.tell(&mut told.exchanges);
        }
        if told.lines_dropped > 0 {
            told.log.push(LogLine {
                level: LogLevel::Warn,
                message: format!("{} more lines were dropped (`max_log_lines`)", told.lines_dropped),
            });
        }
        told
    }

    /// Counts a host call; an error past the limit, which traps the guest.
    pub(crate) fn count_host_call(&mut self) -> wasmtime::Result<()> {
        self.current.host_calls = self.current.host_calls.saturating_add(1);
        let limit = self.shared.options.max_host_calls;
        if self.current.host_calls > limit {
            return Err(
                self.stop(format!("it made more than {limit} host calls in one call (`max_host_calls`)"))
            );
        }
        Ok(())
    }

    /// Remembers which bound was passed, as the error that ends the guest.
    pub(crate) fn stop(&mut self, what: String) -> wasmtime::Error {
        let error = wasmtime::Error::msg(what.clone());
        self.current.passed.get_or_insert(what);
        error
    }

    /// Keeps a line, within the limits, without known secrets.
    pub(crate) fn log(&mut self, level: LogLevel, message: &str) {
        let options = &self.shared.options;
        // The last line is kept free for an error: a panic message must not be lost behind chatter.
        let room = if level == LogLevel::Error {
            options.max_log_lines
        } else {
            options.max_log_lines.saturating_sub(1)
        };
        if self.current.log.len() >= room {
            self.current.lines_dropped += 1;
            return;
        }
        let mut message = match &self.current.on_behalf {
            Some(on_behalf) => on_behalf.call.secrets.redactor().text(message),
            None => message.to_owned(),
        };
        let end = message.floor_char_boundary(options.max_log_line_bytes);
        message.truncate(end);
        self.current.log.push(LogLine { level, message });
    }

    /// Why the guest ended without an answer, in one sentence, with its own last words.
    pub(crate) fn epitaph(&self, error: &wasmtime::Error) -> String {
        let what = match (&self.current.passed, error.downcast_ref::<wasmtime::Trap>()) {
            (Some(passed), _) => passed.clone(),
            (None, Some(wasmtime::Trap::Interrupt)) => format!(
                "it used more than its {} ms of CPU time (`cpu_budget_ms`)",
                self.shared.options.cpu_budget_ms
            ),
            (None, Some(trap)) if self.memory.refused => {
                format!(
                    "{trap} after it asked for more than its {} bytes of memory (`max_memory_bytes`)",
                    self.memory.limit
                )
            }
            (None, Some(trap)) => trap.to_string(),
            (None, None) => format!("{error:#}"),
        };
        let what = match place::of(error) {
            Some(place) => format!("{what} at {place}"),
            None => what,
        };
        let last_words = self.current.log.iter().rev().find(|line| line.level == LogLevel::Error);
        match last_words {
            Some(line) => format!("{what}; its last error line: {}", line.message),
            None => what,
        }
    }

    /// The error of a call without an answer. What may have changed something at the vendor is uncertain:
    /// a blind repetition could do it twice.
    pub(crate) fn without_answer(&self, message: String) -> CallError {
        let changed = self.current.sending.iter().any(Sending::may_have_changed_something);
        if self.current.changed_something || changed {
            CallError::Uncertain {
                message: format!("the connector failed after it had sent a request: {message}"),
            }
        } else {
            CallError::Trapped { message }
        }
    }

    pub(crate) fn memory(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.memory
    }
}

/// Time inside the guest, from each entry to each leaving: waiting for a vendor, or for a worker thread, is
/// not charged. Nothing durable is decided by it.
#[derive(Debug)]
pub(crate) struct Meter {
    budget: Duration,
    spent: Duration,
    origin: Instant,
    entered: Entry,
}

/// When the guest was last entered, as nanoseconds since the meter's origin; [`OUTSIDE`] while it waits. Shared with the future that
/// waits for a worker thread, which has no access to the store.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    origin: Instant,
    nanos: Arc<AtomicU64>,
}

const OUTSIDE: u64 = u64::MAX;

impl Entry {
    /// The guest goes on.
    pub(crate) fn enter(&self) {
        self.nanos.store(nanos_since(self.origin), Ordering::Relaxed);
    }
}

impl Meter {
    fn new(budget: Duration) -> Self {
        let origin = now();
        let entered = Entry { origin, nanos: Arc::new(AtomicU64::new(0)) };
        Self { budget, spent: Duration::ZERO, origin, entered }
    }

    fn restart(&mut self) {
        self.spent = Duration::ZERO;
        self.enter();
    }

    /// The guest waits.
    pub(crate) fn leave(&mut self) {
        self.spent = self.spent();
        self.entered.nanos.store(OUTSIDE, Ordering::Relaxed);
    }

    /// The guest goes on.
    pub(crate) fn enter(&self) {
        self.entered.enter();
    }

    pub(crate) fn entry(&self) -> Entry {
        self.entered.clone()
    }

    pub(crate) fn spent(&self) -> Duration {
        match self.entered.nanos.load(Ordering::Relaxed) {
            OUTSIDE => self.spent,
            entered => self.spent + Duration::from_nanos(nanos_since(self.origin).saturating_sub(entered)),
        }
    }

    pub(crate) fn exhausted(&self) -> bool {
        self.spent() > self.budget
    }
}

fn nanos_since(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures CPU time; nothing recorded or decided depends on the date"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Linear memory over all memories of an instance, and tables.
struct Memory {
    limit: usize,
    used: usize,
    refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool bounds elements; this keeps growth within what the table itself declares.
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}
