//! What every backend must do, seen through the store. Each case runs over each backend.

#![cfg(test)]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use trunnion_core::{
    clock::Timestamp,
    id::{Id, UserId, WorkspaceId},
    records::LedgerEntry,
    scope::{Environment as Env, Scope},
};
use trunnion_store::{
    Batch, CommitError, Deployment, Environment, KeyOwner, KeyRing, MasterKey, Owner, ReadError, Select,
    Store, Table, Version, Workspace,
    backend::{Backend, BackendError, Expect, MAX_BATCH_BYTES, RawBatch, RawOp, RawScan},
    journal::{Journal, Options},
    memory::Memory,
    tables::Ledger,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    user: Option<UserId>,
    text: String,
}

macro_rules! notes {
    ($($id:literal $name:ident $level:ty, $key:ty, |$it:ident| $owner:expr;)*) => {$(
        #[derive(Debug)]
        enum $name {}

        impl Table for $name {
            const ID: u8 = $id;
            const NAME: &'static str = stringify!($name);
            type Level = $level;
            type Key = $key;
            type Record = Note;

            fn owner($it: &Note) -> Owner {
                $owner
            }
        }
    )*};
}

notes! {
    201 Plain Environment, (u32, u32), |_it| Owner::Plain;
    202 OfUser Environment, u32, |it| it.user.map_or(Owner::Scope, Owner::User);
    203 Shared Workspace, u32, |_it| Owner::Scope;
    204 Global Deployment, String, |_it| Owner::Scope;
}

fn note(text: &str) -> Note {
    Note { user: None, text: text.into() }
}

fn of(user: UserId, text: &str) -> Note {
    Note { user: Some(user), text: text.into() }
}

fn id(byte: u8) -> Id {
    Id::from_bytes([byte; 12])
}

fn scope(workspace: u8, environment: Env) -> Scope {
    Scope::new(WorkspaceId(id(workspace)), environment)
}

const S: fn() -> Scope = || scope(1, Env::Production);

struct Fixture {
    store: Store,
    backend: Arc<dyn Backend>,
    _dir: Option<TempDir>,
}

impl Fixture {
    fn memory() -> Self {
        let backend: Arc<dyn Backend> = Arc::new(Memory::new());
        let store = Store::new(backend.clone(), Arc::new(KeyRing::in_memory().unwrap()));
        Self { store, backend, _dir: None }
    }

    fn journal() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyRing::open(dir.path().join("keys"), &MasterKey::new([3; 32])).unwrap();
        // A checkpoint after nearly every commit: records are read from all three layers.
        let options = Options { checkpoint_bytes: 2000, ..Options::default() };
        let backend: Arc<dyn Backend> =
            Arc::new(Journal::open(dir.path().join("journal"), &options).unwrap());
        let store = Store::new(backend.clone(), Arc::new(keys));
        Self { store, backend, _dir: Some(dir) }
    }

    async fn user(&self, byte: u8) -> UserId {
        let user = UserId(id(byte));
        self.store.keys().create(KeyOwner::User(S(), user)).await.unwrap();
        user
    }

    async fn put<T: Table<Level = Environment, Record = Note>>(&self, key: T::Key, record: &Note) -> Version {
        let mut batch = Batch::new();
        batch.put::<T>(&S(), &key, record);
        self.store.commit(batch).await.unwrap()
    }

    async fn text<T: Table<Level = Environment, Record = Note>>(&self, key: T::Key) -> Option<String> {
        self.store.get::<T>(&S(), &key).await.unwrap().map(|found| found.record.text)
    }
}

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Fixture::memory()).await;
            })*
        }
        mod journal {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Fixture::journal()).await;
            })*
        }
    };
}

