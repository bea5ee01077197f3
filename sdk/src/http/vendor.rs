//! What is particular about one vendor's answers: where it writes messages, waiting times and rate limits.

use std::time::Duration;

use crate::{context::Context, error::Error, http::Response};

/// A vendor's own rules, as functions over its answers; each is optional.
///
/// ```
/// use std::time::Duration;
/// use trunnion_sdk::{http::Vendor, prelude::*};
///
/// static ACME: Vendor = Vendor::new()
///     .retry_after(|answer| answer.header_number("x-acme-wait").map(Duration::from_secs));
///
/// fn get(ctx: &Context) -> Result<Value> {
///     ctx.http().of(&ACME).get("https://api.acme.com/me").auth_connection().send()?.json()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    pub(super) observe: fn(&Context, &Response),
    pub(super) message: fn(&Response) -> Option<String>,
    pub(super) retry_after: fn(&Response) -> Option<Duration>,
    pub(super) classify: fn(&Response) -> Option<Error>,
}

impl Vendor {
    /// A vendor that does everything the usual way.
    #[must_use]
    pub const fn new() -> Self {
        Self { observe: |_, _| {}, message: |_| None, retry_after: |_| None, classify: |_| None }
    }

    /// Called with every answer, to report rate limits by `ctx.observe_limit`.
    #[must_use]
    pub const fn observe(mut self, observe: fn(&Context, &Response)) -> Self {
        self.observe = observe;
        self
    }

    /// Where the vendor explains a failure; asked before the usual places.
    #[must_use]
    pub const fn message(mut self, message: fn(&Response) -> Option<String>) -> Self {
        self.message = message;
        self
    }

    /// How long a 429 or 503 asks to wait; asked before `Retry-After`.
    #[must_use]
    pub const fn retry_after(mut self, retry_after: fn(&Response) -> Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// What an answer that is not a success means; none leaves it to the usual rules.
    #[must_use]
    pub const fn classify(mut self, classify: fn(&Response) -> Option<Error>) -> Self {
        self.classify = classify;
        self
    }
}

impl Default for Vendor {
    fn default() -> Self {
        Self::new()
    }
}
