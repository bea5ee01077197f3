//! Placing secrets: `{{secret:NAME}}` references, and what an auth scheme adds.
//!
//! Order matters: the destination is authorised with the references still in place, and a reference may not
//! stand where it could choose the destination. What carries a secret is marked, so that a redirect to
//! another host leaves it behind.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use trunnion_core::{
    clock::Timestamp,
    manifest::{
        Placement,
        auth::{self, AwsSigv4},
    },
};
use url::Url;
use zeroize::Zeroizing;

use super::{Auth, Outgoing, SendError, authorise::Subject, sigv4::Signer};
use crate::{call::Call, secrets::Secrets};

/// Everything but RFC 3986's unreserved characters.
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const FORM: &str = "application/x-www-form-urlencoded";
/// Headers that belong to the host or to the connection.
const RESERVED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "proxy-authorization",
    "proxy-connection",
    "x-forwarded-host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "forwarded",
];

/// Whether a guest may not write this header; the name is in lower case.
pub(crate) fn reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A request whose secrets are in place.
pub(super) struct Placed {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) body: Bytes,
    headers: Vec<Header>,
    body_is_secret: bool,
    /// What signs it; nothing once it has left its host.
    signer: Option<Signer>,
    /// Query parameters of the auth scheme, added again on the same host.
    query: Vec<(String, String)>,
}

struct Header {
    name: HeaderName,
    value: HeaderValue,
    secret: bool,
}

impl Placed {
    /// Authorises with references in place, then places.
    pub(super) fn new(
        subject: &Subject,
        call: &Call,
        request: &Outgoing,
        authorise: impl Fn(&Url) -> Result<(), SendError>,
    ) -> Result<Self, SendError> {
        let secrets = &call.secrets;
        let method = method(&request.method)?;
        let (neutral, url) = destination(&request.url)?;
        authorise(&neutral)?;
        let url = fill(url, secrets, Encoding::Percent)?;
        let mut placed = Self {
            url: parse(&url)?,
            method,
            headers: Vec::with_capacity(request.headers.len() + 1),
            body: request.body.clone(),
            body_is_secret: false,
            signer: None,
            query: Vec::new(),
        };
        if placed.url.origin() != neutral.origin() {
            return Err(SendError::Denied("a secret may not choose the destination".to_owned()));
        }
        for (name, value) in &request.headers {
            placed.header(name, value, secrets)?;
        }
        placed.fill_body(secrets)?;
        placed.authenticate(subject, call, request.auth)?;
        Ok(placed)
    }

    fn header(&mut self, name: &str, value: &str, secrets: &Secrets) -> Result<(), SendError> {
        let name: HeaderName =
            name.parse().map_err(|_| SendError::Denied(format!("`{}` is not a header name", short(name))))?;
        if reserved(name.as_str()) {
            return Err(SendError::Denied(format!("header `{name}` is the host's own; leave it out")));
        }
        self.push(name, value, secrets)
    }

    fn push(&mut self, name: HeaderName, value: &str, secrets: &Secrets) -> Result<(), SendError> {
        let filled = fill(value, secrets, Encoding::Raw)?;
        let secret = matches!(filled, Cow::Owned(_));
        let mut value = HeaderValue::from_str(&filled).map_err(|_| {
            SendError::Denied(format!("the value of header `{name}` has characters a header cannot carry"))
        })?;
        value.set_sensitive(secret);
        self.headers.push(Header { name, value, secret });
        Ok(())
    }

