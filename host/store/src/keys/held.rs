//! What the ring holds: which owner has which slot, what is durable, what is cached.
//!
//! Everything here may block on the disk. Lock order: `syncing` before `state`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::hmac;
use quick_cache::sync::Cache;
use trunnion_core::scope::Scope;

use super::{
    KeyError, KeyOwner, MasterKey,
    file::Slots,
    seal::{DataKey, internal, mac, random_key, truncated},
    slot::{Holder, SLOT, Slot, checked, verified},
};

pub(super) const MAGIC: &[u8; 8] = b"trunkeys";
const FORMAT: u8 = 1;
/// Slot 0 describes the file.
const FIRST: u32 = 1;
/// Unwrapped keys kept; an active user costs one, about a kilobyte.
const CACHED: usize = 8192;
/// Scopes whose key of keyed hashes is kept.
const SCOPES: usize = 1024;

/// Slots, their owners and the keys in use.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    state: Mutex<State>,
    /// Holds the sync that is under way, so that one serves all who wait for it.
    syncing: Mutex<()>,
    /// Writes up to this ticket are on disk.
    synced: AtomicU64,
    pub(crate) cache: Cache<KeyOwner, Arc<DataKey>>,
    /// What keyed hashes are derived from; it never changes.
    pub(crate) index: hmac::Key,
    /// Derived from it, by scope.
    pub(crate) hashing: Cache<Scope, hmac::Key>,
}

#[derive(Debug)]
struct State {
    slots: Arc<dyn Slots>,
    places: HashMap<KeyOwner, Place>,
    next: u32,
    /// Counts writes.
    written: u64,
    poisoned: bool,
    master: DataKey,
    fingerprint: [u8; 8],
}

#[derive(Clone, Copy, Debug)]
struct Place {
    slot: u32,
    /// The write that made or destroyed it.
    ticket: u64,
    destroyed: bool,
}

