//! A client of a running host's HTTP API: what the command line and the benchmarks call it with.
//!
//! It knows keys, JSON and problems (RFC 9457), not what the calls mean. The key appears in no message.

use std::{fmt, io::Write, time::Duration};

use bytes::Bytes;
use reqwest::{Method, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

/// The longest call is a push, in which a component is compiled.
const TIMEOUT: Duration = Duration::from_secs(150);

/// A download takes as long as there is something to take; this bounds one that never ends.
const DOWNLOAD: Duration = Duration::from_secs(24 * 3600);

/// Calls one host with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A call that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host's address cannot be used.
    #[error("`{url}` is not the address of a host; write it as http://127.0.0.1:8080")]
    Address {
        /// What was given.
        url: String,
    },
    /// No client could be made.
    #[error("no HTTP client could be made")]
    Client(#[source] reqwest::Error),
    /// The host did not answer.
    #[error("the host at {base} did not answer `{call}`; is it running, and is its address right?")]
    Unreachable {
        /// Where it should be.
        base: String,
        /// What was asked.
        call: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The host answered with a problem.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What is downloaded could not be kept.
    #[error("what the host sends could not be written; check the disk")]
    Unwritten(#[source] std::io::Error),
    /// The answer is JSON of another form than this program knows.
    #[error(
        "`{call}` was answered in a form that this program does not know; use the one of the host's own release"
    )]
    Unknown {
        /// What was asked.
        call: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The answer is not what this host answers.
    #[error("`{call}` was answered with something else than JSON; is {base} a Trunnion host?")]
    NotJson {
        /// Where it was asked.
        base: String,
        /// What was asked.
        call: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// What the host refused, and why.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What was asked.
    pub call: String,
    /// The answer's status.
    pub status: u16,
    /// The whole answer; null where it was no JSON.
    pub problem: Value,
}

impl Refusal {
    /// The problem's stable code; empty where the answer has none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.text("code").unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.problem.get(name)?.as_str()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.text("detail").or_else(|| self.text("message"));
        match detail {
            Some(detail) => f.write_str(detail)?,
            None => write!(f, "`{}` was answered with status {} and no reason", self.call, self.status)?,
        }
        match (self.code(), self.text("stage")) {
            ("", _) => {}
            (code, None) => write!(f, " ({code})")?,
            (code, Some(stage)) => write!(f, " ({code}, at the stage `{stage}`)")?,
        }
        for error in self.problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
            write!(f, "\n  - {}", Item(error))?;
        }
        Ok(())
    }
}

/// One of a problem's `errors`: `{at, message}`, a text, or whatever a newer host says.
struct Item<'a>(&'a Value);

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.0.as_str() {
            return f.write_str(text);
        }
        let member = |name| self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match (member("at"), member("message")) {
            (Some(at), Some(message)) => write!(f, "`{at}`: {message}"),
            (None, Some(message)) => f.write_str(message),
            _ => write!(f, "{}", self.0),
        }
    }
}

impl Client {
    /// Calls the host at `base`, such as `http://127.0.0.1:8080`, with `key`.
    pub fn new(base: &str, key: impl Into<String>) -> Result<Self, Error> {
        let address = || Error::Address { url: base.to_owned() };
        let url = Url::parse(base).map_err(|_| address())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(address());
        }
        let mut http = reqwest::Client::builder().timeout(TIMEOUT);
        // What listens on this machine only is not behind a proxy.
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(Error::Client)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key: key.into() })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::POST, path, Some(("application/json", body.to_string().into()))).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::PUT, path, Some(("application/json", body.to_string().into()))).await
    }

    /// PUT of a component.
    pub async fn put_component(&self, path: &str, component: Bytes) -> Result<Value, Error> {
        self.send(Method::PUT, path, Some(("application/wasm", component))).await
    }

    /// GET of a listing: its `data`.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let mut answer = self.get(path).await?;
        let data = answer.get_mut("data").map(Value::take).unwrap_or_default();
        serde_json::from_value(data).map_err(|source| Error::Unknown { call: format!("GET {path}"), source })
    }

    /// GET of something large, which is written piece by piece; gives its bytes.
    pub async fn download(&self, path: &str, to: &mut impl Write) -> Result<u64, Error> {
        let call = format!("GET {path}");
        let unreachable = |source| Error::Unreachable { base: self.base.clone(), call: call.clone(), source };
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key).timeout(DOWNLOAD);
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            let body = answer.bytes().await.map_err(unreachable)?;
            let problem = serde_json::from_slice(&body).unwrap_or(Value::Null);
            return Err(Error::Refused(Box::new(Refusal { call, status: status.as_u16(), problem })));
        }
        let mut bytes = 0;
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            to.write_all(&piece).map_err(Error::Unwritten)?;
            bytes += piece.len() as u64;
        }
        Ok(bytes)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Value, Error> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some((content_type, body)) = body {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let unreachable = |source| Error::Unreachable { base: self.base.clone(), call: call.clone(), source };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let parsed = serde_json::from_slice(&body);
        if !status.is_success() {
            let problem = parsed.unwrap_or(Value::Null);
            return Err(Error::Refused(Box::new(Refusal { call, status: status.as_u16(), problem })));
        }
        parsed.map_err(|source| Error::NotJson { base: self.base.clone(), call, source })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(problem: Value) -> String {
        Refusal { call: "PUT /v1/x".to_owned(), status: 409, problem }.to_string()
    }

    #[test]
    fn a_refusal_says_its_reason_and_everything_affected() {
        let said = refusal(json!({
            "detail": "the candidate lacks what is in use", "code": "connector-in-use",
            "errors": [{ "at": "", "message": "workflow `Fulfilment` uses it" }, { "at": "/steps/0", "message": "gone" },
                "plain", { "users": ["ada"] }],
        }));
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "the candidate lacks what is in use (connector-in-use)",
                "  - workflow `Fulfilment` uses it",
                "  - `/steps/0`: gone",
                "  - plain",
                "  - {\"users\":[\"ada\"]}",
            ]
        );
    }

    #[test]
    fn a_refused_candidate_is_told_with_its_stage() {
        let problem =
            json!({ "detail": "it traps", "code": "connector-refused", "stage": "probe", "errors": [] });
        assert_eq!(refusal(problem), "it traps (connector-refused, at the stage `probe`)");
    }

    #[test]
    fn a_refusal_without_a_problem_names_the_call() {
        assert_eq!(refusal(Value::Null), "`PUT /v1/x` was answered with status 409 and no reason");
    }

    #[test]
    fn an_address_without_a_scheme_is_refused_with_its_remedy() {
        for address in ["127.0.0.1:8080", "localhost:8080", "ftp://host", ""] {
            let error = Client::new(address, "key").unwrap_err().to_string();
            assert!(error.contains("http://127.0.0.1:8080"), "{address}: {error}");
        }
        assert!(Client::new("http://[::1]:8080/", "key").is_ok());
    }

    #[test]
    fn a_client_does_not_show_its_key() {
        let client = Client::new("http://127.0.0.1:1", "very-secret").unwrap();
        assert!(!format!("{client:?}").contains("very-secret"));
    }
}
