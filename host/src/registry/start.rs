//! What the data directory holds at start: the active components, and files that somebody put beside them.
//!
//! A file of `DIR/connectors` is a seed: one that this host has not seen is a candidate like any other and takes
//! over if it passes; one that it knows changes nothing, since the records say what is active, so that a push or a
//! rollback survives a restart. A refused seed stops the start only where its app would be without a connector.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use trunnion_core::records::{ConnectorChangeKind, ConnectorVersion, Digest};
use trunnion_sandbox::{Connector, LoadError};
use trunnion_store::tables::ActiveConnector;

use super::{
    ShelfError, Swaps,
    candidate::{Candidate, Probed, Stages, Stopwatch},
    records::Cause,
    swap::Successor,
};

/// Why a host cannot start with its connectors.
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
    /// Two new components of one app.
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
    /// The active component of an app cannot be had.
    #[error("the active connector of `{app}` cannot be loaded: {source}")]
    Kept {
        /// The app.
        app: String,
        /// Why, with the remedy.
        source: ShelfError,
    },
    /// A component could not be kept.
    #[error("a connector could not be kept")]
    Shelf(#[from] ShelfError),
    /// The records could not be read or written.
    #[error("the records of the connectors could not be read or written")]
    Records(#[from] crate::error::Error),
}

/// A file of the connectors directory.
struct Seed {
    path: PathBuf,
    candidate: Candidate,
}

impl Swaps {
    /// Loads what is active, and takes in the files of `directory` that are new.
    pub async fn start(&self, directory: &Path) -> Result<(), Error> {
        let seeds = seeds(directory).await?;
        let versions = self.records.all_versions().await?;
        let known: BTreeSet<Digest> = versions.into_iter().map(|version| version.digest).collect();
        let removed = self.registry.shelf.tidy(known.clone()).await?;
        if removed > 0 {
            tracing::info!(removed, "removed unfinished components that an earlier process left");
        }
        for seed in seeds.iter().filter(|seed| known.contains(&seed.candidate.digest)) {
            // Mends a kept component that was lost or damaged.
            self.registry.shelf.put(&seed.candidate.digest, seed.candidate.component.clone()).await?;
        }
        let digests = seeds.iter().map(|seed| seed.candidate.digest.clone());
        self.seeds.lock().unwrap_or_else(PoisonError::into_inner).extend(digests);

        let active = self.records.all_active().await?;
        let loaded = active.into_iter().map(|(app, record)| self.load_active(app, record));
        for (connector, record) in try_join_all(loaded).await? {
            let app = &connector.manifest().id;
            tracing::info!(app, version = %connector.manifest().version, digest = %connector.digest(), "connector loaded");
            drop(self.registry.switch(connector, record.since));
        }
        let mut origins: BTreeMap<String, PathBuf> = BTreeMap::new();
        for seed in seeds {
            if !known.contains(&seed.candidate.digest) {
                self.take_in(seed, &mut origins).await?;
            }
        }
        Ok(())
    }

    async fn load_active(
        &self,
        app: String,
        record: ActiveConnector,
    ) -> Result<(Connector, ActiveConnector), Error> {
        let component = match self.registry.shelf.read(&record.digest).await {
            Ok(component) => component,
            Err(source) => return Err(Error::Kept { app, source }),
        };
        match self.registry.loader.load(component, &mut |_| {}).await {
            Ok(connector) => Ok((connector, record)),
            Err(source) => {
                let path = self.registry.shelf.path(&record.digest);
                Err(Error::Refused { path, source: Box::new(source) })
            }
        }
    }

    /// Takes in a component that this host has not seen before.
    async fn take_in(&self, seed: Seed, origins: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
        let Seed { path, candidate } = seed;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cause = Cause { by: None, reason: Some(format!("connectors/{name}")) };
        let (mut watch, mut stages) = (Stopwatch::start(), Stages::default());
        let digest = candidate.digest.clone();
        let probed = candidate.probe(self.registry.loader.as_ref(), &mut watch, &mut stages).await;
        let Probed { component, connector } = match probed {
            Ok(probed) => probed,
            Err(source) => {
                // A component that does not describe itself names no app, so its file's name has to.
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let Some(active) = self.registry.active(&stem) else {
                    self.registry.discard(&digest).await;
                    return Err(Error::Refused { path, source: Box::new(source) });
                };
                self.turn_down(&stem, (&digest, None), false, &source.to_string(), cause).await?;
                stays(&path, &active, &source);
                return Ok(());
            }
        };
        let manifest = connector.manifest();
        let app = manifest.id.clone();
        if let Some(first) = origins.insert(app.clone(), path.clone()) {
            return Err(Error::Twice { app, first, second: path });
        }
        let version = ConnectorVersion {
            app: app.clone(),
            version: manifest.version.clone(),
            digest,
            added_at: self.records.ids.clock().now(),
            size: size_of(&component),
        };
        self.registry.shelf.put(&version.digest, component).await?;
        let change = ConnectorChangeKind::Activated;
        let successor = Successor { connector, version, known: false, change };
        match self.take_over(successor, cause, &mut watch, stages).await {
            Ok(_) => Ok(()),
            Err(error @ crate::error::Error::ConnectorInUse { .. }) => match self.registry.active(&app) {
                Some(active) => {
                    stays(&path, &active, &error);
                    Ok(())
                }
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Says as loudly as can be that the running version is not the one in the directory.
fn stays(path: &Path, active: &Connector, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(
        path = %path.display(),
        app = active.manifest().id,
        active = %active.manifest().version,
        error,
        "a connector in the connectors directory was refused; the active version stays: correct or remove the file"
    );
}

fn size_of(component: &Bytes) -> u64 {
    u64::try_from(component.len()).unwrap_or(u64::MAX)
}

async fn seeds(directory: &Path) -> Result<Vec<Seed>, Error> {
    let paths = components(directory)?;
    let read = paths.into_iter().map(|path| async {
        let content = tokio::fs::read(&path).await;
        let content = content.map_err(|source| Error::Unreadable { path: path.clone(), source })?;
        Ok(Seed { path, candidate: Candidate::new(Bytes::from(content)) })
    });
    try_join_all(read).await
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
