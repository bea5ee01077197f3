//! The host behind the contract's imports, which wit-bindgen makes.

use std::{sync::Once, time::Duration};

use crate::{
    bindings::trunnion::connector::{clock, http as wire, limits, log, random},
    host::{Host, Level},
    http::{Auth, Redirects, Request, Response, SendError},
};

/// The host behind the imports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Imports;

impl Host for Imports {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        wire::send(&to_wire(request)).map(from_wire).map_err(SendError::from)
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, SendError>> {
        let requests: Vec<_> = requests.into_iter().map(to_wire).collect();
        let answers = wire::send_all(&requests);
        answers.into_iter().map(|answer| answer.map(from_wire).map_err(SendError::from)).collect()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::write(level, message);
    }

    fn observe(&self, bucket: &str, remaining: u64, reset: Duration) {
        limits::observe(bucket, remaining, u64::try_from(reset.as_millis()).unwrap_or(u64::MAX));
    }

    fn now_ms(&self) -> u64 {
        clock::now()
    }

    fn random(&self, length: u32) -> Vec<u8> {
        random::bytes(length)
    }
}

fn to_wire(request: Request) -> wire::Request<'static> {
    wire::Request {
        method: request.method.to_owned(),
        url: request.url,
        headers: request.headers,
        body: request.body.map_or(wire::Body::Empty, wire::Body::Bytes),
        auth: match request.auth {
            Auth::Connection => wire::Auth::Connection,
            Auth::App => wire::Auth::App,
            Auth::None => wire::Auth::None,
        },
        timeout_ms: request.timeout_ms,
        redirects: match request.redirects {
            Redirects::Follow => wire::Redirects::Follow,
            Redirects::Manual => wire::Redirects::Manual,
        },
        ext: Vec::new(),
    }
}

fn from_wire(response: wire::Response) -> Response {
    Response { status: response.status, headers: response.headers, body: response.body }
}

impl From<wire::SendError> for SendError {
    fn from(error: wire::SendError) -> Self {
        match error {
            wire::SendError::Denied(message) => Self::Denied(message),
            wire::SendError::Unreachable(message) => Self::Unreachable(message),
            wire::SendError::TimedOut(message) => Self::TimedOut(message),
            wire::SendError::Interrupted(message) => Self::Interrupted(message),
            wire::SendError::TooLarge(message) => Self::TooLarge(message),
            wire::SendError::Unauthorized(message) => Self::Unauthorized(message),
            wire::SendError::Other((code, message)) => Self::Other { code, message },
        }
    }
}

/// A panic ends the call as a trap; the hook leaves the message and place in the log before that.
pub(super) fn watch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    });
}
