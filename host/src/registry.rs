//! The registry: which connectors there are, and which version of each is active.
//!
//! Owns the loaded components, by app and by digest. Components come from `DIR/connectors/*.wasm` at start.
//! Invariant: what `active` gives was checked, compiled and probed by the sandbox.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use trunnion_core::{manifest::Manifest, records::Digest};
use trunnion_sandbox::{Connector, LoadError, Sandbox};

/// Why the connectors could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or a file could not be read.
    #[error("`{path}` could not be read")]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A component was refused.
    #[error("connector `{path}` was refused: {source}")]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why, with the remedy.
        source: Box<LoadError>,
    },
    /// Two components of one app.
    #[error(
        "`{first}` and `{second}` are both connectors of the app `{app}`; keep one of them in the directory"
    )]
    Twice {
        /// The app.
        app: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// The loaded connectors.
#[derive(Debug, Default)]
pub struct Registry {
    loaded: RwLock<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    active: BTreeMap<String, Connector>,
    by_digest: BTreeMap<Digest, Connector>,
}

impl Registry {
    /// Loads every component of `directory`; a missing directory holds none.
    pub async fn load(sandbox: &Sandbox, directory: &Path) -> Result<Self, Error> {
        let registry = Self::default();
        let mut origins: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in components(directory)? {
            let bytes =
                std::fs::read(&path).map_err(|source| Error::Unreadable { path: path.clone(), source })?;
            let connector = sandbox
                .load(Bytes::from(bytes))
                .await
                .map_err(|source| Error::Refused { path: path.clone(), source: Box::new(source) })?;
            let app = connector.manifest().id.clone();
            if let Some(first) = origins.insert(app.clone(), path.clone()) {
                return Err(Error::Twice { app, first, second: path });
            }
            tracing::info!(app, version = %connector.manifest().version, digest = %connector.digest(), "connector loaded");
            registry.activate(connector);
        }
        Ok(registry)
    }

    fn activate(&self, connector: Connector) {
        let mut loaded = self.loaded.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        loaded.by_digest.insert(connector.digest().clone(), connector.clone());
        loaded.active.insert(connector.manifest().id.clone(), connector);
    }

    /// The active connector of an app.
    #[must_use]
    pub fn active(&self, app: &str) -> Option<Connector> {
        self.read().active.get(app).cloned()
    }

    /// The connector of a digest, as a run fixed it at accept.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> Option<Connector> {
        self.read().by_digest.get(digest).cloned()
    }

    /// The active manifest of an app.
    #[must_use]
    pub fn manifest(&self, app: &str) -> Option<Arc<Manifest>> {
        self.active(app).map(|connector| Arc::clone(connector.manifest()))
    }

    /// Every active connector, by app.
    #[must_use]
    pub fn all(&self) -> Vec<Connector> {
        self.read().active.values().cloned().collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Loaded> {
        self.loaded.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn components(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: directory.to_owned(), source };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(unreadable(source)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
