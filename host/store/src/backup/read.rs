//! Reads backups frame by frame: memory holds one of them.

use std::io::{self, Read};

use bytes::Bytes;

use super::{BackupError, MAGIC};
use crate::{
    backend::Version,
    journal::frame::{self, Change, HEAD},
    key::Key,
};

/// The longest frame that is believed: above the greatest batch, and above any component.
const LONGEST: usize = 1 << 30;

/// What a frame holds.
pub(super) type Batches = Vec<(Version, Vec<Change>)>;

/// A backup being read; whatever is damaged or missing is an error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    next: u64,
}

impl<R: Read> Reader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// Where this is no backup.
    pub fn new(mut input: R) -> Result<Self, BackupError> {
        let mut magic = [0; MAGIC.len()];
        let read = input.read_exact(&mut magic);
        match read {
            Ok(()) if magic == *MAGIC => Ok(Self { input, next: 0 }),
            Ok(()) => Err(damaged("it does not begin as backups of this release do")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged("it is empty")),
            Err(source) => Err(BackupError::Io { action: "read", source }),
        }
    }

    /// The next frame's batches; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Batches>, BackupError> {
        let expected = self.next;
        match frame(&mut self.input)? {
            None => Err(damaged("its end is missing")),
            Some((sequence, _)) if sequence != expected => {
                Err(damaged(&format!("frame {expected} is missing")))
            }
            Some((_, batches)) if batches.is_empty() => match frame(&mut self.input)? {
                None => Ok(None),
                Some(_) => Err(damaged("something follows its end")),
            },
            Some((_, batches)) => {
                self.next += 1;
                Ok(Some(batches))
            }
        }
    }

    /// Reads all of it, to know that it is whole; gives how many records and deletions it holds.
    ///
    /// # Errors
    /// Where it is not.
    pub fn verify(mut self) -> Result<u64, BackupError> {
        let mut changes = 0;
        while let Some(batches) = self.next()? {
            changes += batches.iter().map(|(_, changes)| changes.len() as u64).sum::<u64>();
        }
        Ok(changes)
    }
}

/// A frame with its number; `None` where nothing is left.
pub(super) fn frame(input: &mut impl Read) -> Result<Option<(u64, Batches)>, BackupError> {
    let io = |source| BackupError::Io { action: "read", source };
    let mut bytes = Vec::with_capacity(HEAD);
    input.take(HEAD as u64).read_to_end(&mut bytes).map_err(io)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let head = frame::head(&bytes).filter(|(_, length)| *length <= LONGEST);
    let Some((sequence, length)) = head else {
        return Err(damaged("a frame begins otherwise than frames do"));
    };
    input.take(length as u64).read_to_end(&mut bytes).map_err(io)?;
    let batches = frame::read(sequence, &Bytes::from(bytes));
    batches
        .map(|batches| Some((sequence, batches)))
        .ok_or_else(|| damaged(&format!("frame {sequence} is damaged")))
}

pub(super) fn damaged(why: &str) -> BackupError {
    BackupError::Damaged { why: why.to_owned() }
}

/// An owner's table and place are in the key: its first byte is the table.
pub(super) fn table_of(key: &[u8]) -> u8 {
    <[u8; 1]>::decode(&mut &*key).map_or(0, |[table]| table)
}
