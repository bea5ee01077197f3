//! Keys made, listed and revoked after the first ones.
//!
//! An operator's key may do so for every environment and for operators, an environment's key for its own environment.
//! Invariant: an environment does not lock itself out, nor operators themselves: the commit that revokes a key carries
//! another live one of the same authority as it was read, so that two who revoke each other's cannot both succeed. Only
//! an operator may leave an environment without a key.

use trunnion_core::{
    id::ApiKeyId,
    records::{ApiKey, Authority},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Deployment, Entry, Select,
    tables::{ApiKeys, Workspaces},
};

use super::{Access, Secret, hash};
use crate::error::{Error, Result};

/// How often a revocation is tried again after somebody else changed one of its keys.
const MAX_CONFLICTS: u32 = 8;

/// Longest name, in characters.
const LONGEST: usize = 100;

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its record.
    pub record: ApiKey,
    /// The key itself, shown once.
    pub key: Secret,
}

/// Which keys a listing shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Of this environment alone.
    pub environment: Option<Scope>,
    /// Behind this one.
    pub after: Option<ApiKeyId>,
}

impl Access {
    /// Makes a key of this authority.
    pub async fn create_key(&self, authority: Authority, name: &str) -> Result<NewKey> {
        if name.trim().is_empty() || name.chars().count() > LONGEST {
            let message = format!("`name` of a key has 1 to {LONGEST} characters; say what the key is for");
            return Err(Error::invalid("api-key-name-invalid", message));
        }
        if let Authority::Environment { scope } = authority
            && self.context.store.get::<Workspaces>(&Deployment, &scope.workspace).await?.is_none()
        {
            let message =
                format!("there is no workspace `{}`; GET /v1/workspaces lists them", scope.workspace);
            return Err(Error::not_found("workspace-unknown", message));
        }
        let key = self.fresh(authority);
        let record = self.record(&key, authority, name);
        let mut batch = Batch::new();
        batch.insert::<ApiKeys>(&Deployment, &hash(&key), &record);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(NewKey { record, key })
    }

    /// The keys that `by` may see, oldest first, revoked ones too: at most `limit`.
    pub async fn keys(&self, by: Authority, filter: Filter, limit: usize) -> Result<Vec<ApiKey>> {
        let of = filter.environment.map(|scope| Authority::Environment { scope });
        let mut keys: Vec<ApiKey> = self.visible(by).await?.into_iter().map(|entry| entry.record).collect();
        keys.retain(|key| {
            of.is_none_or(|of| of == key.authority) && filter.after.is_none_or(|id| id < key.id)
        });
        keys.sort_by_key(|key| key.id);
        keys.truncate(limit);
        Ok(keys)
    }

    /// Revokes a key: no call is begun with it from now on. Revoking it again changes nothing.
    pub async fn revoke_key(&self, by: Authority, id: ApiKeyId) -> Result<ApiKey> {
        for _ in 0..MAX_CONFLICTS {
            let keys = self.visible(by).await?;
            let Some(found) = keys.iter().find(|entry| entry.record.id == id) else {
                let message =
                    format!("there is no key `{id}` that this key may see; GET /v1/keys lists them");
                return Err(Error::not_found("api-key-unknown", message));
            };
            if found.record.revoked_at.is_some() {
                return Ok(found.record.clone());
            }
            let revoked = ApiKey { revoked_at: Some(self.context.now()), ..found.record.clone() };
            let mut batch = Batch::new();
            batch.replace::<ApiKeys>(&Deployment, &found.key, &revoked, found.version);
            let authority = revoked.authority;
            if authority == by {
                let stays = |entry: &&Entry<ApiKeys>| {
                    entry.record.id != id && entry.record.authority == authority && is_live(&entry.record)
                };
                let Some(other) = keys.iter().find(stays) else { return Err(last(id, authority)) };
                batch.replace::<ApiKeys>(&Deployment, &other.key, &other.record, other.version);
            }
            match self.context.store.commit(batch).await {
                Ok(_) => return Ok(revoked),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = format!("key `{id}` and others are changed again and again just now; try again");
        Err(Error::conflict("api-key-busy", message))
    }

    /// Keys are few and seldom listed, so there is no index of them beside the hashes that every call finds them by.
    async fn visible(&self, by: Authority) -> Result<Vec<Entry<ApiKeys>>> {
        let mut keys = self.context.store.list::<ApiKeys>(&Deployment, Select::all()).await?;
        keys.retain(|entry| may(by, entry.record.authority));
        Ok(keys)
    }
}

/// Whether a key of authority `by` has a say over keys of `of`.
fn may(by: Authority, of: Authority) -> bool {
    by == Authority::Operator || by == of
}

const fn is_live(key: &ApiKey) -> bool {
    key.revoked_at.is_none()
}

fn last(id: ApiKeyId, authority: Authority) -> Error {
    let message = match authority {
        Authority::Environment { scope } => {
            let environment = scope.environment;
            format!(
                "`{id}` is the last key of {environment}, which would be locked out; make another with POST /v1/keys \
                 first, or have the operator revoke it"
            )
        }
        Authority::Operator => format!(
            "`{id}` is the last operator's key, and nobody could run the host any more; make another with POST /v1/keys \
             first"
        ),
    };
    Error::conflict("api-key-last", message)
}
