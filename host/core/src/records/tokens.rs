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
    /// 32 random bytes, as hex.
    pub secret: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when another one signs; what it signed before holds for as long as it was meant to.
    #[serde(default)]
    pub retired_at: Option<Timestamp>,
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
