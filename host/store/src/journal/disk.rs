//! sled and the file system under it: opening, power-safe flushing, free space.
//!
//! The sled used here ends every write with `fdatasync`, so its flush is power-safe; see `host/store/vendor/sled/TRUNNION.md`.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{backend::BackendError, journal::OpenError};

/// How the names of sled's snapshots begin.
const SNAPSHOT: &str = "snap.";
/// What a snapshot that sled refused has in front of its name.
const SET_ASIDE: &str = "unreadable-";

/// An open sled database whose flushes are power-safe.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) db: sled::Db,
    path: PathBuf,
}

impl Disk {
    /// Opens or makes the database in the directory `path`.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        let io = |action| move |source| OpenError::Io { action, path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io("make"))?;
        let db = match attempt(path, cache_bytes) {
            Ok(db) => db,
            Err(Failure::InUse) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(Failure::Other(first)) => {
                // An abrupt stop can leave a snapshot that sled 0.34 refuses. It is only a shortcut: without it
                // sled reads its whole log.
                tracing::warn!(path = %path.display(), error = first, "the database did not open; trying again without its snapshot");
                set_snapshots_aside(path).map_err(io("set the snapshot aside in"))?;
                match attempt(path, cache_bytes) {
                    Ok(db) => db,
                    Err(Failure::InUse) => return Err(OpenError::InUse { path: path.to_owned() }),
                    Err(Failure::Other(second)) => {
                        return Err(OpenError::Unreadable { path: path.to_owned(), first, second });
                    }
                }
            }
        };
        File::open(path.join("db")).and_then(|log| log.sync_all()).map_err(io("sync the log of"))?;
        File::open(path.join("conf")).and_then(|conf| conf.sync_all()).map_err(io("sync the settings of"))?;
        File::open(path).and_then(|directory| directory.sync_all()).map_err(io("sync"))?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)
                .and_then(|directory| directory.sync_all())
                .map_err(io("sync the directory above"))?;
        }
        Ok(Self { db, path: path.to_owned() })
    }

    /// Returns once everything written is on disk, power-safe.
    pub(crate) fn flush(&self) -> Result<(), BackendError> {
        self.db.flush().map_err(|source| self.failed("flush", source))?;
        Ok(())
    }

    /// How far sled's log reaches, in bytes.
    pub(crate) fn log_position(&self) -> u64 {
        self.db.log_position()
    }

    /// Notes how far the log has been read, so that the next start does not read it again; gives the note's bytes.
    pub(crate) fn note(&self) -> Result<u64, BackendError> {
        self.db.note_snapshot().map_err(|source| self.failed("write a snapshot of", source))?;
        snapshot_bytes(&self.path).map_err(|source| self.failed("look at the snapshot of", source))
    }

    /// Bytes that may still be written.
    pub(crate) fn free_bytes(&self) -> Result<u64, BackendError> {
        let space = rustix::fs::statvfs(&self.path)
            .map_err(|source| self.failed("ask for the free space of", io::Error::from(source)))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The database failed at something.
    pub(crate) fn failed(&self, action: &str, source: impl Into<crate::backend::Source>) -> BackendError {
        let message =
            format!("cannot {action} the database {}; check the disk, then start again", self.path.display());
        BackendError::storage(message, source)
    }
}

enum Failure {
    InUse,
    Other(String),
}

/// How long a database that is in use is waited for: sled 0.34's threads let go of the lock a moment after the
/// last handle was dropped, as does a process that is just ending.
const LETTING_GO: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Opens sled, waiting for whoever is just letting go of it.
fn attempt(path: &Path, cache_bytes: u64) -> Result<sled::Db, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        match open(path, cache_bytes) {
            Err(Failure::InUse) if waited < LETTING_GO => {
                thread::sleep(LOOK_AGAIN);
                waited += LOOK_AGAIN;
            }
            other => return other,
        }
    }
}

/// Opens sled on a thread of its own, since a damaged file can make it panic.
fn open(path: &Path, cache_bytes: u64) -> Result<sled::Db, Failure> {
    let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
    let opened = thread::Builder::new().name("sled-open".into()).spawn(move || config.open());
    match opened.map_err(|error| Failure::Other(error.to_string()))?.join() {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
            Err(Failure::InUse)
        }
        Ok(Err(error)) => Err(Failure::Other(error.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Failure::Other(said.unwrap_or_else(|| "sled panicked".into())))
        }
    }
}

/// Files and directories of a database in the directory `path`, whole or not.
pub(crate) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let snapshot = name.strip_prefix(SET_ASIDE).unwrap_or(name).starts_with(SNAPSHOT);
        if snapshot || matches!(name, "db" | "conf" | "blobs") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn snapshot_bytes(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(SNAPSHOT)) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn set_snapshots_aside(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with(SNAPSHOT)) {
            std::fs::rename(entry.path(), path.join(format!("{SET_ASIDE}{name}")))?;
        }
    }
    Ok(())
}
