//! Token endpoints: what is asked of them, and what their answers mean.
//!
//! Owns the wire: a [`Grant`] becomes one request, by the manifest's declaration and through the host's guarded way out,
//! and its answer becomes [`Issued`] or [`Refusal`]. Decides nothing about connections. Whatever a vendor says is shown
//! without the secrets that it was sent.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    manifest::{
        Manifest,
        auth::{self, ClientAuth, TokenBody, TokenEndpoint},
    },
    records::Tokens,
};
use trunnion_sandbox::{
    Outbound, Secrets,
    broker::{Post, Posted, SendError},
};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Time for one exchange: a call waits for it, and a person at the callback does.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Characters of a vendor's explanation that are shown.
const MAX_SHOWN: usize = 300;

/// A client as the vendor knows it.
pub(crate) struct Client {
    /// Its id.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: Zeroizing<String>,
}

/// What a token is asked for with.
pub(super) enum Grant {
    /// A code that the person's consent gave.
    Code {
        code: Zeroizing<String>,
        redirect_uri: String,
        verifier: Option<Zeroizing<String>>,
        /// What the callback carried and the vendor wants again.
        repeat: Vec<(String, String)>,
    },
    /// An earlier answer's refresh token.
    Refresh(Zeroizing<String>),
    /// The client itself.
    Client { scopes: String },
    /// A signed assertion.
    Assertion(Zeroizing<String>),
}

/// A token endpoint and who asks it.
pub(super) struct Endpoint<'a> {
    /// The connector whose hosts may be asked.
    pub(super) manifest: &'a Arc<Manifest>,
    /// The connection parameters, for templates.
    pub(super) parameters: &'a BTreeMap<String, String>,
    /// Where.
    pub(super) token: &'a TokenEndpoint,
    /// Who; nobody where the assertion says it.
    pub(super) client: Option<&'a Client>,
}

/// What a token endpoint issued.
pub(crate) struct Issued {
    /// The tokens; without a refresh token where the answer had none.
    pub(crate) tokens: Tokens,
    /// The whole answer, for what is captured from it.
    pub(crate) answer: Map<String, Value>,
}

/// Why nothing was issued.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The vendor does not accept what was shown; asking again cannot help.
    Final(String),
    /// It may go another time, or the fault is not the user's.
    Now(CallError),
}

impl Refusal {
    fn unavailable(message: String) -> Self {
        Self::Now(CallError::Unavailable { message })
    }
}

