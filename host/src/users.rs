//! Users: an environment's end users, by id or by username.

use trunnion_core::{id::UserId, records::User, scope::Scope};
use trunnion_store::{
    Batch, CommitError, KeyOwner, Select, Store,
    tables::{UserRef, Users as Table, UsersByName},
};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Makes and finds users.
#[derive(Clone, Debug)]
pub struct Users {
    context: Context,
}

impl Users {
    /// Over `context`.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Makes a user.
    pub async fn create(&self, scope: &Scope, username: &str, full_name: Option<String>) -> Result<User> {
        if username.trim().is_empty() || username.chars().count() > 255 {
            return Err(Error::invalid("username-invalid", "`username` has 1 to 255 characters"));
        }
        if username.parse::<UserId>().is_ok() {
            let message =
                format!("username `{username}` looks like a user id (24 hex digits); choose another");
            return Err(Error::invalid("username-invalid", message));
        }
        let now = self.context.now();
        let id = self.context.ids.next();
        let user = User { id, username: username.to_owned(), full_name, created_at: now, updated_at: now };
        let store = &self.context.store;
        let name_key = name_key(store, scope, username);
        if store.get::<UsersByName>(scope, &name_key).await?.is_some() {
            return Err(taken(username));
        }
        store.keys().create(KeyOwner::User(*scope, id)).await?;
        let mut batch = Batch::new();
        batch.insert::<UsersByName>(scope, &name_key, &UserRef { user: id });
        batch.insert::<Table>(scope, &id, &user);
        match store.commit(batch).await {
            Ok(_) => Ok(user),
            Err(CommitError::Conflict { .. }) => Err(taken(username)),
            Err(error) => Err(Error::Commit(error)),
        }
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
            && let Some(user) = store.recall::<Table>(scope, &id).await?
        {
            return Ok(User::clone(&user.record));
        }
        let environment = scope.environment;
        let message = format!("there is no user `{id_or_name}` in {environment}; create it with POST /users");
        Err(Error::not_found("user-unknown", message))
    }

    /// Every user of the environment, oldest first.
    pub async fn all(&self, scope: &Scope) -> Result<Vec<User>> {
        let entries = self.context.store.list::<Table>(scope, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }
}

fn name_key(store: &Store, scope: &Scope, username: &str) -> [u8; 16] {
    store.keyed_hash(scope, "username", username.as_bytes())
}

fn taken(username: &str) -> Error {
    Error::conflict(
        "username-taken",
        format!("username `{username}` already exists; usernames are unique in an environment"),
    )
}
