//! How a credential comes to be, and where the host puts it: the auth schemes' types and their JSON form.
//!
//! A scheme has a kind, which says where its secrets come from, and placements, which say where they go. What a
//! person types is asked for as a [`SecretField`]; what a vendor issues is known as [`ACCESS_TOKEN`]. The rules
//! between members are in `check/auth.rs`. Nothing here holds a secret.
//!
//! URLs and some texts are *templates*: `{name}` stands for a connection parameter. A parameter's pattern admits
//! letters, digits, `-` and `_` only, so a value never changes what a URL means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name in `{{secret:NAME}}` of what a token endpoint issued.
pub const ACCESS_TOKEN: &str = "access_token";
/// The name of an app registration's id, and of the field in which a person gives a client id of their own.
pub const CLIENT_ID: &str = "client_id";
/// The name of an app registration's secret: a webhook may be verified with it, and a person may give their own.
pub const CLIENT_SECRET: &str = "client_secret";

/// One way to authenticate.
// `deny_unknown_fields` beside a flattened member refuses that member's own: it stands on the inner type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthScheme {
    /// Its id inside the manifest.
    pub id: String,
    /// What a person reads.
    pub title: String,
    /// How the credential comes to be.
    #[serde(flatten)]
    pub kind: AuthKind,
    /// Where the host puts it on requests with `auth: connection`.
    pub place: Vec<Placement>,
}

/// How a credential comes to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthKind {
    /// The person gives the values: an API key, an access token, a user name and password.
    Fields {
        /// What is asked.
        fields: Vec<SecretField>,
    },
    /// OAuth 2 by authorization code: the person consents at the vendor, as the ISV's app registration asks.
    Oauth2(Box<Oauth2>),
    /// OAuth 2 client credentials: the app registration itself, or a client of the person's own, is let in.
    ClientCredentials(ClientCredentials),
    /// A service account's key signs assertions, for which the vendor issues access tokens (RFC 7523).
    JwtBearer(JwtBearer),
}

/// OAuth 2 by authorization code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth2 {
    /// Where the person consents.
    pub authorize: AuthorizeEndpoint,
    /// Where the code becomes a token, and a token a newer one.
    pub token: TokenEndpoint,
    /// What is asked for, where the app registration does not say something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What becomes of the refresh token.
    #[serde(default)]
    pub refresh: Refresh,
    /// Parameters of the callback that the vendor wants repeated when the code is exchanged (`context`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeat: Vec<String>,
    /// Connection parameters that the vendor says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<Capture>,
    /// How the host knows that the callback is the vendor's, beside its `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackSignature>,
}

/// Where a person consents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeEndpoint {
    /// A template: `https://{shop}.myshopify.com/admin/oauth/authorize`. The browser goes there, never the host, so
    /// that it need not be among `hosts`.
    pub url: String,
    /// Further query parameters, templates: `access_type=offline`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// What stands between scopes. A space where nothing else is said.
    #[serde(default = "space", skip_serializing_if = "is_space")]
    pub scope_separator: String,
    /// Whether the code is bound to this host by a proof key.
    #[serde(default)]
    pub pkce: Pkce,
}

/// Whether a code is bound to the host that asked for it (RFC 7636).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// It is, by SHA-256.
    S256,
    /// The vendor does not have it.
    #[default]
    None,
}

/// Where tokens are issued. Its host is one of the manifest's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    /// A template: `https://{shop}.myshopify.com/admin/oauth/access_token`.
    pub url: String,
    /// Where the client's id and secret stand.
    #[serde(default)]
    pub client: ClientAuth,
    /// How the request is written.
    #[serde(default)]
    pub body: TokenBody,
    /// Further members of the request that asks for a first token, templates: `expiring=1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Where a client's id and secret stand in a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the body.
    #[default]
    Body,
    /// In the `Authorization` header.
    Basic,
}

/// How a token request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// As a form, which is OAuth's own way.
    #[default]
    Form,
    /// As JSON.
    Json,
}

