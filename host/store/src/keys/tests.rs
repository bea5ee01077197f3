//! The key ring over a file: durability, erasure, rotation, damage.

use std::fs;

use tempfile::TempDir;
use trunnion_core::{
    id::{Id, UserId, WorkspaceId},
    scope::{Environment, Scope},
};

use super::{slot::SLOT, *};

const OLD: MasterKey = MasterKey::new([1; 32]);
const NEW: MasterKey = MasterKey::new([2; 32]);

fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Production)
}

fn user(n: u8) -> KeyOwner {
    KeyOwner::User(scope(), UserId(Id::from_bytes([n; 12])))
}

fn open(dir: &TempDir, master: &MasterKey) -> Result<KeyRing, KeyError> {
    KeyRing::open(dir.path().join("keys"), master)
}

/// What the owner's key makes of a text, to recognise the key by.
fn sealed_by(ring: &KeyRing, owner: KeyOwner) -> ([u8; 12], Vec<u8>) {
    let mut body = b"text".to_vec();
    let nonce = ring.for_opening(owner).unwrap().seal(b"", &mut body).unwrap();
    (nonce, body)
}

fn opens(ring: &KeyRing, owner: KeyOwner, (nonce, body): &([u8; 12], Vec<u8>)) -> bool {
    let mut body = body.clone();
    ring.for_opening(owner).unwrap().open(*nonce, b"", &mut body) == Some(b"text".as_slice())
}

#[tokio::test]
async fn keys_survive_and_destroyed_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir, &OLD).unwrap();
    ring.create_all(vec![user(1), user(2), KeyOwner::Deployment]).await.unwrap();
    let texts = [user(1), user(2)].map(|owner| sealed_by(&ring, owner));
    let hash = ring.keyed_hash(&scope(), "name", b"jo");
    ring.create(user(1)).await.unwrap();
    assert!(opens(&ring, user(1), &texts[0]), "making a key again changes nothing");

    let before = fs::read(dir.path().join("keys")).unwrap();
    ring.destroy(user(2)).await.unwrap();
    ring.destroy(user(3)).await.unwrap();
    let after = fs::read(dir.path().join("keys")).unwrap();
    let old_slot = before.chunks(SLOT).find(|slot| slot.windows(12).any(|window| window == [2; 12])).unwrap();
    let wrapped = &old_slot[36..96];
    assert!(before.windows(60).any(|window| window == wrapped), "the test looks at the right bytes");
    assert!(!after.windows(60).any(|window| window == wrapped), "the wrapped key is overwritten in place");
    drop(ring);

    let ring = open(&dir, &OLD).unwrap();
    assert!(opens(&ring, user(1), &texts[0]));
    assert_eq!(ring.keyed_hash(&scope(), "name", b"jo"), hash);
    for gone in [user(2), user(3)] {
        assert!(ring.is_erased(gone));
        assert!(matches!(ring.for_opening(gone), Err(KeyError::Erased { .. })));
        assert!(
            matches!(ring.create(gone).await, Err(KeyError::Erased { .. })),
            "an erased owner stays erased"
        );
    }
    assert!(matches!(ring.for_opening(user(4)), Err(KeyError::Missing { .. })));
}

#[tokio::test]
async fn the_master_key_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir, &OLD).unwrap();
    ring.create_all((0..100).map(user).collect()).await.unwrap();
    ring.destroy(user(50)).await.unwrap();
    let text = sealed_by(&ring, user(7));
    let hash = ring.keyed_hash(&scope(), "name", b"jo");
    ring.rotate_master(NEW).await.unwrap();
    assert!(opens(&ring, user(7), &text));
    ring.create(user(200)).await.unwrap();
    let late = sealed_by(&ring, user(200));
    drop(ring);

    let refused = open(&dir, &OLD).unwrap_err();
    assert!(matches!(refused, KeyError::WrongMaster { .. }), "{refused:?}");
    let ring = open(&dir, &NEW).unwrap();
    assert!(opens(&ring, user(7), &text) && opens(&ring, user(200), &late));
    assert!(ring.is_erased(user(50)));
    assert_eq!(
        ring.keyed_hash(&scope(), "name", b"jo"),
        hash,
        "hashes are stored: they outlive the master key"
    );
}

#[tokio::test]
async fn a_rotation_cut_short_leaves_the_old_master_key_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir, &OLD).unwrap();
    ring.create(user(1)).await.unwrap();
    let text = sealed_by(&ring, user(1));
    drop(ring);
    // What a crash before the renaming leaves: half a copy.
    fs::write(dir.path().join("keys.new"), [9; 200]).unwrap();
    let ring = open(&dir, &OLD).unwrap();
    assert!(opens(&ring, user(1), &text));
    ring.rotate_master(NEW).await.unwrap();
    drop(ring);
    assert!(opens(&open(&dir, &NEW).unwrap(), user(1), &text));
    assert!(!dir.path().join("keys.new").exists());
}

#[tokio::test]
async fn a_torn_append_costs_nobody_anything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ring = open(&dir, &OLD).unwrap();
    ring.create_all(vec![user(1), user(2)]).await.unwrap();
    let text = sealed_by(&ring, user(1));
    drop(ring);
    let whole = fs::read(&path).unwrap();
    for length in whole.len() - SLOT + 1..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let ring = open(&dir, &OLD).unwrap();
        assert!(opens(&ring, user(1), &text));
        assert!(
            matches!(ring.for_opening(user(2)), Err(KeyError::Missing { .. })),
            "never acknowledged at {length}"
        );
        ring.create(user(2)).await.unwrap();
        let again = sealed_by(&ring, user(2));
        drop(ring);
        assert!(opens(&open(&dir, &OLD).unwrap(), user(2), &again));
    }
}

#[tokio::test]
async fn a_file_that_was_never_finished_is_begun_again_and_another_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    drop(open(&dir, &OLD).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[..SLOT].fill(0);
    fs::write(&path, &bytes).unwrap();
    drop(open(&dir, &OLD).unwrap());
    bytes[..SLOT].fill(b'x');
    fs::write(&path, &bytes).unwrap();
    let refused = open(&dir, &OLD).unwrap_err();
    assert!(matches!(refused, KeyError::NotKeys { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_key_file_has_one_owner_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir, &OLD).unwrap();
    assert!(matches!(open(&dir, &OLD).unwrap_err(), KeyError::InUse { .. }));
    ring.rotate_master(NEW).await.unwrap();
    assert!(matches!(open(&dir, &NEW).unwrap_err(), KeyError::InUse { .. }), "also after a rotation");
    let mode = fs::metadata(dir.path().join("keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_made_at_once_are_all_durable() {
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir, &OLD).unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let ring = ring.clone();
            tokio::spawn(async move { ring.create(user(n)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let texts: Vec<_> = (0..100).map(|n| sealed_by(&ring, user(n))).collect();
    drop(ring);
    let ring = open(&dir, &OLD).unwrap();
    assert!((0..).zip(&texts).all(|(n, text)| opens(&ring, user(n), text)));
}
