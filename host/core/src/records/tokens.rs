//! What stands behind the tokens that people's browsers carry: the keys that sign them, and links that install once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{InstallLinkId, IntegrationId, TokenKeyId, UserId},
};

/// A key that an environment signs its users' tokens with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// Its id: a token says which key signed it.
    pub id: TokenKeyId,
    /// What it signs with, which fixes the algorithm: what a token says of that counts for nothing.
    #[serde(flatten)]
    pub signs: TokenSigner,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when another one signs; what it signed before holds for as long as it was meant to.
    #[serde(default)]
    pub retired_at: Option<Timestamp>,
}

/// What a key of tokens signs with. An environment's is fixed when it is made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenSigner {
    /// Whoever can verify can sign: only the host does either.
    Hs256 {
        /// 32 random bytes, as hex.
        secret: String,
    },
    /// Everybody may verify.
    EdDsa {
        /// The private key's 32 random bytes, as hex.
        seed: String,
        /// The public key, as base64url: `x` of a JSON Web Key.
        public: String,
    },
}

/// By which algorithm tokens are signed, named as JWTs do.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: only the host can verify.
    #[serde(rename = "HS256")]
    Hs256,
    /// Ed25519: whoever has the public key can verify.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl TokenSigner {
    /// The algorithm that goes with it.
    #[must_use]
    pub const fn algorithm(&self) -> TokenAlgorithm {
        match self {
            Self::Hs256 { .. } => TokenAlgorithm::Hs256,
            Self::EdDsa { .. } => TokenAlgorithm::EdDsa,
        }
    }
}

impl fmt::Debug for TokenSigner {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm().fmt(f)
    }
}

impl fmt::Debug for TokenKey {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A link by which one user may install one integration, once. Removed in the commit of that installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallLink {
    /// Its id.
    pub id: InstallLinkId,
    /// Who installs.
    pub user: UserId,
    /// What is installed.
    pub integration: IntegrationId,
    /// It counts until then.
    pub expires_at: Timestamp,
}
