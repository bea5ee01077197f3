//! Copies of the key file, for the day on which its disk is lost.
//!
//! Invariant: slots never move, so a copy that is written over an earlier one, slot by slot, overwrites there whatever
//! was destroyed since.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use super::{
    KeyError,
    held::MAGIC,
    slot::{SLOT, Slot, verified},
};

/// How often the file is read until no slot is seen while it is being written.
const LOOKS: usize = 5;

pub(super) fn copy(from: &Path, to: &Path) -> Result<(), KeyError> {
    let slots = read(from)?;
    let io = |action| move |source| KeyError::Io { action, path: to.to_owned(), source };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(to)
        .map_err(io("open"))?;
    file.write_all_at(&slots, 0).map_err(io("write"))?;
    file.set_len(slots.len() as u64).map_err(io("write"))?;
    file.sync_all().map_err(io("sync"))
}

/// The whole slots of a key file. One that was never finished stays as it is; one that somebody is just writing is
/// looked at again.
fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let not = |why| KeyError::NotKeys { path: path.to_owned(), why };
    let mut slots = whole(path)?;
    for _ in 1..LOOKS {
        if !slots.as_chunks::<SLOT>().0.iter().skip(1).any(|slot| Slot::decode(slot) == Slot::Torn) {
            break;
        }
        slots = whole(path)?;
    }
    let head =
        slots.first_chunk::<SLOT>().and_then(verified).ok_or_else(|| not("its first slot is damaged"))?;
    if head.starts_with(MAGIC) { Ok(slots) } else { Err(not("it begins otherwise")) }
}

fn whole(path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |source: io::Error| KeyError::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = fs::read(path).map_err(failed)?;
    bytes.truncate(bytes.len() / SLOT * SLOT);
    Ok(bytes)
}
