//! One request: what is sent, and what its answer means.
//!
//! Invariant: nothing that a workflow gives can name a secret. Where the host writes one is said by the connection's
//! scheme, or by `auth`, of which only the name of a header or parameter is the workflow's.

use std::{collections::BTreeMap, time::Duration};

use trunnion_sdk::{
    http::{RequestBuilder, Response},
    json,
    prelude::*,
};

use crate::account::KEY;

/// A reference to a secret begins so.
const SECRET: &str = "{{secret:";

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Get {
    #[serde(flatten)]
    pub(crate) at: At,
    /// Gives answers other than 2xx as well, instead of failing.
    #[serde(default)]
    any_status: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Send {
    #[serde(flatten)]
    at: At,
    /// The method.
    method: Method,
    /// The body.
    #[serde(default)]
    body: Body,
    /// Gives answers other than 2xx as well, instead of failing.
    #[serde(default)]
    any_status: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct SendOnce {
    #[serde(flatten)]
    send: Send,
    /// The header that the API reads the key from.
    #[serde(default = "usual_key_header")]
    key_header: String,
}

fn usual_key_header() -> String {
    "Idempotency-Key".to_owned()
}

/// Where a request goes, and with what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct At {
    /// The URL, at one of the connection's hosts.
    pub(crate) url: String,
    /// Query parameters, beside those of the URL.
    #[serde(default)]
    pub(crate) query: BTreeMap<String, Value>,
    /// Headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// How the credential is sent.
    #[serde(default)]
    pub(crate) auth: Auth,
    /// Seconds until it is given up; the host's own limit is the longest.
    #[serde(default)]
    pub(crate) timeout_seconds: Option<u16>,
}

/// How the credential is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// As the connection's scheme has it.
    #[default]
    Connection,
    /// The connection's key in this header.
    Header(String),
    /// The connection's key in this query parameter.
    Query(String),
    /// Not at all.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// What is sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// Nothing.
    #[default]
    None,
    /// JSON.
    Json(Value),
    /// A form.
    Form(BTreeMap<String, Value>),
    /// Text, of the type that the header `Content-Type` names.
    Text(String),
}

/// What came back.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// The status.
    status: u16,
    /// Headers by their names in lower case; of one that came twice the last.
    headers: BTreeMap<String, String>,
    /// JSON where it is some, else text.
    body: Value,
}

impl Answer {
    fn of(answer: Response) -> Self {
        let body = json::read(&answer.body).unwrap_or_else(|_| Value::String(answer.text()));
        Self { status: answer.status, headers: answer.headers.into_iter().collect(), body }
    }
}

/// Reads.
pub(crate) fn get(ctx: &Context, Get { at, any_status }: Get) -> Result<Answer> {
    answered(built(ctx, "GET", &at)?, any_status)
}

/// Sends what must not be repeated unknown.
pub(crate) fn send(ctx: &Context, send: Send) -> Result<Answer> {
    answered(sent(ctx, &send)?, send.any_status)
}

/// Sends with a key by which the API recognises a repetition.
pub(crate) fn send_once(ctx: &Context, SendOnce { send, key_header }: SendOnce) -> Result<Answer> {
    let request = sent(ctx, &send)?.header(&plain("/key_header", &key_header)?, ctx.idempotency_key());
    answered(request.repeatable(), send.any_status)
}

fn answered(request: RequestBuilder<'_>, any_status: bool) -> Result<Answer> {
    let answer = if any_status { request.send_raw()? } else { request.send()? };
    Ok(Answer::of(answer))
}

fn sent<'c>(ctx: &'c Context, Send { at, method, body, .. }: &Send) -> Result<RequestBuilder<'c>> {
    let request = built(ctx, method.name(), at)?;
    match body {
        Body::None => Ok(request),
        Body::Json(body) => request.json(body),
        Body::Form(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Ok(request.form(&fields))
        }
        Body::Text(text) => {
            let named = at.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let text = plain("/body/text", text)?.into_bytes();
            match named {
                Some(_) => Ok(request.bytes(text)),
                None => Ok(request.body("text/plain; charset=utf-8", text)),
            }
        }
    }
}

/// A request without a body.
pub(crate) fn built<'c>(ctx: &'c Context, method: &'static str, at: &At) -> Result<RequestBuilder<'c>> {
    if !at.url.starts_with("https://") {
        return Err(Error::invalid_input(
            "/url",
            "does not begin with `https://`; nothing is sent in the clear",
        ));
    }
    let mut request = ctx.http().request(method, plain("/url", &at.url)?);
    for (name, value) in &at.query {
        request = request.query(name, &text(value));
    }
    for (name, value) in &at.headers {
        let place = format!("/headers/{name}");
        request = request.header(&plain(&place, name)?, plain(&place, value)?);
    }
    if let Some(seconds) = at.timeout_seconds {
        request = request.timeout(Duration::from_secs(seconds.into()));
    }
    Ok(match &at.auth {
        Auth::Connection => request.auth_connection(),
        Auth::Header(name) => request.header(&plain("/auth/header", name)?, secret(KEY)),
        Auth::Query(name) => request.query_secret(name, KEY),
        Auth::None => request,
    })
}

