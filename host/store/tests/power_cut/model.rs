//! What a store must hold, from what its process told; and how both sides name and read it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use trunnion_core::{
    clock::{Random as _, SeededRandom},
    id::{Id, UserId, WorkspaceId},
    scope::{Environment as Env, Scope},
};
use trunnion_store::{
    Batch, Environment, KeyOwner, KeyRing, MasterKey, Owner, Select, Store, Table,
    journal::{Journal, Options},
    keys::KeyError,
};

/// Records of one batch.
pub(crate) const PARTS: u32 = 3;
/// A batch removes what the one this far before it made.
pub(crate) const KEPT: u32 = 5;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    user: UserId,
    text: String,
}

pub(crate) enum Parts {}

impl Table for Parts {
    const ID: u8 = 211;
    const NAME: &'static str = "Parts";
    type Level = Environment;
    /// User, batch, part.
    type Key = (u32, u32, u32);
    type Record = Part;

    fn owner(record: &Part) -> Owner {
        Owner::User(record.user)
    }
}

pub(crate) fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Env::Production)
}

pub(crate) fn owner(user: u32) -> KeyOwner {
    KeyOwner::User(scope(), user_id(user))
}

fn user_id(user: u32) -> UserId {
    let mut bytes = [9; 12];
    bytes[..4].copy_from_slice(&user.to_be_bytes());
    UserId(Id::from_bytes(bytes))
}

fn text(user: u32, number: u32, part: u32) -> String {
    // One in ten spans several sled values; one in fifty spans several frame parts.
    let size = if number % 50 == 7 {
        150_000
    } else if number % 10 == 3 {
        20_000
    } else {
        400
    };
    // Nothing that compression would make small enough for one value.
    let mut noise = vec![0; size];
    SeededRandom::new(u64::from(user) << 40 | u64::from(number) << 8 | u64::from(part)).fill(&mut noise);
    let letters = noise.into_iter().map(|byte| char::from(b'!' + byte % 64));
    format!("{user} {number} {part} {}", letters.collect::<String>())
}

/// The batch that a user's writer commits as its `number`th.
pub(crate) fn batch(user: u32, number: u32) -> Batch {
    let mut batch = Batch::new();
    for part in 0..PARTS {
        let record = Part { user: user_id(user), text: text(user, number, part) };
        batch.insert::<Parts>(&scope(), &(user, number, part), &record);
        if number >= KEPT {
            batch.delete::<Parts>(&scope(), &(user, number - KEPT, part));
        }
    }
    batch
}

fn master(number: u32) -> MasterKey {
    MasterKey::new([u8::try_from(number % 250).unwrap(); 32])
}

/// Opens the store under master key `number`.
pub(crate) fn open(dir: &Path, number: u32) -> Result<Store, String> {
    open_keys(dir, number).map_err(|error| format!("{error:?}")).and_then(|keys| open_over(dir, keys))
}

fn open_keys(dir: &Path, number: u32) -> Result<KeyRing, KeyError> {
    KeyRing::open(dir.join("keys"), &master(number))
}

fn open_over(dir: &Path, keys: KeyRing) -> Result<Store, String> {
    let options = Options {
        checkpoint_bytes: 200_000,
        note_bytes: 1 << 20,
        cache_bytes: 4 << 20,
        ..Options::default()
    };
    let journal = Journal::open(dir.join("store"), &options).map_err(|error| format!("{error:?}"))?;
    Ok(Store::new(Arc::new(journal), Arc::new(keys)))
}

pub(crate) async fn rotate(store: &Store, number: u32) {
    store.keys().rotate_master(master(number)).await.unwrap();
}

/// What was told of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct User {
    made: bool,
    /// Batches acknowledged.
    batches: u32,
    erasing: bool,
    erased: bool,
}

/// Everything that was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    users: BTreeMap<u32, User>,
    /// The master key in force, and one that it is being exchanged for.
    master: u32,
    coming: Option<u32>,
}

