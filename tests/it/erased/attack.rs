//! Whoever has the files, the keys and the master key, and reads by the documented formats what can be read, with no code
//! of the store's sealing.

use std::{fs, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use trunnion_store::{
    backend::{Backend as _, RawScan},
    journal::{Journal, Options},
    select::Direction,
};

/// Bytes of a slot of the key file, and of what a frame begins with.
const SLOT: usize = 128;
const HEAD: usize = 20;

/// Keys of stored records with their values.
pub(super) type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Every data key that a key file still holds.
pub(super) fn data_keys(file: &Path, master: &Path) -> Vec<LessSafeKey> {
    let master: [u8; 32] =
        hex::decode(fs::read_to_string(master).unwrap().trim()).unwrap().try_into().unwrap();
    let master = key(&master);
    let slots = fs::read(file).unwrap();
    let mut keys = Vec::new();
    // Also in slots that say they hold none: what is left of a key must not be of use.
    for slot in slots.chunks(SLOT).skip(1) {
        let (holder, nonce, wrapped) = (&slot[1..28], &slot[36..48], &slot[48..96]);
        if let Some(opened) = open(&master, nonce, holder, wrapped) {
            keys.push(key(&opened));
        }
    }
    keys
}

/// Every record of a store whose host is stopped.
pub(super) async fn store(directory: &Path) -> Records {
    let journal = Journal::open(directory, &Options::default()).unwrap();
    let scan = RawScan { from: vec![0].into(), to: None, limit: None, direction: Direction::Forward };
    let found = journal.scan(scan).await.unwrap();
    journal.close().await.unwrap();
    found.into_iter().map(|(key, record)| (key.to_vec(), record.value.to_vec())).collect()
}

/// Every record of a backup, also such as a later part of it changes.
pub(super) fn backup(file: &Path) -> Records {
    let content = fs::read(file).unwrap();
    let mut rest = content.strip_prefix(b"TRBK1\n").unwrap();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = number(&rest[12..16]);
        let (mut batches, after) = rest[HEAD..].split_at(length);
        rest = after;
        while !batches.is_empty() {
            let changes = number(&batches[8..12]);
            batches = &batches[12..];
            for _ in 0..changes {
                let has_value = batches[0] == 1;
                let key = run(&mut batches, 1);
                if has_value {
                    let value = run(&mut batches, 0);
                    records.push((key, value));
                }
            }
        }
    }
    records
}

/// What of these records can be read.
pub(super) fn readable(records: &Records, keys: &[LessSafeKey]) -> Vec<Vec<u8>> {
    let mut read = Vec::new();
    for (raw_key, value) in records {
        read.push(raw_key.clone());
        let front = match value.get(1) {
            Some(1) => 2,
            Some(2) => 14,
            // As it is, or a file.
            _ => {
                read.push(value.clone());
                continue;
            }
        };
        let (front, sealed) = value.split_at(front);
        let (nonce, body) = sealed.split_at(12);
        let aad = [raw_key.as_slice(), front].concat();
        read.extend(keys.iter().filter_map(|key| open(key, nonce, &aad, body)));
    }
    read
}

fn key(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).unwrap())
}

fn open(key: &LessSafeKey, nonce: &[u8], aad: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    let mut body = body.to_vec();
    key.open_in_place(nonce, Aad::from(aad), &mut body).ok().map(|opened| opened.to_vec())
}

fn number(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes.try_into().unwrap()).try_into().unwrap()
}

/// A run of bytes behind its length, `skip` bytes on.
fn run(input: &mut &[u8], skip: usize) -> Vec<u8> {
    let length = number(&input[skip..skip + 4]);
    let (run, rest) = input[skip + 4..].split_at(length);
    *input = rest;
    run.to_vec()
}
