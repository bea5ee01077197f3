//! What a table is: its number, its level, its key, its record and whose record that is.
//!
//! A stored key is the table's number, then the place (nothing, the workspace, or workspace and environment),
//! then the table's own key. Numbers and layouts are stored: they never change.

use serde::{Serialize, de::DeserializeOwned};
use trunnion_core::{
    id::{UserId, WorkspaceId},
    scope::{Environment as Env, Scope},
};

use crate::{key::Key, keys::KeyOwner};

/// Under whose data key a record is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: stored as it is. For records that name no person and hold no secret.
    Plain,
    /// The place's own key: the environment's, the workspace's or the deployment's.
    Scope,
    /// A user's, so that erasing the user erases the record.
    User(UserId),
}

/// A kind of record.
pub trait Table: 'static {
    /// Its number, stable for ever.
    const ID: u8;
    /// Its name in messages.
    const NAME: &'static str;
    /// To what its records belong.
    type Level: Level;
    /// What names a record inside its place.
    type Key: Key;
    /// What is stored.
    type Record: Serialize + DeserializeOwned + Send + 'static;

    /// Whose the record is.
    fn owner(record: &Self::Record) -> Owner;
}

/// Where the records of a table of this level live.
pub type PlaceOf<T> = <<T as Table>::Level as Level>::Place;

/// To what a table's records belong.
pub trait Level: 'static {
    /// What a caller must hold to reach them.
    type Place: Send + Sync;

    /// Appends the place to a stored key.
    fn encode(place: &Self::Place, out: &mut Vec<u8>);

    /// Takes the place from the front of a stored key (without the table's number).
    fn decode(input: &mut &[u8]) -> Option<Self::Place>;

    /// The place's own key owner.
    fn key_owner(place: &Self::Place) -> KeyOwner;

    /// Whose key a user's records there are sealed under.
    fn user_key_owner(place: &Self::Place, user: UserId) -> KeyOwner;

    /// The scope of the place, where it has one. For a workspace's place the environment is arbitrary: either
    /// one reaches the record.
    fn scope(place: &Self::Place) -> Option<Scope>;
}

/// Level of records that belong to the deployment, and the place of them: `store.get::<ApiKeys>(&Deployment, …)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment;

/// Level of records that both environments of a workspace share. The place is any scope of the workspace.
#[derive(Clone, Copy, Debug)]
pub enum Workspace {}

/// Level of records that belong to one environment of a workspace.
#[derive(Clone, Copy, Debug)]
pub enum Environment {}

impl Level for Deployment {
    type Place = Self;

    fn encode(_: &Self, _: &mut Vec<u8>) {}

    fn decode(_: &mut &[u8]) -> Option<Self> {
        Some(Self)
    }

    fn key_owner(_: &Self) -> KeyOwner {
        KeyOwner::Deployment
    }

    /// No table of this level holds a user's records; were there one, it would be the deployment's.
    fn user_key_owner(_: &Self, _: UserId) -> KeyOwner {
        KeyOwner::Deployment
    }

    fn scope(_: &Self) -> Option<Scope> {
        None
    }
}

impl Level for Workspace {
    type Place = Scope;

    fn encode(place: &Scope, out: &mut Vec<u8>) {
        place.workspace.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Scope> {
        WorkspaceId::decode(input).map(|workspace| Scope::new(workspace, Env::Development))
    }

    fn key_owner(place: &Scope) -> KeyOwner {
        KeyOwner::Workspace(place.workspace)
    }

    fn user_key_owner(place: &Scope, user: UserId) -> KeyOwner {
        KeyOwner::User(*place, user)
    }

    fn scope(place: &Scope) -> Option<Scope> {
        Some(*place)
    }
}

impl Level for Environment {
    type Place = Scope;

    fn encode(place: &Scope, out: &mut Vec<u8>) {
        place.workspace.encode(out);
        out.push(environment_byte(place.environment));
    }

    fn decode(input: &mut &[u8]) -> Option<Scope> {
        let workspace = WorkspaceId::decode(input)?;
        let [byte] = <[u8; 1]>::decode(input)?;
        environment_of(byte).map(|environment| Scope::new(workspace, environment))
    }

    fn key_owner(place: &Scope) -> KeyOwner {
        KeyOwner::Environment(*place)
    }

    fn user_key_owner(place: &Scope, user: UserId) -> KeyOwner {
        KeyOwner::User(*place, user)
    }

    fn scope(place: &Scope) -> Option<Scope> {
        Some(*place)
    }
}

/// An environment's stored form.
pub(crate) const fn environment_byte(environment: Env) -> u8 {
    match environment {
        Env::Development => 1,
        Env::Production => 2,
    }
}

/// The environment of a stored form.
pub(crate) const fn environment_of(byte: u8) -> Option<Env> {
    match byte {
        1 => Some(Env::Development),
        2 => Some(Env::Production),
        _ => None,
    }
}

/// The stored key of everything of a table in a place: the prefix of its records' keys.
pub(crate) fn place_prefix<T: Table>(place: &PlaceOf<T>) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    out.push(T::ID);
    <T::Level as Level>::encode(place, &mut out);
    out
}

/// The stored key of one record.
pub(crate) fn raw_key<T: Table>(place: &PlaceOf<T>, key: &T::Key) -> Vec<u8> {
    let mut out = place_prefix::<T>(place);
    key.encode(&mut out);
    out
}

/// Place and key of a stored key.
pub(crate) fn parse_key<T: Table>(raw: &[u8]) -> Option<(PlaceOf<T>, T::Key)> {
    let (&table, mut rest) = raw.split_first()?;
    let place = <T::Level as Level>::decode(&mut rest)?;
    let key = T::Key::decode(&mut rest)?;
    (table == T::ID && rest.is_empty()).then_some((place, key))
}