impl Model {
    /// Nothing told, but that master key `number` is in force.
    pub(crate) fn under(number: u32) -> Self {
        Self { master: number, ..Self::default() }
    }

    /// Takes in what a process printed; other lines are the test runner's.
    pub(crate) fn heard<'a>(&mut self, told: impl Iterator<Item = &'a str>) {
        for line in told.flat_map(str::lines) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |word: &&str| word.parse::<u32>().unwrap();
            match words.as_slice() {
                ["made", user] => self.users.entry(number(user)).or_default().made = true,
                ["committed", user, batches] => {
                    let user = self.users.entry(number(user)).or_default();
                    user.batches = user.batches.max(number(batches));
                }
                ["erasing", user] => self.users.entry(number(user)).or_default().erasing = true,
                ["erased", user] => self.users.entry(number(user)).or_default().erased = true,
                ["rotating", key] => self.coming = Some(number(key)),
                ["rotated", key] => {
                    self.master = number(key);
                    self.coming = None;
                }
                _ => {}
            }
        }
    }

    /// What a process would have printed to tell all this.
    pub(crate) fn lines(&self) -> String {
        let mut out = format!("rotated {}\n", self.master);
        for (name, user) in &self.users {
            out += &format!("committed {name} {}\n", user.batches);
            for (holds, word) in [(user.made, "made"), (user.erasing, "erasing"), (user.erased, "erased")] {
                if holds {
                    out += &format!("{word} {name}\n");
                }
            }
        }
        if let Some(coming) = self.coming {
            out += &format!("rotating {coming}\n");
        }
        out
    }

    /// Opens the files under the master key in force, whichever of two it is where they were being exchanged.
    pub(crate) fn open(&self, dir: &Path) -> Result<(Store, u32), String> {
        match (open_keys(dir, self.master), self.coming) {
            (Ok(keys), _) => Ok((open_over(dir, keys)?, self.master)),
            (Err(KeyError::WrongMaster { .. }), Some(coming)) => Ok((open(dir, coming)?, coming)),
            (Err(error), _) => Err(format!("{error:?}")),
        }
    }

    /// Opens the files and compares.
    pub(crate) async fn verify_reopened(&self, dir: &Path) -> Result<(), String> {
        let (store, _) = self.open(dir)?;
        self.verify(&store).await?;
        store.close().await.map_err(|error| format!("closing: {error:?}"))
    }

    async fn verify(&self, store: &Store) -> Result<(), String> {
        for (name, user) in &self.users {
            if user.erased && !store.keys().is_erased(owner(*name)) {
                return Err(format!("user {name} was erased and is not any more"));
            }
            let batches = batches_of(store, *name).await?;
            if store.keys().is_erased(owner(*name)) {
                if !user.erasing {
                    return Err(format!("user {name} is erased, which nobody asked for"));
                }
                if batches > 0 {
                    return Err(format!("user {name} is erased, and their records are read"));
                }
            } else if batches < user.batches {
                return Err(format!(
                    "user {name} was told of {} batches and the store has {batches}",
                    user.batches
                ));
            }
        }
        Ok(())
    }
}

/// How many batches of a user the store has; an error where one is not whole.
async fn batches_of(store: &Store, user: u32) -> Result<u32, String> {
    let entries = store
        .list::<Parts>(&scope(), Select::all().prefix(&user))
        .await
        .map_err(|error| format!("listing user {user}: {error:?}"))?;
    let Some(last) = entries.last().map(|entry| entry.key.1) else { return Ok(0) };
    let expected: Vec<_> = ((last + 1).saturating_sub(KEPT)..=last)
        .flat_map(|number| (0..PARTS).map(move |part| (user, number, part)))
        .collect();
    let found: Vec<_> = entries.iter().map(|entry| entry.key).collect();
    if found != expected {
        return Err(format!("user {user} has {found:?}, not {expected:?}"));
    }
    match entries.iter().find(|entry| entry.record.text != text(user, entry.key.1, entry.key.2)) {
        Some(entry) => Err(format!("{:?} holds something else", entry.key)),
        None => Ok(last + 1),
    }
}
