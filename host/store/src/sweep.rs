//! Sweeps: bounded steps through a table over every place, for retention.
//!
//! A listing leaves out the records of erased owners; a sweep names them too, since what nobody can read any more is
//! the first thing to forget.

use bytes::Bytes;

use crate::{
    backend::{RawScan, Version},
    error::ReadError,
    key::Key,
    select::Direction,
    store::{Store, successor},
    table::{PlaceOf, Table, place_prefix},
};

/// Where a sweep goes on; the default is the table's beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(Option<Bytes>);

impl Position {
    /// Behind one record.
    #[must_use]
    pub fn after<T: Table>(place: &PlaceOf<T>, key: &T::Key) -> Self {
        let mut raw = place_prefix::<T>(place);
        key.encode(&mut raw);
        raw.push(0);
        Self(Some(raw.into()))
    }

    /// Behind every record of a place.
    #[must_use]
    pub fn beyond<T: Table>(place: &PlaceOf<T>) -> Self {
        Self::behind(&place_prefix::<T>(place))
    }

    /// Behind every record of a place whose key begins with `part`.
    #[must_use]
    pub fn beyond_part<T: Table>(place: &PlaceOf<T>, part: &impl Key) -> Self {
        let mut raw = place_prefix::<T>(place);
        part.encode(&mut raw);
        Self::behind(&raw)
    }

    fn behind(prefix: &[u8]) -> Self {
        // A place's encoding is never all 0xff: it begins with the table's number.
        Self(successor(prefix).map(Bytes::from))
    }
}

/// A record that a sweep came by.
pub struct Swept<T: Table> {
    /// Its place.
    pub place: PlaceOf<T>,
    /// What names it.
    pub key: T::Key,
    /// The commit that wrote it.
    pub version: Version,
    /// The record; `None` where its owner was erased.
    pub record: Option<T::Record>,
}

impl<T: Table> std::fmt::Debug for Swept<T> {
    /// Leaves the record out: it may be anybody's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swept")
            .field("key", &self.key)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// At most `limit` records of a table from `position` on, of every place and owner. None: that was the end.
    ///
    /// # Errors
    /// As the variants say.
    pub async fn sweep<T: Table>(
        &self,
        position: &Position,
        limit: usize,
    ) -> Result<Vec<Swept<T>>, ReadError> {
        let scan = RawScan {
            from: position.0.clone().unwrap_or_else(|| Bytes::from(vec![T::ID])),
            to: successor(&[T::ID]).map(Bytes::from),
            limit: Some(limit),
            direction: Direction::Forward,
        };
        let found = self.raw_scan::<T>(scan).await?;
        let mut swept = Vec::with_capacity(found.len());
        for (raw, stored) in &found {
            let (place, key) = Self::named::<T>(raw)?;
            let record = match self.unseal::<T>(&place, raw, &stored.value) {
                Ok(record) => Some(record),
                Err(ReadError::Erased { .. }) => None,
                Err(error) => return Err(error),
            };
            swept.push(Swept { place, key, version: stored.version, record });
        }
        Ok(swept)
    }
}
