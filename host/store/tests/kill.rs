//! `kill -9` at any moment: every acknowledged batch is there afterwards, whole, and nothing half.
//!
//! The test starts this same binary as the process that is killed.

#![cfg(test)]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use trunnion_core::{
    clock::{Random, SeededRandom},
    id::{Id, UserId, WorkspaceId},
    scope::{Environment as Env, Scope},
};
use trunnion_store::{
    Batch, Environment, KeyOwner, KeyRing, MasterKey, Owner, Select, Store, Table,
    journal::{Journal, Options},
};

const DIR: &str = "TRUNNION_TEST_KILL_DIR";
const ROUNDS: u64 = 30;
const WRITERS: u32 = 6;
/// Records of one batch.
const PARTS: u32 = 3;
/// A batch removes what the one this far before it made.
const KEPT: u32 = 5;

#[derive(Serialize, Deserialize)]
struct Part {
    user: UserId,
    text: String,
}

enum Parts {}

impl Table for Parts {
    const ID: u8 = 210;
    const NAME: &'static str = "Parts";
    type Level = Environment;
    /// Writer, batch, part.
    type Key = (u32, u32, u32);
    type Record = Part;

    fn owner(record: &Part) -> Owner {
        Owner::User(record.user)
    }
}

fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Env::Production)
}

fn user(writer: u32) -> UserId {
    UserId(Id::from_bytes([u8::try_from(writer).unwrap(); 12]))
}

fn text(writer: u32, number: u32, part: u32) -> String {
    // One in ten spans several sled values; one in fifty spans several frame parts.
    let size = if number % 50 == 7 {
        150_000
    } else if number % 10 == 3 {
        20_000
    } else {
        400
    };
    // Nothing that could be compressed.
    let mut noise = (u64::from(writer) << 40) | (u64::from(number) << 8) | u64::from(part);
    let letters = (0..size).map(|_| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(noise >> 58) as usize],
        )
    });
    format!("{writer} {number} {part} {}", letters.collect::<String>())
}

fn open(dir: &Path) -> Store {
    let keys = KeyRing::open(dir.join("keys"), &MasterKey::new([5; 32])).unwrap();
    let options = Options { checkpoint_bytes: 200_000, ..Options::default() };
    Store::new(Arc::new(Journal::open(dir.join("journal"), &options).unwrap()), Arc::new(keys))
}

/// Each writer's newest batch; panics where any batch is not whole or an older one is still there.
async fn newest(store: &Store) -> BTreeMap<u32, u32> {
    let entries = store.list::<Parts>(&scope(), Select::all()).await.unwrap();
    let mut found: BTreeMap<u32, BTreeMap<u32, u32>> = BTreeMap::new();
    for entry in &entries {
        let (writer, number, part) = entry.key;
        assert!(entry.record.text == text(writer, number, part), "{:?} holds something else", entry.key);
        *found.entry(writer).or_default().entry(number).or_default() += 1;
    }
    let mut newest = BTreeMap::new();
    for (writer, batches) in found {
        let (&last, _) = batches.last_key_value().unwrap();
        let expected: Vec<_> =
            ((last + 1).saturating_sub(KEPT)..=last).map(|number| (number, PARTS)).collect();
        assert_eq!(batches.into_iter().collect::<Vec<_>>(), expected, "writer {writer}");
        newest.insert(writer, last);
    }
    newest
}

#[test]
#[ignore = "is the process that `acknowledged_batches_survive_kill_9` kills"]
fn child_that_commits_until_killed() {
    let dir = PathBuf::from(env::var_os(DIR).expect("started by acknowledged_batches_survive_kill_9"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = open(&dir);
        let from = newest(&store).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, first) = (store.clone(), from.get(&writer).map_or(0, |last| last + 1));
                tokio::spawn(async move {
                    store.keys().create(KeyOwner::User(scope(), user(writer))).await.unwrap();
                    for number in first.. {
                        let mut batch = Batch::new();
                        for part in 0..PARTS {
                            let record = Part { user: user(writer), text: text(writer, number, part) };
                            batch.insert::<Parts>(&scope(), &(writer, number, part), &record);
                            if number >= KEPT {
                                batch.delete::<Parts>(&scope(), &(writer, number - KEPT, part));
                            }
                        }
                        store.commit(batch).await.unwrap();
                        let mut out = std::io::stdout().lock();
                        writeln!(out, "acknowledged {writer} {number}").unwrap();
                        out.flush().unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

fn start(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_that_commits_until_killed", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_batches_survive_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let chance = SeededRandom::new(2);
    let mut total = 0;
    for round in 0..ROUNDS {
        let mut bytes = [0; 8];
        chance.fill(&mut bytes);
        // Some rounds die during the replay or the first commits, others after several checkpoints.
        let acknowledgements = u64::from_le_bytes(bytes) % if round % 3 == 0 { 5 } else { 400 };
        let mut child = start(dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: BTreeMap<u32, u32> = BTreeMap::new();
        let mut note = |line: String| {
            let Some((_, rest)) = line.split_once("acknowledged ") else { return false };
            let (writer, number) = rest.split_once(' ').unwrap();
            // The last line may be cut off by the kill; then it was not told to anyone.
            number
                .parse()
                .is_ok_and(|number| acknowledged.insert(writer.parse().unwrap(), number) <= Some(number))
        };
        let mut seen = 0;
        while seen < acknowledgements {
            let line = lines.next().expect("the child commits until it is killed").unwrap();
            seen += u64::from(note(line));
        }
        child.kill().unwrap();
        let mut left: Vec<String> = lines.map_while(Result::ok).collect();
        // Without its line end the last number may be a shorter one's beginning.
        left.pop();
        total += seen + left.into_iter().map(|line| u64::from(note(line))).sum::<u64>();
        child.wait().unwrap();

        let store = open(dir.path());
        let found = newest(&store).await;
        for (writer, number) in acknowledged {
            let last = found.get(&writer).copied();
            assert!(
                last == Some(number) || last > Some(number),
                "round {round}: writer {writer} was told of batch {number}, the store has {last:?}"
            );
        }
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
    }
    assert!(total > 1000, "only {total} batches were acknowledged in all rounds");
    let blobs = std::fs::read_dir(dir.path().join("journal/blobs")).unwrap().count();
    assert_eq!(blobs, 0, "sled wrote side files, which it never syncs");
}
