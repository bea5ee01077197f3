//! `Context`: everything a connector function knows and may do besides its input. Made by the SDK for each
//! call, or by `test::FakeHost` in a unit test.
//!
//! ```
//! use trunnion_sdk::test::FakeHost;
//!
//! let host = FakeHost::new().with_parameter("store_hash", "abc123");
//! let ctx = host.context();
//! assert_eq!(ctx.parameter("store_hash").unwrap(), "abc123");
//! assert!(ctx.parameter("shop").unwrap_err().to_string().contains("`shop`"));
//! ```

use std::{rc::Rc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    error::{Error, Result},
    host::{Host, Level},
    http::Client,
    json,
};

/// On whose behalf, and how, the connector is being called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The action or trigger that is called, as the manifest names it.
    pub name: String,
    /// Connection parameters (a store hash, a shop's name). Never a secret.
    pub parameters: Vec<(String, String)>,
    /// The account the connection belongs to at the vendor; empty where there is no connection.
    pub account: String,
    /// A UUID that stays the same over every attempt at this piece of work.
    pub idempotency_key: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Named texts that hosts add; [`Context`] reads those that are known.
    pub ext: Vec<(String, String)>,
}

/// Name of the text that says when the host began to poll, in milliseconds since 1970.
const POLLING_SINCE: &str = "polling-since-ms";
/// Name of the text that holds what the workflow says beside which trigger it is.
const OPTIONS: &str = "trigger-options";
/// Name of the text that asks a poll for a deeper look, in milliseconds.
const LOOK_BACK: &str = "look-back-ms";

/// One call's surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    host: Rc<dyn Host>,
    call: Call,
}

impl Context {
    /// The surroundings of `call` on `host`.
    #[must_use]
    pub fn new(host: Rc<dyn Host>, call: Call) -> Self {
        Self { host, call }
    }

    /// Who is calling and why.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The connection parameter `name`.
    ///
    /// # Errors
    /// `InvalidInput` naming the parameter where the connection has none of that name.
    pub fn parameter(&self, name: &str) -> Result<&str> {
        self.call.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).ok_or_else(
            || {
                Error::invalid_input(
                    "",
                    format!(
                        "the connection has no parameter `{name}`; reconnect the account with it filled in"
                    ),
                )
            },
        )
    }

    /// The key that is the same over every attempt at this piece of work.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.call.idempotency_key
    }

    /// In a poll: when the host began to poll, in milliseconds since 1970; a trigger that starts "from now on" starts
    /// there, even where its first poll comes later. Everywhere else the present moment.
    #[must_use]
    pub fn polling_since_ms(&self) -> u64 {
        self.number(POLLING_SINCE).unwrap_or_else(|| self.now_ms())
    }

    /// In a poll: how far this round shall look behind what was seen, where that is further than the trigger's overlap.
    #[must_use]
    pub fn look_back(&self) -> Option<Duration> {
        self.number(LOOK_BACK).map(Duration::from_millis)
    }

    /// In a poll of a trigger with options: what the workflow says.
    ///
    /// # Errors
    /// `InvalidInput` naming the option that does not fit.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T> {
        json::input(self.text(OPTIONS).unwrap_or("{}"))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.call.ext.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// The way out to the vendor.
    #[must_use]
    pub const fn http(&self) -> Client<'_> {
        Client::new(self)
    }

    /// Reports what the vendor said about the rate limit `bucket` (named in the manifest): what is left, and
    /// the time until it is full again.
    pub fn observe_limit(&self, bucket: &str, remaining: u64, reset: Duration) {
        self.host.observe(bucket, remaining, reset);
    }

    /// Writes a line into the run's log.
    pub fn log(&self, level: Level, message: &str) {
        self.host.log(level, message);
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.host.now_ms()
    }

    /// `length` random bytes, at most 1,024.
    #[must_use]
    pub fn random(&self, length: u32) -> Vec<u8> {
        self.host.random(length)
    }

    /// A random UUID (version 4).
    ///
    /// For work that is repeated, [`Context::idempotency_key`] is the right one: this differs every time.
    #[must_use]
    pub fn uuid(&self) -> String {
        let mut text = String::with_capacity(36);
        for (position, byte) in self.random(16).into_iter().enumerate() {
            let byte = match position {
                6 => (byte & 0x0f) | 0x40,
                8 => (byte & 0x3f) | 0x80,
                _ => byte,
            };
            if matches!(position, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for nibble in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.host
    }
}

/// A reference to a secret: the host puts the secret itself in its place once it has authorised the request's
/// destination. The connector never sees it.
///
/// ```
/// assert_eq!(trunnion_sdk::context::secret("access_token"), "{{secret:access_token}}");
/// ```
#[must_use]
pub fn secret(name: &str) -> String {
    format!("{{{{secret:{name}}}}}")
}
