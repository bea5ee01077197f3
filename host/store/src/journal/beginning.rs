//! The first opening of a new database: begun anew where it did not get to its end.
//!
//! sled writes its first pages while it opens, and cannot read what a power cut in the middle of them leaves. Nothing
//! is committed before a journal was opened whole, so such files hold nothing that anybody was told of.
//!
//! Invariant: the mark is in the directory, durably, before sled's first write, and gone, durably, before the first
//! commit. A database without a mark is never taken away, whatever is wrong with it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::journal::{OpenError, disk};

/// The mark's name.
const MARK: &str = "unfinished";
/// What the mark says to whoever looks into the directory.
const MEANING: &[u8] =
    b"This database is being made and holds nothing yet. If its making does not end, the next start \
makes it anew.\n";

/// A database that was never opened whole, and the right to make it.
#[derive(Debug)]
pub(crate) struct Beginning {
    path: PathBuf,
    /// Locked: who makes a database anew must be alone with it.
    mark: File,
}

impl Beginning {
    /// Marks the directory `path` if there is no database in it yet; `None` where there is a whole one.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, OpenError> {
        let io = |action| move |source| OpenError::Io { action, path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io("make"))?;
        let name = path.join(MARK);
        let marked = || name.try_exists().map_err(io("look for the mark of a new database in"));
        if !marked()? && !disk::files(path).map_err(io("list"))?.is_empty() {
            return Ok(None);
        }
        let mark = make(&name).map_err(io("mark as new the database in"))?;
        match mark.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io("lock the mark of a new database in")(error)),
        }
        // Whoever held the lock before may have made the database whole.
        Ok(marked()?.then(|| Self { path: path.to_owned(), mark }))
    }

    /// Takes away what an earlier opening left unfinished.
    pub(crate) fn anew(&self) -> Result<(), OpenError> {
        let io = |source| OpenError::Io { action: "begin anew in", path: self.path.clone(), source };
        for file in disk::files(&self.path).map_err(io)? {
            if file.is_dir() { fs::remove_dir_all(&file) } else { fs::remove_file(&file) }.map_err(io)?;
        }
        sync(&self.path).map_err(io)
    }

    /// The database was opened whole: from now on its files are never taken away.
    pub(crate) fn end(self) -> Result<(), OpenError> {
        let io = |source| OpenError::Io {
            action: "take the mark of a new database from",
            path: self.path.clone(),
            source,
        };
        fs::remove_file(self.path.join(MARK)).map_err(io)?;
        sync(&self.path).map_err(io)?;
        drop(self.mark);
        Ok(())
    }
}

/// Makes the mark, durably, or opens the one that is there.
fn make(name: &Path) -> io::Result<File> {
    let mut mark = File::options().create(true).truncate(false).write(true).open(name)?;
    mark.write_all(MEANING)?;
    mark.sync_all()?;
    if let Some(directory) = name.parent() {
        sync(directory)?;
    }
    Ok(mark)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
