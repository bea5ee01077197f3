//! Backups that are taken while others write: one consistent view, whole or refused, without what was erased since.

#![cfg(test)]

use std::{
    fs::{self, File},
    io::Cursor,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;
use trunnion_core::{
    clock::Timestamp,
    id::{Id, UserId, WorkspaceId},
    records::User,
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, KeyOwner, KeyRing, MasterKey, Select, Store,
    backup::{Attachment, BackupError, Reader, Restored, restore},
    journal::{Journal, Options},
    tables::Users,
};

/// Who there is; each pair of one from either half bears the same number.
const PAIRS: u8 = 100;

fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Production)
}

fn user(byte: u8) -> UserId {
    UserId(Id::from_bytes([byte; 12]))
}

fn owner(byte: u8) -> KeyOwner {
    KeyOwner::User(scope(), user(byte))
}

fn numbered(byte: u8, number: u64) -> User {
    User {
        id: user(byte),
        username: format!("user {byte}"),
        full_name: Some(format!("{number} {}", "x".repeat(2_000))),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}

fn keys(dir: &Path) -> Arc<KeyRing> {
    Arc::new(KeyRing::open(dir.join("keys"), &MasterKey::new([3; 32])).unwrap())
}

fn open(dir: &Path) -> Store {
    // Checkpoints all the time: what is copied moves between the layers meanwhile.
    let options = Options { checkpoint_bytes: 100_000, ..Options::default() };
    Store::new(Arc::new(Journal::open(dir.join("store"), &options).unwrap()), keys(dir))
}

/// Both of a pair in one commit; every third time they are both removed.
async fn change(store: &Store, pair: u8, number: u64) {
    let mut batch = Batch::new();
    for byte in [pair, pair + PAIRS] {
        if number % 3 == 2 {
            batch.delete::<Users>(&scope(), &user(byte));
        } else {
            batch.put::<Users>(&scope(), &user(byte), &numbered(byte, number));
        }
    }
    store.commit(batch).await.unwrap();
}

/// The numbers of a pair.
async fn pair(store: &Store, pair: u8) -> [Option<String>; 2] {
    let number = |byte| async move {
        let found = store.get::<Users>(&scope(), &user(byte)).await.unwrap();
        found.map(|found| found.record.full_name.unwrap().split(' ').next().unwrap().to_owned())
    };
    [number(pair).await, number(pair + PAIRS).await]
}

async fn populated(dir: &TempDir) -> Store {
    let store = open(dir.path());
    store.keys().create_all((0..2 * PAIRS).map(owner).collect()).await.unwrap();
    for each in 0..PAIRS {
        change(&store, each, 0).await;
    }
    store
}

/// A backup, as it was handed on.
async fn backup(store: &Store, dir: &TempDir, attachments: Vec<Attachment>) -> Vec<u8> {
    let (to, mut from) = mpsc::channel::<Bytes>(1);
    let spool =
        File::options().read(true).write(true).create_new(true).open(dir.path().join("spool")).unwrap();
    let taking = {
        let store = store.clone();
        tokio::spawn(async move {
            store.back_up(|| Ok(Box::new(attachments.into_iter().map(Ok))), spool, &to).await
        })
    };
    let mut bytes = Vec::new();
    while let Some(piece) = from.recv().await {
        bytes.extend_from_slice(&piece);
    }
    taking.await.unwrap().unwrap();
    fs::remove_file(dir.path().join("spool")).unwrap();
    bytes
}

fn put_back(
    backup: &[u8],
    dir: &TempDir,
    keys: &KeyRing,
) -> Result<(Restored, Vec<Attachment>), BackupError> {
    let mut attached = Vec::new();
    let restored = restore(Cursor::new(backup), &dir.path().join("store"), keys, &mut |attachment| {
        attached.push(attachment);
        Ok(())
    })?;
    Ok((restored, attached))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_writers_is_one_consistent_view_and_holds_what_was_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = populated(&dir).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u8)
        .map(|writer| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut number = 1;
                while !stop.load(Ordering::Relaxed) {
                    for each in (writer..PAIRS / 2).step_by(4) {
                        change(&store, each, number).await;
                    }
                    number += 1;
                }
                number
            })
        })
        .collect();
    let component = Attachment { name: "abc.wasm".to_owned(), content: Bytes::from_static(b"\0asm") };
    let backup = backup(&store, &dir, vec![component.clone()]).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 1, "there were writers beside it");
    }
    assert!(Reader::new(Cursor::new(&backup)).unwrap().verify().unwrap() > u64::from(PAIRS));

    let fresh = tempfile::tempdir().unwrap();
    let (restored, attached) = put_back(&backup, &fresh, store.keys()).unwrap();
    assert_eq!(attached, [component]);
    store.close().await.unwrap();
    drop(store);
    fs::copy(dir.path().join("keys"), fresh.path().join("keys")).unwrap();
    let store = open(fresh.path());
    let there = store.list::<Users>(&scope(), Select::all()).await.unwrap();
    assert_eq!((restored.records, restored.erased), (there.len() as u64, 0));
    for each in 0..PAIRS / 2 {
        let [one, other] = pair(&store, each).await;
        assert_eq!(one, other, "pair {each} was always changed in one commit");
    }
    for each in PAIRS / 2..PAIRS {
        assert_eq!(pair(&store, each).await, [Some("0".to_owned()), Some("0".to_owned())]);
    }
    // What is committed from here on is newer than everything restored.
    let newest = there.iter().map(|entry| entry.version).max().unwrap();
    let mut batch = Batch::new();
    batch.put::<Users>(&scope(), &user(0), &numbered(0, 9));
    assert!(store.commit(batch).await.unwrap() > newest);
}