conformance![
    preconditions_are_kept,
    a_refused_batch_changes_nothing,
    versions_increase,
    a_batch_names_a_record_once,
    an_empty_batch_commits_nothing,
    listings_select,
    levels_and_scopes_are_apart,
    an_erased_user_is_gone,
    a_page_tells_what_follows_it_whoever_was_erased,
    nothing_sealed_is_readable_below,
    sealed_records_cannot_be_moved,
    a_newer_record_is_refused,
    large_records_come_back,
    one_of_many_inserts_wins,
    every_increment_of_a_contended_record_counts,
    the_ledger_expires,
    keyed_hashes_are_apart,
    what_is_recalled_is_what_is_stored,
    nothing_is_recalled_of_an_erased_user,
    readers_recall_nothing_older_than_what_was_committed,
    a_closed_store_says_so,
];

async fn what_is_recalled_is_what_is_stored(it: Fixture) {
    let user = it.user(1).await;
    let recalled = || async {
        let found = it.store.recall::<OfUser>(&S(), &1).await.unwrap();
        found.map(|found| (found.version, found.record.text.clone()))
    };
    assert_eq!(recalled().await, None);
    let mut versions = Vec::new();
    for text in ["first", "second"] {
        let version = it.put::<OfUser>(1, &of(user, text)).await;
        versions.push(version);
        for _ in 0..2 {
            assert_eq!(recalled().await, Some((version, text.to_owned())));
        }
    }
    let mut batch = Batch::new();
    batch.remove::<OfUser>(&S(), &1, versions[1]);
    it.store.commit(batch).await.unwrap();
    assert_eq!(recalled().await, None, "a copy answers for no record that is gone");
    let again = it.put::<OfUser>(1, &of(user, "again")).await;
    assert_eq!(recalled().await, Some((again, "again".to_owned())));

    // Plain records and other places under the same key are other records.
    it.put::<Plain>((1, 1), &note("plain")).await;
    assert_eq!(it.store.recall::<Plain>(&S(), &(1, 1)).await.unwrap().unwrap().record.text, "plain");
    assert!(it.store.recall::<OfUser>(&scope(2, Env::Production), &1).await.unwrap().is_none());
}

async fn nothing_is_recalled_of_an_erased_user(it: Fixture) {
    let (goes, stays) = (it.user(1).await, it.user(2).await);
    it.put::<OfUser>(1, &of(goes, "goes")).await;
    it.put::<OfUser>(2, &of(stays, "stays")).await;
    for key in [1, 2] {
        assert!(it.store.recall::<OfUser>(&S(), &key).await.unwrap().is_some());
    }
    it.store.keys().destroy(KeyOwner::User(S(), goes)).await.unwrap();
    for _ in 0..2 {
        let refused = it.store.recall::<OfUser>(&S(), &1).await.unwrap_err();
        assert!(matches!(refused, ReadError::Erased { .. }), "{refused:?}");
    }
    assert_eq!(it.store.recall::<OfUser>(&S(), &2).await.unwrap().unwrap().record.text, "stays");
}

