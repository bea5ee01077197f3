//! A fake vendor: routes by closure, and a record of what was sent. A request without a route is denied with
//! a message that names it, as the real host denies a destination.

use std::{cell::RefCell, collections::VecDeque, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::http::{Request, Response, SendError};

/// A request the fake received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(pub Request);

impl Seen {
    /// The URL without its query.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.url.split('?').next().unwrap_or_default()
    }

    /// The query as it was sent; empty for none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.0.url.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first header of this name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text; empty for none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.0.body.as_deref().unwrap_or_default()).into_owned()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.0.body.as_deref().unwrap_or_default()).unwrap_or(Value::Null)
    }
}

/// What the fake answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(Result<Response, SendError>);

impl Answer {
    /// A JSON body.
    #[must_use]
    pub fn json<T: Serialize>(status: u16, body: &T) -> Self {
        let body = match serde_json::to_vec(body) {
            Ok(body) => body,
            Err(error) => {
                return Self::fail(SendError::Other { code: "test".into(), message: error.to_string() });
            }
        };
        let headers = vec![("content-type".into(), "application/json".into())];
        Self(Ok(Response { status, headers, body }))
    }

    /// No body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self(Ok(Response { status, headers: Vec::new(), body: Vec::new() }))
    }

    /// A body of text.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self(Ok(Response { status, headers: Vec::new(), body: body.into() }))
    }

    /// No answer.
    #[must_use]
    pub const fn fail(error: SendError) -> Self {
        Self(Err(error))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(response) = &mut self.0 {
            response.headers.push((name.to_ascii_lowercase(), value.into()));
        }
        self
    }
}

type Handler = Box<dyn Fn(&Seen) -> Answer>;

struct Route {
    method: &'static str,
    url: String,
    handler: Handler,
}

/// A fake vendor.
#[derive(Default)]
pub struct FakeHttp {
    routes: RefCell<Vec<Route>>,
    queued: RefCell<VecDeque<(&'static str, String, Answer)>>,
    seen: RefCell<Vec<Seen>>,
}

impl FakeHttp {
    /// Answers requests of this method and URL (without query); a `*` at the end stands for anything. Of
    /// several routes that fit, the last one made answers.
    pub fn on(&self, method: &'static str, url: &str, handler: impl Fn(&Seen) -> Answer + 'static) {
        self.routes.borrow_mut().push(Route { method, url: url.into(), handler: Box::new(handler) });
    }

    /// Answers the next request of this method and URL (without query) before any route does.
    pub fn once(&self, method: &'static str, url: &str, answer: Answer) {
        self.queued.borrow_mut().push_back((method, url.into(), answer));
    }

    /// Everything received, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(super) fn answer(&self, request: Request) -> Result<Response, SendError> {
        let seen = Seen(request);
        self.seen.borrow_mut().push(seen.clone());
        let fits = |method: &str, url: &str| {
            method == seen.0.method
                && url.strip_suffix('*').map_or(url == seen.url(), |start| seen.url().starts_with(start))
        };
        let position = self.queued.borrow().iter().position(|(method, url, _)| fits(method, url));
        if let Some((_, _, answer)) = position.and_then(|position| self.queued.borrow_mut().remove(position))
        {
            return answer.0;
        }
        let routes = self.routes.borrow();
        match routes.iter().rev().find(|route| fits(route.method, &route.url)) {
            Some(route) => (route.handler)(&seen).0,
            None => Err(SendError::Denied(format!(
                "the fake has no route for `{} {}`; add one by `host.http().on(…)`",
                seen.0.method,
                seen.url()
            ))),
        }
    }
}

impl fmt::Debug for FakeHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes: Vec<_> =
            self.routes.borrow().iter().map(|route| format!("{} {}", route.method, route.url)).collect();
        f.debug_struct("FakeHttp").field("routes", &routes).field("seen", &self.seen).finish_non_exhaustive()
    }
}
