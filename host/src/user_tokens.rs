//! User tokens: what a person's browser carries instead of an API key, and links that install one integration once.
//!
//! Both are JWTs of one environment, signed with a key that only this host has (`keys`): by HS256, or by EdDSA where the
//! environment wants services of the ISV to verify them as well. A token names its
//! user and its key, and says where in the web it may be used. It gives no more than its user has, and ends after an
//! hour; a link's ends after seven days, or with the installation that it was made for.
//!
//! Invariant: nothing that a token says counts before its signature has been checked, by the one algorithm of its key.
//! Only the key's name is read before that, and an unknown key is a refusal.

mod keys;

use std::time::Duration;

use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Serialize};
use trunnion_core::{
    id::{InstallLinkId, IntegrationId, UserId},
    records::{InstallLink, User},
    scope::Scope,
};
use trunnion_store::{
    Batch,
    tables::{InstallLinks, Users},
};
use url::Url;

use self::keys::KeyName;
pub use self::keys::{Former, Wanted};
use crate::{
    context::Context,
    error::{Error, Result, present},
};

/// How long a user's token holds.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// How long a link can be used.
pub const LINK_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Origins that one token may name.
const MAX_ORIGINS: usize = 20;

/// Issues tokens and knows them again.
#[derive(Clone, Debug)]
pub struct UserTokens {
    context: Context,
}

/// What a token proves.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The environment.
    pub scope: Scope,
    /// Who has it.
    pub user: User,
    /// The link it belongs to, where it only installs.
    pub link: Option<Link>,
    /// Where it may be used; everywhere, where none is named.
    pub origins: Vec<String>,
}

/// A link that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: InstallLinkId,
    /// What it installs.
    pub integration: IntegrationId,
}

/// Why a token proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// It does not hold.
    #[error("{0}")]
    Refused(&'static str),
    /// The host failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<trunnion_store::ReadError> for Unproven {
    fn from(error: trunnion_store::ReadError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: UserId,
    iat: u64,
    exp: u64,
    workspace: String,
    environment: String,
    #[serde(flatten)]
    purpose: Purpose,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "snake_case")]
enum Purpose {
    /// Everything that the user may do.
    User {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        origins: Vec<String>,
    },
    /// The installation of one integration.
    Install { link: InstallLinkId, integration: IntegrationId },
}

impl UserTokens {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// A token for the user's browser, on pages of these origins or, where none is named, of any.
    pub async fn issue(&self, scope: &Scope, user: &User, origins: Vec<String>) -> Result<String> {
        if origins.len() > MAX_ORIGINS {
            let message = format!("a token names at most {MAX_ORIGINS} origins; leave some out");
            return Err(Error::invalid("origin-invalid", message));
        }
        let origins = origins.iter().map(|origin| normal(origin)).collect::<Result<_>>()?;
        self.sign(scope, user.id, LIFETIME, Purpose::User { origins }).await
    }

    /// A token for a link by which the user installs the integration, once.
    pub async fn issue_link(&self, scope: &Scope, user: &User, integration: IntegrationId) -> Result<String> {
        let expires_at = self.context.now() + LINK_LIFETIME;
        let link = InstallLink { id: self.context.ids.next(), user: user.id, integration, expires_at };
        let mut batch = Batch::new();
        batch.insert::<InstallLinks>(scope, &link.id, &link);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        self.sign(scope, user.id, LINK_LIFETIME, Purpose::Install { link: link.id, integration }).await
    }

    async fn sign(&self, scope: &Scope, user: UserId, life: Duration, purpose: Purpose) -> Result<String> {
        let key = self.signing_key(scope).await?;
        let iat = self.context.now().as_millis() / 1_000;
        let claims = Claims {
            iss: self.context.public_url.to_string(),
            sub: user,
            iat,
            exp: iat + life.as_secs(),
            workspace: scope.workspace.to_string(),
            environment: scope.environment.to_string(),
            purpose,
        };
        let mut header = Header::new(key.algorithm());
        header.kid = Some(KeyName { scope: *scope, key: key.0.id }.to_string());
        let failed = |_| Error::Internal("a user token could not be signed".to_owned());
        jsonwebtoken::encode(&header, &claims, &key.signer()?).map_err(failed)
    }

