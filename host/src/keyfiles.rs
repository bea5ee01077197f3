//! Secrets in files of the data directory: the master key, and the keys a new installation is handed.
//!
//! Files are made with mode 0600, written whole beside their place and moved into it, so that a crash leaves
//! either no file or a good one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use trunnion_core::{clock::Random, id::WorkspaceId};

/// The keys of a new data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysFile {
    /// The operator's key.
    pub operator: String,
    /// The development workspace, with `--dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// The key of its development environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<String>,
    /// The key of its production environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<String>,
}

/// A secret file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read or written.
    #[error("`{path}` could not be {action}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("`{path}` can be read by other users of this machine (mode {mode:o}); run `chmod 600 {path}`")]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error("`{path}` is not {expected}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no master key.
    #[error(
        "there is no master key: set `master_key_file` in the configuration or the environment variable \
         TRUNNION_MASTER_KEY to 64 hex digits (`openssl rand -hex 32`), or use --dev, which makes one"
    )]
    NoMaster,
}

/// The master key in a file.
pub fn read_master(path: &Path) -> Result<[u8; 32], Error> {
    let text = read(path)?;
    parse_master(&text).ok_or_else(|| Error::Malformed { path: path.to_owned(), expected: "64 hex digits" })
}

/// A master key from 64 hex digits.
#[must_use]
pub fn parse_master(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key).ok().map(|()| key)
}

/// The master key in a file, made first where there is none.
pub fn ensure_master(path: &Path, random: &dyn Random) -> Result<[u8; 32], Error> {
    if path.exists() {
        return read_master(path);
    }
    let mut key = [0; 32];
    random.fill(&mut key);
    write(path, hex::encode(key).as_bytes())?;
    Ok(key)
}

/// The API key in a file.
pub fn read_key(path: &Path) -> Result<String, Error> {
    let key = read(path)?.trim().to_owned();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(Error::Malformed { path: path.to_owned(), expected: "one API key" });
    }
    Ok(key)
}

/// The keys in a file; `None` where there is no file.
pub fn read_keys(path: &Path) -> Result<Option<KeysFile>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read(path)?;
    let malformed = |_| Error::Malformed { path: path.to_owned(), expected: "a keys file of this host" };
    serde_json::from_str(&text).map(Some).map_err(malformed)
}

/// Writes the keys.
pub fn write_keys(path: &Path, keys: &KeysFile) -> Result<(), Error> {
    let malformed = |_| Error::Malformed { path: path.to_owned(), expected: "a keys file of this host" };
    let text = serde_json::to_string_pretty(keys).map_err(malformed)?;
    write(path, format!("{text}\n").as_bytes())
}

/// Writes secrets by name, for their owner only.
pub fn write_secrets(path: &Path, secrets: &serde_json::Map<String, serde_json::Value>) -> Result<(), Error> {
    let malformed = |_| Error::Malformed { path: path.to_owned(), expected: "a file of secrets" };
    let text = serde_json::to_string_pretty(secrets).map_err(malformed)?;
    write(path, format!("{text}\n").as_bytes())
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::Io { path: path.to_owned(), action: "read", source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Open { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map_err(failed)
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Io { path: path.to_owned(), action: "written", source };
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    if let Some(directory) = path.parent() {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use trunnion_core::clock::SeededRandom;

    use super::*;

    #[test]
    fn a_master_key_is_made_once_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let first = ensure_master(&path, &SeededRandom::new(1)).unwrap();
        assert_eq!(ensure_master(&path, &SeededRandom::new(2)).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_master(&path), Err(Error::Open { mode: 0o644, .. })));
    }

    #[test]
    fn a_key_file_holds_one_key_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.key");
        write(&path, b"the-key\n").unwrap();
        assert_eq!(read_key(&path).unwrap(), "the-key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_key(&path), Err(Error::Open { mode: 0o640, .. })));
        for content in ["", "\n", "two keys"] {
            write(&path, content.as_bytes()).unwrap();
            assert!(matches!(read_key(&path), Err(Error::Malformed { .. })), "{content:?}");
        }
    }
}
