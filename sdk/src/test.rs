//! Testing a connector natively: a host whose HTTP, clock, random source and log are in the test's hands.
//!
//! ```
//! use trunnion_sdk::{prelude::*, test::{Answer, FakeHost}};
//!
//! fn rename(ctx: &Context, name: &str) -> Result<Value> {
//!     ctx.http().put("https://api.acme.com/me").auth_connection().json(&json!({"name": name}))?.send()?.json()
//! }
//!
//! let host = FakeHost::new();
//! host.http().on("PUT", "https://api.acme.com/me", |request| Answer::json(200, &request.json()));
//! assert_eq!(rename(&host.context(), "Ada").unwrap(), json!({"name": "Ada"}));
//! assert_eq!(host.http().requests().len(), 1);
//! ```

mod fake_http;
mod pages;
mod polls;
mod sound;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use crate::{
    context::{Call, Context},
    host::{Host, Level},
    http::{Request, Response, SendError},
};

pub use fake_http::{Answer, FakeHttp, Seen};
pub use pages::every_item;
pub use polls::Polls;
pub use sound::assert_sound;

/// What a connector reported by `ctx.observe_limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The bucket's id in the manifest.
    pub bucket: String,
    /// What is left.
    pub remaining: u64,
    /// The time until it is full again.
    pub reset: Duration,
}

/// A host in the test's hands.
#[derive(Debug)]
pub struct FakeHost {
    state: Rc<State>,
    parameters: Vec<(String, String)>,
    account: String,
    options: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    http: FakeHttp,
    now_ms: Cell<u64>,
    drawn: Cell<u8>,
    logs: RefCell<Vec<(Level, String)>>,
    observed: RefCell<Vec<Observed>>,
}

impl FakeHost {
    /// A host with no routes, at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        let state = State::default();
        state.now_ms.set(1_767_225_600_000);
        Self { state: Rc::new(state), parameters: Vec::new(), account: String::new(), options: None }
    }

    /// Gives the connection a parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Says whose account the connection belongs to.
    #[must_use]
    pub fn with_account(mut self, account: &str) -> Self {
        self.account = account.into();
        self
    }

    /// Says what the workflow says beside which trigger it is, as JSON.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        self.options = Some(options.into());
        self
    }

    /// The fake vendor.
    #[must_use]
    pub fn http(&self) -> &FakeHttp {
        &self.state.http
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.state.now_ms.set(self.state.now_ms.get().saturating_add(by));
    }

    /// The surroundings of a call of nothing in particular.
    #[must_use]
    pub fn context(&self) -> Context {
        self.calling("")
    }

    /// The surroundings of a call of the action or trigger `name`.
    #[must_use]
    pub fn calling(&self, name: &str) -> Context {
        self.surroundings(name, Vec::new())
    }

    /// The surroundings of a poll of the trigger `name` that is asked for a deeper look.
    #[must_use]
    pub fn looking_back(&self, name: &str, look_back: Duration) -> Context {
        self.surroundings(name, vec![("look-back-ms".into(), look_back.as_millis().to_string())])
    }

    fn surroundings(&self, name: &str, mut ext: Vec<(String, String)>) -> Context {
        ext.extend(self.options.as_ref().map(|options| ("trigger-options".into(), options.clone())));
        let call = Call {
            name: name.into(),
            parameters: self.parameters.clone(),
            account: self.account.clone(),
            idempotency_key: "5f0c4e0a-3c1e-4d0b-9a52-0d6f5b1f9c11".into(),
            attempt: 1,
            ext,
        };
        Context::new(Rc::clone(&self.state) as Rc<dyn Host>, call)
    }

    /// What was logged, in order.
    #[must_use]
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.state.logs.borrow().clone()
    }

    /// What was reported about rate limits, in order.
    #[must_use]
    pub fn observed(&self) -> Vec<Observed> {
        self.state.observed.borrow().clone()
    }
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for State {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        self.http.answer(request)
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, SendError>> {
        requests.into_iter().map(|request| self.http.answer(request)).collect()
    }

    fn log(&self, level: Level, message: &str) {
        self.logs.borrow_mut().push((level, message.to_owned()));
    }

    fn observe(&self, bucket: &str, remaining: u64, reset: Duration) {
        self.observed.borrow_mut().push(Observed { bucket: bucket.to_owned(), remaining, reset });
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// A counter: different at every draw, the same in every run of the test.
    fn random(&self, length: u32) -> Vec<u8> {
        (0..length)
            .map(|_| {
                self.drawn.set(self.drawn.get().wrapping_add(1));
                self.drawn.get()
            })
            .collect()
    }
}
