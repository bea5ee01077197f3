//! Who is calling: a bearer key becomes an authority, and only that.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use trunnion_core::{
    records::{Authority, KeyHolder},
    scope::Scope,
};

use super::{Services, error::Failure};
use crate::access::Holder;

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
        let refused = |message: &str| Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        let Some(header) = parts.headers.get(header::AUTHORIZATION) else {
            return Err(refused("Unauthorized: send an API key as `Authorization: Bearer KEY`"));
        };
        // The scheme is case-insensitive: Alloy's own documentation sends `bearer`.
        let key = header
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim());
        let Some(key) = key else {
            return Err(refused("Unauthorized: the Authorization header must be `Bearer KEY`"));
        };
        match services.access.holder(key).await? {
            Some(holder) => Ok(Self(holder)),
            None => Err(refused("Unauthorized: this API key is unknown or revoked")),
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
