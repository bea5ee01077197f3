//! API keys: made once, kept as a hash, scoped to an environment or to operating the host.
//!
//! `keys` makes, lists and revokes them. A revocation counts from its commit on, since no key is ever answered for
//! from memory alone (`Store::recall`).

mod keys;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use trunnion_core::{
    clock::Timestamp,
    records::{ApiKey, Authority, KeyHolder, Workspace},
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, Deployment, Select, Versioned,
    tables::{ApiKeys, Workspaces},
};

pub use self::keys::{Filter, NewKey};
use crate::{
    context::Context,
    error::{Error, Result},
};

/// The last use of a key is known to the day: one commit a day for each key.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Characters of a key that are shown: of its 192 random bits, 176 remain.
const SHOWN: usize = 4;

/// Makes and knows keys.
#[derive(Clone, Debug)]
pub struct Access {
    context: Context,
}

/// A key as its holder has it. Shown once, never stored.
pub type Secret = String;

/// A key that holds: what it may do, and whose it is.
#[derive(Clone, Debug)]
pub struct Holder {
    /// What it may do.
    pub authority: Authority,
    /// The key itself, by id and name.
    pub key: KeyHolder,
}

/// What a new workspace is told once.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    /// The workspace.
    pub workspace: Workspace,
    /// The key of its development environment.
    pub development: Secret,
    /// The key of its production environment.
    pub production: Secret,
}

impl Access {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// A fresh key of this authority; it holds once [`Access::grant`] or a workspace's creation stored it.
    #[must_use]
    pub fn fresh(&self, authority: Authority) -> Secret {
        let kind = match authority {
            Authority::Operator => "op",
            Authority::Environment { scope } => match scope.environment {
                Environment::Development => "dev",
                Environment::Production => "prod",
            },
        };
        format!("trn_{kind}_{}", hex::encode(self.context.ids.bytes::<24>()))
    }

    /// Makes `key` hold. Granting a key again changes nothing.
    pub async fn grant(&self, key: &str, authority: Authority, name: &str) -> Result<()> {
        let hash = hash(key);
        if self.context.store.get::<ApiKeys>(&Deployment, &hash).await?.is_some() {
            return Ok(());
        }
        let mut batch = Batch::new();
        let record = self.record(key, authority, name);
        batch.insert::<ApiKeys>(&Deployment, &hash, &record);
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// What a key may do, and whose it is; `None` where it does not hold.
    pub async fn holder(&self, key: &str) -> Result<Option<Holder>> {
        let hash = hash(key);
        let Some(stored) = self.context.store.recall::<ApiKeys>(&Deployment, &hash).await? else {
            return Ok(None);
        };
        let key = &stored.record;
        if key.revoked_at.is_some() {
            return Ok(None);
        }
        let today = day_of(self.context.now());
        if key.last_used.is_none_or(|day| day < today) {
            let used = ApiKey { last_used: Some(today), ..ApiKey::clone(key) };
            self.note_use(&hash, &Versioned { version: stored.version, record: used }).await;
        }
        Ok(Some(Holder { authority: key.authority, key: KeyHolder { id: key.id, name: key.name.clone() } }))
    }

    /// Notes the day of a key's use. No call fails for it: what cannot be noted now is noted by the next call.
    async fn note_use(&self, hash: &[u8; 32], used: &Versioned<ApiKey>) {
        let mut batch = Batch::new();
        batch.replace::<ApiKeys>(&Deployment, hash, &used.record, used.version);
        match self.context.store.commit(batch).await {
            Ok(_) => {}
            // Another call noted it, or somebody revoked the key: their word is newer.
            Err(error) if error.is_conflict() => {}
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the use of a key could not be noted"
            ),
        }
    }

    /// Makes a workspace and the keys of its two environments.
    pub async fn create_workspace(&self, name: &str) -> Result<NewWorkspace> {
        if name.trim().is_empty() || name.chars().count() > 100 {
            return Err(Error::invalid(
                "workspace-name-invalid",
                "a workspace's name has 1 to 100 characters",
            ));
        }
        if self.workspaces().await?.iter().any(|known| known.name == name) {
            return Err(Error::conflict(
                "workspace-name-taken",
                format!("there is a workspace `{name}` already"),
            ));
        }
        let workspace =
            Workspace { id: self.context.ids.next(), name: name.to_owned(), created_at: self.context.now() };
        let key = |environment| {
            let authority = Authority::Environment { scope: Scope::new(workspace.id, environment) };
            (self.fresh(authority), authority)
        };
        let (development, development_authority) = key(Environment::Development);
        let (production, production_authority) = key(Environment::Production);
        let mut batch = Batch::new();
        batch.insert::<Workspaces>(&Deployment, &workspace.id, &workspace);
        batch.insert::<ApiKeys>(
            &Deployment,
            &hash(&development),
            &self.record(&development, development_authority, "first development key"),
        );
        batch.insert::<ApiKeys>(
            &Deployment,
            &hash(&production),
            &self.record(&production, production_authority, "first production key"),
        );
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(NewWorkspace { workspace, development, production })
    }

    /// Makes a workspace of a given id hold, for the development set-up, which writes its keys to a file first.
    pub async fn ensure_workspace(&self, workspace: &Workspace) -> Result<()> {
        if self.context.store.get::<Workspaces>(&Deployment, &workspace.id).await?.is_none() {
            let mut batch = Batch::new();
            batch.insert::<Workspaces>(&Deployment, &workspace.id, workspace);
            self.context.store.commit(batch).await.map_err(Error::Commit)?;
        }
        Ok(())
    }

    /// Every workspace, oldest first.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>> {
        let entries = self.context.store.list::<Workspaces>(&Deployment, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    fn record(&self, key: &str, authority: Authority, name: &str) -> ApiKey {
        let before = key.chars().count().saturating_sub(SHOWN);
        ApiKey {
            id: self.context.ids.next(),
            authority,
            name: name.to_owned(),
            created_at: self.context.now(),
            ends_in: Some(key.chars().skip(before).collect()),
            last_used: None,
            revoked_at: None,
        }
    }
}

const fn day_of(moment: Timestamp) -> Timestamp {
    let day = DAY.as_secs() * 1_000;
    Timestamp::from_millis(moment.as_millis() / day * day)
}

/// Keys carry 192 random bits, so a plain hash is as good as a slow one.
fn hash(key: &str) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest(&SHA256, key.as_bytes()).as_ref()) {
        *to = *from;
    }
    out
}