impl Held {
    /// Reads the slots there are, or makes the first two.
    pub(crate) fn over(slots: Arc<dyn Slots>, path: &Path, master: &MasterKey) -> Result<Self, KeyError> {
        let fingerprint = fingerprint(master);
        let master = DataKey::new(&master.0)?;
        let io = |action| move |source| KeyError::Io { action, path: path.to_owned(), source };
        let mut all = slots.read_all().map_err(io("read"))?;
        if unfinished(&all) {
            let index = Slot::wrap(Holder::Index, &master, fingerprint, &random_key()?)?;
            all = vec![head(fingerprint), index.encode()];
            // The head is written last: a file without one was never finished and holds nobody's key.
            slots.write(FIRST, &index.encode()).map_err(io("write"))?;
            slots.sync().map_err(io("sync"))?;
            slots.write(0, &head(fingerprint)).map_err(io("write"))?;
            slots.sync().map_err(io("sync"))?;
        }
        check_head(path, all.first(), fingerprint)?;
        let mut index = None;
        let mut places = HashMap::new();
        for (number, bytes) in (0_u32..).zip(&all).skip(1) {
            let slot = Slot::decode(bytes);
            match &slot {
                Slot::Live { holder: Holder::Index, .. } => index = slot.unwrap_key(&master),
                Slot::Live { holder: Holder::Owner(owner), .. } => {
                    places.insert(*owner, Place { slot: number, ticket: 0, destroyed: false });
                }
                Slot::Destroyed { holder: Holder::Owner(owner) } => {
                    places.insert(*owner, Place { slot: number, ticket: 0, destroyed: true });
                }
                Slot::Destroyed { holder: Holder::Index } => {}
                Slot::Torn => {
                    tracing::warn!(slot = number, path = %path.display(), "a key slot was never finished; it holds nobody's key")
                }
            }
        }
        let index = index.ok_or_else(|| KeyError::WrongMaster { path: path.to_owned() })?;
        let next =
            u32::try_from(all.len()).map_err(|_| internal("the key file has more than 4 billion slots"))?;
        let state = State { slots, places, next, written: 0, poisoned: false, master, fingerprint };
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            synced: AtomicU64::new(0),
            cache: Cache::new(CACHED),
            index: hmac::Key::new(hmac::HMAC_SHA256, &index),
            hashing: Cache::new(SCOPES),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a fresh key unless there is one; durable once synced to the ticket that is returned.
    pub(crate) fn make(&self, owner: KeyOwner) -> Result<u64, KeyError> {
        let mut state = self.state();
        match state.places.get(&owner) {
            Some(Place { destroyed: true, .. }) => return Err(KeyError::Erased { owner }),
            Some(place) => return Ok(place.ticket),
            None => {}
        }
        let slot = Slot::wrap(Holder::Owner(owner), &state.master, state.fingerprint, &random_key()?)?;
        self.append(&mut state, owner, &slot)
    }

    pub(crate) fn destroy(&self, owner: KeyOwner) -> Result<u64, KeyError> {
        let mut state = self.state();
        let gone = Slot::Destroyed { holder: Holder::Owner(owner) };
        let ticket = match state.places.get(&owner).copied() {
            Some(Place { destroyed: true, ticket, .. }) => ticket,
            Some(place) => {
                let ticket = self.write(&mut state, place.slot, &gone)?;
                state.places.insert(owner, Place { slot: place.slot, ticket, destroyed: true });
                ticket
            }
            None => {
                let ticket = self.append(&mut state, owner, &gone)?;
                if let Some(place) = state.places.get_mut(&owner) {
                    place.destroyed = true;
                }
                ticket
            }
        };
        self.cache.remove(&owner);
        Ok(ticket)
    }

    fn append(&self, state: &mut State, owner: KeyOwner, slot: &Slot) -> Result<u64, KeyError> {
        let number = state.next;
        let next =
            number.checked_add(1).ok_or_else(|| internal("the key file has more than 4 billion slots"))?;
        let ticket = self.write(state, number, slot)?;
        state.next = next;
        state.places.insert(owner, Place { slot: number, ticket, destroyed: false });
        Ok(ticket)
    }

    fn write(&self, state: &mut State, number: u32, slot: &Slot) -> Result<u64, KeyError> {
        if state.poisoned {
            return Err(KeyError::Poisoned { path: self.path.clone() });
        }
        state.slots.write(number, &slot.encode()).map_err(|source| self.io("write", source))?;
        state.written += 1;
        Ok(state.written)
    }

    /// Returns once the write with `ticket` is on disk. Whoever comes first syncs for all who wait.
    pub(crate) fn sync_to(&self, ticket: u64) -> Result<(), KeyError> {
        if self.synced.load(Ordering::Acquire) >= ticket {
            return Ok(());
        }
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.synced.load(Ordering::Acquire) >= ticket {
            return Ok(());
        }
        let (slots, written) = {
            let state = self.state();
            if state.poisoned {
                return Err(KeyError::Poisoned { path: self.path.clone() });
            }
            (state.slots.clone(), state.written)
        };
        if let Err(source) = slots.sync() {
            // After a failed sync the kernel may have dropped the pages: a second one would prove nothing.
            self.state().poisoned = true;
            return Err(self.io("sync", source));
        }
        self.synced.fetch_max(written, Ordering::AcqRel);
        Ok(())
    }

    /// Reads and unwraps a key. It enters the cache under the lock that `destroy` takes, so that no destroyed
    /// key stays there.
    pub(crate) fn load(&self, owner: KeyOwner) -> Result<Arc<DataKey>, KeyError> {
        loop {
            let state = self.state();
            let place = match state.places.get(&owner) {
                Some(Place { destroyed: true, .. }) => return Err(KeyError::Erased { owner }),
                Some(place) => *place,
                None => return Err(KeyError::Missing { owner }),
            };
            if place.ticket > self.synced.load(Ordering::Acquire) {
                drop(state);
                self.sync_to(place.ticket)?;
                continue;
            }
            let bytes = state.slots.read(place.slot).map_err(|source| self.io("read", source))?;
            let key = Slot::decode(&bytes).unwrap_key(&state.master).ok_or(KeyError::Damaged { owner })?;
            let key = Arc::new(DataKey::new(&key)?);
            self.cache.insert(owner, key.clone());
            return Ok(key);
        }
    }

    pub(crate) fn rotate(&self, new: &MasterKey) -> Result<(), KeyError> {
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        if state.poisoned {
            return Err(KeyError::Poisoned { path: self.path.clone() });
        }
        let fingerprint = fingerprint(new);
        let master = DataKey::new(&new.0)?;
        let all = state.slots.read_all().map_err(|source| self.io("read", source))?;
        let mut fresh = vec![head(fingerprint)];
        for bytes in all.iter().skip(1) {
            let slot = Slot::decode(bytes);
            fresh.push(match &slot {
                Slot::Live { holder, .. } => {
                    let key = slot.unwrap_key(&state.master).ok_or_else(|| damaged(*holder))?;
                    Slot::wrap(*holder, &master, fingerprint, &key)?.encode()
                }
                Slot::Destroyed { .. } | Slot::Torn => *bytes,
            });
        }
        state.slots = state.slots.replace(&fresh)?;
        state.master = master;
        state.fingerprint = fingerprint;
        self.synced.fetch_max(state.written, Ordering::AcqRel);
        Ok(())
    }

    pub(crate) fn is_erased(&self, owner: KeyOwner) -> bool {
        self.state().places.get(&owner).is_some_and(|place| place.destroyed)
    }

    pub(crate) fn knows(&self, owner: KeyOwner) -> bool {
        self.state().places.contains_key(&owner)
    }

    fn io(&self, action: &'static str, source: std::io::Error) -> KeyError {
        if source.kind() == std::io::ErrorKind::StorageFull {
            let message = format!("the disk of {} is full; make room and try again", self.path.display());
            return KeyError::Full { message };
        }
        KeyError::Io { action, path: self.path.clone(), source }
    }
}

/// Recognises a master key without revealing it.
fn fingerprint(master: &MasterKey) -> [u8; 8] {
    truncated(&mac(&hmac::Key::new(hmac::HMAC_SHA256, &master.0), &[b"trunnion key ring"]))
}

fn head(fingerprint: [u8; 8]) -> [u8; SLOT] {
    let mut front = MAGIC.to_vec();
    front.push(FORMAT);
    front.extend_from_slice(&fingerprint);
    checked(front)
}

/// Whether making the file was interrupted: at most the index key's slot was written.
fn unfinished(all: &[[u8; SLOT]]) -> bool {
    all.len() <= 2 && all.first().is_none_or(|head| *head == [0; SLOT])
}

fn check_head(path: &Path, bytes: Option<&[u8; SLOT]>, expected: [u8; 8]) -> Result<(), KeyError> {
    let not = |why| KeyError::NotKeys { path: path.to_owned(), why };
    let front = bytes.and_then(verified).ok_or_else(|| not("its first slot is damaged"))?;
    let (magic, rest) = front.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(not("it begins otherwise"));
    }
    match rest.split_first() {
        Some((&FORMAT, rest)) if rest.starts_with(&expected) => Ok(()),
        Some((&FORMAT, _)) => Err(KeyError::WrongMaster { path: path.to_owned() }),
        _ => Err(not("its format is newer")),
    }
}

fn damaged(holder: Holder) -> KeyError {
    match holder {
        Holder::Owner(owner) => KeyError::Damaged { owner },
        Holder::Index => {
            internal("the key of keyed hashes is damaged; put back the `keys` file that belongs to this data")
        }
    }
}
