//! The kept components: `DIR/components/<digest>.wasm`, by content.
//!
//! Invariant: a file under a component's name holds all of it, durably, before any record names it: it is
//! written beside its place, synced, moved there, and the directory is synced. What is read is checked against
//! its name.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use trunnion_core::records::Digest;
use trunnion_sandbox::digest_of;

const EXTENSION: &str = "wasm";

/// Where components are kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    directory: PathBuf,
}

/// A kept component that cannot be had or made.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is no such file.
    #[error(
        "the kept component `{path}` is missing; restore it from a backup, or put the same component into the \
         connectors directory and start the host again"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error(
        "the kept component `{path}` is damaged: its content is `{found}`; restore it from a backup, or remove it, \
         put the same component into the connectors directory and start the host again"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The digest of what it holds.
        found: Digest,
    },
    /// It cannot be read or written.
    #[error(
        "the kept component `{path}` could not be {action}; check the disk's space and the owner of the directory"
    )]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Shelf {
    pub(super) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.to_string()).with_extension(EXTENSION)
    }

    /// Keeps a component; one that is there already, whole, stays as it is.
    pub(super) async fn put(&self, digest: &Digest, component: Bytes) -> Result<(), ShelfError> {
        let (shelf, digest) = (self.clone(), digest.clone());
        blocking(self.path(&digest), "written", move || shelf.write(&digest, &component)).await
    }

    /// The component of this digest.
    pub(super) async fn read(&self, digest: &Digest) -> Result<Bytes, ShelfError> {
        let path = self.path(digest);
        let from = path.clone();
        let content = blocking(path.clone(), "read", move || match fs::read(from) {
            Ok(content) => Ok(Some(content)),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await?;
        let Some(content) = content else { return Err(ShelfError::Missing { path }) };
        let found = digest_of(&content);
        if found == *digest { Ok(Bytes::from(content)) } else { Err(ShelfError::Damaged { path, found }) }
    }

    /// Removes a component that no record names any more.
    pub(super) async fn remove(&self, digest: &Digest) -> Result<(), ShelfError> {
        let path = self.path(digest);
        blocking(path.clone(), "removed", move || unless_missing(fs::remove_file(path))).await
    }

    /// Removes whatever a process that was killed left: unfinished files, and components without a record.
    pub(super) async fn tidy(&self, kept: BTreeSet<Digest>) -> Result<usize, ShelfError> {
        let (directory, names) = (self.directory.clone(), kept);
        blocking(self.directory.clone(), "tidied", move || {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            };
            let mut removed = 0;
            for entry in entries {
                let path = entry?.path();
                if !is_kept(&path, &names) {
                    unless_missing(fs::remove_file(&path))?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }

    fn write(&self, digest: &Digest, component: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(content) if content == component => return Ok(()),
            Ok(_) => {}
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let unfinished = path.with_extension("part");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(component)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.directory)?.sync_all()
    }
}

fn is_kept(path: &Path, kept: &BTreeSet<Digest>) -> bool {
    let named = path.extension().is_some_and(|extension| extension == EXTENSION);
    let digest = path.file_stem().and_then(|stem| stem.to_str()).map(|stem| Digest(stem.to_owned()));
    named && digest.is_some_and(|digest| kept.contains(&digest))
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    action: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ShelfError> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|source| ShelfError::Io { path, action, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_component_comes_back_as_it_was_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().join("components"));
        let component = Bytes::from_static(b"component");
        let digest = digest_of(&component);
        let missing = shelf.read(&digest).await.unwrap_err();
        assert!(matches!(&missing, ShelfError::Missing { .. }), "{missing}");
        assert!(missing.to_string().contains(&digest.0), "{missing}");

        shelf.put(&digest, component.clone()).await.unwrap();
        assert_eq!(shelf.read(&digest).await.unwrap(), component);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&shelf.path(&digest)), 0o600);
        assert_eq!(mode(&shelf.directory), 0o700);

        fs::write(shelf.path(&digest), b"something else").unwrap();
        let damaged = shelf.read(&digest).await.unwrap_err();
        assert!(matches!(&damaged, ShelfError::Damaged { .. }), "{damaged}");
        shelf.put(&digest, component.clone()).await.unwrap();
        assert_eq!(shelf.read(&digest).await.unwrap(), component, "putting it again mends it");

        shelf.remove(&digest).await.unwrap();
        shelf.remove(&digest).await.unwrap();
        assert!(matches!(shelf.read(&digest).await, Err(ShelfError::Missing { .. })));
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().to_owned());
        let (known, unknown) = (Bytes::from_static(b"known"), Bytes::from_static(b"unknown"));
        shelf.put(&digest_of(&known), known.clone()).await.unwrap();
        shelf.put(&digest_of(&unknown), unknown.clone()).await.unwrap();
        fs::write(shelf.path(&digest_of(&known)).with_extension("part"), b"half").unwrap();
        assert_eq!(shelf.tidy(BTreeSet::from([digest_of(&known)])).await.unwrap(), 2);
        assert_eq!(shelf.read(&digest_of(&known)).await.unwrap(), known);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
