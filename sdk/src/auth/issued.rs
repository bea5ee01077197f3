//! Credentials that a vendor issues and that expire: how the host obtains them and keeps them fresh. The connector
//! only declares it, and places `secret("access_token")`.
//!
//! URLs and further parameters may name connection parameters: `https://{shop}.acme.com/oauth/token`.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::SecretField;

/// OAuth 2 by authorization code.
///
/// ```
/// use trunnion_sdk::auth::{Capture, Connection, Oauth2, Parameter, Scheme, TokenEndpoint};
///
/// let oauth = Oauth2::new("https://login.acme.com/authorize", TokenEndpoint::new("https://api.acme.com/oauth/token"))
///     .scopes(&["orders.read", "orders.write"])
///     .pkce()
///     .rotating()
///     .capture(Capture::token("portal", "hub_id"));
/// let connection = Connection::new()
///     .parameter(Parameter::digits("portal", "Portal"))
///     .scheme(Scheme::oauth2("oauth", "Acme", oauth).bearer());
/// assert!(serde_json::to_string(&connection).unwrap().contains("Bearer {{secret:access_token}}"));
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Oauth2 {
    authorize: AuthorizeEndpoint,
    token: TokenEndpoint,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    refresh: Refresh,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repeat: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    captures: Vec<Capture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackSignature>,
}

#[derive(Clone, Debug, Serialize)]
struct AuthorizeEndpoint {
    url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
    scope_separator: String,
    pkce: Pkce,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Pkce {
    S256,
    None,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Refresh {
    None,
    Rotating,
    Reusable,
}

impl Oauth2 {
    /// The person consents at `authorize_url`; the code is exchanged at `token`. No refresh token and no proof key
    /// unless said.
    #[must_use]
    pub fn new(authorize_url: &str, token: TokenEndpoint) -> Self {
        Self {
            authorize: AuthorizeEndpoint {
                url: authorize_url.into(),
                parameters: BTreeMap::new(),
                scope_separator: " ".into(),
                pkce: Pkce::None,
            },
            token,
            scopes: Vec::new(),
            refresh: Refresh::None,
            repeat: Vec::new(),
            captures: Vec::new(),
            callback: None,
        }
    }

    /// What is asked for, where the app registration does not say something else.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = owned(scopes);
        self
    }

    /// What stands between scopes, where that is not a space.
    #[must_use]
    pub fn scope_separator(mut self, separator: &str) -> Self {
        self.authorize.scope_separator = separator.into();
        self
    }

    /// A further query parameter of the authorize URL: `access_type=offline`.
    #[must_use]
    pub fn authorize_parameter(mut self, name: &str, value: &str) -> Self {
        self.authorize.parameters.insert(name.into(), value.into());
        self
    }

    /// The vendor takes a proof key (PKCE, S256).
    #[must_use]
    pub fn pkce(mut self) -> Self {
        self.authorize.pkce = Pkce::S256;
        self
    }

    /// Access tokens expire, and each use of the refresh token replaces it.
    #[must_use]
    pub fn rotating(mut self) -> Self {
        self.refresh = Refresh::Rotating;
        self
    }

    /// Access tokens expire, and the refresh token stays.
    #[must_use]
    pub fn reusable(mut self) -> Self {
        self.refresh = Refresh::Reusable;
        self
    }

    /// Repeats a query parameter of the callback when the code is exchanged.
    #[must_use]
    pub fn repeat(mut self, parameter: &str) -> Self {
        self.repeat.push(parameter.into());
        self
    }

    /// Takes a connection parameter from what the vendor says, so that nobody types it.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.captures.push(capture);
        self
    }

    /// The vendor signs its callback.
    #[must_use]
    pub fn signed_callback(mut self, signature: CallbackSignature) -> Self {
        self.callback = Some(signature);
        self
    }
}

/// A signature over a callback's query: the hex HMAC-SHA256, by the client secret, of all other parameters, sorted.
#[derive(Clone, Debug, Serialize)]
pub struct CallbackSignature {
    parameter: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unsigned: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<CallbackTime>,
}