    fn fill_body(&mut self, secrets: &Secrets) -> Result<(), SendError> {
        let Ok(text) = str::from_utf8(&self.body) else { return Ok(()) };
        let content_type = self
            .headers
            .iter()
            .find(|header| header.name == CONTENT_TYPE)
            .and_then(|header| header.value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let encoding = if content_type.starts_with(FORM) {
            Encoding::Percent
        } else if content_type.contains("json") {
            Encoding::Json
        } else {
            Encoding::Raw
        };
        if let Cow::Owned(filled) = fill(text, secrets, encoding)? {
            self.body = Bytes::from(filled);
            self.body_is_secret = true;
        }
        Ok(())
    }

    /// Adds what the auth scheme says; it replaces a header of the same name.
    fn authenticate(&mut self, subject: &Subject, call: &Call, auth: Auth) -> Result<(), SendError> {
        let secrets = &call.secrets;
        let (scheme, what) = match auth {
            Auth::None => return Ok(()),
            Auth::Connection => (secrets.connection_scheme(), "a connection"),
            Auth::App => (secrets.app_scheme(), "an app registration"),
        };
        let connector = subject.name();
        let scheme = scheme.ok_or_else(|| {
            SendError::Unauthorized(format!(
                "connector `{connector}` needs {what}, and this call has none; make one"
            ))
        })?;
        let scheme = subject.manifest().scheme(scheme).ok_or_else(|| {
            SendError::Unauthorized(format!(
                "{what} uses auth scheme `{scheme}`, which connector `{connector}` no longer has; connect again"
            ))
        })?;
        for place in &scheme.place {
            match place {
                Placement::Header { name, value } => {
                    let name: HeaderName = name.parse().map_err(|_| {
                        SendError::Denied(format!(
                            "`{name}` in auth scheme `{}` is not a header name",
                            scheme.id
                        ))
                    })?;
                    self.headers.retain(|header| header.name != name);
                    self.push(name, value, secrets)?;
                    // Also where the scheme's value is fixed: it was meant for this host alone.
                    if let Some(header) = self.headers.last_mut() {
                        header.secret = true;
                    }
                }
                Placement::Query { name, value } => {
                    self.query.push((name.clone(), fill(value, secrets, Encoding::Raw)?.into_owned()));
                }
                Placement::Basic { username, password } => {
                    let username = Zeroizing::new(fill(username, secrets, Encoding::Raw)?.into_owned());
                    let password = Zeroizing::new(fill(password, secrets, Encoding::Raw)?.into_owned());
                    self.basic(&scheme.id, &username, &password)?;
                }
                Placement::AwsSigv4(declared) => self.signer = Some(signer(declared, call)?),
            }
        }
        self.add_query();
        Ok(())
    }

    fn basic(&mut self, scheme: &str, username: &str, password: &str) -> Result<(), SendError> {
        if username.contains(':') {
            return Err(SendError::Denied(format!(
                "the user name of auth scheme `{scheme}` has a `:`, which the Basic scheme cannot carry; correct the credential"
            )));
        }
        let pair = Zeroizing::new(format!("{username}:{password}"));
        let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| SendError::Denied("the credential does not fit into a header".to_owned()))?;
        value.set_sensitive(true);
        self.headers.retain(|header| header.name != AUTHORIZATION);
        self.headers.push(Header { name: AUTHORIZATION, value, secret: true });
        Ok(())
    }

    /// The scheme's query parameters, in place of any of the same name.
    fn add_query(&mut self) {
        if self.query.is_empty() {
            return;
        }
        let named = |name: &str| self.query.iter().any(|(own, _)| own == name);
        let others: Vec<(String, String)> = self
            .url
            .query_pairs()
            .filter(|(name, _)| !named(name))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        self.url.query_pairs_mut().clear().extend_pairs(others).extend_pairs(&self.query);
    }

    /// Turns to where a vendor redirects. Credentials stay behind when the host changes.
    pub(super) fn redirect(
        &mut self,
        subject: &Subject,
        call: &Call,
        status: u16,
        location: &str,
    ) -> Result<(), SendError> {
        let from = self.url.host_str().unwrap_or_default().to_owned();
        let next = self
            .url
            .join(location)
            .map_err(|_| SendError::Denied(format!("`{from}` redirects to something that is not a URL")))?;
        if status == 303 || (matches!(status, 301 | 302) && self.method == Method::POST) {
            if self.method != Method::HEAD {
                self.method = Method::GET;
            }
            self.body = Bytes::new();
            self.body_is_secret = false;
            self.headers.retain(|header| header.name != CONTENT_TYPE && header.name != CONTENT_LENGTH);
        }
        let same_host = next.origin() == self.url.origin();
        if !same_host {
            let to = next.host_str().unwrap_or_default();
            let carried = self.body_is_secret || call.secrets.redactor().finds(next.as_str().as_bytes());
            if carried {
                return Err(SendError::Denied(format!(
                    "`{from}` redirects connector `{}` to `{to}` with a secret in the URL or body; send to `{to}` directly",
                    subject.name()
                )));
            }
            self.headers.retain(|header| {
                !header.secret
                    && !matches!(header.name.as_str(), "authorization" | "cookie" | "proxy-authorization")
            });
            self.query.clear();
            self.signer = None;
        }
        self.url = next;
        self.url.set_fragment(None);
        self.add_query();
        Ok(())
    }