/// What the workflow gives must not name a secret: the host would write it there.
fn plain(at: &str, given: &str) -> Result<String> {
    if given.contains(SECRET) {
        let message = "names a secret; the connection says where its credential goes, or `auth`";
        return Err(Error::invalid_input(at, message));
    }
    Ok(given.to_owned())
}

/// A value as a query or form has it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::Auth as Sent,
        test::{Answer as Fake, FakeHost},
    };

    use super::*;
    use crate::connector;

    const URL: &str = "https://api.example.com/orders";

    fn host() -> FakeHost {
        FakeHost::new().with_parameter("hosts", "api.example.com")
    }

    fn run(host: &FakeHost, action: &str, input: Value) -> Result<Value> {
        let output = connector().run(&host.calling(action), &input.to_string())?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[test]
    fn a_request_is_sent_as_it_is_said() {
        let host = host();
        host.http().on("PUT", URL, |_| Fake::json(201, &json!({"id": 7})).header("X-Request-Id", "r1"));
        let input = json!({
            "method": "PUT", "url": URL, "query": {"dry": true, "q": "a b"}, "headers": {"X-Tenant": "ada"},
            "body": {"json": {"total": 1.5, "note": "{{secret:key}}"}},
        });
        let answer = run(&host, "request", input).unwrap();
        assert_eq!((&answer["status"], &answer["body"]), (&json!(201), &json!({"id": 7})));
        assert_eq!(answer["headers"]["x-request-id"], "r1");
        let seen = &host.http().requests()[0];
        assert_eq!(
            (seen.0.auth, seen.query(), seen.header("x-tenant")),
            (Sent::Connection, "dry=true&q=a%20b", Some("ada"))
        );
        assert!(!seen.text().contains("{{secret:"), "{}", seen.text());
        assert_eq!(seen.json()["note"], "{{secret:key}}", "data stays the text it is");
    }

    #[test]
    fn the_key_goes_where_the_request_says() {
        let host = host();
        host.http().on("GET", URL, |_| Fake::text(200, "plain"));
        for auth in [json!({"header": "X-Api-Key"}), json!({"query": "key"}), json!("none")] {
            let answer = run(&host, "get", json!({"url": URL, "auth": auth})).unwrap();
            assert_eq!(answer["body"], "plain");
        }
        let seen = host.http().requests();
        assert!(seen.iter().all(|seen| seen.0.auth == Sent::None));
        assert_eq!(seen[0].header("x-api-key"), Some("{{secret:key}}"));
        assert_eq!(seen[1].0.url, format!("{URL}?key={{{{secret:key}}}}"));
        assert!(!seen[2].0.url.contains("secret") && seen[2].0.headers.is_empty());
    }

    #[test]
    fn nothing_that_is_given_names_a_secret() {
        let host = host();
        let named = "{{secret:token}}";
        for (action, input, at) in [
            ("get", json!({"url": format!("{URL}/{named}")}), "/url"),
            ("get", json!({"url": URL, "headers": {"X": named}}), "/headers/X"),
            ("get", json!({"url": "http://api.example.com"}), "/url"),
            ("request", json!({"url": URL, "method": "POST", "body": {"text": named}}), "/body/text"),
            ("request_once", json!({"url": URL, "method": "POST", "key_header": named}), "/key_header"),
        ] {
            let error = run(&host, action, input).unwrap_err();
            assert!(matches!(&error, Error::InvalidInput { field, .. } if field == at), "{at}: {error}");
        }
        host.http().on("GET", URL, |_| Fake::empty(204));
        run(&host, "get", json!({"url": URL, "query": {"q": named}})).unwrap();
        assert_eq!(host.http().requests()[0].query(), "q=%7B%7Bsecret%3Atoken%7D%7D");
    }

    #[test]
    fn a_repeatable_request_carries_its_key_and_others_are_in_doubt() {
        let host = host();
        host.http().on("POST", URL, |_| Fake::empty(500));
        let input = |more: Value| {
            let mut input = json!({"url": URL, "method": "POST", "body": {"form": {"a": 1, "b": "c d"}}});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        assert!(matches!(run(&host, "request", input(json!({}))), Err(Error::Uncertain(_))));
        assert!(matches!(run(&host, "request_once", input(json!({}))), Err(Error::Unavailable(_))));
        let seen = &host.http().requests()[1];
        assert_eq!(seen.header("idempotency-key"), Some(host.context().idempotency_key()));
        assert_eq!(
            (seen.text().as_str(), seen.header("content-type")),
            ("a=1&b=c%20d", Some("application/x-www-form-urlencoded"))
        );
        let answer = run(&host, "request", input(json!({"any_status": true}))).unwrap();
        assert_eq!(answer["status"], 500);
    }
}
