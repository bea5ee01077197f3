//! The keys that sign users' tokens: one signs at a time, and former ones are known for as long as what they signed
//! holds.

use std::{fmt, str::FromStr};

use trunnion_core::{id::TokenKeyId, records::TokenKey, scope::Scope};
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

    /// From now on a new key signs.
    pub async fn rotate(&self, scope: &Scope, former: Former) -> Result<TokenKey> {
        let now = self.context.now();
        let key = self.fresh();
        let mut batch = Batch::new();
        batch.insert::<TokenKeys>(scope, &key.id, &key);
        for entry in self.context.store.list::<TokenKeys>(scope, Select::all()).await? {
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
    pub(super) async fn signing_key(&self, scope: &Scope) -> Result<TokenKey> {
        let newest = self.context.store.first::<TokenKeys>(scope, Select::all().backward()).await?;
        if let Some(newest) = newest {
            return Ok(newest.record);
        }
        let key = self.fresh();
        let mut batch = Batch::new();
        batch.insert::<TokenKeys>(scope, &key.id, &key);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(key)
    }

    /// The key of this name, if it still counts.
    pub(super) async fn known_key(&self, name: KeyName) -> Result<Option<TokenKey>> {
        let found = self.context.store.recall::<TokenKeys>(&name.scope, &name.key).await?;
        Ok(found.map(|found| TokenKey::clone(&found.record)))
    }

    fn fresh(&self) -> TokenKey {
        TokenKey {
            id: self.context.ids.next(),
            secret: hex::encode(self.context.ids.bytes::<32>()),
            created_at: self.context.now(),
            retired_at: None,
        }
    }
}
