//! Memory versus journal: the same random batches must be accepted, refused and read alike, over reopenings.

#![cfg(test)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use trunnion_core::clock::{Random, SeededRandom};
use trunnion_store::{
    Direction, Version,
    backend::{Backend, BackendError, Expect, RawBatch, RawOp, RawScan},
    journal::{Journal, Options},
    memory::Memory,
};

/// Reproducible choices.
struct Chance(SeededRandom);

impl Chance {
    fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).unwrap() % limit
    }

    fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Few keys, so that they meet; of several lengths.
    fn key(&self) -> Bytes {
        let n = self.below(60);
        Bytes::from(format!("{}{n:02}", ["a", "ab", "b"][n % 3]))
    }

    fn value(&self) -> Bytes {
        let size = match self.below(40) {
            0 => self.below(300_000),
            1..4 => self.below(20_000),
            _ => self.below(300),
        };
        let mut value = vec![0; size];
        self.0.fill(&mut value);
        Bytes::from(value)
    }
}

fn open(dir: &Path) -> Arc<dyn Backend> {
    // Small, so that checkpoints happen all the time.
    let options = Options { checkpoint_bytes: 50_000, ..Options::default() };
    Arc::new(Journal::open(dir, &options).unwrap())
}

/// Versions may differ between the backends after a reopening; what they say about each other may not.
#[derive(Default)]
struct Versions(BTreeMap<Version, Version>);

async fn differ(seed: u64, steps: u32) {
    let chance = Chance(SeededRandom::new(seed));
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::new();
    let mut journal = open(dir.path());
    let mut versions = Versions::default();
    let mut known: Vec<Version> = Vec::new();
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        match chance.below(12) {
            0 if chance.one_in(6) => {
                if chance.one_in(2) {
                    journal.close().await.unwrap();
                }
                drop(journal);
                journal = open(dir.path());
            }
            0..8 => {
                let mut ops: BTreeMap<Bytes, RawOp> = BTreeMap::new();
                for _ in 0..=chance.below(5) {
                    let key = chance.key();
                    let expect = match chance.below(3) {
                        0 => Expect::Absent,
                        1 if !known.is_empty() && chance.one_in(3) => {
                            Expect::Version(known[chance.below(known.len())])
                        }
                        1 => match memory.get(&key).await.unwrap() {
                            Some(record) => Expect::Version(record.version),
                            None => Expect::Absent,
                        },
                        _ => Expect::Anything,
                    };
                    let value = (!chance.one_in(3)).then(|| chance.value());
                    ops.insert(key.clone(), RawOp { key, value, expect });
                }
                let of_memory = RawBatch { ops: ops.into_values().collect() };
                let mut of_journal = of_memory.clone();
                for op in &mut of_journal.ops {
                    if let Expect::Version(version) = op.expect {
                        op.expect =
                            Expect::Version(versions.0.get(&version).copied().unwrap_or(Version(u64::MAX)));
                    }
                }
                match (memory.commit(of_memory).await, journal.commit(of_journal).await) {
                    (Ok(left), Ok(right)) => {
                        let newest = versions.0.values().next_back().copied().unwrap_or_default();
                        assert!(right > newest, "{at}: version {right} after {newest}");
                        versions.0.insert(left, right);
                        known.push(left);
                    }
                    (Err(BackendError::Conflict { op: left }), Err(BackendError::Conflict { op: right })) => {
                        assert_eq!(left, right, "{at}");
                    }
                    (left, right) => panic!("{at}: memory said {left:?}, the journal {right:?}"),
                }
            }
            8..10 => {
                let key = chance.key();
                let left =
                    memory.get(&key).await.unwrap().map(|record| (versions.0[&record.version], record.value));
                let right = journal.get(&key).await.unwrap().map(|record| (record.version, record.value));
                assert!(left == right, "{at}: {key:?} differs");
            }
            _ => {
                let scan = RawScan {
                    from: if chance.one_in(3) { Bytes::new() } else { chance.key() },
                    to: (!chance.one_in(3)).then(|| chance.key()),
                    limit: (!chance.one_in(3)).then(|| chance.below(30)),
                    direction: if chance.one_in(2) { Direction::Forward } else { Direction::Backward },
                };
                let left = memory.scan(scan.clone()).await.unwrap();
                let left: Vec<_> =
                    left.into_iter().map(|(key, it)| (key, versions.0[&it.version], it.value)).collect();
                let right = journal.scan(scan.clone()).await.unwrap();
                let right: Vec<_> = right.into_iter().map(|(key, it)| (key, it.version, it.value)).collect();
                assert!(left == right, "{at}: {scan:?} differs");
            }
        }
    }
    let whole = RawScan { from: Bytes::new(), to: None, limit: None, direction: Direction::Forward };
    let left = memory.scan(whole.clone()).await.unwrap();
    let right = journal.scan(whole).await.unwrap();
    let keys = |entries: &[(Bytes, _)]| entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&left), keys(&right), "seed {seed}, at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_journal_never_differ() {
    for seed in 0..8 {
        differ(seed, 600).await;
    }
}
