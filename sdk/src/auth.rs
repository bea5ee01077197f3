//! How a user connects: the parameters that name the account, and the credential that the host keeps and
//! places on requests sent with `auth_connection()`. All of it is declaration; connector code never holds a
//! secret.
//!
//! ```
//! use trunnion_sdk::{auth::{Connection, Parameter, Scheme}, context::secret};
//!
//! let connection = Connection::new()
//!     .parameter(Parameter::identifier("store_hash", "Store hash"))
//!     .scheme(
//!         Scheme::fields("api_account", "API account")
//!             .field("access_token", "Access token", "Settings › API › Store-level API accounts")
//!             .header("X-Auth-Token", secret("access_token")),
//!     );
//! assert!(serde_json::to_string(&connection).unwrap().contains("{{secret:access_token}}"));
//! ```

mod issued;

use serde::Serialize;

pub use self::issued::{CallbackSignature, Capture, ClientCredentials, JwtBearer, Oauth2, TokenEndpoint};
use crate::context::secret;

/// Parameters and ways to authenticate.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Connection {
    parameters: Vec<Parameter>,
    schemes: Vec<Scheme>,
}

impl Connection {
    /// A connection that needs nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Adds a way to authenticate; a connection uses one of them.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.schemes.push(scheme);
        self
    }
}

/// A text that names the account. Not secret; readable as `ctx.parameter(name)`.
#[derive(Clone, Debug, Serialize)]
pub struct Parameter {
    name: String,
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    help: String,
    pattern: Pattern,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Pattern {
    HostLabel,
    Identifier,
    Digits,
    HostNames,
}

impl Parameter {
    fn new(name: &str, title: &str, pattern: Pattern) -> Self {
        Self { name: name.into(), title: title.into(), help: String::new(), pattern }
    }

    /// One host label: letters, digits and inner hyphens, at most 63. For `{name}` in host patterns.
    #[must_use]
    pub fn host_label(name: &str, title: &str) -> Self {
        Self::new(name, title, Pattern::HostLabel)
    }

    /// Letters, digits, `_` and `-`, at most 128.
    #[must_use]
    pub fn identifier(name: &str, title: &str) -> Self {
        Self::new(name, title, Pattern::Identifier)
    }

    /// ASCII digits, at most 20.
    #[must_use]
    pub fn digits(name: &str, title: &str) -> Self {
        Self::new(name, title, Pattern::Digits)
    }

    /// Up to 20 whole host names with commas between them. Only for a host pattern that is this parameter and nothing
    /// else, as in `{hosts}`: whoever connects says where the connector may send.
    #[must_use]
    pub fn host_names(name: &str, title: &str) -> Self {
        Self::new(name, title, Pattern::HostNames)
    }

    /// Says how to find the value.
    #[must_use]
    pub fn help(mut self, help: &str) -> Self {
        self.help = help.into();
        self
    }
}

/// One way to authenticate.
#[derive(Clone, Debug, Serialize)]
pub struct Scheme {
    id: String,
    title: String,
    #[serde(flatten)]
    kind: Kind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<SecretField>,
    place: Vec<Placement>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind {
    Fields,
    Oauth2(Box<Oauth2>),
    ClientCredentials(ClientCredentials),
    JwtBearer(JwtBearer),
}

#[derive(Clone, Debug, Serialize)]
struct SecretField {
    name: String,
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    help: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "in", rename_all = "snake_case")]
enum Placement {
    Header { name: String, value: String },
    Query { name: String, value: String },
    Basic { username: String, password: String },
    AwsSigv4 { access_key: String, secret_key: String, service: String, region: String },
}

impl Scheme {
    fn new(id: &str, title: &str, kind: Kind) -> Self {
        Self { id: id.into(), title: title.into(), kind, fields: Vec::new(), place: Vec::new() }
    }

    /// A scheme whose secrets the person types in: an API key, an access token, a user name and password.
    #[must_use]
    pub fn fields(id: &str, title: &str) -> Self {
        Self::new(id, title, Kind::Fields)
    }

