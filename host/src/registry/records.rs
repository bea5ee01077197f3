//! The durable side of the registry: which versions are kept, which is active, and what was done when by whom.
//!
//! Invariant: a version, that it is active and the line of history that says so are one commit.

use trunnion_core::{
    id::{Id, IdSource},
    records::{ConnectorChange, ConnectorChangeKind, ConnectorVersion, Digest, KeyHolder},
};
use trunnion_store::{
    Batch, Deployment, Select, Store, Version, Versioned,
    tables::{ActiveConnector, ActiveConnectors, ConnectorHistory, ConnectorVersions},
};

use crate::error::{Error, Result};

/// Lines of history one listing gives at most.
const MAX_HISTORY: usize = 1_000;

/// Reads and writes the registry's records.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) store: Store,
    pub(super) ids: IdSource,
}

/// Who changes something, and why.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// Whose key asked for it; none where a component came with the data directory.
    pub(super) by: Option<KeyHolder>,
    /// Where it came from.
    pub(super) reason: Option<String>,
}

/// A version that takes over.
#[derive(Debug)]
pub(super) struct Succession<'a> {
    /// What is kept of it.
    pub(super) version: &'a ConnectorVersion,
    /// Whether it is kept already.
    pub(super) known: bool,
    /// How it comes to be active.
    pub(super) change: ConnectorChangeKind,
    /// The active record as it was read.
    pub(super) before: Option<&'a Versioned<ActiveConnector>>,
}

impl Records {
    /// The versions kept of an app, newest first.
    pub(super) async fn versions(&self, app: &str) -> Result<Vec<ConnectorVersion>> {
        let entries =
            self.store.list::<ConnectorVersions>(&Deployment, Select::all().prefix(&app.to_owned())).await?;
        let mut versions: Vec<_> = entries.into_iter().map(|entry| entry.record).collect();
        versions.sort_by(|one, other| {
            other.added_at.cmp(&one.added_at).then_with(|| other.version.cmp(&one.version))
        });
        Ok(versions)
    }

    /// The versions kept of every app.
    pub(super) async fn all_versions(&self) -> Result<Vec<ConnectorVersion>> {
        let entries = self.store.list::<ConnectorVersions>(&Deployment, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    pub(super) async fn version(&self, app: &str, digest: &Digest) -> Result<Option<ConnectorVersion>> {
        let key = (app.to_owned(), digest.0.clone());
        Ok(self.store.get::<ConnectorVersions>(&Deployment, &key).await?.map(|found| found.record))
    }

    /// Which version of an app is active.
    pub(super) async fn active(&self, app: &str) -> Result<Option<Versioned<ActiveConnector>>> {
        Ok(self.store.get::<ActiveConnectors>(&Deployment, &app.to_owned()).await?)
    }

    /// Which version is active, of every app.
    pub(super) async fn all_active(&self) -> Result<Vec<(String, ActiveConnector)>> {
        let entries = self.store.list::<ActiveConnectors>(&Deployment, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| (entry.key, entry.record)).collect())
    }

    /// What was done about an app's connector, newest first.
    pub(super) async fn history(&self, app: &str, limit: usize) -> Result<Vec<ConnectorChange>> {
        let select = Select::all().prefix(&app.to_owned()).backward();
        let newest = self.store.page::<ConnectorHistory>(&Deployment, select, limit.min(MAX_HISTORY)).await?;
        Ok(newest.entries.into_iter().map(|entry| entry.record).collect())
    }

    /// Keeps a version without using it.
    pub(super) async fn add(&self, version: &ConnectorVersion, cause: Cause) -> Result<()> {
        let mut batch = Batch::new();
        keep(&mut batch, version);
        let change = ConnectorChange {
            at: self.ids.clock().now(),
            by: cause.by,
            change: ConnectorChangeKind::Added,
            version: Some(version.version.clone()),
            digest: version.digest.clone(),
            previous: None,
            reason: cause.reason,
        };
        self.write(&mut batch, &version.app, &change);
        self.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(())
    }

    /// Makes a version the active one; what the record then says.
    pub(super) async fn succeed(&self, next: Succession<'_>, cause: Cause) -> Result<ActiveConnector> {
        let Succession { version, known, change, before } = next;
        let now = self.ids.clock().now();
        let previous = before.map(|before| before.record.digest.clone());
        let active =
            ActiveConnector { digest: version.digest.clone(), previous: previous.clone(), since: now };
        let mut batch = Batch::new();
        if !known {
            keep(&mut batch, version);
        }
        match before {
            Some(before) => {
                batch.replace::<ActiveConnectors>(&Deployment, &version.app, &active, before.version);
            }
            None => batch.insert::<ActiveConnectors>(&Deployment, &version.app, &active),
        }
        let change = ConnectorChange {
            at: now,
            by: cause.by,
            change,
            version: Some(version.version.clone()),
            digest: version.digest.clone(),
            previous,
            reason: cause.reason,
        };
        self.write(&mut batch, &version.app, &change);
        match self.store.commit(batch).await {
            Ok(Version { .. }) => Ok(active),
            Err(error) if error.is_conflict() => Err(Error::conflict(
                "connector-swap-under-way",
                format!(
                    "the connector of `{}` was changed by somebody else at the same time; look at its versions and try again",
                    version.app
                ),
            )),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Writes down that a candidate was refused.
    pub(super) async fn refuse(&self, app: &str, change: ConnectorChange) -> Result<()> {
        let mut batch = Batch::new();
        self.write(&mut batch, app, &change);
        self.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(())
    }

    fn write(&self, batch: &mut Batch, app: &str, change: &ConnectorChange) {
        let id: Id = self.ids.next();
        batch.insert::<ConnectorHistory>(&Deployment, &(app.to_owned(), id), change);
    }
}

fn keep(batch: &mut Batch, version: &ConnectorVersion) {
    let key = (version.app.clone(), version.digest.0.clone());
    batch.put::<ConnectorVersions>(&Deployment, &key, version);
}
