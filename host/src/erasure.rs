//! Erasure: a user with everything that is theirs.
//!
//! Order makes it safe to die anywhere: vendors are told first, while the credentials for that can still be read;
//! then the user's data key is destroyed, from where on nobody can read anything of theirs, in the store or in a
//! backup of it; the records themselves follow, and what a crash leaves of them is swept (`retention::left`). Until
//! the key is destroyed the user is still known, so that whoever was refused half-way asks again.

use trunnion_core::{id::UserId, records::User, scope::Scope};
use trunnion_store::{
    Batch, CommitError, KeyOwner, Select,
    tables::{Connections, Users as Table, UsersByName},
};

use crate::{
    context::Context,
    error::{Error, Result},
    finish::finish,
    runs::RunLog,
    users::name_key,
    workflows::Installer,
};

/// Erases users.
#[derive(Clone, Debug)]
pub struct Erasure {
    context: Context,
    installer: Installer,
    runs: RunLog,
}

impl Erasure {
    /// What they installed is `installer`'s to remove, what they ran `runs`' to forget.
    #[must_use]
    pub const fn new(context: Context, installer: Installer, runs: RunLog) -> Self {
        Self { context, installer, runs }
    }

    /// Erases a user: workflows with their webhooks at vendors, runs and their logs, connections, and the key under
    /// which everything of theirs is sealed. Runs under way end without a trace.
    ///
    /// To its end, even where the caller goes away: a user is never left half erased by that.
    pub async fn erase(&self, scope: &Scope, user: User) -> Result<()> {
        let (this, scope) = (self.clone(), *scope);
        finish(async move { this.erase_here(&scope, &user).await }).await
    }

    async fn erase_here(&self, scope: &Scope, user: &User) -> Result<()> {
        for copy in self.installer.of_user(scope, user.id).await? {
            match self.installer.withdraw(scope, user.id, copy.workflow).await {
                // Somebody removed it meanwhile.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.runs.forget_all_of(scope, user.id).await?;
        let connections =
            self.context.store.list::<Connections>(scope, Select::all().prefix(&user.id)).await?;
        self.context.store.keys().destroy(KeyOwner::User(*scope, user.id)).await?;
        let mut batch = Batch::new();
        for connection in connections {
            batch.delete::<Connections>(scope, &connection.key);
        }
        batch.delete::<Table>(scope, &user.id);
        self.forget_name(scope, user.id, &user.username, &mut batch).await?;
        match self.context.store.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// The name is free for others, unless somebody else has it already.
    async fn forget_name(&self, scope: &Scope, user: UserId, name: &str, batch: &mut Batch) -> Result<()> {
        let key = name_key(&self.context.store, scope, name);
        let named = self.context.store.get::<UsersByName>(scope, &key).await?;
        if let Some(named) = named.filter(|named| named.record.user == user) {
            batch.remove::<UsersByName>(scope, &key, named.version);
        }
        Ok(())
    }
}
