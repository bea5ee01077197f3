//! What is deleted gives its room back to the disk, while the store goes on.

#![cfg(test)]

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use trunnion_core::{
    id::{Id, WorkspaceId},
    scope::{Environment as Env, Scope},
};
use trunnion_store::{
    Batch, Environment, KeyRing, MasterKey, Owner, Store, Table,
    journal::{Journal, Options},
};

/// Enough that the rest is small beside them: up to 32 free segments keep their 16 MB, and those that are half empty
/// keep theirs until they are written again.
const RECORDS: u32 = 24_000;
const STEP: u32 = 128;
/// Rounds of other work, at most, until what was deleted is given back.
const ROUNDS: u32 = 30;

#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
}

enum Lines {}

impl Table for Lines {
    const ID: u8 = 212;
    const NAME: &'static str = "Lines";
    type Level = Environment;
    type Key = u32;
    type Record = Line;

    fn owner(_: &Line) -> Owner {
        Owner::Plain
    }
}

fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Env::Production)
}

fn open(dir: &Path) -> Store {
    let keys = KeyRing::open(dir.join("keys"), &MasterKey::new([5; 32])).unwrap();
    let options = Options { checkpoint_bytes: 1 << 20, cache_bytes: 8 << 20, ..Options::default() };
    Store::new(Arc::new(Journal::open(dir.join("store"), &options).unwrap()), Arc::new(keys))
}

/// Bytes allocated to all files under a directory.
fn on_disk(path: &Path) -> u64 {
    // A snapshot may be replaced meanwhile.
    let Ok(meta) = fs::metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    fs::read_dir(path).unwrap().map(|entry| on_disk(&entry.unwrap().path())).sum()
}

async fn each_step(store: &Store, change: impl Fn(&mut Batch, u32)) {
    for first in (0..RECORDS).step_by(usize::try_from(STEP).unwrap()) {
        let mut batch = Batch::new();
        for number in first..(first + STEP).min(RECORDS) {
            change(&mut batch, number);
        }
        store.commit(batch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_give_their_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let kept = Line { text: "kept".to_owned() };
    each_step(&store, |batch, number| {
        let line = Line { text: format!("{number} {}", "x".repeat(3000)) };
        batch.insert::<Lines>(&scope(), &number, &line);
    })
    .await;
    store.close().await.unwrap();
    drop(store);
    let full = on_disk(dir.path());
    assert!(full > u64::from(RECORDS) * 3000, "{full} bytes hold everything");

    let store = open(dir.path());
    each_step(&store, |batch, number| batch.delete::<Lines>(&scope(), &number)).await;
    // The room is given back as the store goes on, but for what it will soon use again: how soon depends on when
    // checkpoints fall.
    for round in 0..ROUNDS {
        each_step(&store, |batch, number| {
            batch.put::<Lines>(&scope(), &(RECORDS + number % 500 + round), &kept)
        })
        .await;
        if on_disk(dir.path()) < full / 2 {
            break;
        }
    }
    store.close().await.unwrap();
    let left = on_disk(dir.path());
    println!("{full} bytes with {RECORDS} records, {left} bytes after they were deleted");
    assert!(left < full / 2, "{left} of {full} bytes are still taken after everything old was deleted");
}
