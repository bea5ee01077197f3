//! Where slots live: a file that only this process writes, or memory.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{KeyError, slot::SLOT};

/// Slots by number, durable after `sync`.
pub(crate) trait Slots: fmt::Debug + Send + Sync {
    /// Every slot there is.
    fn read_all(&self) -> io::Result<Vec<[u8; SLOT]>>;
    /// One slot.
    fn read(&self, index: u32) -> io::Result<[u8; SLOT]>;
    /// Overwrites or appends one slot.
    fn write(&self, index: u32, slot: &[u8; SLOT]) -> io::Result<()>;
    /// Returns once everything written is on disk, power-safe.
    fn sync(&self) -> io::Result<()>;
    /// Puts other slots in the place of all of these, at once or not at all, and overwrites these.
    fn replace(&self, all: &[[u8; SLOT]]) -> Result<Arc<dyn Slots>, KeyError>;
}

/// Slots in a file.
#[derive(Debug)]
pub(crate) struct OnDisk {
    file: File,
    path: PathBuf,
}

impl OnDisk {
    /// Opens or makes the file, for its owner only, and locks it against other processes.
    pub(crate) fn open(path: &Path) -> Result<Self, KeyError> {
        let io = |action| move |source| KeyError::Io { action, path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(KeyError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        sync_parent(path).map_err(io("sync the directory of"))?;
        Ok(Self { file, path: path.to_owned() })
    }
}

impl Slots for OnDisk {
    fn read_all(&self) -> io::Result<Vec<[u8; SLOT]>> {
        let length = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes.as_chunks::<SLOT>().0.to_vec())
    }

    fn read(&self, index: u32) -> io::Result<[u8; SLOT]> {
        let mut slot = [0; SLOT];
        self.file.read_exact_at(&mut slot, offset(index))?;
        Ok(slot)
    }

    fn write(&self, index: u32, slot: &[u8; SLOT]) -> io::Result<()> {
        self.file.write_all_at(slot, offset(index))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// A new file takes the old one's name. The old content is then overwritten, so that what was wrapped under
    /// the old master key does not linger in freed blocks.
    fn replace(&self, all: &[[u8; SLOT]]) -> Result<Arc<dyn Slots>, KeyError> {
        let fresh = beside(&self.path);
        let io = |action| move |source| KeyError::Io { action, path: self.path.clone(), source };
        match std::fs::remove_file(&fresh) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(io("remove the unfinished copy of")(source));
            }
            Ok(()) | Err(_) => {}
        }
        let copy = Self { path: self.path.clone(), ..Self::open(&fresh)? };
        copy.file.write_all_at(all.as_flattened(), 0).map_err(io("write a copy of"))?;
        copy.file.sync_all().map_err(io("sync a copy of"))?;
        std::fs::rename(&fresh, &self.path).map_err(io("replace"))?;
        sync_parent(&self.path).map_err(io("sync the directory of"))?;
        let blank = vec![[0; SLOT]; all.len()];
        self.file.write_all_at(blank.as_flattened(), 0).map_err(io("overwrite the former"))?;
        self.sync().map_err(io("overwrite the former"))?;
        Ok(Arc::new(copy))
    }
}

/// Slots in memory, for the memory backend.
#[derive(Debug, Default)]
pub(crate) struct InMemory(Mutex<Vec<[u8; SLOT]>>);

impl Slots for InMemory {
    fn read_all(&self) -> io::Result<Vec<[u8; SLOT]>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn read(&self, index: u32) -> io::Result<[u8; SLOT]> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(index)
            .ok()
            .and_then(|index| slots.get(index).copied())
            .ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))
    }

    fn write(&self, index: u32, slot: &[u8; SLOT]) -> io::Result<()> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(index).map_err(io::Error::other)?;
        if slots.len() <= index {
            slots.resize(index + 1, [0; SLOT]);
        }
        if let Some(place) = slots.get_mut(index) {
            *place = *slot;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn replace(&self, all: &[[u8; SLOT]]) -> Result<Arc<dyn Slots>, KeyError> {
        Ok(Arc::new(Self(Mutex::new(all.to_vec()))))
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn offset(index: u32) -> u64 {
    u64::from(index) * SLOT as u64
}
