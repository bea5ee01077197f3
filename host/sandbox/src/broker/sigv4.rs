//! AWS Signature Version 4: computed by the host over a request as it leaves, with a key that nobody else sees.
//!
//! What is signed is the logical destination: a rewritten one gets the original's signature. Each hop is signed anew,
//! since a signature is over the URL and the time. Own code, since the vendor's crate brings a second set of hashes
//! beside aws-lc-rs and twenty crates with it; AWS's own examples are the tests.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use trunnion_core::clock::Timestamp;
use url::Url;
use zeroize::Zeroizing;

use super::{SendError, place::ENCODED};

/// The service whose paths are signed as they are, and whose bodies' hashes travel along.
const S3: &str = "s3";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Everything but unreserved characters and the slashes between segments.
const PATH: &AsciiSet = &ENCODED.remove(b'/');
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const BODY_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// With what and for what requests are signed.
pub struct Signer {
    /// The key's id.
    pub access_key: Zeroizing<String>,
    /// Its secret.
    pub secret_key: Zeroizing<String>,
    /// What proves a temporary key.
    pub session_token: Option<Zeroizing<String>>,
    /// The service, such as `events`.
    pub service: String,
    /// The region, such as `eu-central-1`.
    pub region: String,
}

impl fmt::Debug for Signer {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("service", &self.service)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Adds the signature's headers, in place of any that were there.
    ///
    /// # Errors
    /// [`SendError::Denied`] where a key does not fit into a header.
    pub fn sign(
        &self,
        (method, url): (&Method, &Url),
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), SendError> {
        for own in [AUTHORIZATION, DATE, TOKEN, BODY_HASH] {
            headers.remove(own);
        }
        // `2015-08-30T12:36:00.000Z` without what AWS leaves out.
        let moment = now.to_string();
        let moment = moment.split('.').next().unwrap_or_default().replace(['-', ':', 'Z'], "");
        let moment = format!("{moment}Z");
        let day = moment.split('T').next().unwrap_or_default();
        let body_hash = hex::encode(digest(&SHA256, body));
        headers.insert(DATE, secret(&moment)?);
        if let Some(token) = &self.session_token {
            headers.insert(TOKEN, secret(token)?);
        }
        if self.service == S3 {
            headers.insert(BODY_HASH, secret(&body_hash)?);
        }
        let (names, lines) = canonical_headers(url, headers);
        let canonical = format!(
            "{method}\n{}\n{}\n{lines}\n{names}\n{body_hash}",
            self.canonical_path(url),
            canonical_query(url)
        );
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let to_sign =
            format!("{ALGORITHM}\n{moment}\n{scope}\n{}", hex::encode(digest(&SHA256, canonical.as_bytes())));
        let first = Zeroizing::new(format!("AWS4{}", self.secret_key.as_str()));
        let mut key = mac(first.as_bytes(), day);
        for part in [self.region.as_str(), self.service.as_str(), "aws4_request"] {
            key = mac(key.as_ref(), part);
        }
        let signature = hex::encode(mac(key.as_ref(), &to_sign));
        let credential = format!("{}/{scope}", self.access_key.as_str());
        let value =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}");
        headers.insert(AUTHORIZATION, secret(&value)?);
        Ok(())
    }

    fn canonical_path(&self, url: &Url) -> String {
        let plain: Vec<u8> = percent_decode_str(url.path()).collect();
        let once = utf8_percent_encode(&String::from_utf8_lossy(&plain), PATH).to_string();
        if self.service == S3 { once } else { utf8_percent_encode(&once, PATH).to_string() }
    }
}

/// Name and value of every query parameter, encoded and sorted.
fn canonical_query(url: &Url) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The names of the headers that are signed, and each with its value on a line: those that AWS asks for.
fn canonical_headers(url: &Url, headers: &HeaderMap) -> (String, String) {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut signed: BTreeMap<&str, Vec<String>> = BTreeMap::from([("host", vec![host])]);
    for (name, value) in headers {
        if *name == CONTENT_TYPE || name.as_str().starts_with("x-amz-") {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            signed.entry(name.as_str()).or_default().push(value);
        }
    }
    let names = signed.keys().copied().collect::<Vec<_>>().join(";");
    (names, signed.iter().map(|(name, values)| format!("{name}:{}\n", values.join(","))).collect())
}

fn mac(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}

fn secret(text: &str) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        SendError::Denied("the signature does not fit into a header; connect again".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of AWS's own suite for signers (`get-vanilla`, `get-vanilla-query-order-key-case`,
    /// `post-x-www-form-urlencoded`), with its key, time and region.
    #[test]
    fn known_requests_have_the_known_signatures() {
        let signer = Signer {
            access_key: Zeroizing::new("AKIDEXAMPLE".to_owned()),
            secret_key: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
            service: "service".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let form = "application/x-www-form-urlencoded";
        for (method, path, body, names, signature) in [
            (
                Method::GET,
                "/",
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                Method::GET,
                "/?Param2=value2&Param1=value1",
                "",
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                Method::POST,
                "/",
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static("the guest's own"));
            if !body.is_empty() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
            }
            // 2015-08-30T12:36:00Z
            let now = Timestamp::from_millis(1_440_938_160_000);
            let url = Url::parse(&format!("https://example.amazonaws.com{path}")).unwrap();
            signer.sign((&method, &url), &mut headers, body.as_bytes(), now).unwrap();
            assert_eq!(headers["x-amz-date"], "20150830T123600Z");
            let known = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(headers["authorization"], known.as_str(), "{method} {path}");
        }
    }
}
