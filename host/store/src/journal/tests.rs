//! What only a look inside shows: damage, a full disk, what reaches sled.

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{
    backend::{Expect, RawOp},
    select::Direction,
};

fn options() -> Options {
    // No checkpoint unless a test asks for one by closing.
    Options { checkpoint_bytes: usize::MAX, ..Options::default() }
}

fn open(dir: &TempDir) -> Journal {
    Journal::open(dir.path(), &options()).unwrap()
}

fn put(key: &str, value: impl Into<Bytes>) -> RawBatch {
    RawBatch {
        ops: vec![RawOp { key: key.to_owned().into(), value: Some(value.into()), expect: Expect::Absent }],
    }
}

fn delete(key: &str) -> RawBatch {
    RawBatch { ops: vec![RawOp { key: key.to_owned().into(), value: None, expect: Expect::Anything }] }
}

async fn keys(journal: &Journal) -> Vec<Bytes> {
    let scan = RawScan { from: Bytes::new(), to: None, limit: None, direction: Direction::Forward };
    journal.scan(scan).await.unwrap().into_iter().map(|(key, _)| key).collect()
}

/// Three frames, then `harm` is done to the part of frame `sequence` that is stored last.
async fn harmed(sequence: u64, harm: impl Fn(&sled::Tree, sled::IVec, sled::IVec)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    for key in ["a", "b", "c"] {
        journal.commit(put(key, vec![7; 150_000])).await.unwrap();
    }
    drop(journal);
    let disk = Disk::open(dir.path(), 1 << 20).unwrap();
    let mut last = None;
    for name in disk.db.tree_names().iter().filter(|name| name.first() == Some(&b'j')) {
        let tree = disk.db.open_tree(name).unwrap();
        for part in &tree {
            let (key, value) = part.unwrap();
            if key.starts_with(&sequence.to_be_bytes()) {
                last = Some((tree.clone(), key, value));
            }
        }
    }
    let (tree, key, value) = last.expect("the frame is there");
    harm(&tree, key, value);
    disk.flush().unwrap();
    dir
}

fn flip(tree: &sled::Tree, key: sled::IVec, value: sled::IVec) {
    let mut value = value.to_vec();
    value[0] ^= 1;
    tree.insert(key, value).unwrap();
}