impl Endpoint<'_> {
    /// Asks for tokens.
    pub(super) async fn ask(
        &self,
        outbound: &dyn Outbound,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Issued, Refusal> {
        let app = &self.manifest.id;
        let url = auth::fill(&self.token.url, self.parameters).map_err(|name| {
            Refusal::Final(format!("the connection to `{app}` lacks `{name}`; connect again"))
        })?;
        let shown = self.secrets(grant);
        let post = self.request(url, grant)?;
        let answered = outbound.post_for(Arc::clone(self.manifest), self.parameters, post).await;
        let posted = answered.map_err(|error| match error {
            SendError::Denied(message) => Refusal::Now(CallError::Denied { message: shown.redact(&message) }),
            other => {
                Refusal::unavailable(format!("no token from `{app}`: {}", shown.redact(&other.to_string())))
            }
        })?;
        read(app, &posted, &shown, now)
    }

    /// Everything that must not be seen in what the vendor says.
    fn secrets(&self, grant: &Grant) -> Secrets {
        let mut values: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: &str| values.push((name.to_owned(), value.to_owned()));
        if let Some(client) = self.client {
            add("client_secret", &client.secret);
        }
        match grant {
            Grant::Code { code, verifier, .. } => {
                add("code", code);
                if let Some(verifier) = verifier {
                    add("code_verifier", verifier);
                }
            }
            Grant::Refresh(token) => add("refresh_token", token),
            Grant::Client { .. } => {}
            Grant::Assertion(assertion) => add("assertion", assertion),
        }
        Secrets::new(values)
    }

    fn request(&self, url: String, grant: &Grant) -> Result<Post, Refusal> {
        let mut members = self.members(grant)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(client) = self.client {
            match self.token.client {
                ClientAuth::Body => {
                    members.push(("client_id".to_owned(), Zeroizing::new(client.id.clone())));
                    members.push(("client_secret".to_owned(), client.secret.clone()));
                }
                ClientAuth::Basic => {
                    let mut value = basic(client).ok_or_else(|| {
                        Refusal::unavailable(format!(
                            "the client of the app `{}` does not fit into a header; correct it with PUT \
                             /v1/apps/{}/oauth-client",
                            self.manifest.id, self.manifest.id
                        ))
                    })?;
                    value.set_sensitive(true);
                    headers.insert(header::AUTHORIZATION, value);
                }
            }
        }
        let (content_type, body) = match self.token.body {
            TokenBody::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in &members {
                    form.append_pair(name, value);
                }
                ("application/x-www-form-urlencoded", form.finish())
            }
            TokenBody::Json => {
                let object: Map<String, Value> =
                    members.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
                ("application/json", Value::Object(object).to_string())
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Ok(Post { url, method: Method::POST, headers, body: body.into(), timeout: TIMEOUT })
    }

    fn members(&self, grant: &Grant) -> Result<Vec<(String, Zeroizing<String>)>, Refusal> {
        let mut members: Vec<(String, Zeroizing<String>)> = Vec::new();
        let mut add =
            |name: &str, value: &str| members.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        match grant {
            Grant::Code { code, redirect_uri, verifier, repeat } => {
                add("grant_type", "authorization_code");
                add("code", code);
                add("redirect_uri", redirect_uri);
                if let Some(verifier) = verifier {
                    add("code_verifier", verifier);
                }
                for (name, value) in repeat {
                    add(name, value);
                }
            }
            Grant::Refresh(token) => {
                add("grant_type", "refresh_token");
                add("refresh_token", token);
            }
            Grant::Client { scopes } => {
                add("grant_type", "client_credentials");
                if !scopes.is_empty() {
                    add("scope", scopes);
                }
            }
            Grant::Assertion(assertion) => {
                add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                add("assertion", assertion);
            }
        }
        if !matches!(grant, Grant::Refresh(_)) {
            for (name, template) in &self.token.parameters {
                let value = auth::fill(template, self.parameters).map_err(|missing| {
                    Refusal::Final(format!("the connection lacks `{missing}`; connect again"))
                })?;
                add(name, &value);
            }
        }
        Ok(members)
    }
}

/// The client's id and secret as RFC 6749 §2.3.1 writes them: each form-encoded first.
fn basic(client: &Client) -> Option<HeaderValue> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(&client.id), encoded(&client.secret)));
    HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()))).ok()
}

