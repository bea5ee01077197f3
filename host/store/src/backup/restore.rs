//! Puts a backup into a new store, without what was erased since.

use std::{collections::HashMap, io::Read, path::Path};

use bytes::Bytes;

use super::{
    ATTACHMENT, Attachment, BackupError, Reader,
    read::{damaged, table_of},
};
use crate::{
    journal::{
        Options,
        disk::Disk,
        index::{Index, Marker},
    },
    keys::{KeyOwner, KeyRing},
    record::{self, Parts},
    tables,
};

/// Bytes written between two flushes.
const FLUSH: usize = 8 << 20;

/// What a restore has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Records that are there.
    pub records: u64,
    /// Owners whose records were left out, since they were erased.
    pub erased: usize,
}

/// Makes a store in the empty directory `path` of the backup that `input` reads. Each attachment goes to `attach`.
///
/// What is there when this fails is no store.
///
/// # Errors
/// As the variants say.
pub fn restore(
    input: impl Read,
    path: &Path,
    keys: &KeyRing,
    attach: &mut dyn FnMut(Attachment) -> std::io::Result<()>,
) -> Result<Restored, BackupError> {
    let mut backup = Reader::new(input)?;
    let options = Options::default();
    let disk = Disk::open(path, options.cache_bytes).map_err(|error| BackupError::Open(error.into()))?;
    let index = Index::open(disk.clone())?;
    let mut owners = Owners { keys, standing: HashMap::new() };
    let (mut last, mut written) = (0, 0);
    while let Some(batches) = backup.next()? {
        for (version, changes) in batches {
            last = version.0.max(last);
            for (key, value) in changes {
                if table_of(&key) == ATTACHMENT {
                    attach(attachment(&key, value)?)
                        .map_err(|source| BackupError::Io { action: "write a file of", source })?;
                    continue;
                }
                // What an erased owner's record was before is taken out as well.
                let record = match value {
                    Some(value) if owners.keeps(&key, &value)? => Some((version, value)),
                    Some(_) | None => None,
                };
                written += key.len() + record.as_ref().map_or(0, |(_, value)| value.len());
                index.apply(&key, record.as_ref())?;
            }
        }
        if written >= FLUSH {
            disk.flush()?;
            written = 0;
        }
    }
    let erased = owners.settle()?;
    index.set_marker(Marker { replay_from: 0, last_version: last })?;
    disk.flush()?;
    Ok(Restored { records: index.count()?, erased })
}

fn attachment(key: &[u8], value: Option<Bytes>) -> Result<Attachment, BackupError> {
    let name = key.split_first().and_then(|(_, name)| std::str::from_utf8(name).ok());
    match (name, value) {
        (Some(name), Some(content)) => Ok(Attachment { name: name.to_owned(), content }),
        _ => Err(damaged("a file in it has no name")),
    }
}

/// How owners of records stand in the key ring, by what the backup names.
struct Owners<'a> {
    keys: &'a KeyRing,
    standing: HashMap<KeyOwner, Standing>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Known,
    Erased,
    Missing,
}

impl Owners<'_> {
    /// Whether a record is restored: not where its owner was erased.
    fn keeps(&mut self, key: &[u8], value: &[u8]) -> Result<bool, BackupError> {
        let Parts::Sealed { owner, .. } = record::parts(value) else { return Ok(true) };
        let owner =
            tables::key_owner(key, owner).ok_or_else(|| BackupError::Newer { table: table_of(key) })?;
        let keys = self.keys;
        let standing = *self.standing.entry(owner).or_insert_with(|| {
            if keys.is_erased(owner) {
                Standing::Erased
            } else if keys.knows(owner) {
                Standing::Known
            } else {
                Standing::Missing
            }
        });
        Ok(standing != Standing::Erased)
    }

    /// How many owners were erased; an error where the ring lacks anybody's key, whose records would stop a start.
    fn settle(self) -> Result<usize, BackupError> {
        let of = |wanted| self.standing.iter().filter(move |(_, standing)| **standing == wanted);
        if let Some(first) = of(Standing::Missing).map(|(owner, _)| *owner).min() {
            return Err(BackupError::KeysOlder {
                first: first.to_string(),
                owners: of(Standing::Missing).count(),
            });
        }
        Ok(of(Standing::Erased).count())
    }
}