#[derive(Clone, Debug, Serialize)]
struct CallbackTime {
    parameter: String,
    tolerance_ms: u64,
}

impl CallbackSignature {
    /// The query parameter `parameter` carries it.
    #[must_use]
    pub fn new(parameter: &str) -> Self {
        Self { parameter: parameter.into(), unsigned: Vec::new(), timestamp: None }
    }

    /// A query parameter that is not signed.
    #[must_use]
    pub fn unsigned(mut self, parameter: &str) -> Self {
        self.unsigned.push(parameter.into());
        self
    }

    /// The query parameter `parameter` is the time of signing in seconds, at most `tolerance` from now.
    #[must_use]
    pub fn time(mut self, parameter: &str, tolerance: Duration) -> Self {
        let tolerance_ms = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
        self.timestamp = Some(CallbackTime { parameter: parameter.into(), tolerance_ms });
        self
    }
}

/// Where a vendor issues tokens. Its host is one of the connector's.
#[derive(Clone, Debug, Serialize)]
pub struct TokenEndpoint {
    url: String,
    client: ClientAuth,
    body: Body,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ClientAuth {
    Body,
    Basic,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Form,
    Json,
}

impl TokenEndpoint {
    /// Takes forms, with the client's id and secret in them.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), client: ClientAuth::Body, body: Body::Form, parameters: BTreeMap::new() }
    }

    /// The client's id and secret stand in the `Authorization` header.
    #[must_use]
    pub fn basic(mut self) -> Self {
        self.client = ClientAuth::Basic;
        self
    }

    /// Takes JSON.
    #[must_use]
    pub fn json(mut self) -> Self {
        self.body = Body::Json;
        self
    }

    /// A further member of the request for a first token: `expiring=1`.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }
}

/// A connection parameter that the vendor says.
#[derive(Clone, Debug, Serialize)]
pub struct Capture {
    parameter: String,
    from: CaptureSource,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    prefix: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    suffix: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum CaptureSource {
    Callback,
    Token,
}

impl Capture {
    fn new(parameter: &str, from: CaptureSource, name: &str) -> Self {
        Self {
            parameter: parameter.into(),
            from,
            name: name.into(),
            prefix: String::new(),
            suffix: String::new(),
        }
    }

    /// The connection parameter `parameter` is the callback's query parameter `name`.
    #[must_use]
    pub fn callback(parameter: &str, name: &str) -> Self {
        Self::new(parameter, CaptureSource::Callback, name)
    }

    /// The connection parameter `parameter` is the member `name` of the token endpoint's answer.
    #[must_use]
    pub fn token(parameter: &str, name: &str) -> Self {
        Self::new(parameter, CaptureSource::Token, name)
    }

    /// What stands in front of the value and does not belong to it: `stores/`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What stands behind the value and does not belong to it: `.myshopify.com`.
    #[must_use]
    pub fn suffix(mut self, suffix: &str) -> Self {
        self.suffix = suffix.into();
        self
    }
}

/// OAuth 2 client credentials.
#[derive(Clone, Debug, Serialize)]
pub struct ClientCredentials {
    token: TokenEndpoint,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
}

impl ClientCredentials {
    /// Tokens are issued at `token`.
    #[must_use]
    pub const fn new(token: TokenEndpoint) -> Self {
        Self { token, scopes: Vec::new() }
    }

    /// What is asked for.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = owned(scopes);
        self
    }
}

/// A service account: its key is a JSON text with `client_email`, `private_key`, `private_key_id` and `token_uri`.
#[derive(Clone, Debug, Serialize)]
pub struct JwtBearer {
    key: SecretField,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
}

impl JwtBearer {
    /// Asks for the key; `help` says how to obtain it.
    #[must_use]
    pub fn new(name: &str, title: &str, help: &str) -> Self {
        Self { key: SecretField::new(name, title, help), scopes: Vec::new(), audience: None }
    }

    /// What is asked for.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = owned(scopes);
        self
    }

    /// For whom assertions are, where that is not the key's `token_uri`.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