/// What becomes of a refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// There is none: the access token does not expire, or the person consents anew.
    #[default]
    None,
    /// Each use replaces it: whoever loses the answer loses the connection, unless the vendor still takes the old one.
    Rotating,
    /// It stays.
    Reusable,
}

/// A connection parameter that the vendor says, so that nobody types it.
///
/// Where the authorize URL needs the parameter, the person does type it, and what the vendor says must be the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// The connection parameter.
    pub parameter: String,
    /// Where the vendor says it.
    pub from: CaptureSource,
    /// Its name there.
    pub name: String,
    /// What stands in front of the value (`stores/`): it must be there, and is taken away.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What stands behind the value (`.myshopify.com`): it must be there, and is taken away.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

/// Where a vendor says a connection parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureSource {
    /// A query parameter of the callback. Believed only where the callback is signed or the vendor takes it back in
    /// the exchange: otherwise prefer the token answer.
    Callback,
    /// A member of the token endpoint's answer: a text or a number.
    Token,
}

impl Capture {
    /// The value inside what the vendor said.
    #[must_use]
    pub fn value<'a>(&self, said: &'a str) -> Option<&'a str> {
        said.strip_prefix(self.prefix.as_str())?.strip_suffix(self.suffix.as_str())
    }
}

/// A signature over a callback's query: HMAC-SHA256 with the client secret, in hex, over all other parameters, sorted
/// by name and form-encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackSignature {
    /// The query parameter that carries it.
    pub parameter: String,
    /// Further query parameters that are not signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsigned: Vec<String>,
    /// The query parameter with the time of signing, in seconds, and how far it may be from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<CallbackTime>,
}

/// When a callback was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackTime {
    /// The query parameter.
    pub parameter: String,
    /// How far it may be from now, in milliseconds.
    pub tolerance_ms: u64,
}

/// OAuth 2 client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Where tokens are issued.
    pub token: TokenEndpoint,
    /// What is asked for; an app registration may say something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The person's own [`CLIENT_ID`] and [`CLIENT_SECRET`]; none where the environment's app registration is let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<SecretField>,
}

/// A service account whose key signs assertions by RS256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtBearer {
    /// What is asked: a JSON text with `client_email`, `private_key`, `private_key_id` and `token_uri`. The
    /// `token_uri`'s host must be one of the manifest's.
    pub key: SecretField,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// For whom assertions are; the `token_uri` where nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A secret a person gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretField {
    /// Its name in `{{secret:NAME}}`.
    pub name: String,
    /// What a person reads.
    pub title: String,
    /// How to obtain it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// A place on a request that the host fills in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case", deny_unknown_fields)]
pub enum Placement {
    /// A header.
    Header {
        /// Its name.
        name: String,
        /// Its value with `{{secret:NAME}}` references.
        value: String,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// Its value with `{{secret:NAME}}` references.
        value: String,
    },
    /// The `Authorization` header by the Basic scheme (RFC 7617).
    Basic {
        /// The user name with `{{secret:NAME}}` references.
        username: String,
        /// The password with `{{secret:NAME}}` references; may be empty.
        password: String,
    },
    /// AWS Signature Version 4 over the whole request, computed as it leaves.
    AwsSigv4(AwsSigv4),
}

/// What requests are signed with, by AWS Signature Version 4. All but the service hold `{{secret:NAME}}` references.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSigv4 {
    /// The access key's id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token of temporary credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
    /// The service, as signatures name it: `s3`.
    pub service: String,
    /// The region: a template, `{region}` or `us-east-1`.
    pub region: String,
}

impl Placement {
    /// The texts that may have references to secrets, each with its member's name.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        match self {
            Self::Header { value, .. } | Self::Query { value, .. } => vec![("value", value.as_str())],
            Self::Basic { username, password } => {
                vec![("username", username.as_str()), ("password", password.as_str())]
            }
            Self::AwsSigv4(AwsSigv4 { access_key, secret_key, session_token, .. }) => {
                let token = session_token.as_ref().map(|token| ("session_token", token.as_str()));
                let keys = [("access_key", access_key.as_str()), ("secret_key", secret_key.as_str())];
                keys.into_iter().chain(token).collect()
            }
        }
        .into_iter()
    }
}