async fn readers_recall_nothing_older_than_what_was_committed(it: Fixture) {
    let newest = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let order = std::sync::atomic::Ordering::SeqCst;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, newest, done) = (it.store.clone(), Arc::clone(&newest), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(order) {
                    let committed = newest.load(order);
                    let found = store.recall::<OfUser>(&S(), &1).await.unwrap();
                    let seen = found.map_or(0, |found| found.record.text.parse().unwrap());
                    assert!(seen >= committed, "recalled {seen}, and {committed} was committed before");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for number in 1..=200 {
        it.put::<OfUser>(1, &note(&number.to_string())).await;
        newest.store(number, order);
        let found = it.store.recall::<OfUser>(&S(), &1).await.unwrap().unwrap();
        assert_eq!(found.record.text, number.to_string());
    }
    done.store(true, order);
    for reader in readers {
        reader.await.unwrap();
    }
}

async fn preconditions_are_kept(it: Fixture) {
    let insert = |text: &str| {
        let mut batch = Batch::new();
        batch.insert::<Plain>(&S(), &(1, 1), &note(text));
        batch
    };
    let first = it.store.commit(insert("first")).await.unwrap();
    assert!(it.store.commit(insert("second")).await.unwrap_err().is_conflict(), "there is a record");

    let replace = |version| {
        let mut batch = Batch::new();
        batch.replace::<Plain>(&S(), &(1, 1), &note("third"), version);
        batch
    };
    let third = it.store.commit(replace(first)).await.unwrap();
    let refused = it.store.commit(replace(first)).await.unwrap_err();
    assert!(matches!(refused, CommitError::Conflict { table: "Plain", op: 0 }), "{refused:?}");

    let remove = |version| {
        let mut batch = Batch::new();
        batch.remove::<Plain>(&S(), &(1, 1), version);
        batch
    };
    assert!(it.store.commit(remove(first)).await.unwrap_err().is_conflict(), "another version");
    assert_eq!(it.text::<Plain>((1, 1)).await.as_deref(), Some("third"));
    it.store.commit(remove(third)).await.unwrap();
    assert_eq!(it.text::<Plain>((1, 1)).await, None);
    assert!(it.store.commit(remove(third)).await.unwrap_err().is_conflict(), "nothing is there");
    it.store.commit(insert("again")).await.unwrap();

    let mut without = Batch::new();
    without.put::<Plain>(&S(), &(1, 1), &note("put"));
    without.delete::<Plain>(&S(), &(9, 9));
    it.store.commit(without).await.unwrap();
    assert_eq!(it.text::<Plain>((1, 1)).await.as_deref(), Some("put"));
}

async fn a_refused_batch_changes_nothing(it: Fixture) {
    it.put::<Plain>((1, 1), &note("old")).await;
    let mut batch = Batch::new();
    batch.put::<Plain>(&S(), &(1, 2), &note("new"));
    batch.delete::<Plain>(&S(), &(1, 1));
    batch.replace::<Plain>(&S(), &(1, 3), &note("new"), Version(77));
    let refused = it.store.commit(batch).await.unwrap_err();
    assert!(matches!(refused, CommitError::Conflict { op: 2, .. }), "{refused:?}");
    let left = it.store.list::<Plain>(&S(), Select::all()).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.key).collect::<Vec<_>>(), [(1, 1)]);
}

async fn versions_increase(it: Fixture) {
    let mut last = Version::ZERO;
    for n in 0..50 {
        let version = it.put::<Plain>((n, 0), &note("x")).await;
        assert!(version > last, "{version} after {last}");
        assert_eq!(it.store.get::<Plain>(&S(), &(n, 0)).await.unwrap().unwrap().version, version);
        last = version;
    }
    let mut batch = Batch::new();
    batch.put::<Plain>(&S(), &(0, 0), &note("both"));
    batch.put::<Plain>(&S(), &(1, 0), &note("both"));
    let version = it.store.commit(batch).await.unwrap();
    let both = it.store.page::<Plain>(&S(), Select::all(), 2).await.unwrap();
    assert!(both.entries.iter().all(|entry| entry.version == version), "{both:?}");
}

async fn a_batch_names_a_record_once(it: Fixture) {
    let mut batch = Batch::new();
    batch.put::<Plain>(&S(), &(1, 1), &note("a"));
    batch.delete::<Plain>(&S(), &(1, 1));
    let refused = it.store.commit(batch).await.unwrap_err();
    assert!(matches!(refused, CommitError::Twice { table: "Plain", op: 1 }), "{refused:?}");
    assert_eq!(it.text::<Plain>((1, 1)).await, None);
}

async fn an_empty_batch_commits_nothing(it: Fixture) {
    assert_eq!(it.store.commit(Batch::new()).await.unwrap(), Version::ZERO);
}

