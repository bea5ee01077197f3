//! A request as it came in, and what of it a workflow sees: `trigger` in mappings.
//!
//! Invariant: headers that carry a secret, and those that belong to the connection, are never part of it.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::error::{Error, Result};

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a str,
    /// What stands behind the `?`.
    pub query: &'a str,
    /// Names in lower case.
    pub headers: &'a [(String, String)],
    /// The raw body.
    pub body: &'a [u8],
}

/// Headers that are about the connection, or that the host itself reads.
const OWN: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "prefer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What a header's name has whose value may be a secret.
const SECRET: [&str; 9] =
    ["auth", "cookie", "credential", "key", "password", "secret", "session", "signature", "token"];

/// Beginnings of names that proxies add.
const PROXIES: [&str; 3] = ["proxy-", "trunnion-", "x-forwarded-"];

impl Incoming<'_> {
    /// A header's value, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How long the caller would wait, as RFC 7240 has it: `respond-async` not at all, `wait=N` for so many seconds.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        let given = self.headers.iter().filter(|(name, _)| name == "prefer");
        let mut wishes = given.flat_map(|(_, value)| value.split(',')).map(str::trim);
        wishes.find_map(|wish| match wish.split_once('=') {
            None => wish.eq_ignore_ascii_case("respond-async").then_some(Duration::ZERO),
            Some((name, seconds)) if name.trim().eq_ignore_ascii_case("wait") => {
                seconds.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
            }
            Some(_) => None,
        })
    }

    /// What a repetition under the same Idempotency-Key must have again.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut context = Context::new(&SHA256);
        for part in [self.method.as_bytes(), self.query.as_bytes(), self.body] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        hex::encode(context.finish())
    }

    /// `trigger` in mappings.
    pub fn data(&self) -> Result<Value> {
        Ok(json!({
            "method": self.method, "query": self.members(), "headers": self.shown(), "body": self.content()?,
        }))
    }

    /// The query's names; one that comes more than once has a list.
    fn members(&self) -> Map<String, Value> {
        gathered(form_urlencoded::parse(self.query.as_bytes()))
    }

    fn shown(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        for (name, value) in self.headers {
            let hidden = OWN.contains(&name.as_str())
                || PROXIES.iter().any(|start| name.starts_with(start))
                || SECRET.iter().any(|word| name.contains(word));
            if hidden {
                continue;
            }
            match shown.get_mut(name) {
                Some(Value::String(known)) => *known = format!("{known}, {value}"),
                _ => drop(shown.insert(name.clone(), Value::from(value.as_str()))),
            }
        }
        shown
    }

    /// The body: JSON and forms as what they say, other text as text, anything else as base64.
    fn content(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind == "application/x-www-form-urlencoded" {
            return Ok(gathered(form_urlencoded::parse(self.body)).into());
        }
        let says_json = kind == "application/json" || kind.ends_with("+json");
        match serde_json::from_slice(self.body) {
            Ok(value) if says_json || kind.is_empty() => return Ok(value),
            Err(error) if says_json => {
                let message = format!("the body is not JSON: {error}; correct it, or its `content-type`");
                return Err(Error::invalid("body-malformed", message));
            }
            _ => {}
        }
        Ok(match std::str::from_utf8(self.body) {
            Ok(text) => Value::from(text),
            Err(_) => json!({ "base64": BASE64_STANDARD.encode(self.body) }),
        })
    }
}

fn gathered(pairs: form_urlencoded::Parse<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in pairs {
        let value = Value::from(value.into_owned());
        match members.get_mut(name.as_ref()) {
            None => drop(members.insert(name.into_owned(), value)),
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(headers: &'a [(String, String)], body: &'a [u8]) -> Incoming<'a> {
        Incoming { method: "POST", query: "", headers, body }
    }

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_body_is_what_its_type_says() {
        for (kind, body, expected) in [
            ("application/json", r#"{"a":1}"#, json!({ "a": 1 })),
            ("application/vnd.api+json; charset=utf-8", "[1]", json!([1])),
            ("", r#"{"a":1}"#, json!({ "a": 1 })),
            ("", "plain", json!("plain")),
            ("text/plain", "7", json!("7")),
            ("application/x-www-form-urlencoded", "a=1&b=x+y&a=2", json!({ "a": ["1", "2"], "b": "x y" })),
            ("application/json", "", json!(null)),
        ] {
            let given = headers(&[("content-type", kind)]);
            assert_eq!(with(&given, body.as_bytes()).data().unwrap()["body"], expected, "{kind} {body}");
        }
        let given = headers(&[("content-type", "application/json")]);
        let refused = with(&given, b"{").data().unwrap_err().to_string();
        assert!(refused.contains("not JSON"), "{refused}");
        assert_eq!(with(&[], &[0xff, 0]).data().unwrap()["body"], json!({ "base64": "/wA=" }));
    }

    #[test]
    fn no_header_that_may_carry_a_secret_is_seen() {
        let given = headers(&[
            ("authorization", "Bearer s3"),
            ("cookie", "s3"),
            ("x-api-key", "s3"),
            ("x-acme-token", "s3"),
            ("x-hub-signature-256", "s3"),
            ("proxy-authorization", "s3"),
            ("idempotency-key", "s3"),
            ("host", "h"),
            ("x-forwarded-for", "10.0.0.1"),
            ("content-type", "text/plain"),
            ("x-acme-event", "made"),
            ("accept", "a"),
            ("accept", "b"),
        ]);
        let data = with(&given, b"").data().unwrap();
        assert_eq!(
            data["headers"],
            json!({ "content-type": "text/plain", "x-acme-event": "made", "accept": "a, b" })
        );
    }

    #[test]
    fn a_caller_says_how_long_it_waits() {
        for (prefer, expected) in [
            ("respond-async", Some(0)),
            ("respond-async, wait=10", Some(0)),
            ("wait=10", Some(10)),
            ("return=minimal, Wait=\"5\"", Some(5)),
            ("wait=soon", None),
            ("return=minimal", None),
        ] {
            let given = headers(&[("prefer", prefer)]);
            assert_eq!(with(&given, b"").patience(), expected.map(Duration::from_secs), "{prefer}");
        }
    }

    #[test]
    fn a_repetition_is_the_same_method_query_and_body() {
        let one = Incoming { method: "POST", query: "a=1", headers: &[], body: b"x" };
        assert_eq!(one.hash(), Incoming { ..one }.hash());
        let others = [
            Incoming { method: "PUT", ..one },
            Incoming { query: "a=", body: b"1x", ..one },
            Incoming { body: b"y", ..one },
        ];
        for other in others {
            assert_ne!(one.hash(), other.hash(), "{other:?}");
        }
    }
}
