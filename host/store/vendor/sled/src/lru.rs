#![allow(unsafe_code)]

use std::convert::TryFrom;
use std::ptr;

use parking_lot::Mutex;

use crate::{
    dll::{DoublyLinkedList, Node},
    PageId,
};

/// The most shards there are. Every page access takes its shard's lock for
/// a moment.
const MOST_SHARDS: u64 = 16;

/// What a shard has room for at least, so that one has room for many pages,
/// the largest of which have 128 KB.
const LEAST_SHARD_CAPACITY: u64 = 1024 * 1024;

/// A simple LRU cache, which knows at any time what is in it: a page that
/// is too much goes with the access that brought it, not with a later one.
pub struct Lru {
    shards: Vec<Mutex<Shard>>,
}

unsafe impl Sync for Lru {}

impl Lru {
    /// Instantiates a new `Lru` cache.
    pub(crate) fn new(cache_capacity: u64) -> Self {
        assert!(
            cache_capacity >= 256,
            "Please configure the cache \
             capacity to be at least 256 bytes"
        );
        let n_shards =
            (cache_capacity / LEAST_SHARD_CAPACITY).max(1).min(MOST_SHARDS);
        let shard_capacity = cache_capacity / n_shards;

        let mut shards = Vec::with_capacity(safe_usize(n_shards));
        shards.resize_with(safe_usize(n_shards), || {
            Mutex::new(Shard::new(shard_capacity))
        });

        Self { shards }
    }

    /// Called when an item is accessed. Returns a Vec of items to be
    /// evicted.
    ///
    /// layout:
    ///   items:   1 2 3 4 5 6 7 8 9 10
    ///   shards:  1 0 1 0 1 0 1 0 1 0
    ///   shard 0:   2   4   6   8   10
    ///   shard 1: 1   3   5   7   9
    pub(crate) fn accessed(&self, id: PageId, item_size: u64) -> Vec<PageId> {
        let (shards, shard_idx, item_pos) = self.place(id);
        let mut shard = self.shards[safe_usize(shard_idx)].lock();
        let mut evicted = shard.accessed(safe_usize(item_pos), item_size);
        drop(shard);
        // map shard internal offsets to global items ids
        for pos in &mut evicted {
            *pos = (*pos * shards) + shard_idx;
        }
        evicted
    }

    /// Called when an item is no longer there, so that it takes no room.
    pub(crate) fn removed(&self, id: PageId) {
        let (_, shard_idx, item_pos) = self.place(id);
        self.shards[safe_usize(shard_idx)].lock().removed(safe_usize(item_pos));
    }

    fn place(&self, id: PageId) -> (u64, u64, u64) {
        let shards = self.shards.len() as u64;
        (shards, id % shards, id / shards)
    }
}

#[derive(Clone)]
struct Entry {
    ptr: *mut Node,
    size: u64,
}

impl Default for Entry {
    fn default() -> Self {
        Self { ptr: ptr::null_mut(), size: 0 }
    }
}

struct Shard {
    list: DoublyLinkedList,
    entries: Vec<Entry>,
    capacity: u64,
    size: u64,
}

impl Shard {
    fn new(capacity: u64) -> Self {
        assert!(capacity > 0, "shard capacity must be non-zero");

        Self {
            list: DoublyLinkedList::default(),
            entries: vec![],
            capacity,
            size: 0,
        }
    }

    /// `PageId`s in the shard list are indexes of the entries.
    fn accessed(&mut self, pos: usize, size: u64) -> Vec<PageId> {
        if pos >= self.entries.len() {
            self.entries.resize(pos + 1, Entry::default());
        }

        {
            let entry = &mut self.entries[pos];

            self.size -= entry.size;
            entry.size = size;
            self.size += size;

            if entry.ptr.is_null() {
                entry.ptr = self.list.push_head(PageId::try_from(pos).unwrap());
            } else {
                entry.ptr = self.list.promote(entry.ptr);
            }
        }

        let mut to_evict = vec![];
        while self.size > self.capacity {
            if self.list.len() == 1 {
                // don't evict what we just added
                break;
            }

            let min_pid = self.list.pop_tail().unwrap();
            let min_pid_idx = safe_usize(min_pid);

            self.entries[min_pid_idx].ptr = ptr::null_mut();

            to_evict.push(min_pid);

            self.size -= self.entries[min_pid_idx].size;
            self.entries[min_pid_idx].size = 0;
        }

        to_evict
    }

    fn removed(&mut self, pos: usize) {
        if let Some(entry) = self.entries.get_mut(pos) {
            if !entry.ptr.is_null() {
                self.list.remove(entry.ptr);
                entry.ptr = ptr::null_mut();
            }
            self.size -= entry.size;
            entry.size = 0;
        }
    }
}

#[inline]
fn safe_usize(value: PageId) -> usize {
    usize::try_from(value).unwrap()
}

#[test]
fn lru_smoke_test() {
    let lru = Lru::new(256);
    for i in 0..1000 {
        lru.accessed(i, 16);
    }
}

#[test]
fn large_pages_are_evicted_with_the_access_that_is_too_much() {
    let lru = Lru::new(32 * 1024 * 1024);
    let mut cached = std::collections::BTreeSet::new();
    for page in 0..10_000 {
        cached.insert(page);
        for evicted in lru.accessed(page, 128 * 1024) {
            assert!(cached.remove(&evicted));
        }
        assert!(cached.len() <= 256);
    }
    for page in &cached {
        lru.removed(*page);
    }
    for page in 0..256 {
        assert!(lru.accessed(page, 128 * 1024).is_empty());
    }
}
