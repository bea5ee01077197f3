//! A batch: the changes that commit together.
//!
//! Invariant: it names a record at most once, so that no change depends on another's order; the store refuses
//! a batch that does not.

use crate::{
    backend::{Expect, Version},
    keys::KeyOwner,
    table::{Level, Owner, PlaceOf, Table, raw_key},
};

/// Changes that commit together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
}

/// One change, written but not yet sealed.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) table: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) expect: Expect,
    pub(crate) to: To,
}

/// What a change makes of its record.
#[derive(Debug)]
pub(crate) enum To {
    /// Nothing is left.
    Deleted,
    /// This JSON, under this owner's key. The error, if any, is what the commit answers.
    Record { owner: Owner, key_owner: KeyOwner, json: Result<Vec<u8>, serde_json::Error> },
}

impl Change {
    /// Bytes of key and JSON.
    pub(crate) fn bytes(&self) -> usize {
        let json = match &self.to {
            To::Record { json: Ok(json), .. } => json.len(),
            To::Record { json: Err(_), .. } | To::Deleted => 0,
        };
        self.key.len() + json
    }
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self { changes: Vec::new() }
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.changes.len()
    }

    /// A new record: the commit fails with a conflict if there is one.
    pub fn insert<T: Table>(&mut self, place: &PlaceOf<T>, key: &T::Key, record: &T::Record) {
        self.write::<T>(place, key, record, Expect::Absent);
    }

    /// A record, whatever is there.
    pub fn put<T: Table>(&mut self, place: &PlaceOf<T>, key: &T::Key, record: &T::Record) {
        self.write::<T>(place, key, record, Expect::Anything);
    }

    /// A record in the place of the one read as `version`: a conflict if that is no longer there.
    pub fn replace<T: Table>(
        &mut self,
        place: &PlaceOf<T>,
        key: &T::Key,
        record: &T::Record,
        version: Version,
    ) {
        self.write::<T>(place, key, record, Expect::Version(version));
    }

    /// No record, whatever is there.
    pub fn delete<T: Table>(&mut self, place: &PlaceOf<T>, key: &T::Key) {
        self.erase::<T>(place, key, Expect::Anything);
    }

    /// No record in the place of the one read as `version`: a conflict if that is no longer there.
    pub fn remove<T: Table>(&mut self, place: &PlaceOf<T>, key: &T::Key, version: Version) {
        self.erase::<T>(place, key, Expect::Version(version));
    }

    /// Adds the changes of `other`, to commit with these.
    pub fn append(&mut self, mut other: Self) {
        self.changes.append(&mut other.changes);
    }

    fn write<T: Table>(&mut self, place: &PlaceOf<T>, key: &T::Key, record: &T::Record, expect: Expect) {
        let owner = T::owner(record);
        let key_owner = match owner {
            Owner::User(user) => <T::Level as Level>::user_key_owner(place, user),
            Owner::Plain | Owner::Scope => <T::Level as Level>::key_owner(place),
        };
        let to = To::Record { owner, key_owner, json: serde_json::to_vec(record) };
        self.changes.push(Change { table: T::NAME, key: raw_key::<T>(place, key), expect, to });
    }

    fn erase<T: Table>(&mut self, place: &PlaceOf<T>, key: &T::Key, expect: Expect) {
        self.changes.push(Change { table: T::NAME, key: raw_key::<T>(place, key), expect, to: To::Deleted });
    }
}