fn cut(tree: &sled::Tree, key: sled::IVec, _: sled::IVec) {
    tree.remove(key).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_frame_is_dropped_and_its_number_used_again() {
    for harm in [flip, cut] {
        let dir = harmed(2, harm).await;
        let journal = open(&dir);
        assert_eq!(keys(&journal).await, ["a", "b"]);
        // A shorter frame under the same number: no part of the torn one may be left.
        journal.commit(put("d", "small")).await.unwrap();
        drop(journal);
        let journal = open(&dir);
        assert_eq!(keys(&journal).await, ["a", "b", "d"]);
        journal.close().await.unwrap();
        assert_eq!(keys(&open(&dir)).await, ["a", "b", "d"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_before_the_last_frame_is_an_error_that_names_it() {
    for harm in [flip, cut] {
        let dir = harmed(1, harm).await;
        let error = Journal::open(dir.path(), &options()).unwrap_err();
        assert!(matches!(error, OpenError::Frame { sequence: 1, expected: 1, .. }), "{error:?}");
        assert!(error.to_string().contains("frame 1 of the journal"), "{error}");
        assert!(Journal::open(dir.path(), &options()).is_err(), "looking at it repairs nothing");
    }
    let dir = harmed(1, |tree, _, _| tree.clear().unwrap()).await;
    let error = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, OpenError::Frame { expected: 1, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let first = journal.commit(put("a", "1")).await.unwrap();
    journal.shared.min_free.store(u64::MAX / 2, Ordering::Relaxed);
    let refused = journal.commit(put("b", "2")).await.unwrap_err();
    assert!(matches!(refused, BackendError::Full { .. }), "{refused:?}");
    assert!(refused.to_string().contains("make room, and commits work again"), "{refused}");
    assert_eq!(keys(&journal).await, ["a"], "nothing of a refused batch is seen");
    journal.shared.min_free.store(0, Ordering::Relaxed);
    assert!(journal.commit(put("b", "3")).await.unwrap() > first);
    drop(journal);
    assert_eq!(keys(&open(&dir)).await, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_before_the_checkpoint_never_reaches_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    journal.commit(put("stays", "1")).await.unwrap();
    for n in 0..50 {
        journal.commit(put(&format!("run {n}"), "1")).await.unwrap();
    }
    for n in 0..50 {
        journal.commit(delete(&format!("run {n}"))).await.unwrap();
    }
    let cells = journal.shared.overlay.write().unwrap().freeze();
    assert_eq!(cells.keys().collect::<Vec<_>>(), ["stays"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_no_frames_and_no_chunks_of_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    for key in ["a", "b", "c"] {
        journal.commit(put(key, vec![7; 200_000])).await.unwrap();
    }
    journal.close().await.unwrap();
    let journal = open(&dir);
    let version = journal.commit(delete("a")).await.unwrap();
    assert_eq!(version, Version(4), "versions go on over a restart");
    journal.commit(delete("b")).await.unwrap();
    assert_eq!(keys(&journal).await, ["c"]);
    journal.close().await.unwrap();

    let disk = Disk::open(dir.path(), 1 << 20).unwrap();
    let buckets = disk.db.tree_names().iter().filter(|name| name.first() == Some(&b'j')).count();
    assert_eq!(buckets, 0);
    let chunks = disk.db.open_tree("chunks").unwrap();
    assert!(
        chunks.iter().keys().all(|key| key.unwrap().starts_with(b"c")),
        "only the record that is left has chunks"
    );
    assert_eq!(chunks.len(), 200_000_usize.div_ceil(6 * 1024));
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs")).unwrap().count(),
        0,
        "sled wrote side files, which it never syncs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_snapshot_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    journal.commit(put("a", "1")).await.unwrap();
    journal.close().await.unwrap();
    drop(open(&dir));
    let mut spoilt = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
            std::fs::write(path, b"not a snapshot at all").unwrap();
            spoilt += 1;
        }
    }
    assert!(spoilt > 0, "sled has written a snapshot");
    assert_eq!(keys(&open(&dir)).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let error = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    journal.close().await.unwrap();
    drop(open(&dir));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_asked_for_by_time_happens() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_interval: Duration::from_millis(1), ..options() };
    let journal = Journal::open(dir.path(), &options).unwrap();
    journal.commit(put("a", "1")).await.unwrap();
    let index = journal.shared.index().unwrap();
    while index.get(b"a").unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    drop(index);
    assert_eq!(keys(&journal).await, ["a"]);
}

/// Writes over the database's log what sled cannot read.
fn garble(dir: &TempDir) {
    let log = dir.path().join("db");
    let length = std::fs::metadata(&log).unwrap().len();
    std::fs::write(log, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
}

#[tokio::test]
async fn only_a_database_that_was_never_whole_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    assert!(!dir.path().join("unfinished").exists(), "it is whole");
    garble(&dir);
    std::fs::write(dir.path().join("unfinished"), "").unwrap();
    let journal = open(&dir);
    journal.commit(put("b", "2")).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(keys(&open(&dir)).await, ["b"], "begun anew, and kept from then on");
}

/// sled takes a log that it cannot read any of for a new one; a host would go on without all that was accepted.
#[tokio::test]
async fn a_database_that_was_emptied_is_never_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    journal.commit(put("a", "1")).await.unwrap();
    journal.close().await.unwrap();
    garble(&dir);
    for start in ["first", "second"] {
        let error = Journal::open(dir.path(), &options()).unwrap_err();
        assert!(matches!(error, OpenError::Emptied { .. }), "{start} start: {error}");
    }
}

#[test]
fn a_database_is_made_by_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let making = Beginning::of(dir.path()).unwrap().expect("there is nothing yet");
    let error = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(making);
    drop(open(&dir));
    assert!(Beginning::of(dir.path()).unwrap().is_none(), "it is whole");
}