/// What an answer means.
fn read(app: &str, posted: &Posted, shown: &Secrets, now: Timestamp) -> Result<Issued, Refusal> {
    let answer = serde_json::from_slice::<Value>(&posted.body).ok();
    let answer =
        answer.and_then(|value| if let Value::Object(members) = value { Some(members) } else { None });
    let status = posted.status;
    let text = |name: &str| answer.as_ref().and_then(|members| members.get(name)).and_then(Value::as_str);
    // Some vendors refuse with 200.
    if !(200..300).contains(&status) || text("error").is_some() {
        let code = text("error").unwrap_or_default();
        let said = text("error_description").or_else(|| text("message"));
        let mut reason = format!("HTTP {status}");
        for part in [Some(code).filter(|code| !code.is_empty()), said].into_iter().flatten() {
            reason.push_str(": ");
            reason.push_str(&shown.redact(part).chars().take(MAX_SHOWN).collect::<String>());
        }
        return Err(refusal(app, (status, code), reason, &posted.headers));
    }
    let wrong = |what: &str| {
        Refusal::unavailable(format!(
            "the token endpoint of `{app}` answered {status} {what}; it may be out of order"
        ))
    };
    let access = text("access_token").filter(|token| !token.is_empty()).map(str::to_owned);
    let refresh = text("refresh_token").filter(|token| !token.is_empty()).map(str::to_owned);
    let (Some(access), Some(answer)) = (access, answer) else {
        return Err(wrong("without an `access_token`"));
    };
    let seconds = answer.get("expires_in").and_then(|value| match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    // Some write 0 for a token that does not expire.
    let expires_at = seconds.filter(|seconds| *seconds > 0).map(|seconds| now + Duration::from_secs(seconds));
    let tokens = Tokens { access, refresh, issued_at: now, expires_at };
    Ok(Issued { tokens, answer })
}

fn refusal(app: &str, (status, code): (u16, &str), reason: String, headers: &HeaderMap) -> Refusal {
    if status == 429 || code == "slow_down" {
        let seconds =
            headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after_ms = seconds.map(|seconds: u64| seconds.saturating_mul(1_000));
        return Refusal::Now(CallError::RateLimited { retry_after_ms });
    }
    if status >= 500 || status == 408 || matches!(code, "temporarily_unavailable" | "server_error") {
        return Refusal::unavailable(format!("the token endpoint of `{app}` is failing ({reason})"));
    }
    if matches!(code, "invalid_client" | "unauthorized_client") {
        // The registration's fault: no user can mend it, and their tokens may well be good.
        return Refusal::unavailable(format!(
            "`{app}` does not accept the client ({reason}); correct it with PUT /v1/apps/{app}/oauth-client, or, where it \
             is the user's own, connect again"
        ));
    }
    Refusal::Final(format!("`{app}` issues no new token ({reason})"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is cast saturates, and lifetimes are small"
)]
fn whole(seconds: f64) -> Option<u64> {
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds as u64)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answered(status: u16, body: &str) -> Posted {
        let (headers, body) = (HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes()));
        Posted { status, headers, body, duration: Duration::ZERO }
    }

    fn issued(body: &str) -> Tokens {
        match read("acme", &answered(200, body), &Secrets::none(), Timestamp::from_millis(1_000)) {
            Ok(issued) => issued.tokens,
            Err(refusal) => panic!("{body}: {refusal:?}"),
        }
    }

    #[test]
    fn a_lifetime_is_read_in_every_form_vendors_write_it() {
        for (body, ends) in [
            (r#"{"access_token":"a","expires_in":60}"#, Some(61_000)),
            (r#"{"access_token":"a","expires_in":"60"}"#, Some(61_000)),
            (r#"{"access_token":"a","expires_in":60.5}"#, Some(61_000)),
            (r#"{"access_token":"a","expires_in":0}"#, None),
            (r#"{"access_token":"a"}"#, None),
        ] {
            assert_eq!(issued(body).expires_at, ends.map(Timestamp::from_millis), "{body}");
        }
        assert_eq!(issued(r#"{"access_token":"a","refresh_token":""}"#).refresh, None);
    }

    #[test]
    fn refusals_are_final_only_where_the_grant_is_refused() {
        let secrets = Secrets::new([("refresh_token".to_owned(), "r3fr3sh".to_owned())]);
        let of = |status, body: &str| match read("acme", &answered(status, body), &secrets, Timestamp::ZERO) {
            Ok(_) => panic!("{status} {body} was taken"),
            Err(refusal) => refusal,
        };
        let Refusal::Final(reason) =
            of(400, r#"{"error":"invalid_grant","error_description":"r3fr3sh was used"}"#)
        else {
            panic!("a refused grant is final")
        };
        assert_eq!(reason, "`acme` issues no new token (HTTP 400: invalid_grant: [redacted] was used)");
        assert!(matches!(of(200, r#"{"error":"bad_refresh_token"}"#), Refusal::Final(_)));
        assert!(matches!(of(403, "<html>"), Refusal::Final(_)));
        for (status, body) in [
            (500, ""),
            (503, r#"{"error":"invalid_grant"}"#),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (401, r#"{"error":"invalid_client"}"#),
            (200, "{}"),
            (200, "<html>"),
        ] {
            let refusal = of(status, body);
            assert!(
                matches!(refusal, Refusal::Now(CallError::Unavailable { .. })),
                "{status} {body}: {refusal:?}"
            );
        }
        assert!(matches!(of(429, ""), Refusal::Now(CallError::RateLimited { retry_after_ms: None })));
    }
}
