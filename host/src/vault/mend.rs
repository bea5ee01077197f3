//! Connections that their vendors no longer accept, and how they come to work again.
//!
//! Every way of mending goes by the vendor's word: new values are checked there, and so are the old ones where
//! somebody says that they work again.

use std::borrow::Borrow;

use trunnion_core::{
    id::{ConnectionId, UserId},
    records::{Connection, EventType},
    scope::Scope,
};
use trunnion_store::{Batch, CommitError, Versioned, tables::Connections};

use super::{Given, Vault, renew::Need};
use crate::{
    condition::Condition,
    error::{Error, Result},
    finish::finish,
    outbox::{Happening, Leaving},
    runs::Work,
};

/// How often a connection is read again after somebody else changed it.
const MAX_CONFLICTS: u32 = 8;

impl Vault {
    /// Marks a connection that its vendor no longer accepts: as it was `used`, so that a refusal of old values that
    /// comes late does not condemn new ones.
    pub async fn needs_attention<C: Borrow<Connection> + Sync>(
        &self,
        scope: &Scope,
        used: &Versioned<C>,
        reason: &str,
    ) -> Result<()> {
        let (record, version): (&Connection, _) = (used.record.borrow(), &used.version);
        if record.needs_attention.is_some() {
            return Ok(());
        }
        let marked = Connection {
            needs_attention: Some(reason.to_owned()),
            updated_at: self.context.now(),
            ..record.clone()
        };
        let mut batch = Batch::new();
        batch.replace::<Connections>(scope, &(record.user, record.id), &marked, *version);
        match self.told(scope, batch, EventType::ConnectionNeedsAttention, &marked).await? {
            Ok(_) => Ok(()),
            // Somebody marked, mended or removed it meanwhile: their word is newer.
            Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// Whether work on a connection need not wait for it: it works, as far as is known, or is gone for good, which
    /// the work then says.
    pub async fn is_usable(&self, scope: &Scope, user: UserId, id: ConnectionId) -> Result<bool> {
        let store = &self.context.store;
        let stored = match store.recall::<Connections>(scope, &(user, id)).await? {
            Some(stored) => Some(stored),
            // Hidden steps wait for the environment's own.
            None => store.recall::<Connections>(scope, &(Connection::OWN, id)).await?,
        };
        Ok(stored.is_none_or(|stored| stored.record.needs_attention.is_none()))
    }

    /// Has `work` go on when a connection is mended.
    pub async fn go_on_when_mended(
        &self,
        scope: &Scope,
        user: UserId,
        id: ConnectionId,
        work: Work,
    ) -> Result<()> {
        self.attention().wait(id, work, self.context.now());
        // Mended between the refusal and now: nobody else would wake it.
        if self.is_usable(scope, user, id).await? {
            self.attention().wake(id);
        }
        Ok(())
    }

    /// Gives a connection new values: those of the same account, checked at the vendor.
    pub async fn update(
        &self,
        scope: &Scope,
        user: UserId,
        id: ConnectionId,
        given: Given,
    ) -> Result<Connection> {
        let old = self.connection(scope, user, id).await?.record;
        let new = self.checked(scope, user, &old.app, given, id).await?;
        if new.account != old.account {
            let message = format!(
                "these values are of another account (`{}`) than credential `{id}` (`{}`); connect that account as a \
                 credential of its own",
                new.account, old.account
            );
            return Err(Error::invalid("credential-other-account", message));
        }
        let _settled = self.context.registry.settled().await;
        self.still_complete(&new)?;
        self.mend(scope, user, id, Some(&new)).await
    }

    /// Asks the vendor whether a connection works as it is; where it does, it needs attention no more.
    pub async fn check(&self, scope: &Scope, user: UserId, id: ConnectionId) -> Result<Connection> {
        let Versioned { mut record, .. } = self.connection(scope, user, id).await?;
        if self.is_ending(&record) {
            let renewed = self.renew(scope, (user, id), Need::Checked).await?;
            let failed = |error| Error::Vendor {
                message: format!("the token of credential `{id}` could not be renewed: {error}"),
                error,
            };
            record = Connection::clone(&renewed.map_err(failed)?.record);
        }
        self.ask(scope, &record).await?;
        self.mend(scope, user, id, None).await
    }

    /// Mends every connection of the same account that needs attention, with what `new` has; the first of them.
    pub(super) async fn mend_all(&self, scope: &Scope, new: &Connection) -> Result<Option<Connection>> {
        let broken =
            self.connections(scope, new.user).await?.into_iter().filter(|old| {
                old.app == new.app && old.account == new.account && old.needs_attention.is_some()
            });
        let mut first = None;
        for old in broken {
            let mended = self.mend(scope, new.user, old.id, Some(new)).await?;
            first = first.or(Some(mended));
        }
        Ok(first)
    }

    /// Clears the mark, takes over new values, and lets whatever waited go on.
    pub(super) async fn mend(
        &self,
        scope: &Scope,
        user: UserId,
        id: ConnectionId,
        new: Option<&Connection>,
    ) -> Result<Connection> {
        Ok(self.mend_where(scope, (user, id), new, &Condition::Any).await?.record)
    }

    /// As [`Self::mend`], where `condition` holds of the connection that is mended.
    pub(super) async fn mend_where(
        &self,
        scope: &Scope,
        (user, id): (UserId, ConnectionId),
        new: Option<&Connection>,
        condition: &Condition,
    ) -> Result<Versioned<Connection>> {
        for _ in 0..MAX_CONFLICTS {
            let Versioned { record: old, version } = self.connection(scope, user, id).await?;
            condition.holds(Some(version), &format!("credential `{id}`"))?;
            let Connection { scheme, title, parameters, secrets, tokens, .. } = new.unwrap_or(&old).clone();
            let now = self.context.now();
            let was_broken = old.needs_attention.is_some();
            let mended = Connection {
                scheme,
                title,
                parameters,
                secrets,
                tokens,
                updated_at: now,
                needs_attention: None,
                ..old
            };
            let mut batch = Batch::new();
            batch.replace::<Connections>(scope, &(user, id), &mended, version);
            let leaving = if was_broken {
                let happening = Happening::to_connection(EventType::ConnectionConnected, &mended);
                self.outbox.event(scope, happening).await?
            } else {
                Leaving::none()
            };
            leaving.add_to(&mut batch, scope);
            // To its end: a caller that goes away must not leave anybody waiting for a mended connection.
            let (vault, scope) = (self.clone(), *scope);
            let committed = finish(async move {
                let committed = vault.context.store.commit(batch).await;
                if committed.is_ok() {
                    vault.attention().wake(id);
                    vault.outbox.go(&scope, leaving);
                }
                committed
            });
            match committed.await {
                Ok(version) => return Ok(Versioned { record: mended, version }),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = format!("credential `{id}` changes too quickly to be mended; try again");
        Err(Error::conflict("credential-busy", message))
    }
}
