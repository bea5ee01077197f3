//! Whether a delivery is the vendor's: the manifest's declaration, applied by the host.
//!
//! Comparisons take the same time wherever two values differ. A message never says what would have been right.

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, prelude::BASE64_STANDARD};
use trunnion_core::{
    clock::Timestamp,
    manifest::{HmacAlgorithm, SignatureEncoding, SignedPart, SignedTime, TimeUnit, Verification},
};

/// Secrets by name; several of one name while it is rotated.
pub type Keys = BTreeMap<String, Vec<String>>;

/// A delivery as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The public URL the vendor called.
    pub url: &'a str,
    /// Names in lower case.
    pub headers: &'a [(String, String)],
    /// The raw body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// A header's value, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Why a delivery is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header that the declaration names is missing.
    #[error("header `{0}` is missing; deliveries without it are not accepted")]
    Missing(String),
    /// The signature or secret is not the vendor's.
    #[error("header `{0}` does not carry the right signature; nothing was stored")]
    Wrong(String),
    /// The signed time is too far from now.
    #[error("header `{0}` carries a time too far from now; the delivery may be a replay")]
    Stale(String),
    /// Nobody has said what proves a delivery.
    #[error("the workflow does not say how deliveries are verified; say so in its trigger's option `verify`")]
    Undeclared,
    /// The secret is not known to the host.
    #[error(
        "the secret `{0}` that verifies deliveries is not set; reconnect, reinstall, or set the key of the app's webhook"
    )]
    NoSecret(String),
}

/// Believes or refuses a delivery.
pub fn verify(
    declared: &Verification,
    secrets: &Keys,
    request: Request<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    match declared {
        // Nobody has said how.
        Verification::Configured => Err(Refusal::Undeclared),
        Verification::SecretHeader { header, secret } => {
            let expected = known(secrets, secret)?;
            let given = request.header(header).ok_or_else(|| Refusal::Missing(header.clone()))?;
            let equals = |expected: &String| {
                constant_time::verify_slices_are_equal(given.as_bytes(), expected.as_bytes()).is_ok()
            };
            believed(expected, equals).ok_or_else(|| Refusal::Wrong(header.clone()))
        }
        Verification::Hmac { algorithm, header, encoding, prefix, parts, secret, timestamp } => {
            let wrong = || Refusal::Wrong(header.clone());
            if let Some(timestamp) = timestamp {
                fresh(timestamp, request, now)?;
            }
            let given = request.header(header).ok_or_else(|| Refusal::Missing(header.clone()))?;
            let given = given.strip_prefix(prefix.as_str()).ok_or_else(wrong)?;
            let signature = match encoding {
                SignatureEncoding::Hex => hex::decode(given).map_err(|_| wrong())?,
                SignatureEncoding::Base64 => BASE64_STANDARD.decode(given).map_err(|_| wrong())?,
            };
            let algorithm = match algorithm {
                HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
                HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
            };
            let message = signed(parts, request)?;
            let signs = |key: &String| {
                let key = hmac::Key::new(algorithm, key.as_bytes());
                hmac::verify(&key, &message, &signature).is_ok()
            };
            believed(known(secrets, secret)?, signs).ok_or_else(wrong)
        }
    }
}

fn known<'a>(secrets: &'a Keys, name: &str) -> Result<&'a [String], Refusal> {
    match secrets.get(name) {
        Some(keys) if !keys.is_empty() && keys.iter().all(|key| !key.is_empty()) => Ok(keys),
        _ => Err(Refusal::NoSecret(name.to_owned())),
    }
}

/// Whether one of the keys proves it. All are tried, so that the time does not tell which.
fn believed(keys: &[String], proves: impl Fn(&String) -> bool) -> Option<()> {
    (keys.iter().filter(|key| proves(key)).count() > 0).then_some(())
}

fn signed(parts: &[SignedPart], request: Request<'_>) -> Result<Vec<u8>, Refusal> {
    let mut message = Vec::with_capacity(request.body.len() + 256);
    for part in parts {
        match part {
            SignedPart::Method => message.extend_from_slice(request.method.as_bytes()),
            SignedPart::Url => message.extend_from_slice(request.url.as_bytes()),
            SignedPart::UrlDecoded(characters) => decode(request.url, characters, &mut message),
            SignedPart::Header(name) => {
                let value = request.header(name).ok_or_else(|| Refusal::Missing(name.clone()))?;
                message.extend_from_slice(value.as_bytes());
            }
            SignedPart::Body => message.extend_from_slice(request.body),
            SignedPart::Literal(text) => message.extend_from_slice(text.as_bytes()),
        }
    }
    Ok(message)
}

