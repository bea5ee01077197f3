//! The store as the rest of the host sees it: typed records by scope over a backend and a key ring.

mod walk;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use trunnion_core::{clock::Timestamp, scope::Scope};

use crate::{
    backend::{
        Backend, BackendError, MAX_BATCH_BYTES, RawBatch, RawEntry, RawOp, RawRecord, RawScan, Version,
    },
    batch::{Batch, Change, To},
    cache::{Known, Records},
    error::{CommitError, ReadError},
    keys::{DataKey, KeyError, KeyOwner, KeyRing},
    record::{self, Parts},
    select::{Direction, Select},
    table::{Level, Owner, PlaceOf, Table, parse_key, place_prefix, raw_key},
    tables::Ledger,
};

/// Ledger entries examined in one call of [`Store::expire_ledger`].
const LEDGER_PAGE: usize = 1024;

/// Records read at once where the first of a listing were of erased owners.
const LOOKED_PAST: usize = 64;

/// A record and where it lies.
type Placed<T> = (PlaceOf<T>, Entry<T>);

/// A cheap handle to the one store.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    keys: Arc<KeyRing>,
    /// Where the next sweep of the ledger goes on; `None`: at its beginning.
    swept: Arc<Mutex<Option<Bytes>>>,
    /// What [`Store::recall`] has opened and parsed.
    records: Arc<Records>,
}

/// A record and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The commit that wrote it.
    pub version: Version,
    /// The record.
    pub record: R,
}

/// A record of a listing.
pub struct Entry<T: Table> {
    /// What names it.
    pub key: T::Key,
    /// The commit that wrote it.
    pub version: Version,
    /// The record.
    pub record: T::Record,
}

impl<T: Table<Record: std::fmt::Debug>> std::fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("record", &self.record)
            .finish()
    }
}

impl<T: Table<Record: Clone>> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), version: self.version, record: self.record.clone() }
    }
}

/// A part of a listing, and whether it was the last. That is never told by how many records it holds: those of erased
/// owners are left out of it.
pub struct Page<T: Table> {
    /// The records that can be read.
    pub entries: Vec<Entry<T>>,
    /// The key behind which the rest begins, which may be of a record that is left out; none where nothing is left.
    pub next: Option<T::Key>,
}

impl<T: Table<Record: std::fmt::Debug>> std::fmt::Debug for Page<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("entries", &self.entries).field("next", &self.next).finish()
    }
}

/// What one bounded sweep of the ledger did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Entries looked at.
    pub examined: usize,
    /// Entries deleted.
    pub removed: usize,
    /// Whether the sweep came to the end of the ledger; the next one begins anew.
    pub wrapped: bool,
}

