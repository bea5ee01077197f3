//! The registry: which connectors there are, and which version of each is active.
//!
//! Owns the loaded components: the active and the previous one of each app, and a few others that runs under way
//! fixed at accept. `shelf` keeps the components' bytes, `candidate` takes bytes through the stages, `swap`
//! changes what is active, `survey` says who stands on what, `start` takes up what the data directory holds,
//! `records` and `prune` are the durable side.
//!
//! Invariants: what `standing` gives was checked, compiled and probed by the loader; the set of active
//! connectors is replaced as a whole, after the records that say so are durable, so that whoever took it sees one
//! moment; a definition, installation or credential becomes durable under [`Registry::settled`], so that no swap
//! is decided between its check and its commit.

pub mod candidate;
mod prune;
pub mod records;
mod shelf;
mod start;
mod survey;
pub mod swap;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use quick_cache::sync::Cache;
use tokio::sync::RwLock as AsyncLock;
use trunnion_core::{clock::Timestamp, manifest::Manifest, records::Digest};
use trunnion_sandbox::{Connector, LoadError, Loader};

use self::shelf::Shelf;
pub use self::{shelf::ShelfError, start::Error, swap::Swaps};

/// Components kept in memory beside the active and previous ones, for runs that fixed them at accept.
const OTHERS: usize = 8;

/// The connectors.
#[derive(Debug)]
pub struct Registry {
    loader: Arc<dyn Loader>,
    shelf: Shelf,
    standing: RwLock<Arc<Standing>>,
    /// By app: the one before the active one, to go back to at once.
    previous: RwLock<BTreeMap<String, Connector>>,
    others: Cache<Digest, Connector>,
    gate: AsyncLock<()>,
}

/// Every active connector, at one moment.
#[derive(Debug, Default)]
pub struct Standing {
    active: BTreeMap<String, Active>,
}

/// The active connector of an app.
#[derive(Clone, Debug)]
pub struct Active {
    /// The connector.
    pub connector: Connector,
    /// Since when.
    pub since: Timestamp,
}

/// A component that a run fixed, and that cannot be had any more.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    /// Its bytes.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The sandbox refuses what it once took.
    #[error("the kept component `{digest}` no longer loads: {source}")]
    Refused {
        /// Which.
        digest: Digest,
        /// Why, with the remedy.
        source: Box<LoadError>,
    },
}

impl Standing {
    /// The active connector of an app.
    #[must_use]
    pub fn connector(&self, app: &str) -> Option<&Connector> {
        self.active.get(app).map(|active| &active.connector)
    }

    /// Every active connector, by app.
    pub fn all(&self) -> impl Iterator<Item = &Active> {
        self.active.values()
    }
}

impl Registry {
    /// A registry without connectors yet, that loads with `loader` and keeps components in `directory`.
    #[must_use]
    pub fn new(loader: Arc<dyn Loader>, directory: PathBuf) -> Self {
        Self {
            loader,
            shelf: Shelf::new(directory),
            standing: RwLock::default(),
            previous: RwLock::default(),
            others: Cache::new(OTHERS),
            gate: AsyncLock::new(()),
        }
    }

    /// The folder of the kept components.
    #[must_use]
    pub fn components(&self) -> &Path {
        self.shelf.directory()
    }

    /// Every active connector, at this moment.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The active connector of an app.
    #[must_use]
    pub fn active(&self, app: &str) -> Option<Connector> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).connector(app).cloned()
    }

    /// The active manifest of an app.
    #[must_use]
    pub fn manifest(&self, app: &str) -> Option<Arc<Manifest>> {
        self.active(app).map(|connector| Arc::clone(connector.manifest()))
    }

    /// The apps there are connectors for, in a sentence.
    #[must_use]
    pub fn known_apps(&self) -> String {
        let standing = self.standing();
        let apps: Vec<_> = standing.active.keys().map(|app| format!("`{app}`")).collect();
        if apps.is_empty() { "none".to_owned() } else { apps.join(", ") }
    }

    /// The connector of a digest, as a run fixed it at accept: from memory, else from the kept component.
    pub async fn by_digest(&self, app: &str, digest: &Digest) -> Result<Connector, Gone> {
        if let Some(loaded) = self.loaded(app, digest) {
            return Ok(loaded);
        }
        self.others.get_or_insert_async(digest, self.load_kept(digest)).await
    }

    /// The active or the previous connector of `app`, where it is this one.
    fn loaded(&self, app: &str, digest: &Digest) -> Option<Connector> {
        if let Some(active) = self.active(app).filter(|active| active.digest() == digest) {
            return Some(active);
        }
        let previous = self.read_previous();
        previous.get(app).filter(|previous| previous.digest() == digest).cloned()
    }

    async fn load_kept(&self, digest: &Digest) -> Result<Connector, Gone> {
        let component = self.shelf.read(digest).await?;
        self.loader
            .load(component, &mut |_| {})
            .await
            .map_err(|source| Gone::Refused { digest: digest.clone(), source: Box::new(source) })
    }

    /// While this is held, what is active does not change: for the check and the commit of whatever stands on
    /// connectors. Nothing may be awaited under it but the store.
    pub async fn settled(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Makes `connector` the active one of its app, in one step for everybody; the one before it. The record that
    /// says so is the caller's, and durable before.
    pub fn switch(&self, connector: Connector, since: Timestamp) -> Option<Connector> {
        let app = connector.manifest().id.clone();
        let before = self.active(&app);
        // First here: a run that holds the old digest finds it in one place or the other at any moment.
        let superseded = {
            let mut previous = self.previous.write().unwrap_or_else(PoisonError::into_inner);
            match &before {
                Some(before) => previous.insert(app.clone(), before.clone()),
                None => previous.remove(&app),
            }
        };
        self.others.remove(connector.digest());
        {
            let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
            let mut active = standing.active.clone();
            active.insert(app, Active { connector, since });
            *standing = Arc::new(Standing { active });
        }
        drop(superseded);
        before
    }

    /// Leaves nothing on disk of a component that is not kept.
    async fn discard(&self, digest: &Digest) {
        if let Err(error) = self.shelf.remove(digest).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a component is left behind; the next start removes it"
            );
        }
        self.loader.forget(digest).await;
    }

    fn read_previous(&self) -> RwLockReadGuard<'_, BTreeMap<String, Connector>> {
        self.previous.read().unwrap_or_else(PoisonError::into_inner)
    }
}
