//! The way out to the vendor: requests that the host authorises, completes with secrets, sends and caps, and
//! answers turned into typed errors.
//!
//! [`RequestBuilder::send`] answers only successes (2xx); everything else becomes the [`crate::error::Error`]
//! from which the host chooses what to do. Whether a lost answer is `unavailable` (safe to repeat) or `uncertain`
//! follows from the method: POST and PATCH may have been carried out, the others may be repeated.
//!
//! ```
//! use trunnion_sdk::{prelude::*, test::{Answer, FakeHost}};
//!
//! let host = FakeHost::new();
//! host.http().on("GET", "https://api.acme.com/tasks/7", |_| Answer::json(200, &json!({"id": 7})));
//! host.http().on("GET", "https://api.acme.com/tasks/8", |_| Answer::json(404, &json!({"message": "no task 8"})));
//!
//! let ctx = host.context();
//! let task: Value = ctx.http().get("https://api.acme.com/tasks/7").auth_connection().send().unwrap().json().unwrap();
//! assert_eq!(task["id"], 7);
//! let error = ctx.http().get("https://api.acme.com/tasks/8").send().unwrap_err();
//! assert!(matches!(error, Error::NotFound(message) if message.contains("no task 8")));
//! ```

mod client;
mod errors;
mod vendor;

use serde::de::DeserializeOwned;

use crate::{
    error::{Error, Result},
    json::{self, Misfit},
};

pub use client::{Client, RequestBuilder, encode};
pub use vendor::Vendor;

/// Which credential the host adds, as the manifest's auth scheme says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Auth {
    /// The user's connection.
    Connection,
    /// The ISV's own app registration.
    App,
    /// None.
    #[default]
    None,
}

/// What the host does with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redirects {
    /// Follow, authorising each hop anew.
    #[default]
    Follow,
    /// Give the 3xx answer to the connector.
    Manual,
}

/// A request as it goes to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: &'static str,
    /// The URL, with references to secrets where it has any.
    pub url: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body; none where the request has none.
    pub body: Option<Vec<u8>>,
    /// Which credential the host adds.
    pub auth: Auth,
    /// Milliseconds; the host's own limit where absent or longer.
    pub timeout_ms: Option<u32>,
    /// What the host does with a redirect.
    pub redirects: Redirects,
}

/// What the vendor answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header that is a whole number.
    #[must_use]
    pub fn header_number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Other` with code `answer-not-understood` where it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        json::read(&self.body).map_err(|misfit| self.not_understood(&misfit))
    }

    #[cold]
    #[inline(never)]
    fn not_understood(&self, misfit: &Misfit) -> Error {
        let status = self.status;
        let message =
            format!("the vendor's answer (HTTP {status}) is not what the connector expects: {misfit}");
        Error::other("answer-not-understood", message)
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why nothing usable came back, as the host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The host does not allow this request; the text says what to do.
    Denied(String),
    /// No connection was made: nothing reached the vendor.
    Unreachable(String),
    /// The request left, and no whole answer came in time.
    TimedOut(String),
    /// The request left, and the connection broke before a whole answer.
    Interrupted(String),
    /// The answer is larger than the host's limit.
    TooLarge(String),
    /// The credential could not be obtained.
    Unauthorized(String),
    /// Whatever later versions add.
    Other {
        /// A stable code.
        code: String,
        /// What happened.
        message: String,
    },
}
