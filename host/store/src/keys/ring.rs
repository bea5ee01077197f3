//! The ring as others see it: a cheap handle whose slow work runs off the async threads.

use std::{path::Path, sync::Arc};

use aws_lc_rs::hmac;
use trunnion_core::scope::Scope;

use super::{
    KeyError, KeyOwner, MasterKey,
    copy::copy,
    file::{InMemory, OnDisk},
    held::Held,
    seal::{DataKey, mac, random_key, truncated},
};
use crate::table::environment_byte;

/// Data keys by owner. A cheap handle.
#[derive(Clone, Debug)]
pub struct KeyRing {
    inner: Arc<Held>,
}

impl KeyRing {
    /// Opens the key file at `path`, or makes it.
    ///
    /// # Errors
    /// Where the file cannot be used, or `master` does not open it.
    pub fn open(path: impl AsRef<Path>, master: &MasterKey) -> Result<Self, KeyError> {
        let path = path.as_ref();
        Ok(Self { inner: Arc::new(Held::over(Arc::new(OnDisk::open(path)?), path, master)?) })
    }

    /// A ring without a file, for the memory backend.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes.
    pub fn in_memory() -> Result<Self, KeyError> {
        let held = Held::over(
            Arc::new(InMemory::default()),
            Path::new("keys in memory"),
            &MasterKey::new(random_key()?),
        )?;
        Ok(Self { inner: Arc::new(held) })
    }

    /// Makes an owner's data key, unless there is one; it is on disk, power-safe, on return. Keys made at the
    /// same time share one sync.
    ///
    /// # Errors
    /// [`KeyError::Erased`] where the owner was erased.
    pub async fn create(&self, owner: KeyOwner) -> Result<(), KeyError> {
        self.create_all(vec![owner]).await
    }

    /// Makes the data keys of many owners with one sync.
    ///
    /// # Errors
    /// As [`create`](Self::create); keys before the one that failed may have been made.
    pub async fn create_all(&self, owners: Vec<KeyOwner>) -> Result<(), KeyError> {
        self.blocking(move |inner| {
            let mut ticket = 0;
            for owner in owners {
                ticket = inner.make(owner)?.max(ticket);
            }
            inner.sync_to(ticket)
        })
        .await
    }

    /// Destroys an owner's data key: overwritten on disk, power-safe, on return. Everything sealed under it is
    /// unreadable from then on, and the owner can never have a key again. An owner without a key becomes
    /// erased too, so that an erasure can be replayed over restored data.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn destroy(&self, owner: KeyOwner) -> Result<(), KeyError> {
        self.blocking(move |inner| {
            let ticket = inner.destroy(owner)?;
            inner.sync_to(ticket)
        })
        .await
    }

    /// Whether the owner was erased.
    #[must_use]
    pub fn is_erased(&self, owner: KeyOwner) -> bool {
        self.inner.is_erased(owner)
    }

    /// Whether the owner has a key, or had one and was erased.
    #[must_use]
    pub fn knows(&self, owner: KeyOwner) -> bool {
        self.inner.knows(owner)
    }

    /// Copies the key file at `from`, which may be in use, over the copy at `to`, in place: so the keys of owners who
    /// were erased since the last time are overwritten there as well.
    ///
    /// # Errors
    /// Where `from` is no key file, or the copy cannot be written.
    pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), KeyError> {
        copy(from.as_ref(), to.as_ref())
    }

    /// Wraps every data key under `new`. A crash at any moment leaves a file that one of the two master keys
    /// opens: the old one until this returns.
    ///
    /// # Errors
    /// Where the file cannot be written; the old master key then still opens it.
    pub async fn rotate_master(&self, new: MasterKey) -> Result<(), KeyError> {
        self.blocking(move |inner| inner.rotate(&new)).await
    }

    /// The owner's key for sealing. Keys of scopes are made on first use; users' must exist.
    pub(crate) async fn for_sealing(&self, owner: KeyOwner) -> Result<Arc<DataKey>, KeyError> {
        if let Some(key) = self.inner.cache.get(&owner) {
            return Ok(key);
        }
        match self.for_opening(owner) {
            Err(KeyError::Missing { .. }) if !matches!(owner, KeyOwner::User(..)) => {
                self.create(owner).await?;
                self.for_opening(owner)
            }
            other => other,
        }
    }

    /// The owner's key for opening.
    pub(crate) fn for_opening(&self, owner: KeyOwner) -> Result<Arc<DataKey>, KeyError> {
        match self.inner.cache.get(&owner) {
            Some(key) => Ok(key),
            None => self.inner.load(owner),
        }
    }

    pub(crate) fn keyed_hash(&self, scope: &Scope, domain: &str, value: &[u8]) -> [u8; 16] {
        let of_scope = self.inner.hashing.get(scope).unwrap_or_else(|| {
            let place =
                [scope.workspace.as_bytes().as_slice(), &[environment_byte(scope.environment)]].concat();
            let of_scope = hmac::Key::new(hmac::HMAC_SHA256, &mac(&self.inner.index, &[&place]));
            self.inner.hashing.insert(*scope, of_scope.clone());
            of_scope
        });
        truncated(&mac(&of_scope, &[domain.as_bytes(), value]))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Held) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(error) => Err(KeyError::Internal {
                message: "the key ring's worker stopped",
                source: Some(error.into()),
            }),
        }
    }
}