    /// The headers of this hop, which leaves at `at`.
    pub(super) fn headers(
        &self,
        forwarded_host: Option<&str>,
        at: Timestamp,
    ) -> Result<HeaderMap, SendError> {
        let mut map = HeaderMap::with_capacity(self.headers.len() + 1);
        for header in &self.headers {
            map.append(header.name.clone(), header.value.clone());
        }
        if let Some(signer) = &self.signer {
            signer.sign((&self.method, &self.url), &mut map, &self.body, at)?;
        }
        if let Some(host) = forwarded_host {
            let host = HeaderValue::from_str(host)
                .map_err(|_| SendError::Denied("the original host does not fit into a header".to_owned()))?;
            map.insert("x-forwarded-host", host);
        }
        Ok(map)
    }
}

/// What signs requests of a call, as declared.
fn signer(declared: &AwsSigv4, call: &Call) -> Result<Signer, SendError> {
    let filled = |text: &str| Ok(Zeroizing::new(fill(text, &call.secrets, Encoding::Raw)?.into_owned()));
    let region = auth::fill(&declared.region, &call.parameters).map_err(|name| {
        SendError::Unauthorized(format!(
            "the connection lacks `{name}`, which names the region; connect again"
        ))
    })?;
    Ok(Signer {
        access_key: filled(&declared.access_key)?,
        secret_key: filled(&declared.secret_key)?,
        session_token: declared.session_token.as_deref().map(filled).transpose()?,
        service: declared.service.clone(),
        region,
    })
}

fn method(text: &str) -> Result<Method, SendError> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if method != Method::CONNECT && method != Method::TRACE => Ok(method),
        _ => Err(SendError::Denied(format!(
            "`{}` is not a method that may be sent; use GET, POST, PUT …",
            short(text)
        ))),
    }
}

/// The URL with every reference neutralised, for judging, and as the guest wrote it.
fn destination(url: &str) -> Result<(Url, &str), SendError> {
    // The URL parser drops tabs and line ends wherever they stand, so a check of the text would judge another URL.
    if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(SendError::Denied(
            "the URL has spaces or control characters; percent-encode them".to_owned(),
        ));
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let authority_end = url.len() - rest.len() + end;
    let (authority, _) = url.split_at_checked(authority_end).unwrap_or((url, ""));
    if authority.contains(['{', '}', '%']) {
        return Err(SendError::Denied(
            "the URL's host has `{`, `}` or `%`; a secret may stand in the path, the query, a header or the body only".to_owned(),
        ));
    }
    let neutral = substitute(url, |_| Ok(Cow::Borrowed("x")))?;
    Ok((parse(&neutral)?, url))
}

fn parse(url: &str) -> Result<Url, SendError> {
    // The parser's message does not repeat the text, which may hold secrets by now.
    let mut url =
        Url::parse(url).map_err(|error| SendError::Denied(format!("the URL cannot be read: {error}")))?;
    url.set_fragment(None);
    Ok(url)
}

/// How a value is written where it is placed.
#[derive(Clone, Copy)]
enum Encoding {
    Raw,
    Percent,
    Json,
}

