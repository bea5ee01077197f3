//! Users, with their ids and names.

use std::collections::HashSet;

use trunnion_core::{id::UserId, records::User, scope::Scope};
use trunnion_store::{Batch, CommitError, KeyOwner, tables::Users as Table};

use super::{Fate, Importer, MAX_CONFLICTS, at_most, busy};
use crate::{
    error::{Error, Result, present},
    users::check,
};

/// A user as it was elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRow {
    /// The id, which is kept.
    pub id: String,
    /// The unique name.
    pub username: Option<String>,
    /// What a person calls the user.
    pub full_name: Option<String>,
}

/// Ids and names of the rows before, in the same request.
#[derive(Debug, Default)]
struct Before<'a> {
    ids: HashSet<UserId>,
    names: HashSet<&'a str>,
}

impl Importer {
    /// Takes over users, those that are good in one commit; what became of each row, in their order.
    pub async fn users(&self, scope: &Scope, rows: &[UserRow]) -> Result<Vec<Fate>> {
        at_most(rows.len())?;
        for _ in 0..MAX_CONFLICTS {
            let mut before = Before::default();
            let (mut fates, mut new) = (Vec::with_capacity(rows.len()), Vec::new());
            for row in rows {
                fates.push(match self.judge(scope, row, &mut before).await? {
                    Ok(None) => Fate::Unchanged,
                    Ok(Some(user)) => {
                        new.push(user);
                        Fate::Created
                    }
                    Err(why) => Fate::Refused(why),
                });
            }
            let owners = new.iter().map(|user| KeyOwner::User(*scope, user.id)).collect();
            self.context.store.keys().create_all(owners).await?;
            let mut batch = Batch::new();
            new.iter().for_each(|user| self.users.insert(scope, user, &mut batch));
            match self.context.store.commit(batch).await {
                Ok(_) => return Ok(fates),
                // Somebody took one of the names or ids meanwhile.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        Err(busy())
    }

    /// The user that a row makes, none where it is here, or why the row is not taken.
    async fn judge<'a>(
        &self,
        scope: &Scope,
        row: &'a UserRow,
        before: &mut Before<'a>,
    ) -> Result<Result<Option<User>, String>> {
        let id: UserId = match row.id.parse() {
            Ok(id) => id,
            Err(error) => return Ok(Err(format!("`userId`: {error}"))),
        };
        let Some(username) = row.username.as_deref() else {
            return Ok(Err(format!("user `{id}` has no `username`, by which it is found; give it one")));
        };
        if let Err(error) = check(username) {
            return Ok(Err(error.to_string()));
        }
        if self.context.store.keys().is_erased(KeyOwner::User(*scope, id)) {
            return Ok(Err(format!("user `{id}` was deleted here, and nobody becomes that user again")));
        }
        if let Some(known) = present(self.context.store.get::<Table>(scope, &id).await)? {
            let same = known.record.username == username;
            let other =
                || format!("user `{id}` is here under another username; rename it with PUT /users/{id}");
            return Ok(if same { Ok(None) } else { Err(other()) });
        }
        if !before.ids.insert(id) || !before.names.insert(username) {
            return Ok(Err(format!(
                "user `{id}` or its username `{username}` stands in an earlier row, too"
            )));
        }
        if self.users.is_taken(scope, username).await? {
            return Ok(Err(format!("username `{username}` is another user's here; rename one of them")));
        }
        let now = self.context.now();
        let (username, full_name) = (username.to_owned(), row.full_name.clone());
        Ok(Ok(Some(User { id, username, full_name, created_at: now, updated_at: now })))
    }
}
