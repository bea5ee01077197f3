//! Compiled components on disk.
//!
//! A compiled file is native code: whoever can write one runs inside the host. So the directory is the
//! host's alone (0700), each file carries an HMAC over its name and content, and one that does not verify
//! is made anew. The name holds the component's digest and everything the compiler's output depends on.

use std::{
    fs,
    hash::{Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::{digest, hmac};
use trunnion_core::records::Digest;
use wasmtime::Engine;

use crate::options::CompileOptions;

const TAG_BYTES: usize = 32;
const DOMAIN: &[u8] = b"trunnion compiled component 1\0";

/// A directory of compiled files.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    key: hmac::Key,
    compatibility: String,
}

impl Cache {
    /// The configured one; absent without a directory or without a key.
    pub(crate) fn open(options: &CompileOptions, engine: &Engine) -> io::Result<Option<Self>> {
        let Some(dir) = options.cache_dir.as_ref().filter(|_| !options.cache_key.is_empty()) else {
            return Ok(None);
        };
        make_private(dir)?;
        let mut hasher = Sha256(digest::Context::new(&digest::SHA256));
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = hex::encode(hasher.0.finish().as_ref().get(..16).unwrap_or_default());
        Ok(Some(Self {
            dir: dir.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &options.cache_key),
            compatibility,
        }))
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{digest}-{}.native", self.compatibility)
    }

    /// The authenticated native code of this component, if there is any.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let name = self.name(digest);
        let path = self.dir.join(&name);
        let mut file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component cannot be read; it is compiled again");
                return None;
            }
        };
        let Some((tag, native)) = file.split_at_checked(TAG_BYTES) else {
            tracing::warn!(path = %path.display(), "a compiled component is cut short; it is compiled again");
            return None;
        };
        if hmac::verify(&self.key, &signed(&name, native), tag).is_err() {
            tracing::warn!(path = %path.display(), "a compiled component is not this host's; it is compiled again");
            return None;
        }
        file.drain(..TAG_BYTES);
        Some(file)
    }

    /// Removes the native code of this component, if there is any.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.dir.join(self.name(digest))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps native code. A crash leaves the old file or the new one.
    pub(crate) fn put(&self, digest: &Digest, native: &[u8]) -> io::Result<()> {
        let name = self.name(digest);
        let tag = hmac::sign(&self.key, &signed(&name, native));
        let unfinished = self.dir.join(format!("{name}.{}.part", std::process::id()));
        let written = private_file(&unfinished).and_then(|mut file| {
            file.write_all(tag.as_ref())?;
            file.write_all(native)
        });
        let kept = written.and_then(|()| fs::rename(&unfinished, self.dir.join(&name)));
        if kept.is_err()
            && let Err(error) = fs::remove_file(&unfinished)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %unfinished.display(), %error, "an unfinished compiled component is left behind; remove it");
        }
        kept
    }
}

fn signed(name: &str, native: &[u8]) -> Vec<u8> {
    [DOMAIN, name.as_bytes(), b"\0", native].concat()
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// SHA-256 as a hasher: its result is the same in every process, which the standard library's is not bound to.
struct Sha256(digest::Context);

impl Hasher for Sha256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finish();
        digest.as_ref().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(dir: &Path, key: &[u8]) -> Cache {
        let options = CompileOptions {
            cache_dir: Some(dir.to_owned()),
            cache_key: key.to_vec(),
            ..CompileOptions::default()
        };
        Cache::open(&options, &crate::engine::compiling().unwrap()).unwrap().unwrap()
    }

    #[test]
    fn only_what_this_host_wrote_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("compiled");
        let digest = Digest("ab".repeat(32));
        let own = cache(&inner, b"key");
        assert_eq!(own.get(&digest), None);
        own.put(&digest, b"native").unwrap();
        assert_eq!(own.get(&digest), Some(b"native".to_vec()));
        assert_eq!(cache(&inner, b"other key").get(&digest), None);

        let path = inner.join(own.name(&digest));
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(own.get(&digest), None, "changed");
        fs::write(&path, b"short").unwrap();
        assert_eq!(own.get(&digest), None, "cut short");

        own.put(&digest, b"native").unwrap();
        let other = Digest("cd".repeat(32));
        fs::copy(&path, inner.join(own.name(&other))).unwrap();
        assert_eq!(own.get(&other), None, "another component's");

        own.remove(&digest).unwrap();
        assert_eq!(own.get(&digest), None, "removed");
        own.remove(&digest).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_or_write_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("compiled");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).unwrap();
        let own = cache(&inner, b"key");
        let digest = Digest("ab".repeat(32));
        own.put(&digest, b"native").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join(own.name(&digest))), 0o600);
    }
}