async fn listings_select(it: Fixture) {
    for group in [2, 1, 3] {
        for n in 0..5 {
            it.put::<Plain>((group, n), &note("x")).await;
        }
    }
    let keys = async |select: Select| {
        let found = it.store.list::<Plain>(&S(), select).await.unwrap();
        found.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
    };
    let page = async |select: Select, limit| {
        let page = it.store.page::<Plain>(&S(), select, limit).await.unwrap();
        (page.entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), page.next)
    };
    let all: Vec<_> = (1..=3).flat_map(|group| (0..5).map(move |n| (group, n))).collect();
    let reversed: Vec<_> = all.iter().rev().copied().collect();
    assert_eq!(keys(Select::all()).await, all);
    assert_eq!(keys(Select::all().backward()).await, reversed);
    assert_eq!(page(Select::all(), 7).await, (all[..7].to_vec(), Some(all[6])));
    assert_eq!(page(Select::all().backward(), 7).await, (reversed[..7].to_vec(), Some(reversed[6])));
    assert_eq!(page(Select::all(), 15).await, (all.clone(), None), "a full page may be the last");
    assert_eq!(page(Select::all().after(&all[13]), 15).await, (all[14..].to_vec(), None));
    assert_eq!(keys(Select::all().after(&(2_u32, 4_u32))).await, all[10..]);
    assert_eq!(keys(Select::all().after(&(2_u32, 0_u32)).backward()).await, reversed[10..]);
    assert_eq!(keys(Select::all().prefix(&2_u32)).await, all[5..10]);
    assert_eq!(page(Select::all().prefix(&2_u32).backward(), 2).await, (vec![(2, 4), (2, 3)], Some((2, 3))));
    assert_eq!(
        page(Select::all().prefix(&2_u32).after(&(2_u32, 2_u32)), 2).await,
        (vec![(2, 3), (2, 4)], None)
    );
    assert_eq!(keys(Select::all().prefix(&2_u32).after(&(2_u32, 2_u32))).await, [(2, 3), (2, 4)]);
    assert_eq!(
        keys(Select::all().prefix(&2_u32).after(&(1_u32, 2_u32))).await,
        all[5..10],
        "from before the prefix"
    );
    assert_eq!(keys(Select::all().prefix(&2_u32).after(&(3_u32, 0_u32))).await, [], "from beyond the prefix");
    assert_eq!(keys(Select::all().prefix(&9_u32)).await, []);
    assert_eq!(page(Select::all(), 0).await, (vec![(1, 0)], Some((1, 0))), "a page gets on by one at least");
    // A page that has to look past deleted records.
    let mut batch = Batch::new();
    for n in 0..5 {
        batch.delete::<Plain>(&S(), &(1, n));
    }
    it.store.commit(batch).await.unwrap();
    assert_eq!(page(Select::all(), 2).await, (vec![(2, 0), (2, 1)], Some((2, 1))));
    assert_eq!(it.store.first::<Plain>(&S(), Select::all()).await.unwrap().unwrap().key, (2, 0));
    assert!(it.store.first::<Plain>(&S(), Select::all().prefix(&1_u32)).await.unwrap().is_none());
}

async fn levels_and_scopes_are_apart(it: Fixture) {
    let places = [scope(1, Env::Development), scope(1, Env::Production), scope(2, Env::Production)];
    let mut batch = Batch::new();
    for (n, place) in (0..).zip(&places) {
        batch.insert::<Plain>(place, &(7, 7), &note(&format!("environment {n}")));
    }
    batch.insert::<Shared>(&places[0], &7, &note("workspace 1"));
    batch.insert::<Shared>(&places[2], &7, &note("workspace 2"));
    batch.insert::<Global>(&Deployment, &"a\0b".to_owned(), &note("deployment"));
    it.store.commit(batch).await.unwrap();

    for (n, place) in (0..).zip(&places) {
        let found = it.store.list::<Plain>(place, Select::all()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].record.text, format!("environment {n}"));
    }
    let shared = it.store.get::<Shared>(&places[1], &7).await.unwrap().unwrap();
    assert_eq!(shared.record.text, "workspace 1", "both environments see it");
    let global = it.store.list::<Global>(&Deployment, Select::all()).await.unwrap();
    assert_eq!((global[0].key.as_str(), global[0].record.text.as_str()), ("a\0b", "deployment"));

    let all = it.store.all::<Plain>().await.unwrap();
    assert_eq!(all.iter().map(|(place, _)| place.unwrap()).collect::<Vec<_>>(), places);
    let workspaces = it.store.all::<Shared>().await.unwrap();
    assert_eq!(
        workspaces.iter().map(|(place, _)| place.unwrap().workspace.0).collect::<Vec<_>>(),
        [id(1), id(2)]
    );
    assert_eq!(it.store.all::<Global>().await.unwrap()[0].0, None);
}