impl Store {
    /// A store over a backend and the key ring of the same data.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, keys: Arc<KeyRing>) -> Self {
        Self { backend, keys, swept: Arc::default(), records: Arc::new(Records::new()) }
    }

    /// The data keys: made for each user before the first record, destroyed to erase.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// What the records are kept in.
    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// Whether this process alone owns the data while it is open, so that leases of earlier holders are void.
    #[must_use]
    pub fn exclusive(&self) -> bool {
        self.backend.exclusive()
    }

    /// Whether commits are taken now.
    ///
    /// # Errors
    /// [`CommitError::Full`] while the disk has too little room, [`CommitError::Storage`] where only a new start helps.
    pub fn writable(&self) -> Result<(), CommitError> {
        self.backend.writable().map_err(|error| match error {
            BackendError::Full { message } => CommitError::Full { message },
            other => CommitError::Storage(other),
        })
    }

    /// Stops cleanly, so that the next start is quick. Every handle is closed by it.
    ///
    /// # Errors
    /// Where the database fails; everything committed is still durable.
    pub async fn close(&self) -> Result<(), BackendError> {
        self.backend.close().await
    }

    /// Commits all changes or none. What was committed is durable, power-safe, on return.
    ///
    /// An empty batch commits nothing and answers [`Version::ZERO`]. A caller that stops waiting does not take
    /// the batch back.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] where a precondition does not hold; otherwise as the variants say.
    pub async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        if batch.is_empty() {
            return Ok(Version::ZERO);
        }
        let tables: Vec<&'static str> = batch.changes.iter().map(|change| change.table).collect();
        let table_of = |op: usize| tables.get(op).copied().unwrap_or("unknown");
        named_once(&batch.changes)?;
        // As it is read again, not as it is stored: whoever reads it has all of it in memory.
        let bytes = batch.changes.iter().map(Change::bytes).sum();
        if bytes > MAX_BATCH_BYTES {
            return Err(CommitError::TooLarge { bytes, limit: MAX_BATCH_BYTES });
        }
        let mut raw = RawBatch { ops: Vec::with_capacity(batch.changes.len()) };
        for (op, change) in batch.changes.into_iter().enumerate() {
            raw.ops.push(self.seal(op, change).await?);
        }
        self.backend.commit(raw).await.map_err(|error| match error {
            BackendError::Conflict { op } => CommitError::Conflict { table: table_of(op), op },
            BackendError::Full { message } => CommitError::Full { message },
            other => CommitError::Storage(other),
        })
    }

    /// The record that `key` names.
    ///
    /// # Errors
    /// [`ReadError::Erased`] where its owner was erased; otherwise as the variants say.
    pub async fn get<T: Table>(
        &self,
        place: &PlaceOf<T>,
        key: &T::Key,
    ) -> Result<Option<Versioned<T::Record>>, ReadError> {
        let raw = raw_key::<T>(place, key);
        let found =
            self.backend.get(&raw).await.map_err(|source| ReadError::Storage { table: T::NAME, source })?;
        match found {
            Some(found) => {
                let record = self.unseal::<T>(place, &raw, &found.value)?;
                Ok(Some(Versioned { version: found.version, record }))
            }
            None => Ok(None),
        }
    }

    /// As [`Store::get`], for what is read for every event and seldom changes: as long as the record has the
    /// version that was read before, it is neither opened nor parsed again. The answer is as current as `get`'s.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn recall<T>(
        &self,
        place: &PlaceOf<T>,
        key: &T::Key,
    ) -> Result<Option<Versioned<Arc<T::Record>>>, ReadError>
    where
        T: Table<Record: Sync>,
    {
        let raw = raw_key::<T>(place, key);
        let found =
            self.backend.get(&raw).await.map_err(|source| ReadError::Storage { table: T::NAME, source })?;
        let Some(RawRecord { version, value }) = found else { return Ok(None) };
        if let Some(Known { owner, record }) = self.records.get::<T::Record>(&raw, version) {
            return match owner.map(|owner| self.opening::<T>(owner)).transpose() {
                Ok(_) => Ok(Some(Versioned { version, record })),
                Err(error) => {
                    self.records.forget(&raw);
                    Err(error)
                }
            };
        }
        let (record, bytes) = self.unseal_sized::<T>(place, &raw, &value)?;
        let record = Arc::new(record);
        let known = Known { owner: sealed_by::<T>(place, &value), record: Arc::clone(&record) };
        self.records.keep(raw, version, &known, bytes);
        Ok(Some(Versioned { version, record }))
    }

    /// All records of a place that `select` asks for, as one consistent view; without those of erased owners. Where
    /// there may be many, see [`Self::page`].
    ///
    /// # Errors
    /// As the variants say.
    pub async fn list<T: Table>(
        &self,
        place: &PlaceOf<T>,
        select: Select,
    ) -> Result<Vec<Entry<T>>, ReadError> {
        let found = self.raw_scan::<T>(range(place_prefix::<T>(place), select, None)).await?;
        Ok(self.readable::<T>(&found)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The next `limit` records of a place that `select` asks for, at least one, as one consistent view. It costs no
    /// more than that, however many of them are of erased owners and therefore left out, even all: whether more follows
    /// is what the page says.
    ///
    /// # Errors
    /// As the variants say.
    pub async fn page<T: Table>(
        &self,
        place: &PlaceOf<T>,
        select: Select,
        limit: usize,
    ) -> Result<Page<T>, ReadError> {
        let limit = limit.max(1);
        // One more than is shown tells whether there is more.
        let scan = range(place_prefix::<T>(place), select, Some(limit.saturating_add(1)));
        let mut found = self.raw_scan::<T>(scan).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more).map(|(raw, _)| Self::named::<T>(raw)).transpose()?;
        let entries = self.readable::<T>(&found)?.into_iter().map(|(_, entry)| entry).collect();
        Ok(Page { entries, next: last.map(|(_, key)| key) })
    }

    /// The first record of a place that `select` asks for and that can be read, however many of erased owners lie
    /// before it.
    ///
    /// # Errors
    /// As the variants say.
    pub async fn first<T: Table>(
        &self,
        place: &PlaceOf<T>,
        mut select: Select,
    ) -> Result<Option<Entry<T>>, ReadError> {
        let mut limit = 1;
        loop {
            let page = self.page::<T>(place, select.clone(), limit).await?;
            match (page.entries.into_iter().next(), page.next) {
                (None, Some(next)) => select = select.after(&next),
                (found, _) => return Ok(found),
            }
            limit = LOOKED_PAST;
        }
    }

    /// The records of every place: for recovery at start and for operators only. For a workspace's record the scope's
    /// environment is arbitrary, either one reaches it.
    ///
    /// # Errors
    /// As the variants say.
    pub async fn all<T: Table>(&self) -> Result<Vec<(Option<Scope>, Entry<T>)>, ReadError> {
        let found = self.raw_scan::<T>(range(vec![T::ID], Select::all(), None)).await?;
        let entries = self.readable::<T>(&found)?;
        Ok(entries.into_iter().map(|(place, entry)| (<T::Level as Level>::scope(&place), entry)).collect())
    }

    /// A keyed hash of something that names a person, to look it up by: the same value gives the same hash in
    /// the same scope and domain, and nobody without the key ring can tell which value it was.
    #[must_use]
    pub fn keyed_hash(&self, scope: &Scope, domain: &str, value: &[u8]) -> [u8; 16] {
        self.keys.keyed_hash(scope, domain, value)
    }

    /// Deletes ledger entries first seen before `before`: one bounded step of a sweep that goes on where the
    /// last one ended. Call it again at once until it has `wrapped`, then at leisure.
    ///
    /// # Errors
    /// As the variants of the commit error say; a read that fails is a storage error.
    pub async fn expire_ledger(&self, before: Timestamp) -> Result<Expired, ExpireError> {
        let from = self.swept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let from = from.unwrap_or_else(|| Bytes::from(vec![Ledger::ID]));
        let to = successor(&[Ledger::ID]).map(Bytes::from);
        let scan = RawScan { from, to, limit: Some(LEDGER_PAGE), direction: Direction::Forward };
        let page = self
            .backend
            .scan(scan)
            .await
            .map_err(|source| ReadError::Storage { table: Ledger::NAME, source })?;
        let mut batch = Batch::new();
        for (raw, found) in &page {
            let (place, entry) = self.entry::<Ledger>(raw, found)?;
            if entry.record.at < before {
                batch.remove::<Ledger>(&place, &entry.key, found.version);
            }
        }
        let wrapped = page.len() < LEDGER_PAGE;
        let expired = Expired { examined: page.len(), removed: batch.len(), wrapped };
        self.commit(batch).await?;
        let next = page.last().filter(|_| !wrapped).map(|(last, _)| [last, [0].as_slice()].concat().into());
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(expired)
    }

    /// What was found, without the records of erased owners.
    fn readable<T: Table>(&self, found: &[RawEntry]) -> Result<Vec<Placed<T>>, ReadError> {
        let mut entries = Vec::with_capacity(found.len());
        for (raw, record) in found {
            match self.entry::<T>(raw, record) {
                Ok(entry) => entries.push(entry),
                Err(ReadError::Erased { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    pub(crate) async fn raw_scan<T: Table>(&self, scan: RawScan) -> Result<Vec<RawEntry>, ReadError> {
        self.backend.scan(scan).await.map_err(|source| ReadError::Storage { table: T::NAME, source })
    }

    /// Place and key of a stored key.
    pub(crate) fn named<T: Table>(raw: &[u8]) -> Result<(PlaceOf<T>, T::Key), ReadError> {
        parse_key::<T>(raw).ok_or_else(|| damaged::<T>(raw, "its key is not one of this table"))
    }

    fn entry<T: Table>(&self, raw: &Bytes, found: &RawRecord) -> Result<(PlaceOf<T>, Entry<T>), ReadError> {
        let (place, key) = Self::named::<T>(raw)?;
        let record = self.unseal::<T>(&place, raw, &found.value)?;
        Ok((place, Entry { key, version: found.version, record }))
    }

    async fn seal(&self, op: usize, change: Change) -> Result<RawOp, CommitError> {
        let Change { table, key, expect, to } = change;
        let value = match to {
            To::Deleted => None,
            To::Record { owner, key_owner, json } => {
                let json = json.map_err(|source| CommitError::Encode { table, op, source })?;
                let in_context = |source| match source {
                    KeyError::Erased { owner } => CommitError::OwnerErased { table, op, owner },
                    KeyError::Full { message } => CommitError::Full { message },
                    source => CommitError::Key { table, op, source },
                };
                Some(Bytes::from(match owner {
                    Owner::Plain => record::plain(&json),
                    Owner::Scope | Owner::User(_) => {
                        let data_key = self.keys.for_sealing(key_owner).await.map_err(in_context)?;
                        record::sealed(owner, &data_key, &key, json).map_err(in_context)?
                    }
                }))
            }
        };
        Ok(RawOp { key: Bytes::from(key), value, expect })
    }

    fn opening<T: Table>(&self, owner: KeyOwner) -> Result<Arc<DataKey>, ReadError> {
        self.keys.for_opening(owner).map_err(|source| match source {
            KeyError::Erased { owner } => ReadError::Erased { table: T::NAME, owner },
            source => ReadError::Key { table: T::NAME, source },
        })
    }

    pub(crate) fn unseal<T: Table>(
        &self,
        place: &PlaceOf<T>,
        raw: &[u8],
        value: &[u8],
    ) -> Result<T::Record, ReadError> {
        self.unseal_sized::<T>(place, raw, value).map(|(record, _)| record)
    }

    /// As [`Store::unseal`], with the length of the record's JSON.
    fn unseal_sized<T: Table>(
        &self,
        place: &PlaceOf<T>,
        raw: &[u8],
        value: &[u8],
    ) -> Result<(T::Record, usize), ReadError> {
        let decode = |json: &[u8]| {
            let decoded = serde_json::from_slice(json).map(|record| (record, json.len()));
            decoded.map_err(|source| ReadError::Decode { table: T::NAME, key: hex::encode(raw), source })
        };
        match record::parts(value) {
            Parts::Plain(json) => decode(json),
            Parts::Newer(found) => Err(ReadError::Newer { table: T::NAME, found, known: record::NEWEST }),
            Parts::Broken(why) => Err(damaged::<T>(raw, why)),
            Parts::Sealed { owner, header, nonce, body } => {
                let data_key = self.opening::<T>(key_owner::<T>(place, owner))?;
                let mut body = body.to_vec();
                match data_key.open(nonce, &[raw, header].concat(), &mut body) {
                    Some(opened) => match record::unpacked(header, opened) {
                        Some(json) => decode(&json),
                        None => Err(damaged::<T>(raw, "it cannot be decompressed")),
                    },
                    None => Err(damaged::<T>(raw, "its seal does not match its key, place and owner")),
                }
            }
        }
    }
}

/// Whose key seals a record of this owner.
pub(crate) fn key_owner<T: Table>(place: &PlaceOf<T>, owner: Owner) -> KeyOwner {
    match owner {
        Owner::User(user) => <T::Level as Level>::user_key_owner(place, user),
        Owner::Plain | Owner::Scope => <T::Level as Level>::key_owner(place),
    }
}

/// Whose key a stored record is sealed under; absent where under nobody's.
fn sealed_by<T: Table>(place: &PlaceOf<T>, value: &[u8]) -> Option<KeyOwner> {
    match record::parts(value) {
        Parts::Sealed { owner, .. } => Some(key_owner::<T>(place, owner)),
        Parts::Plain(_) | Parts::Newer(_) | Parts::Broken(_) => None,
    }
}

/// Why a sweep of the ledger did not finish its step.
#[derive(Debug, thiserror::Error)]
pub enum ExpireError {
    /// Entries could not be read.
    #[error("the ledger could not be swept")]
    Read(#[from] ReadError),
    /// Entries could not be deleted.
    #[error("old ledger entries could not be deleted")]
    Commit(#[from] CommitError),
}

fn named_once(changes: &[Change]) -> Result<(), CommitError> {
    let mut seen = HashSet::with_capacity(changes.len());
    for (op, change) in changes.iter().enumerate() {
        if !seen.insert(change.key.as_slice()) {
            return Err(CommitError::Twice { table: change.table, op });
        }
    }
    Ok(())
}

fn damaged<T: Table>(raw: &[u8], why: &'static str) -> ReadError {
    ReadError::Damaged { table: T::NAME, key: hex::encode(raw), why }
}

/// The first stored keys that `select` asks for among those that begin with `within`.
fn range(within: Vec<u8>, select: Select, limit: Option<usize>) -> RawScan {
    let prefix = [within.as_slice(), &select.prefix].concat();
    let mut from = prefix.clone();
    let mut to = successor(&prefix);
    if let Some(after) = select.after {
        let beyond = [within, after].concat();
        match select.direction {
            Direction::Forward => from = from.max([beyond.as_slice(), &[0]].concat()),
            Direction::Backward => to = Some(to.map_or_else(|| beyond.clone(), |to| to.min(beyond.clone()))),
        }
    }
    RawScan { from: from.into(), to: to.map(Bytes::from), limit, direction: select.direction }
}

/// The first key beyond all that begin with `prefix`; `None` where there is none.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
