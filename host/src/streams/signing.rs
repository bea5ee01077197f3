//! What proves to a receiver that a request is ours: the headers of Standard Webhooks and of Alloy.
//!
//! Standard Webhooks signs `id.timestamp.body` over exactly the bytes that are sent: symmetric (`v1`) with the stream's
//! secret and, while that is new, with the one before it; asymmetric (`v1a`) with Ed25519
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! Alloy signs method, URL and body with RSA (PKCS #1 v1.5, SHA-256), in hex, and its receivers read the body and write
//! it again before they verify: so the body is signed as JavaScript writes it
//! ([`Written`]).

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use trunnion_core::{
    definition::EventBlock,
    id::{RunId, UserId, WorkflowId},
    javascript::Written,
    payload::Part,
    records::Signature,
    scope::Scope,
};

use super::keys::{Kind, SigningKeys};
use crate::error::{Error, Result};

/// What a request comes from, which Alloy's receivers are told.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The user.
    pub user: UserId,
    /// The run.
    pub run: RunId,
    /// What starts the workflow.
    pub event: &'a EventBlock,
    /// Whether they are told in any case.
    pub companions: Companions,
}

/// When receivers are told what a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companions {
    /// With Alloy's signature.
    WithAlloy,
    /// Always.
    Always,
}

/// A request before it is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsigned<'a> {
    /// In which environment.
    pub(super) scope: &'a Scope,
    /// Where it goes, as configured.
    pub(super) url: &'a str,
    /// `webhook-id`.
    pub(super) id: &'a str,
    /// `webhook-timestamp`, in seconds.
    pub(super) timestamp: u64,
    /// The bytes that are sent.
    pub(super) text: &'a Written,
}

/// The bytes of a body that is signed so: as JavaScript writes it, where a receiver may do that, so that most can verify
/// what they received as well as what they have read. Whole numbers that no double is are sent as they are.
pub(super) fn text_of(body: Part<'_>, signatures: &BTreeSet<Signature>) -> Written {
    let rewritten = signatures.contains(&Signature::Alloy);
    if rewritten { Written::of(&body.to_value()) } else { Written::as_it_is(body.to_text().into_owned()) }
}

impl Unsigned<'_> {
    /// The headers that every request has.
    pub(super) fn headers(&self) -> Result<HeaderMap> {
        Ok(HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("webhook-id"), value(self.id)?),
            (HeaderName::from_static("webhook-timestamp"), HeaderValue::from(self.timestamp)),
        ]))
    }

    /// `v1` with each of these secrets; none where there is none.
    pub(super) fn symmetric<'a>(&self, secrets: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
        secrets.map(|secret| Ok(hmac_of(&key_of(secret)?, &self.signed()))).collect()
    }

    /// `v1a`.
    pub(super) async fn asymmetric(&self, keys: &SigningKeys) -> Result<String> {
        let signature = keys.sign(self.scope, Kind::Ed25519, self.signed().as_bytes()).await?;
        Ok(format!("v1a,{}", BASE64_STANDARD.encode(signature)))
    }

    fn signed(&self) -> String {
        format!("{}.{}.{}", self.id, self.timestamp, self.text.exact)
    }

    /// Adds what Alloy's receivers verify.
    pub(super) async fn add_alloy(&self, headers: &mut HeaderMap, keys: &SigningKeys) -> Result<()> {
        let signed = format!("POST{}{}", self.url, self.text.as_read());
        let signature = keys.sign(self.scope, Kind::Rsa, signed.as_bytes()).await?;
        headers.insert("x-alloy-signature", value(&hex::encode(signature))?);
        Ok(())
    }
}

/// Adds what a request comes from.
pub(super) fn add_companions(headers: &mut HeaderMap, origin: Origin<'_>) -> Result<()> {
    let Origin { workflow, user, run, event, .. } = origin;
    headers.insert("x-alloy-workflowid", value(&workflow.to_string())?);
    headers.insert("x-alloy-userid", value(&user.to_string())?);
    headers.insert("x-alloy-blockname", text(&event.name)?);
    headers.insert("x-alloy-blocktype", text(&event.kind)?);
    headers.insert("x-alloy-executionuuid", value(&run.to_string())?);
    Ok(())
}

/// `webhook-signature`: every signature, separated by spaces.
pub(super) fn add_signatures(headers: &mut HeaderMap, signatures: &[String]) -> Result<()> {
    if !signatures.is_empty() {
        headers.insert("webhook-signature", value(&signatures.join(" "))?);
    }
    Ok(())
}

fn key_of(secret: &str) -> Result<Vec<u8>> {
    let decoded = secret.strip_prefix("whsec_").and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    decoded.ok_or_else(|| {
        Error::Internal("a signing secret is not `whsec_` and base64; set the stream again".to_owned())
    })
}

fn hmac_of(key: &[u8], signed: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|error| Error::Internal(format!("a stream's header cannot be sent: {error}")))
}

/// Text that people gave: a header carries bytes, of which UTF-8 is what receivers expect, and no control characters.
fn text(given: &str) -> Result<HeaderValue> {
    let shown: String = given.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    HeaderValue::from_bytes(shown.as_bytes())
        .map_err(|error| Error::Internal(format!("a stream's header cannot be sent: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn signs_as_standard_webhooks_does() {
        let key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(hmac_of(&key, signed), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