async fn an_erased_user_is_gone(it: Fixture) {
    let (stays, goes) = (it.user(1).await, it.user(2).await);
    it.put::<OfUser>(1, &of(stays, "stays")).await;
    it.put::<OfUser>(2, &of(goes, "goes")).await;
    it.store.keys().destroy(KeyOwner::User(S(), goes)).await.unwrap();

    let read = it.store.get::<OfUser>(&S(), &2).await.unwrap_err();
    assert!(matches!(read, ReadError::Erased { table: "OfUser", .. }), "{read:?}");
    let listed = it.store.list::<OfUser>(&S(), Select::all()).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.key).collect::<Vec<_>>(), [1]);
    let mut batch = Batch::new();
    batch.put::<OfUser>(&S(), &3, &of(goes, "late"));
    let refused = it.store.commit(batch).await.unwrap_err();
    assert!(matches!(refused, CommitError::OwnerErased { table: "OfUser", op: 0, .. }), "{refused:?}");
    let mut batch = Batch::new();
    batch.delete::<OfUser>(&S(), &2);
    it.store.commit(batch).await.unwrap();
    assert!(it.store.get::<OfUser>(&S(), &2).await.unwrap().is_none(), "what is left can be deleted");

    let mut batch = Batch::new();
    batch.put::<OfUser>(&S(), &4, &of(UserId(id(9)), "no key"));
    let refused = it.store.commit(batch).await.unwrap_err();
    assert!(
        matches!(refused, CommitError::Key { table: "OfUser", op: 0, .. }),
        "a user's key must be made: {refused:?}"
    );
}