    /// What `token` proves now, on a page of `origin`.
    ///
    /// # Errors
    /// Where it does not hold: what to do about it, without anything that the token says.
    pub async fn prove(&self, token: &str, origin: Option<&str>) -> Result<Proven, Unproven> {
        let unknown = || Unproven::Refused("this user token is not one of this host; ask for a new one");
        let name: KeyName = jsonwebtoken::decode_header(token)
            .ok()
            .and_then(|header| header.kid?.parse().ok())
            .ok_or_else(unknown)?;
        let key = self.known_key(name).await?.ok_or_else(unknown)?;
        // The key's, and no other: not the one that the token names.
        let mut validation = Validation::new(key.algorithm());
        // The host's clock decides, below.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let claims =
            jsonwebtoken::decode::<Claims>(token, &key.verifier()?, &validation).map_err(|_| unknown())?;
        let Claims { sub, iat, exp, workspace, environment, purpose, .. } = claims.claims;
        let scope = name.scope;
        if (workspace, environment) != (scope.workspace.to_string(), scope.environment.to_string()) {
            return Err(unknown());
        }
        // What a retired key signs from then on was not signed by this host.
        if key.0.retired_at.is_some_and(|at| iat > at.as_millis() / 1_000) {
            return Err(unknown());
        }
        if exp <= self.context.now().as_millis() / 1_000 {
            return Err(Unproven::Refused("this user token has expired; ask for a new one"));
        }
        let user = present(self.context.store.recall::<Users>(&scope, &sub).await)?;
        let user = user.ok_or(Unproven::Refused("the user of this token was deleted"))?;
        let user = User::clone(&user.record);
        match purpose {
            Purpose::User { origins } => {
                self.on_its_page(&origins, origin)?;
                Ok(Proven { scope, user, link: None, origins })
            }
            Purpose::Install { link, integration } => {
                if present(self.context.store.get::<InstallLinks>(&scope, &link).await)?.is_none() {
                    return Err(Unproven::Refused("this link was used already; ask for a new one"));
                }
                Ok(Proven { scope, user, link: Some(Link { id: link, integration }), origins: Vec::new() })
            }
        }
    }

    /// The host's own pages ask for whoever embeds them, and a request without an origin is no other page's.
    fn on_its_page(&self, origins: &[String], origin: Option<&str>) -> Result<(), Unproven> {
        let Some(origin) = origin else { return Ok(()) };
        let own = Url::parse(&self.context.public_url)
            .is_ok_and(|url| url.origin().ascii_serialization() == origin);
        if own || origins.is_empty() || origins.iter().any(|allowed| allowed == origin) {
            return Ok(());
        }
        Err(Unproven::Refused(
            "this user token is not for pages of this origin; name it in `origins` of GET /users/{id}/token",
        ))
    }
}

/// An origin as browsers write it.
fn normal(origin: &str) -> Result<String> {
    let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let url = url.filter(|url| matches!((url.path(), url.query(), url.fragment()), ("/", None, None)));
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.map(|url| url.origin().ascii_serialization()).ok_or_else(|| {
        let message =
            format!("`{origin}` is not an origin; give scheme and host, such as `https://app.acme.com`");
        Error::invalid("origin-invalid", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (given, expected) in [
            ("https://app.acme.com", Some("https://app.acme.com")),
            ("https://App.Acme.com:443/", Some("https://app.acme.com")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("https://app.acme.com/page", None),
            ("https://ada@app.acme.com", None),
            ("app.acme.com", None),
            ("file:///", None),
            ("*", None),
        ] {
            assert_eq!(normal(given).ok().as_deref(), expected, "{given}");
        }
    }
}
