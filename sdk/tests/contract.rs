//! Released WIT never changes: every file of the contract is the one that `RELEASED.lock` names.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

fn contract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/connector")
}

/// From path to digest, as `sha256sum` writes them.
fn locked() -> BTreeMap<String, String> {
    let lock = fs::read_to_string(contract().join("RELEASED.lock")).unwrap();
    lock.lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, path)| (path.into(), sum.into()))
        .collect()
}

fn present() -> BTreeMap<String, String> {
    let files = fs::read_dir(contract().join("v1")).unwrap();
    files
        .map(|file| {
            let file = file.unwrap();
            let sum = hex::encode(digest(&SHA256, &fs::read(file.path()).unwrap()));
            (format!("v1/{}", file.file_name().to_string_lossy()), sum)
        })
        .collect()
}

#[test]
fn released_files_are_as_they_were_released() {
    let (locked, present) = (locked(), present());
    assert!(!locked.is_empty());
    assert_eq!(
        locked, present,
        "wit/connector/v1 differs from RELEASED.lock (left: the lock); a released contract never changes, see wit/connector/COMPATIBILITY.md"
    );
}
