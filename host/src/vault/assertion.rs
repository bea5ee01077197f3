//! Service accounts' keys, and the assertions that they sign (RFC 7523).
//!
//! A key is a JSON text as Google's consoles hand it out. It is read anew for every assertion, and nothing of it is
//! kept or shown: a message names members, never what they hold.

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    clock::Timestamp,
    manifest::auth::{ClientAuth, JwtBearer, TokenBody, TokenEndpoint},
};
use zeroize::Zeroizing;

/// How long an assertion may be used; vendors take an hour at most.
const LIFETIME: Duration = Duration::from_secs(600);

/// What is used of a service account's key.
#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    token_uri: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

/// A signed assertion and where it is shown.
pub(super) struct Assertion {
    pub(super) endpoint: TokenEndpoint,
    pub(super) jwt: Zeroizing<String>,
}

/// Signs that the service account asks for the declared scopes now. The error says what is wrong with the key.
pub(super) fn sign(declared: &JwtBearer, key: &str, now: Timestamp) -> Result<Assertion, String> {
    let name = &declared.key.name;
    let key: Key = serde_json::from_str(key).map_err(|error| {
        // The parser's own words may repeat a value.
        let what = if error.is_data() { "lacks a member" } else { "is not JSON" };
        format!(
            "`{name}` {what}: give the whole key file, with `client_email`, `private_key` and `token_uri`, as one text"
        )
    })?;
    if !key.token_uri.starts_with("https://") || key.token_uri.contains(['{', '}']) {
        return Err(format!(
            "the `token_uri` of `{name}` is not an https URL; give the vendor's own key file"
        ));
    }
    let private_key = Zeroizing::new(key.private_key);
    let signer = EncodingKey::from_rsa_pem(private_key.as_bytes()).map_err(|_| {
        format!("the `private_key` of `{name}` is not an RSA key in PEM form; make a new key")
    })?;
    let mut header = Header::new(Algorithm::RS256);
    header.kid = key.private_key_id;
    let iat = now.as_millis() / 1_000;
    let claims = Claims {
        iss: &key.client_email,
        scope: declared.scopes.join(" "),
        aud: declared.audience.as_deref().unwrap_or(&key.token_uri),
        iat,
        exp: iat + LIFETIME.as_secs(),
    };
    let jwt = jsonwebtoken::encode(&header, &claims, &signer)
        .map_err(|_| format!("the `private_key` of `{name}` does not sign; make a new key"))?;
    let endpoint = TokenEndpoint {
        url: key.token_uri,
        client: ClientAuth::Body,
        body: TokenBody::Form,
        parameters: BTreeMap::new(),
    };
    Ok(Assertion { endpoint, jwt: Zeroizing::new(jwt) })
}

#[cfg(test)]
mod tests {
    use trunnion_core::manifest::SecretField;

    use super::*;

    #[test]
    fn a_key_that_cannot_serve_is_explained_without_showing_it() {
        let key =
            SecretField { name: "account".to_owned(), title: "Account".to_owned(), help: String::new() };
        let declared = JwtBearer { key, scopes: Vec::new(), audience: None };
        for (key, says) in [
            ("not json s3cret", "is not JSON"),
            (r#"{"client_email":"s3cret"}"#, "lacks a member"),
            (
                r#"{"client_email":"s3cret","private_key":"s3cret","token_uri":"http://a.example"}"#,
                "not an https URL",
            ),
            (
                r#"{"client_email":"s3cret","private_key":"s3cret","token_uri":"https://a.example"}"#,
                "PEM form",
            ),
        ] {
            let said = sign(&declared, key, Timestamp::ZERO).err().unwrap();
            assert!(said.contains(says) && said.contains("account") && !said.contains("s3cret"), "{said}");
        }
    }
}
