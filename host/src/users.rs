//! Users: an environment's end users, by id or by username.

use std::collections::HashSet;

use trunnion_core::{id::UserId, records::User, scope::Scope};
use trunnion_store::{
    Batch, CommitError, KeyOwner, Select, Store, Versioned,
    tables::{UserRef, Users as Table, UsersByName},
};

use crate::{
    context::Context,
    error::{Error, Result, present},
};

/// Users that are made at once.
const MAX_AT_ONCE: usize = 1_000;

/// How often a change is tried again after somebody else changed the same.
const MAX_CONFLICTS: u32 = 8;

/// Makes and finds users.
#[derive(Clone, Debug)]
pub struct Users {
    context: Context,
}

/// A user as somebody wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The unique name; as it is, in a change without one.
    pub username: Option<String>,
    /// What a person calls the user.
    pub full_name: Option<String>,
}

impl Users {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Makes a user.
    pub async fn create(&self, scope: &Scope, username: &str, full_name: Option<String>) -> Result<User> {
        check(username)?;
        if self.is_taken(scope, username).await? {
            return Err(taken(username));
        }
        let user = self.fresh(username, full_name);
        self.context.store.keys().create(KeyOwner::User(*scope, user.id)).await?;
        let mut batch = Batch::new();
        self.insert(scope, &user, &mut batch);
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(user),
            Err(CommitError::Conflict { .. }) => Err(taken(username)),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Makes many users in one commit. Those whose name is missing, wrong or taken are left out, and given back.
    pub async fn create_all(&self, scope: &Scope, wishes: &[Wish]) -> Result<Vec<Wish>> {
        if wishes.len() > MAX_AT_ONCE {
            let message = format!("{} users at once are too many; send at most {MAX_AT_ONCE}", wishes.len());
            return Err(Error::invalid("users-invalid", message));
        }
        for _ in 0..MAX_CONFLICTS {
            let (mut names, mut users, mut refused) = (HashSet::new(), Vec::new(), Vec::new());
            for wish in wishes {
                let name = wish.username.as_deref().filter(|name| check(name).is_ok());
                match name {
                    Some(name) if names.insert(name) && !self.is_taken(scope, name).await? => {
                        users.push(self.fresh(name, wish.full_name.clone()));
                    }
                    _ => refused.push(wish.clone()),
                }
            }
            if users.is_empty() {
                return Err(Error::invalid("users-invalid", "No valid users provided"));
            }
            let owners = users.iter().map(|user| KeyOwner::User(*scope, user.id)).collect();
            self.context.store.keys().create_all(owners).await?;
            let mut batch = Batch::new();
            users.iter().for_each(|user| self.insert(scope, user, &mut batch));
            match self.context.store.commit(batch).await {
                Ok(_) => return Ok(refused),
                // Somebody took one of the names meanwhile.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = "others make users of the same names just now; try again";
        Err(Error::conflict("username-taken", message))
    }

    /// Changes what is given of a user.
    pub async fn update(&self, scope: &Scope, id: UserId, wish: Wish) -> Result<User> {
        let store = &self.context.store;
        for _ in 0..MAX_CONFLICTS {
            let Some(Versioned { record, version }) = present(store.get::<Table>(scope, &id).await)? else {
                return Err(unknown(scope, &id.to_string()));
            };
            let Wish { username, full_name } = wish.clone();
            let former = record.username.clone();
            let changed = User {
                username: username.unwrap_or_else(|| former.clone()),
                full_name: full_name.or(record.full_name),
                updated_at: self.context.now(),
                ..record
            };
            let mut batch = Batch::new();
            if changed.username != former {
                check(&changed.username)?;
                if self.is_taken(scope, &changed.username).await? {
                    return Err(taken(&changed.username));
                }
                batch.delete::<UsersByName>(scope, &name_key(store, scope, &former));
                let key = name_key(store, scope, &changed.username);
                batch.insert::<UsersByName>(scope, &key, &UserRef { user: id });
            }
            batch.replace::<Table>(scope, &id, &changed, version);
            match store.commit(batch).await {
                Ok(_) => return Ok(changed),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = format!("user `{id}` is changed by others again and again; try again");
        Err(Error::conflict("user-changed", message))
    }

    /// The user of an id or username.
    pub async fn find(&self, scope: &Scope, id_or_name: &str) -> Result<User> {
        let store = &self.context.store;
        let id = match id_or_name.parse::<UserId>() {
            Ok(id) => Some(id),
            Err(_) => {
                let named = store.recall::<UsersByName>(scope, &name_key(store, scope, id_or_name)).await?;
                named.map(|named| named.record.user)
            }
        };
        if let Some(id) = id
            && let Some(user) = present(store.recall::<Table>(scope, &id).await)?
        {
            return Ok(User::clone(&user.record));
        }
        Err(unknown(scope, id_or_name))
    }

    /// Every user of the environment, oldest first.
    pub async fn all(&self, scope: &Scope) -> Result<Vec<User>> {
        let entries = self.context.store.list::<Table>(scope, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    fn fresh(&self, username: &str, full_name: Option<String>) -> User {
        let now = self.context.now();
        let id = self.context.ids.next();
        User { id, username: username.to_owned(), full_name, created_at: now, updated_at: now }
    }

    pub(crate) fn insert(&self, scope: &Scope, user: &User, batch: &mut Batch) {
        let key = name_key(&self.context.store, scope, &user.username);
        batch.insert::<UsersByName>(scope, &key, &UserRef { user: user.id });
        batch.insert::<Table>(scope, &user.id, user);
    }

    /// Whether a user of the environment has this name.
    pub(crate) async fn is_taken(&self, scope: &Scope, username: &str) -> Result<bool> {
        let store = &self.context.store;
        Ok(store.get::<UsersByName>(scope, &name_key(store, scope, username)).await?.is_some())
    }
}

/// What finds a user by name.
pub(crate) fn name_key(store: &Store, scope: &Scope, username: &str) -> [u8; 16] {
    store.keyed_hash(scope, "username", username.as_bytes())
}

/// Refuses what is no username.
pub(crate) fn check(username: &str) -> Result<()> {
    if username.trim().is_empty() || username.chars().count() > 255 {
        return Err(Error::invalid("username-invalid", "`username` has 1 to 255 characters"));
    }
    // Whatever is written so is looked up as an id.
    if username.len() == 24 && username.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("username `{username}` looks like a user id (24 hex digits); choose another");
        return Err(Error::invalid("username-invalid", message));
    }
    Ok(())
}

fn taken(username: &str) -> Error {
    Error::conflict(
        "username-taken",
        format!("username `{username}` already exists; usernames are unique in an environment"),
    )
}

fn unknown(scope: &Scope, id_or_name: &str) -> Error {
    let environment = scope.environment;
    let message = format!("there is no user `{id_or_name}` in {environment}; create it with POST /users");
    Error::not_found("user-unknown", message)
}
