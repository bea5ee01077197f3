//! Building and sending requests.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::{
    context::Context,
    error::Result,
    http::{Auth, Redirects, Request, Response, SendError, Vendor, errors::Sent},
    json,
};

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const SECRET_OPENING: &str = "{{secret:";
/// The same JSON text, in which the host sees no reference.
const SECRET_OPENING_NEUTRAL: &str = "{\\u007bsecret:";

static USUAL: Vendor = Vendor::new();

/// Percent-encodes a text for one path segment or query value.
///
/// ```
/// assert_eq!(trunnion_sdk::http::encode("a b/c"), "a%20b%2Fc");
/// ```
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Sends requests for one call.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    ctx: &'c Context,
    vendor: &'c Vendor,
}

impl<'c> Client<'c> {
    pub(crate) const fn new(ctx: &'c Context) -> Self {
        Self { ctx, vendor: &USUAL }
    }

    /// Reads answers by `vendor`'s rules.
    #[must_use]
    pub const fn of(self, vendor: &'c Vendor) -> Self {
        Self { ctx: self.ctx, vendor }
    }

    /// Begins a GET.
    pub fn get(self, url: impl Into<String>) -> RequestBuilder<'c> {
        self.request("GET", url)
    }

    /// Begins a POST.
    pub fn post(self, url: impl Into<String>) -> RequestBuilder<'c> {
        self.request("POST", url)
    }

    /// Begins a PUT.
    pub fn put(self, url: impl Into<String>) -> RequestBuilder<'c> {
        self.request("PUT", url)
    }

    /// Begins a PATCH.
    pub fn patch(self, url: impl Into<String>) -> RequestBuilder<'c> {
        self.request("PATCH", url)
    }

    /// Begins a DELETE.
    pub fn delete(self, url: impl Into<String>) -> RequestBuilder<'c> {
        self.request("DELETE", url)
    }

    /// Begins a request of any method, in capitals.
    pub fn request(self, method: &'static str, url: impl Into<String>) -> RequestBuilder<'c> {
        let url = url.into();
        RequestBuilder {
            client: self,
            repeatable: !matches!(method, "POST" | "PATCH"),
            request: Request {
                method,
                url,
                headers: Vec::new(),
                body: None,
                auth: Auth::None,
                timeout_ms: None,
                redirects: Redirects::Follow,
            },
        }
    }

    /// Sends in parallel; answers in the order of the requests, each as [`RequestBuilder::send`] would.
    #[must_use]
    pub fn send_all(self, requests: Vec<RequestBuilder<'c>>) -> Vec<Result<Response>> {
        let (sent, requests): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|builder| (builder.sent(), builder.request)).unzip();
        let answers = self.ctx.host().send_all(requests);
        sent.iter().zip(answers).map(|(sent, answer)| self.judge(sent, answer)).collect()
    }

    fn judge(self, sent: &Sent, answer: Result<Response, SendError>) -> Result<Response> {
        let answer = answer.map_err(|error| sent.failure(error))?;
        (self.vendor.observe)(self.ctx, &answer);
        if answer.is_success() { Ok(answer) } else { Err(sent.refusal(&answer, self.vendor)) }
    }
}

/// A request being made.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<'c> {
    client: Client<'c>,
    repeatable: bool,
    request: Request,
}

impl RequestBuilder<'_> {
    /// Has the host add the user's credential.
    pub const fn auth_connection(mut self) -> Self {
        self.request.auth = Auth::Connection;
        self
    }

    /// Has the host add the ISV's own credential.
    pub const fn auth_app(mut self) -> Self {
        self.request.auth = Auth::App;
        self
    }

    /// Adds a header. References to secrets in `value` are replaced, so it must not come from outside.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a query parameter, percent-encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.request.url.contains('?') { '&' } else { '?' };
        self.request.url.push(separator);
        self.request.url.push_str(&encode(name));
        self.request.url.push('=');
        self.request.url.push_str(&encode(value));
        self
    }

    /// Adds a query parameter whose value is the secret `secret`, which the host writes there.
    pub fn query_secret(mut self, name: &str, secret: &str) -> Self {
        let separator = if self.request.url.contains('?') { '&' } else { '?' };
        let reference = crate::context::secret(secret);
        self.request.url.push_str(&format!("{separator}{}={reference}", encode(name)));
        self
    }

    /// Sends `body` as JSON. What looks like a reference to a secret stays the text it is: data from outside
    /// can never make the host write a secret into it.
    ///
    /// # Errors
    /// Where `body` cannot be written as JSON.
    pub fn json<T: Serialize>(self, body: &T) -> Result<Self> {
        let text = json::output(body)?;
        let text = if text.contains(SECRET_OPENING) {
            text.replace(SECRET_OPENING, SECRET_OPENING_NEUTRAL)
        } else {
            text
        };
        Ok(self.json_text(text))
    }

    /// Sends `body` as JSON in which the host replaces references to secrets. Nothing in it may come from
    /// outside.
    ///
    /// # Errors
    /// Where `body` cannot be written as JSON.
    pub fn json_with_secrets<T: Serialize>(self, body: &T) -> Result<Self> {
        let text = json::output(body)?;
        Ok(self.json_text(text))
    }

    fn json_text(mut self, text: String) -> Self {
        self.request.body = Some(text.into_bytes());
        if self.has_header("content-type") { self } else { self.header("Content-Type", "application/json") }
    }

    /// Sends `fields` as a form.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.request.body = Some(pairs.join("&").into_bytes());
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// Sends these bytes.
    pub fn body(mut self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.request.body = Some(bytes.into());
        self.header("Content-Type", content_type)
    }

    /// Sends these bytes, of the type that a header has named.
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.request.body = Some(bytes.into());
        self
    }

    /// Gives up after this long; the host's own limit is the longest.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Answers a redirect as it is; [`Self::send`] takes it for a refusal, [`Self::send_raw`] does not.
    pub const fn manual_redirects(mut self) -> Self {
        self.request.redirects = Redirects::Manual;
        self
    }

    /// This POST or PATCH may be repeated: it sets a state, only reads, or carries the idempotency key.
    pub const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// The request as it would go to the host.
    #[must_use]
    pub const fn as_request(&self) -> &Request {
        &self.request
    }

    /// Sends; only a 2xx is a success.
    ///
    /// # Errors
    /// What the status, or the lack of an answer, means.
    pub fn send(self) -> Result<Response> {
        let (client, sent) = (self.client, self.sent());
        let answer = client.ctx.host().send(self.request);
        client.judge(&sent, answer)
    }

    /// Sends; any answer is a success.
    ///
    /// # Errors
    /// Where no whole answer came.
    pub fn send_raw(self) -> Result<Response> {
        let (client, sent) = (self.client, self.sent());
        let answer = client.ctx.host().send(self.request).map_err(|error| sent.failure(error))?;
        (client.vendor.observe)(client.ctx, &answer);
        Ok(answer)
    }

    fn has_header(&self, name: &str) -> bool {
        self.request.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// Query values may be personal, so the request is named without them.
    fn sent(&self) -> Sent {
        let url = self.request.url.split('?').next().unwrap_or_default();
        Sent { name: format!("{} {url}", self.request.method), repeatable: self.repeatable }
    }
}
