//! The backend in memory: complete, for tests and simulation. Nothing outlives it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{PoisonError, RwLock},
};

use bytes::Bytes;

use crate::{
    backend::{Backend, BackendError, BoxFuture, Expect, RawBatch, RawEntry, RawRecord, RawScan, Version},
    select::Direction,
};

/// Everything in one ordered map.
#[derive(Debug, Default)]
pub struct Memory {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    closed: bool,
    records: BTreeMap<Bytes, RawRecord>,
}

impl State {
    fn commit(&mut self, batch: RawBatch) -> Result<Version, BackendError> {
        self.open()?;
        for (op, change) in batch.ops.iter().enumerate() {
            let found = self.records.get(&change.key).map(|record| record.version);
            if !holds(change.expect, found) {
                return Err(BackendError::Conflict { op });
            }
        }
        self.last += 1;
        let version = Version(self.last);
        for change in batch.ops {
            match change.value {
                Some(value) => self.records.insert(change.key, RawRecord { version, value }),
                None => self.records.remove(&change.key),
            };
        }
        Ok(version)
    }

    fn scan(&self, scan: &RawScan) -> Result<Vec<RawEntry>, BackendError> {
        self.open()?;
        if scan.to.as_ref().is_some_and(|to| *to <= scan.from) {
            return Ok(Vec::new());
        }
        let to = scan.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(to.clone()));
        let range = self.records.range((Bound::Included(scan.from.clone()), to));
        let own = |(key, record): (&Bytes, &RawRecord)| (key.clone(), record.clone());
        let limit = scan.limit.unwrap_or(usize::MAX);
        Ok(match scan.direction {
            Direction::Forward => range.take(limit).map(own).collect(),
            Direction::Backward => range.rev().take(limit).map(own).collect(),
        })
    }

    const fn open(&self) -> Result<(), BackendError> {
        if self.closed { Err(BackendError::Closed) } else { Ok(()) }
    }
}

/// Whether a precondition holds of the version that is there.
pub(crate) fn holds(expect: Expect, found: Option<Version>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::Version(version) => found == Some(version),
    }
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for Memory {
    fn commit(&self, batch: RawBatch) -> BoxFuture<'_, Result<Version, BackendError>> {
        Box::pin(async move { self.state.write().unwrap_or_else(PoisonError::into_inner).commit(batch) })
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<RawRecord>, BackendError>> {
        Box::pin(async move {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state.open()?;
            Ok(state.records.get(key).cloned())
        })
    }

    fn scan(&self, scan: RawScan) -> BoxFuture<'_, Result<Vec<RawEntry>, BackendError>> {
        Box::pin(async move { self.state.read().unwrap_or_else(PoisonError::into_inner).scan(&scan) })
    }

    fn exclusive(&self) -> bool {
        true
    }

    fn writable(&self) -> Result<(), BackendError> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).open()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            self.state.write().unwrap_or_else(PoisonError::into_inner).closed = true;
            Ok(())
        })
    }
}
