//! The environment's private keys, with which its streams are signed, and their public halves.
//!
//! Invariants: an environment has at most one key of a kind, made before the first request is signed with it; a key of
//! one environment never signs for another, since a receiver takes the signature for the ISV's own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use trunnion_core::{
    records::{Signature, SigningKey},
    scope::Scope,
};
use trunnion_store::{Batch, tables::SigningKeys as Table};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Keys that were read, by environment and kind.
type Keys = HashMap<(Scope, Kind), Arc<Opened>>;

/// Makes, finds and uses the keys.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    context: Context,
    /// Reading one from its stored form takes longer than signing with it.
    opened: Arc<Mutex<Keys>>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `v1a` of Standard Webhooks.
    Ed25519,
    /// `X-Alloy-Signature`.
    Rsa,
}

/// A key that can be used.
enum Opened {
    Ed25519(Ed25519KeyPair),
    // Boxed by its library; far larger than the other.
    Rsa(RsaKeyPair),
}

impl Kind {
    /// The kind of key that a signature is made with, where that is not the stream's own secret.
    #[must_use]
    pub const fn of(signature: Signature) -> Option<Self> {
        match signature {
            Signature::Standard => None,
            Signature::StandardAsymmetric => Some(Self::Ed25519),
            Signature::Alloy => Some(Self::Rsa),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }

    fn generate(self) -> Result<Vec<u8>> {
        let failed = |_| Error::Internal(format!("a key of kind {} could not be made", self.name()));
        match self {
            Self::Ed25519 => {
                let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
                Ok(key.as_ref().to_vec())
            }
            Self::Rsa => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
                Ok(der.as_ref().to_vec())
            }
        }
    }

    fn open(self, pkcs8: &[u8]) -> Result<Opened> {
        let opened = match self {
            Self::Ed25519 => Ed25519KeyPair::from_pkcs8(pkcs8).map(Opened::Ed25519),
            Self::Rsa => RsaKeyPair::from_pkcs8(pkcs8).map(Opened::Rsa),
        };
        opened.map_err(|why| {
            Error::Internal(format!("the environment's {} key cannot be read: {why}", self.name()))
        })
    }
}

impl Opened {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| Error::Internal("the environment's rsa key does not sign".to_owned()))?;
                Ok(signature)
            }
        }
    }

    /// As receivers take it: `whpk_` and base64, or PEM.
    fn public(&self) -> Result<String> {
        match self {
            Self::Ed25519(key) => Ok(format!("whpk_{}", BASE64_STANDARD.encode(key.public_key().as_ref()))),
            Self::Rsa(key) => {
                let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> =
                    key.public_key().as_der().map_err(|_| {
                        Error::Internal("the environment's rsa key has no public half".to_owned())
                    })?;
                Ok(pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref())))
            }
        }
    }
}

impl SigningKeys {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, opened: Arc::default() }
    }

    /// Signs with the environment's key.
    pub async fn sign(&self, scope: &Scope, kind: Kind, message: &[u8]) -> Result<Vec<u8>> {
        self.key(scope, kind).await?.sign(message)
    }

    /// The public half, which is made with its key where there was none.
    pub async fn public(&self, scope: &Scope, kind: Kind) -> Result<String> {
        self.key(scope, kind).await?.public()
    }

    /// The public half, where there is a key.
    pub async fn known(&self, scope: &Scope, kind: Kind) -> Result<Option<String>> {
        match self.stored(scope, kind).await? {
            Some(key) => Ok(Some(key.public()?)),
            None => Ok(None),
        }
    }

    async fn key(&self, scope: &Scope, kind: Kind) -> Result<Arc<Opened>> {
        if let Some(key) = self.stored(scope, kind).await? {
            return Ok(key);
        }
        // Some hundred milliseconds for RSA.
        let made = tokio::task::spawn_blocking(move || kind.generate()).await;
        let made = made.map_err(|error| Error::Internal(format!("a key could not be made: {error}")))??;
        let record = SigningKey { pkcs8: BASE64_STANDARD.encode(&made), created_at: self.context.now() };
        let mut batch = Batch::new();
        batch.insert::<Table>(scope, &kind.name().to_owned(), &record);
        match self.context.store.commit(batch).await {
            Ok(_) => {}
            // Somebody else made one just now.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(Error::Commit(error)),
        }
        let gone = || Error::Internal(format!("the environment's {} key is gone", kind.name()));
        self.stored(scope, kind).await?.ok_or_else(gone)
    }

    async fn stored(&self, scope: &Scope, kind: Kind) -> Result<Option<Arc<Opened>>> {
        if let Some(known) = self.opened().get(&(*scope, kind)) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(stored) = self.context.store.get::<Table>(scope, &kind.name().to_owned()).await? else {
            return Ok(None);
        };
        let unread = |why| {
            Error::Internal(format!("the environment's {} key is not stored as base64: {why}", kind.name()))
        };
        let pkcs8 = BASE64_STANDARD.decode(&stored.record.pkcs8).map_err(unread)?;
        let key = Arc::new(kind.open(&pkcs8)?);
        self.opened().insert((*scope, kind), Arc::clone(&key));
        Ok(Some(key))
    }

    fn opened(&self) -> MutexGuard<'_, Keys> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Opened {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ed25519(_) => "Ed25519",
            Self::Rsa(_) => "Rsa",
        })
    }
}