fn fill<'a>(text: &'a str, secrets: &Secrets, encoding: Encoding) -> Result<Cow<'a, str>, SendError> {
    substitute(text, |name| {
        let value = secrets.get(name).ok_or_else(|| {
            let known = secrets.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() {
                "this call has none".to_owned()
            } else {
                format!("this call has {known}")
            };
            SendError::Denied(format!("there is no secret `{}`; {known}", short(name)))
        })?;
        Ok(match encoding {
            Encoding::Raw => Cow::Borrowed(value),
            Encoding::Percent => Cow::Owned(utf8_percent_encode(value, ENCODED).to_string()),
            Encoding::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                Cow::Owned(
                    quoted
                        .strip_prefix('"')
                        .and_then(|text| text.strip_suffix('"'))
                        .unwrap_or(&quoted)
                        .to_owned(),
                )
            }
        })
    })
}

/// The ways a reference begins and ends: as written, and as URL and form encoders leave it.
const OPENINGS: [&str; 3] = ["{{secret:", "%7b%7bsecret:", "%7b%7bsecret%3a"];
const CLOSINGS: [&str; 2] = ["}}", "%7d%7d"];

/// Replaces every reference; borrowed when there is none.
fn substitute<'a, 'v>(
    text: &'a str,
    mut value: impl FnMut(&str) -> Result<Cow<'v, str>, SendError>,
) -> Result<Cow<'a, str>, SendError> {
    if !text.contains("secret") {
        return Ok(Cow::Borrowed(text));
    }
    let lower = text.to_ascii_lowercase();
    let mut filled = String::new();
    let mut done = 0;
    while let Some((start, opening)) = first_of(&lower, done, &OPENINGS) {
        let inner = start + opening;
        let Some((end, closing)) = first_of(&lower, inner, &CLOSINGS) else {
            return Err(SendError::Denied(
                "a secret reference is not closed; write it as `{{secret:NAME}}`".to_owned(),
            ));
        };
        let name = text.get(inner..end).unwrap_or_default();
        filled.push_str(text.get(done..start).unwrap_or_default());
        filled.push_str(&value(name)?);
        done = end + closing;
    }
    if done == 0 {
        return Ok(Cow::Borrowed(text));
    }
    filled.push_str(text.get(done..).unwrap_or_default());
    Ok(Cow::Owned(filled))
}

/// Where the first of `needles` begins at or after `from`, and its length.
fn first_of(text: &str, from: usize, needles: &[&str]) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    needles.iter().filter_map(|needle| rest.find(needle).map(|at| (from + at, needle.len()))).min()
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_filled_as_their_place_needs() {
        let secrets = Secrets::new([("key".to_owned(), "a\"b c/é".to_owned())]);
        for (text, encoding, expected) in [
            ("Bearer {{secret:key}}", Encoding::Raw, "Bearer a\"b c/é"),
            (
                "/{{secret:key}}/x?k=%7B%7Bsecret%3Akey%7D%7D",
                Encoding::Percent,
                "/a%22b%20c%2F%C3%A9/x?k=a%22b%20c%2F%C3%A9",
            ),
            ("k=%7b%7bsecret:key%7d%7d", Encoding::Percent, "k=a%22b%20c%2F%C3%A9"),
            (r#"{"k":"{{secret:key}}"}"#, Encoding::Json, r#"{"k":"a\"b c/é"}"#),
            ("no secret here", Encoding::Raw, "no secret here"),
            ("{{secrets}} é", Encoding::Raw, "{{secrets}} é"),
        ] {
            assert_eq!(fill(text, &secrets, encoding).unwrap(), expected, "{text}");
        }
        for (text, says) in [("{{secret:key", "not closed"), ("{{secret:other}}", "this call has `key`")] {
            let error = fill(text, &secrets, Encoding::Raw).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_reference_never_stands_in_the_authority() {
        for url in [
            "https://{{secret:key}}.acme.com/",
            "https://{{secret:key}}@acme.com/",
            "https://acme.com:{{secret:key}}/",
            "https://acme.com%2f@evil.com/",
            "https://acme.com\\{{secret:key}}@evil.com\t/",
            "{{secret:key}}",
            "https://acme.com/ x",
        ] {
            assert!(destination(url).is_err(), "{url}");
        }
        let (neutral, _) = destination("https://acme.com\\@evil.com/").unwrap();
        assert_eq!(neutral.host_str(), Some("acme.com"));
    }
}