/// Writes a URL with these characters plain where it has them percent-encoded. Once: what comes out is not looked at
/// again.
fn decode(url: &str, characters: &str, out: &mut Vec<u8>) {
    let mut rest = url.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let encoded = match (byte, after) {
            (b'%', [high, low, ..]) => {
                let mut decoded = [0];
                hex::decode_to_slice([*high, *low], &mut decoded).ok().map(|()| decoded)
            }
            _ => None,
        };
        match (encoded, after) {
            (Some([plain]), [_, _, after @ ..]) if characters.as_bytes().contains(&plain) => {
                out.push(plain);
                rest = after;
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

fn fresh(declared: &SignedTime, request: Request<'_>, now: Timestamp) -> Result<(), Refusal> {
    let header = || declared.header.clone();
    let given = request.header(&declared.header).ok_or_else(|| Refusal::Missing(header()))?;
    let given: u64 = given.trim().parse().map_err(|_| Refusal::Wrong(header()))?;
    let millis = match declared.unit {
        TimeUnit::Seconds => given.saturating_mul(1_000),
        TimeUnit::Milliseconds => given,
    };
    if now.as_millis().abs_diff(millis) > declared.tolerance_ms {
        Err(Refusal::Stale(header()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac_declared() -> Verification {
        Verification::Hmac {
            algorithm: HmacAlgorithm::Sha256,
            header: "X-Sig".to_owned(),
            encoding: SignatureEncoding::Hex,
            prefix: "sha256=".to_owned(),
            parts: vec![
                SignedPart::Header("X-Time".to_owned()),
                SignedPart::Literal(".".to_owned()),
                SignedPart::Body,
            ],
            secret: "key".to_owned(),
            timestamp: Some(SignedTime {
                header: "X-Time".to_owned(),
                unit: TimeUnit::Seconds,
                tolerance_ms: 300_000,
            }),
        }
    }

    fn sign(time: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"shh");
        format!("sha256={}", hex::encode(hmac::sign(&key, &[time.as_bytes(), b".", body].concat())))
    }

    #[test]
    fn an_hmac_is_believed_only_whole_and_in_time() {
        let secrets = BTreeMap::from([("key".to_owned(), vec!["new".to_owned(), "shh".to_owned()])]);
        let now = Timestamp::from_millis(1_000_000_000);
        let body = b"{}";
        let check = |time: &str, signature: String, secrets: &Keys| {
            let headers = vec![("x-time".to_owned(), time.to_owned()), ("x-sig".to_owned(), signature)];
            let request = Request { method: "POST", url: "https://x/", headers: &headers, body };
            verify(&hmac_declared(), secrets, request, now)
        };
        assert_eq!(check("1000000", sign("1000000", body), &secrets), Ok(()));
        assert_eq!(
            check("1000000", sign("1000000", b"{ }"), &secrets),
            Err(Refusal::Wrong("X-Sig".to_owned()))
        );
        assert_eq!(
            check("1000000", "sha256=zz".to_owned(), &secrets),
            Err(Refusal::Wrong("X-Sig".to_owned()))
        );
        assert_eq!(check("999699", sign("999699", body), &secrets), Err(Refusal::Stale("X-Time".to_owned())));
        assert_eq!(
            check("1000000", sign("1000000", body), &BTreeMap::new()),
            Err(Refusal::NoSecret("key".to_owned()))
        );
    }

    #[test]
    fn listed_characters_of_a_url_are_decoded_once_and_no_others() {
        let decoded = |url: &str| {
            let mut out = Vec::new();
            decode(url, ":/?@!$'()*,;", &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(decoded("https://h/a%3ab%2Fc?d=%40%26%20%C3%A9"), "https://h/a:b/c?d=@%26%20%C3%A9");
        assert_eq!(decoded("https://h/%253A%3"), "https://h/%253A%3");
        assert_eq!(decoded("https://h/%zz%"), "https://h/%zz%");
    }

    #[test]
    fn a_secret_header_must_be_there_and_equal() {
        let declared =
            Verification::SecretHeader { header: "x-secret".to_owned(), secret: "subscription".to_owned() };
        let secrets =
            BTreeMap::from([("subscription".to_owned(), vec!["old".to_owned(), "s3cret".to_owned()])]);
        let check = |headers: &[(String, String)]| {
            let request = Request { method: "POST", url: "https://x/", headers, body: b"" };
            verify(&declared, &secrets, request, Timestamp::ZERO)
        };
        assert_eq!(check(&[("X-Secret".to_owned(), "s3cret".to_owned())]), Ok(()));
        assert_eq!(
            check(&[("x-secret".to_owned(), "s3cre".to_owned())]),
            Err(Refusal::Wrong("x-secret".to_owned()))
        );
        assert_eq!(check(&[]), Err(Refusal::Missing("x-secret".to_owned())));
    }
}
