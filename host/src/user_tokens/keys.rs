//! The keys that sign users' tokens: one signs at a time, and former ones are known for as long as what they signed
//! holds. Each signs by one algorithm from its making on; a new one does so by that of the one before it, unless
//! another is asked for.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm,
        OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse,
    },
};
use trunnion_core::{
    id::TokenKeyId,
    records::{TokenAlgorithm, TokenKey, TokenSigner},
    scope::Scope,
};
use trunnion_store::{Batch, Select, tables::TokenKeys};

use super::{LINK_LIFETIME, UserTokens};
use crate::error::{Error, Result};

/// What becomes of tokens that former keys signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// They hold for as long as they were meant to.
    Kept,
    /// They end now.
    Ended,
}

/// Which key takes the place of the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What becomes of tokens that former keys signed.
    pub former: Former,
    /// By which algorithm it signs; as the present one does, where absent.
    pub algorithm: Option<TokenAlgorithm>,
}

/// A key that can be used.
#[derive(Debug)]
pub(super) struct Usable(pub(super) TokenKey);

impl Usable {
    /// The only algorithm by which it signs or verifies.
    pub(super) const fn algorithm(&self) -> Algorithm {
        match self.0.signs.algorithm() {
            TokenAlgorithm::Hs256 => Algorithm::HS256,
            TokenAlgorithm::EdDsa => Algorithm::EdDSA,
        }
    }

    pub(super) fn signer(&self) -> Result<EncodingKey> {
        match &self.0.signs {
            TokenSigner::Hs256 { secret } => Ok(EncodingKey::from_secret(secret.as_bytes())),
            TokenSigner::EdDsa { seed, .. } => {
                let pair =
                    hex::decode(seed).ok().and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
                let pkcs8 = pair.and_then(|pair| pair.to_pkcs8().ok()).ok_or_else(|| self.unreadable())?;
                Ok(EncodingKey::from_ed_der(pkcs8.as_ref()))
            }
        }
    }

    pub(super) fn verifier(&self) -> Result<DecodingKey> {
        match &self.0.signs {
            TokenSigner::Hs256 { secret } => Ok(DecodingKey::from_secret(secret.as_bytes())),
            TokenSigner::EdDsa { public, .. } => {
                DecodingKey::from_ed_components(public).map_err(|_| self.unreadable())
            }
        }
    }

    fn unreadable(&self) -> Error {
        Error::Internal(format!("key `{}` of user tokens is not one as it is stored", self.0.id))
    }
}

/// Which key of which environment, as a token's `kid` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyName {
    pub(super) scope: Scope,
    pub(super) key: TokenKeyId,
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.scope.workspace, self.scope.environment, self.key)
    }
}

impl FromStr for KeyName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let (Some(workspace), Some(environment), Some(key), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let workspace = workspace.parse().map_err(drop)?;
        let environment = environment.parse().map_err(drop)?;
        Ok(Self { scope: Scope::new(workspace, environment), key: key.parse().map_err(drop)? })
    }
}

impl UserTokens {
    /// The environment's keys, newest first.
    pub async fn keys(&self, scope: &Scope) -> Result<Vec<TokenKey>> {
        let entries = self.context.store.list::<TokenKeys>(scope, Select::all().backward()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// What others verify tokens with: the public halves of the keys whose tokens may still hold. None of HS256, which
    /// have none.
    pub async fn public_keys(&self, scope: &Scope) -> Result<JwkSet> {
        let now = self.context.now();
        let holds = |key: &TokenKey| key.retired_at.is_none_or(|at| at + LINK_LIFETIME > now);
        let keys = self.keys(scope).await?.into_iter().filter(holds);
        let public = keys.filter_map(|key| match key.signs {
            TokenSigner::Hs256 { .. } => None,
            TokenSigner::EdDsa { public, .. } => Some(Jwk {
                common: CommonParameters {
                    public_key_use: Some(PublicKeyUse::Signature),
                    key_algorithm: Some(KeyAlgorithm::EdDSA),
                    key_id: Some(KeyName { scope: *scope, key: key.id }.to_string()),
                    ..CommonParameters::default()
                },
                algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                    key_type: OctetKeyPairType::OctetKeyPair,
                    curve: EllipticCurve::Ed25519,
                    x: public,
                }),
            }),
        });
        Ok(JwkSet { keys: public.collect() })
    }

    /// From now on a new key signs.
    pub async fn rotate(&self, scope: &Scope, Wanted { former, algorithm }: Wanted) -> Result<TokenKey> {
        let now = self.context.now();
        let known = self.context.store.list::<TokenKeys>(scope, Select::all()).await?;
        let present = known.iter().rev().find(|entry| entry.record.retired_at.is_none());
        let before = present.map(|present| present.record.signs.algorithm());
        let key = self.fresh(algorithm.or(before).unwrap_or(TokenAlgorithm::Hs256))?;
        let mut batch = Batch::new();
        batch.insert::<TokenKeys>(scope, &key.id, &key);
        for entry in known {
            let retired_at = entry.record.retired_at.unwrap_or(now);
            if former == Former::Ended || retired_at + LINK_LIFETIME <= now {
                batch.remove::<TokenKeys>(scope, &entry.key, entry.version);
            } else if entry.record.retired_at.is_none() {
                let retired = TokenKey { retired_at: Some(now), ..entry.record };
                batch.replace::<TokenKeys>(scope, &entry.key, &retired, entry.version);
            }
        }
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(key),
            Err(error) if error.is_conflict() => {
                let message =
                    "the keys of user tokens were changed by somebody else at the same time; try again";
                Err(Error::conflict("token-keys-changed", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// The key that signs now; the first one is made where there is none. Two that are made at once both count.
    pub(super) async fn signing_key(&self, scope: &Scope) -> Result<Usable> {
        if let Some(key) = self.present_key(scope).await? {
            return Ok(Usable(key));
        }
        let key = self.fresh(TokenAlgorithm::Hs256)?;
        let mut batch = Batch::new();
        batch.insert::<TokenKeys>(scope, &key.id, &key);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(Usable(key))
    }

    /// The newest key that no other has taken the place of, whatever the clock said when they were made.
    async fn present_key(&self, scope: &Scope) -> Result<Option<TokenKey>> {
        Ok(self.keys(scope).await?.into_iter().find(|key| key.retired_at.is_none()))
    }

    /// The key of this name, if it still counts.
    pub(super) async fn known_key(&self, name: KeyName) -> Result<Option<Usable>> {
        let found = self.context.store.recall::<TokenKeys>(&name.scope, &name.key).await?;
        Ok(found.map(|found| Usable(TokenKey::clone(&found.record))))
    }

    fn fresh(&self, algorithm: TokenAlgorithm) -> Result<TokenKey> {
        let random = self.context.ids.bytes::<32>();
        let signs = match algorithm {
            TokenAlgorithm::Hs256 => TokenSigner::Hs256 { secret: hex::encode(random) },
            TokenAlgorithm::EdDsa => {
                let failed = |_| Error::Internal("a key of user tokens could not be made".to_owned());
                let pair = Ed25519KeyPair::from_seed_unchecked(&random).map_err(failed)?;
                let public = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                TokenSigner::EdDsa { seed: hex::encode(random), public }
            }
        };
        let id = self.context.ids.next();
        Ok(TokenKey { id, signs, created_at: self.context.now(), retired_at: None })
    }
}