async fn a_page_tells_what_follows_it_whoever_was_erased(it: Fixture) {
    let (stays, goes) = (it.user(1).await, it.user(2).await);
    // In either direction a whole page of what is erased lies before the first and between others.
    for key in 0..200 {
        let of_erased = !matches!(key, 80 | 120 | 121);
        it.put::<OfUser>(key, &of(if of_erased { goes } else { stays }, "x")).await;
    }
    it.store.keys().destroy(KeyOwner::User(S(), goes)).await.unwrap();
    let page = async |select: Select, limit| {
        let page = it.store.page::<OfUser>(&S(), select, limit).await.unwrap();
        (page.entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(Select::all(), 20).await, (vec![], Some(19)), "nothing to read, and more to come");
    assert_eq!(
        page(Select::all().after(&79_u32), 2).await,
        (vec![80], Some(81)),
        "goes on behind what is left out"
    );
    assert_eq!(page(Select::all().after(&121_u32), 100).await, (vec![], None), "the rest is left out");
    for forward in [true, false] {
        let mut select = if forward { Select::all() } else { Select::all().backward() };
        let first = it.store.first::<OfUser>(&S(), select.clone()).await.unwrap().unwrap();
        assert_eq!(first.key, if forward { 80 } else { 121 });
        let mut found = Vec::new();
        loop {
            let (keys, next) = page(select.clone(), 7).await;
            found.extend(keys);
            let Some(next) = next else { break };
            select = select.after(&next);
        }
        assert_eq!(found, if forward { [80, 120, 121] } else { [121, 120, 80] });
    }
    assert!(it.store.first::<OfUser>(&S(), Select::all().after(&121_u32)).await.unwrap().is_none());
}

fn everything() -> RawScan {
    RawScan {
        from: [].as_slice().into(),
        to: None,
        limit: None,
        direction: trunnion_store::Direction::Forward,
    }
}

async fn nothing_sealed_is_readable_below(it: Fixture) {
    let user = it.user(1).await;
    it.put::<OfUser>(1, &of(user, "canary-user")).await;
    it.put::<OfUser>(2, &note("canary-scope")).await;
    it.put::<Plain>((1, 1), &note("canary-plain")).await;
    let raw = it.backend.scan(everything()).await.unwrap();
    let seen = |text: &str| {
        raw.iter().any(|(_, record)| record.value.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(seen("canary-plain"), "the scan sees values");
    assert!(!seen("canary-user") && !seen("canary-scope"));
    assert_eq!(it.text::<OfUser>(1).await.as_deref(), Some("canary-user"));
    assert_eq!(it.text::<OfUser>(2).await.as_deref(), Some("canary-scope"));
}

async fn sealed_records_cannot_be_moved(it: Fixture) {
    let user = it.user(1).await;
    it.put::<OfUser>(1, &of(user, "mine")).await;
    it.put::<OfUser>(2, &of(user, "also mine")).await;
    let raw = it.backend.scan(everything()).await.unwrap();
    let moved =
        RawOp { key: raw[1].0.clone(), value: Some(raw[0].1.value.clone()), expect: Expect::Anything };
    it.backend.commit(RawBatch { ops: vec![moved] }).await.unwrap();
    let read = it.store.get::<OfUser>(&S(), &2).await.unwrap_err();
    assert!(matches!(read, ReadError::Damaged { table: "OfUser", .. }), "{read:?}");
    assert!(it.store.list::<OfUser>(&S(), Select::all()).await.is_err(), "damage is never skipped");
}

async fn a_newer_record_is_refused(it: Fixture) {
    it.put::<Plain>((1, 1), &note("x")).await;
    let raw = it.backend.scan(everything()).await.unwrap();
    let newer =
        RawOp { key: raw[0].0.clone(), value: Some(vec![99, 0, b'{'].into()), expect: Expect::Anything };
    it.backend.commit(RawBatch { ops: vec![newer] }).await.unwrap();
    let read = it.store.get::<Plain>(&S(), &(1, 1)).await.unwrap_err();
    assert_eq!(
        read.to_string(),
        "a Plain record has version 99, and this release reads up to 2; run the release that wrote it, or a newer one"
    );
}

async fn large_records_come_back(it: Fixture) {
    let user = it.user(1).await;
    let again = |size: u64| (0..size).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    // Nothing that could be compressed.
    let noise = |size: u64| {
        let digits = (0..size).map(|n| n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
        digits.map(|n| char::from(b'0' + (n.wrapping_mul(n) % 43) as u8)).collect()
    };
    let sizes = [6_000, 7_000, 8_192, 100_000, 150_000, 3_000_000];
    let texts: Vec<String> = sizes.into_iter().flat_map(|size| [again(size), noise(size)]).collect();
    for (key, text) in (200..).zip(texts) {
        let size = text.len();
        it.put::<OfUser>(key, &of(user, &text)).await;
        assert_eq!(it.text::<OfUser>(key).await, Some(text.clone()), "{size}");
        it.put::<OfUser>(100, &note("pushes the one before into the index")).await;
        assert_eq!(it.text::<OfUser>(key).await, Some(text), "{size}");
    }
    it.put::<OfUser>(4, &of(user, "small")).await;
    assert_eq!(it.text::<OfUser>(4).await.as_deref(), Some("small"));
    let mut batch = Batch::new();
    batch.put::<OfUser>(&S(), &9, &of(user, &"x".repeat(MAX_BATCH_BYTES)));
    assert!(matches!(it.store.commit(batch).await, Err(CommitError::TooLarge { .. })));
}

async fn one_of_many_inserts_wins(it: Fixture) {
    for round in 0..20 {
        let attempts: Vec<_> = (0..16)
            .map(|n| {
                let store = it.store.clone();
                tokio::spawn(async move {
                    let mut batch = Batch::new();
                    batch.insert::<Plain>(&S(), &(round, 0), &note(&n.to_string()));
                    batch.insert::<Plain>(&S(), &(round, 1 + n), &note("winner"));
                    (n, store.commit(batch).await)
                })
            })
            .collect();
        let mut won = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                (n, Ok(_)) => won.push(n),
                (_, Err(error)) => assert!(error.is_conflict(), "{error:?}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        let left = it.store.list::<Plain>(&S(), Select::all().prefix(&round)).await.unwrap();
        assert_eq!(left.iter().map(|entry| entry.key.1).collect::<Vec<_>>(), [0, 1 + won[0]]);
        assert_eq!(left[0].record.text, won[0].to_string());
    }
}

async fn every_increment_of_a_contended_record_counts(it: Fixture) {
    it.put::<Plain>((0, 0), &note("0")).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = it.store.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    loop {
                        let found = store.get::<Plain>(&S(), &(0, 0)).await.unwrap().unwrap();
                        let next = found.record.text.parse::<u32>().unwrap() + 1;
                        let mut batch = Batch::new();
                        batch.replace::<Plain>(&S(), &(0, 0), &note(&next.to_string()), found.version);
                        match store.commit(batch).await {
                            Ok(_) => break,
                            Err(error) => assert!(error.is_conflict(), "{error:?}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(it.text::<Plain>((0, 0)).await.as_deref(), Some("200"));
}

async fn the_ledger_expires(it: Fixture) {
    let at =
        |millis| LedgerEntry { at: Timestamp::from_millis(millis), body_hash: None, event: None, run: None };
    let key = |n: u32| {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&n.to_be_bytes());
        key
    };
    const ENTRIES: u32 = 3000;
    let mut batch = Batch::new();
    for n in 0..ENTRIES {
        let place = if n % 2 == 0 { S() } else { scope(2, Env::Development) };
        batch.insert::<Ledger>(&place, &key(n), &at(u64::from(n)));
    }
    it.store.commit(batch).await.unwrap();
    let (mut examined, mut removed, mut steps) = (0, 0, 0);
    loop {
        let step = it.store.expire_ledger(Timestamp::from_millis(1000)).await.unwrap();
        examined += step.examined;
        removed += step.removed;
        steps += 1;
        if step.wrapped {
            break;
        }
    }
    assert_eq!((examined, removed), (3000, 1000));
    assert!(steps > 1, "a step is bounded");
    let left = it.store.all::<Ledger>().await.unwrap();
    assert_eq!(left.len(), 2000);
    assert!(left.iter().all(|(_, entry)| entry.record.at >= Timestamp::from_millis(1000)));
    assert_eq!(
        it.store.expire_ledger(Timestamp::from_millis(1001)).await.unwrap().removed,
        1,
        "it begins anew"
    );
}

async fn keyed_hashes_are_apart(it: Fixture) {
    let hash =
        |scope: Scope, domain: &str, value: &str| it.store.keyed_hash(&scope, domain, value.as_bytes());
    let one = hash(S(), "username", "jo@example.com");
    assert_eq!(one, hash(S(), "username", "jo@example.com"));
    assert_ne!(one, hash(S(), "username", "jo@example.con"));
    assert_ne!(one, hash(S(), "event", "jo@example.com"));
    assert_ne!(one, hash(scope(1, Env::Development), "username", "jo@example.com"));
    assert_ne!(hash(S(), "ab", "c"), hash(S(), "a", "bc"));
    assert_ne!(
        one,
        Fixture::memory().store.keyed_hash(&S(), "username", b"jo@example.com"),
        "another key ring"
    );
}

async fn a_closed_store_says_so(it: Fixture) {
    it.put::<Plain>((1, 1), &note("x")).await;
    it.store.close().await.unwrap();
    let mut batch = Batch::new();
    batch.put::<Plain>(&S(), &(1, 1), &note("y"));
    let refused = it.store.commit(batch).await.unwrap_err();
    assert!(matches!(refused, CommitError::Storage(BackendError::Closed)), "{refused:?}");
    let read = it.store.get::<Plain>(&S(), &(1, 1)).await.unwrap_err();
    assert!(matches!(read, ReadError::Storage { source: BackendError::Closed, .. }), "{read:?}");
    assert!(it.store.list::<Plain>(&S(), Select::all()).await.is_err());
}
