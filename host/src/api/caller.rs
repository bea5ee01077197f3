//! Who is calling: a bearer key becomes an authority, and only that; a user's token becomes its user, and only that.
//!
//! [`Tenant`] is the ISV's server. Where browsers call too, a handler takes [`Party`], which has no scope to give
//! until it is asked whose data the call is about, and [`Installing`] where it may also come by an install link. So
//! no handler can serve a token as if it were a key, or a link as if it were a token.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use trunnion_core::{
    id::UserId,
    records::{Authority, KeyHolder, User},
    scope::Scope,
};

use super::{Services, error::Failure};
use crate::{
    access::Holder,
    user_tokens::{Link, Proven, Unproven},
};

/// Carries a user's token.
pub const USER_TOKEN: &str = "x-alloy-user-token";

/// Names the user of a call with an API key, as Alloy's newer documents have it.
pub(super) const USER_ID: &str = "x-alloy-userid";

/// A caller with an environment's key: the scope that every service call carries.
#[derive(Clone, Copy, Debug)]
pub struct Tenant(pub Scope);

/// A caller with an operator's key, by the key's id and name.
#[derive(Clone, Debug)]
pub struct Operator(pub KeyHolder);

/// A caller with any valid key.
#[derive(Clone, Debug)]
pub struct Anyone(pub Holder);

impl FromRequestParts<Services> for Anyone {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        if let Some(known) = parts.extensions.get::<Holder>() {
            return Ok(Self(known.clone()));
        }
        let Some(header) = parts.headers.get(header::AUTHORIZATION) else {
            return Err(unauthorized("Unauthorized: send an API key as `Authorization: Bearer KEY`"));
        };
        // The scheme is case-insensitive: Alloy's own documentation sends `bearer`.
        let key = header
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim());
        let Some(key) = key else {
            return Err(unauthorized("Unauthorized: the Authorization header must be `Bearer KEY`"));
        };
        match services.access.holder(key).await? {
            Some(holder) => Ok(Self(holder)),
            None => Err(unauthorized("Unauthorized: this API key is unknown or revoked")),
        }
    }
}

impl FromRequestParts<Services> for Tenant {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        match Anyone::from_request_parts(parts, services).await?.0.authority {
            Authority::Environment { scope } => Ok(Self(scope)),
            Authority::Operator => {
                let message =
                    "an operator's key reads no workspace's data; use a development or production key";
                Err(Failure::new(StatusCode::FORBIDDEN, "wrong-authority", message))
            }
        }
    }
}

impl FromRequestParts<Services> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        let holder = Anyone::from_request_parts(parts, services).await?.0;
        match holder.authority {
            Authority::Operator => Ok(Self(holder.key)),
            Authority::Environment { .. } => {
                let message = "only an operator's key may do this, since it concerns every workspace";
                Err(Failure::new(StatusCode::FORBIDDEN, "wrong-authority", message))
            }
        }
    }
}

/// The ISV's server with an environment's key, or a person's browser with a token of its user.
#[derive(Clone, Debug)]
pub struct Party {
    scope: Scope,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    /// A key, and the user that a header named.
    Key { named: Option<String> },
    /// A token.
    Person(Box<User>),
}

/// Whoever may install: a [`Party`], or somebody with a link for one integration.
#[derive(Clone, Debug)]
pub struct Installing {
    /// Who.
    pub party: Party,
    /// What alone may be installed, where there is a link.
    pub link: Option<Link>,
}

impl Party {
    /// Whose data the call is about: the token's user, who may also be named, or the one that a call with a key names.
    pub async fn of(&self, services: &Services, named: Option<&str>) -> Result<(Scope, User), Failure> {
        match &self.by {
            By::Person(user) => {
                let same = |name: &str| name == user.username || name == user.id.to_string();
                if named.is_none_or(same) {
                    return Ok((self.scope, User::clone(user)));
                }
                Err(unauthorized("Unauthorized: this user token is another user's; leave `userId` out"))
            }
            By::Key { named: by_header } => {
                let named = named.or(by_header.as_deref()).ok_or_else(|| {
                    let message = "name the user that this is about as `userId`: an id or a username";
                    Failure::new(StatusCode::BAD_REQUEST, "user-missing", message)
                })?;
                Ok((self.scope, services.users.find(&self.scope, named).await?))
            }
        }
    }

    /// Where the call is about a thing with an id of its own: the environment, and the user whose the thing must be.
    #[must_use]
    pub fn whose(&self) -> (Scope, Option<UserId>) {
        match &self.by {
            By::Person(user) => (self.scope, Some(user.id)),
            By::Key { .. } => (self.scope, None),
        }
    }
}

impl FromRequestParts<Services> for Installing {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        let text = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if let Some(token) = text(USER_TOKEN) {
            let origin = text(header::ORIGIN.as_str());
            let Proven { scope, user, link, .. } =
                services.user_tokens.prove(token, origin).await.map_err(|unproven| match unproven {
                    Unproven::Refused(why) => unauthorized(&format!("Unauthorized: {why}")),
                    Unproven::Failed(error) => error.into(),
                })?;
            return Ok(Self { party: Party { scope, by: By::Person(Box::new(user)) }, link });
        }
        let named = text(USER_ID).map(str::to_owned);
        let Tenant(scope) = Tenant::from_request_parts(parts, services).await?;
        Ok(Self { party: Party { scope, by: By::Key { named } }, link: None })
    }
}

impl FromRequestParts<Services> for Party {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        match Installing::from_request_parts(parts, services).await? {
            Installing { party, link: None } => Ok(party),
            Installing { link: Some(_), .. } => {
                let message = "an install link only installs its integration; use a user token for this";
                Err(Failure::new(StatusCode::FORBIDDEN, "wrong-authority", message))
            }
        }
    }
}

fn unauthorized(message: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}
