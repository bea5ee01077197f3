//! The overlay: what was committed since the last checkpoint, in memory, over the index.
//!
//! Two generations: `active`, which commits change, and `frozen`, which a checkpoint is writing into the index.
//! Invariant: what is in neither is in the index as committed; what is frozen stays here until all of it is
//! there. So active over frozen over index is always what was committed, whatever a checkpoint is doing.

use std::{collections::BTreeMap, iter::Peekable, ops::Bound, sync::Arc};

use bytes::Bytes;

use super::index::Index;
use crate::{
    backend::{BackendError, Expect, RawBatch, RawEntry, RawRecord, RawScan, Version},
    select::Direction,
};

/// What became of a key.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// The record; `None`: deleted.
    pub(crate) record: Option<(Version, Bytes)>,
    /// Whether the key is certainly in nothing older than this generation, so that its deletion leaves nothing
    /// to write.
    born: bool,
}

/// Cells by key.
pub(crate) type Cells = BTreeMap<Bytes, Cell>;

/// Both generations.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    active: Cells,
    frozen: Option<Arc<Cells>>,
}

impl Overlay {
    /// What became of `key`; `None` where only the index can tell.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Cell> {
        self.active.get(key).or_else(|| self.frozen.as_ref()?.get(key))
    }

    /// Makes a durable batch visible.
    pub(crate) fn apply(&mut self, version: Version, batch: RawBatch) {
        for op in batch.ops {
            self.change(op.key, op.value.map(|value| (version, value)), op.expect == Expect::Absent);
        }
    }

    /// Makes one change visible. `absent`: the key is known not to have existed.
    pub(crate) fn change(&mut self, key: Bytes, record: Option<(Version, Bytes)>, absent: bool) {
        let born = self.active.get(&key).map_or(absent, |cell| cell.born);
        if record.is_none() && born {
            self.active.remove(&key);
        } else {
            self.active.insert(key, Cell { record, born });
        }
    }

    /// Whether a checkpoint is under way.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Begins a checkpoint: the active generation becomes the frozen one. Only when none is frozen.
    pub(crate) fn freeze(&mut self) -> Arc<Cells> {
        let cells = Arc::new(std::mem::take(&mut self.active));
        self.frozen = Some(cells.clone());
        cells
    }

    /// Ends a checkpoint: the index has all of it.
    pub(crate) fn thaw(&mut self) {
        self.frozen = None;
    }

    /// The records of a range, over the index, while the overlay is borrowed.
    pub(crate) fn scan(&self, scan: &RawScan, index: &Index) -> Result<Vec<RawEntry>, BackendError> {
        let frozen = self.frozen.as_deref();
        merge(cells(&self.active, scan), frozen.map(|frozen| cells(frozen, scan)), scan, index)
    }

    /// The cells of a range, to scan with later. The frozen generation is shared, not copied.
    pub(crate) fn snapshot(&self, scan: &RawScan) -> Snapshot {
        let active = cells(&self.active, scan).map(|(key, cell)| (key.clone(), cell.clone())).collect();
        Snapshot { active, frozen: self.frozen.clone() }
    }
}

/// The overlay of a range, as it was.
#[derive(Debug)]
pub(crate) struct Snapshot {
    active: Vec<(Bytes, Cell)>,
    frozen: Option<Arc<Cells>>,
}

impl Snapshot {
    /// The records of the range, over the index. No checkpoint may begin between the snapshot and the end of
    /// this, or the index would hold later commits.
    pub(crate) fn scan(&self, scan: &RawScan, index: &Index) -> Result<Vec<RawEntry>, BackendError> {
        let active = self.active.iter().map(|(key, cell)| (key, cell));
        merge(active, self.frozen.as_deref().map(|frozen| cells(frozen, scan)), scan, index)
    }
}

/// Cells of a range, in the scan's order.
fn cells<'a>(from: &'a Cells, scan: &RawScan) -> Box<dyn Iterator<Item = (&'a Bytes, &'a Cell)> + 'a> {
    if is_empty(scan) {
        return Box::new(std::iter::empty());
    }
    let to = scan.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(to.clone()));
    let range = from.range((Bound::Included(scan.from.clone()), to));
    match scan.direction {
        Direction::Forward => Box::new(range),
        Direction::Backward => Box::new(range.rev()),
    }
}

fn is_empty(scan: &RawScan) -> bool {
    scan.to.as_ref().is_some_and(|to| *to <= scan.from)
}

type Indexed = Box<dyn Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>>;

/// Newest first wins: active over frozen over index.
fn merge<'a>(
    active: impl Iterator<Item = (&'a Bytes, &'a Cell)>,
    frozen: Option<impl Iterator<Item = (&'a Bytes, &'a Cell)>>,
    scan: &RawScan,
    index: &Index,
) -> Result<Vec<RawEntry>, BackendError> {
    let mut out = Vec::new();
    if is_empty(scan) {
        return Ok(out);
    }
    let mut active = active.peekable();
    let mut frozen = frozen.into_iter().flatten().peekable();
    let range = index.range(&scan.from, scan.to.as_deref());
    let indexed: Indexed = match scan.direction {
        Direction::Forward => Box::new(range),
        Direction::Backward => Box::new(range.rev()),
    };
    let mut indexed = indexed.peekable();
    while out.len() < scan.limit.unwrap_or(usize::MAX) {
        let stored = match indexed.next_if(Result::is_err) {
            Some(Err(error)) => return Err(index.disk.failed("read", error)),
            _ => indexed.peek().and_then(|stored| stored.as_ref().ok()),
        };
        let keys = [
            active.peek().map(|(key, _)| key.as_ref()),
            frozen.peek().map(|(key, _)| key.as_ref()),
            stored.map(|(key, _)| key.as_ref()),
        ];
        let next = match scan.direction {
            Direction::Forward => keys.into_iter().flatten().min(),
            Direction::Backward => keys.into_iter().flatten().max(),
        };
        let Some(key) = next.map(Bytes::copy_from_slice) else { break };
        let newest = take(&mut active, &key);
        let newer = take(&mut frozen, &key);
        let stored = indexed.next_if(|stored| stored.as_ref().is_ok_and(|(stored, _)| *stored == *key));
        let record = match (newest.or(newer), stored) {
            (Some(cell), _) => cell
                .record
                .as_ref()
                .map(|(version, value)| RawRecord { version: *version, value: value.clone() }),
            (None, Some(Ok((_, value)))) => match index.gather(&key, &value)? {
                Some(record) => Some(record),
                // Dropped since the iterator read it: a checkpoint has put another in its place.
                None => index.get(&key)?,
            },
            (None, _) => None,
        };
        out.extend(record.map(|record| (key, record)));
    }
    Ok(out)
}

fn take<'a>(
    from: &mut Peekable<impl Iterator<Item = (&'a Bytes, &'a Cell)>>,
    key: &Bytes,
) -> Option<&'a Cell> {
    from.next_if(|(at, _)| *at == key).map(|(_, cell)| cell)
}