#[tokio::test]
async fn a_restore_leaves_out_who_was_erased_since_and_refuses_keys_that_are_older() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old-keys");
    let store = populated(&dir).await;
    KeyRing::copy(dir.path().join("keys"), &old).unwrap();
    store.keys().create(owner(250)).await.unwrap();
    let mut batch = Batch::new();
    batch.put::<Users>(&scope(), &user(250), &numbered(250, 0));
    store.commit(batch).await.unwrap();
    let backup = backup(&store, &dir, Vec::new()).await;

    let refused = tempfile::tempdir().unwrap();
    let older = KeyRing::open(&old, &MasterKey::new([3; 32])).unwrap();
    let error = put_back(&backup, &refused, &older).unwrap_err();
    assert!(matches!(error, BackupError::KeysOlder { owners: 1, .. }), "{error}");
    assert!(error.to_string().contains("older than the backup"), "{error}");
    drop(older);

    store.keys().destroy(owner(7)).await.unwrap();
    let copy = dir.path().join("copy");
    fs::copy(&old, &copy).unwrap();
    KeyRing::copy(dir.path().join("keys"), &copy).unwrap();
    assert_eq!(
        fs::read(&copy).unwrap(),
        fs::read(dir.path().join("keys")).unwrap(),
        "the copy is overwritten"
    );
    let fresh = tempfile::tempdir().unwrap();
    fs::copy(&copy, fresh.path().join("keys")).unwrap();
    let ring = keys(fresh.path());
    let (restored, _) = put_back(&backup, &fresh, &ring).unwrap();
    assert_eq!(restored, Restored { records: 2 * u64::from(PAIRS), erased: 1 });
    drop(ring);
    let store = open(fresh.path());
    let there = store.list::<Users>(&scope(), Select::all()).await.unwrap();
    assert!(there.iter().all(|entry| entry.key != user(7)), "erased after the backup");
    assert_eq!(there.len(), 2 * usize::from(PAIRS));
}

#[tokio::test]
async fn a_backup_that_is_cut_or_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = populated(&dir).await;
    let whole = backup(&store, &dir, Vec::new()).await;
    let verify = |bytes: &[u8]| Reader::new(Cursor::new(bytes)).and_then(Reader::verify);
    assert_eq!(verify(&whole).unwrap(), 2 * u64::from(PAIRS));
    for length in (0..whole.len()).step_by(whole.len() / 97).chain([whole.len() - 1]) {
        let error = verify(whole.get(..length).unwrap()).unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "cut to {length}: {error}");
    }
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut hit = whole.clone();
        hit[at] ^= 1;
        assert!(verify(&hit).is_err(), "byte {at}");
    }
    assert!(verify(&[whole.clone(), whole].concat()).is_err(), "two in one");
}