impl AuthScheme {
    /// What a person types, beside connection parameters.
    #[must_use]
    pub fn asks(&self) -> &[SecretField] {
        match &self.kind {
            AuthKind::Fields { fields } => fields,
            AuthKind::Oauth2(_) => &[],
            AuthKind::ClientCredentials(client) => &client.fields,
            AuthKind::JwtBearer(bearer) => std::slice::from_ref(&bearer.key),
        }
    }

    /// The names that placements and connectors may use in `{{secret:NAME}}`. What only proves the right to a token
    /// goes to the token endpoint and nowhere else.
    #[must_use]
    pub fn placeable(&self) -> Vec<&str> {
        match &self.kind {
            AuthKind::Fields { fields } => fields.iter().map(|field| field.name.as_str()).collect(),
            AuthKind::Oauth2(_) | AuthKind::ClientCredentials(_) | AuthKind::JwtBearer(_) => {
                vec![ACCESS_TOKEN]
            }
        }
    }

    /// Whether the vendor issues its secret, which then expires and is issued anew.
    #[must_use]
    pub const fn is_issued(&self) -> bool {
        !matches!(self.kind, AuthKind::Fields { .. })
    }

    /// Whether it needs the environment's app registration.
    #[must_use]
    pub const fn needs_registration(&self) -> bool {
        match &self.kind {
            AuthKind::Oauth2(_) => true,
            AuthKind::ClientCredentials(client) => client.fields.is_empty(),
            AuthKind::Fields { .. } | AuthKind::JwtBearer(_) => false,
        }
    }

    /// Whether nobody need type the connection parameter of this name: the vendor says it, and it is not needed before.
    #[must_use]
    pub fn captures(&self, parameter: &str) -> bool {
        let AuthKind::Oauth2(oauth) = &self.kind else { return false };
        let needed = || {
            [&oauth.authorize.url, &oauth.token.url]
                .into_iter()
                .chain(oauth.authorize.parameters.values())
                .any(|template| names(template).any(|name| name == parameter))
        };
        oauth.captures.iter().any(|capture| capture.parameter == parameter) && !needed()
    }
}

/// The connection parameters that a template names.
pub fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// A template with its parameters in place; the name of one that is missing otherwise.
pub fn fill<'a>(template: &'a str, parameters: &BTreeMap<String, String>) -> Result<String, &'a str> {
    let mut pieces = template.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').ok_or(piece)?;
        filled.push_str(parameters.get(name).ok_or(name)?);
        filled.push_str(rest);
    }
    Ok(filled)
}

fn space() -> String {
    " ".to_owned()
}

fn is_space(text: &str) -> bool {
    text == " "
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_parameters_and_names_what_is_missing() {
        let parameters = BTreeMap::from([("shop".to_owned(), "ada".to_owned())]);
        let template = "https://{shop}.acme.example/{tenant}/token";
        assert_eq!(names(template).collect::<Vec<_>>(), ["shop", "tenant"]);
        assert_eq!(fill(template, &parameters), Err("tenant"));
        assert_eq!(fill("https://{shop}.acme.example/", &parameters).unwrap(), "https://ada.acme.example/");
        assert_eq!(fill("no parameter", &parameters).unwrap(), "no parameter");
    }

    #[test]
    fn a_captured_value_stands_between_its_prefix_and_suffix() {
        let capture = Capture {
            parameter: "store".to_owned(),
            from: CaptureSource::Callback,
            name: "context".to_owned(),
            prefix: "stores/".to_owned(),
            suffix: ".x".to_owned(),
        };
        assert_eq!(capture.value("stores/abc.x"), Some("abc"));
        for other in ["abc.x", "stores/abc", "xstores/abc.x", ""] {
            assert_eq!(capture.value(other), None, "{other}");
        }
    }
}