    /// A user name and a password, put on requests as the Basic scheme wants them.
    #[must_use]
    pub fn basic(id: &str, title: &str) -> Self {
        Self::fields(id, title)
            .field("username", "User name", "")
            .field("password", "Password", "")
            .basic_header(secret("username"), secret("password"))
    }

    /// An access key's id and secret, with which the host signs each request by AWS Signature Version 4. `service` is as
    /// signatures name it (`s3`); `region` may be a connection parameter: `{region}`.
    #[must_use]
    pub fn aws_sigv4(id: &str, title: &str, service: &str, region: &str) -> Self {
        let mut scheme = Self::fields(id, title).field("access_key_id", "Access key ID", "").field(
            "secret_access_key",
            "Secret access key",
            "",
        );
        scheme.place.push(Placement::AwsSigv4 {
            access_key: secret("access_key_id"),
            secret_key: secret("secret_access_key"),
            service: service.into(),
            region: region.into(),
        });
        scheme
    }

    /// The person consents at the vendor; requests carry `secret("access_token")`, as [`Scheme::bearer`] or
    /// [`Scheme::header`] says.
    #[must_use]
    pub fn oauth2(id: &str, title: &str, oauth: Oauth2) -> Self {
        Self::new(id, title, Kind::Oauth2(Box::new(oauth)))
    }

    /// The environment's app registration is let in as it is, or, with [`Scheme::own_client`], a client of the
    /// person's own. Requests carry `secret("access_token")`.
    #[must_use]
    pub fn client_credentials(id: &str, title: &str, client: ClientCredentials) -> Self {
        Self::new(id, title, Kind::ClientCredentials(client))
    }

    /// A service account's key, which never leaves the host, signs for access tokens. Requests carry
    /// `secret("access_token")`.
    #[must_use]
    pub fn jwt_bearer(id: &str, title: &str, bearer: JwtBearer) -> Self {
        Self::new(id, title, Kind::JwtBearer(bearer))
    }

    /// Asks for a secret, afterwards known as `secret(name)`. `help` says how to obtain it. For [`Scheme::fields`].
    #[must_use]
    pub fn field(mut self, name: &str, title: &str, help: &str) -> Self {
        self.fields.push(SecretField::new(name, title, help));
        self
    }

    /// Has the person give a client id and secret of their own, for [`Scheme::client_credentials`]. `help` says how
    /// to obtain them.
    #[must_use]
    pub fn own_client(self, help: &str) -> Self {
        self.field("client_id", "Client ID", help).field("client_secret", "Client secret", help)
    }

    /// Has the host put the access token on requests as a bearer token.
    #[must_use]
    pub fn bearer(self) -> Self {
        let value = format!("Bearer {}", secret("access_token"));
        self.header("Authorization", value)
    }

    /// Has the host set the `Authorization` header by the Basic scheme; both hold references as made by
    /// [`crate::context::secret`], or are fixed.
    #[must_use]
    pub fn basic_header(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.place.push(Placement::Basic { username: username.into(), password: password.into() });
        self
    }

    /// Has the host set a header; `value` holds references as made by [`crate::context::secret`].
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.place.push(Placement::Header { name: name.into(), value: value.into() });
        self
    }

    /// Has the host add a query parameter; `value` holds references as made by [`crate::context::secret`].
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.place.push(Placement::Query { name: name.into(), value: value.into() });
        self
    }
}

impl SecretField {
    fn new(name: &str, title: &str, help: &str) -> Self {
        Self { name: name.into(), title: title.into(), help: help.into() }
    }
}

/// The account a credential belongs to: what `check` in the declaration answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's stable id at the vendor; occurrences are routed by it.
    pub id: String,
    /// What a person would call it.
    pub title: String,
    /// Parameters learnt from the vendor.
    pub parameters: Vec<(String, String)>,
}

impl Account {
    /// The account `id`, known to people as `title`.
    #[must_use]
    pub fn new(id: impl Into<String>, title: impl Into<String>) -> Self {
        Self { id: id.into(), title: title.into(), parameters: Vec::new() }
    }
}
