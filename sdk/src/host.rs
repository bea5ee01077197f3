//! What a connector asks of whoever runs it: the contract's imports as a trait, so that the same code runs in
//! the sandbox and, natively, against `test::FakeHost`. Connector code uses `Context` instead.

use std::{fmt, time::Duration};

use crate::http::{Request, Response, SendError};

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the connector's author.
    Debug,
    /// What happened.
    Info,
    /// Something unexpected that the connector dealt with.
    Warn,
    /// Something somebody has to look at.
    Error,
}

/// The contract's imports.
pub trait Host: fmt::Debug {
    /// Sends one request.
    fn send(&self, request: Request) -> Result<Response, SendError>;
    /// Sends in parallel; answers in the order of the requests.
    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, SendError>>;
    /// Writes a line into the run's log.
    fn log(&self, level: Level, message: &str);
    /// Reports what the vendor said about a rate limit.
    fn observe(&self, bucket: &str, remaining: u64, reset: Duration);
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;
    /// Random bytes.
    fn random(&self, length: u32) -> Vec<u8>;
}
