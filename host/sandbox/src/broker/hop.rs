//! One request on the wire and its whole answer, within the caps.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use reqwest::{Client, Method, Request, header::HeaderMap};
use url::Url;

use super::{SendError, resolve::Refused};

/// Bytes that several things which the host keeps for a guest may have together.
#[derive(Clone, Debug)]
pub(crate) struct ByteBudget(Arc<AtomicUsize>);

impl ByteBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Room for one thing, which has none yet.
    pub(crate) fn hold(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }
}

/// What one thing has of a budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: ByteBudget,
    bytes: usize,
}

impl Held {
    /// Takes so many more, or none where they are not there.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = &self.budget.0;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }

    /// Takes over what another has.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Room for a copy of the same thing, or none where it is not there.
    pub(crate) fn again(&self) -> Option<Self> {
        let mut copy = self.budget.hold();
        copy.take(self.bytes).then_some(copy)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// One request, ready to leave.
pub(super) struct Hop<'a> {
    pub(super) client: &'a Client,
    pub(super) url: Url,
    /// What messages call the other side: the logical host.
    pub(super) name: &'a str,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) max_response_bytes: usize,
    pub(super) room: &'a mut Held,
}

/// A whole answer as it came.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Hop<'_> {
    pub(super) async fn send(self) -> Result<Whole, SendError> {
        let mut request = Request::new(self.method, self.url);
        *request.headers_mut() = self.headers;
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.into());
        }
        let mut response = self.client.execute(request).await.map_err(|error| explain(self.name, &error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let limit = self.max_response_bytes;
        let too_large = || {
            SendError::TooLarge(format!(
                "the answer of `{}` is larger than {limit} bytes, or the answers of one `send-all` together are larger than \
                 the guest's memory; ask for smaller pages, or raise `egress.max_response_bytes`",
                self.name
            ))
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(|error| explain(self.name, &error))? {
            if body.len().saturating_add(chunk.len()) > limit || !self.room.take(chunk.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Whole { status, headers, body })
    }
}

/// A client error as what it means for whoever asked. Never shows the URL, which may carry a secret.
fn explain(name: &str, error: &reqwest::Error) -> SendError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    let mut innermost = String::new();
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return SendError::Denied(format!("the destination is not allowed: {refused}"));
        }
        innermost = cause.to_string();
        source = cause.source();
    }
    let message = |what: &str| format!("{what} `{name}`: {innermost}");
    if error.is_connect() {
        SendError::Unreachable(message("no connection to"))
    } else if error.is_timeout() {
        SendError::TimedOut(message("no whole answer in time from"))
    } else if error.is_builder() {
        SendError::Denied(message("the request is not one HTTP can carry to"))
    } else {
        SendError::Interrupted(message("the connection broke before a whole answer of"))
    }
}
