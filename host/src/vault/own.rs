//! The environment's own connections: the ISV's credentials at a vendor, for steps that users do not see.
//!
//! Such a connection is one like any other, under [`Connection::OWN`] in the place of a user, and sealed under the
//! environment's key. Steps name it by the name it has here, when they are performed: so a run goes on with new values as
//! soon as they are kept.

use std::sync::Arc;

use trunnion_core::{
    id::ConnectionId,
    records::{Connection, OwnConnection},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select, Versioned,
    tables::{Connections, OwnConnections},
};

use super::{Given, Stored, Vault};
use crate::{
    condition::Condition,
    error::{Error, Result},
};

/// Longest name.
const LONGEST: usize = 64;

impl Vault {
    /// Checks the ISV's own credential at the vendor and keeps it under `name`, where `condition` holds of the connection
    /// of that name; new values of the same account mend the one there is.
    pub async fn connect_own(
        &self,
        scope: &Scope,
        name: &str,
        app: &str,
        given: Given,
        condition: &Condition,
    ) -> Result<Versioned<Connection>> {
        check_name(name)?;
        // Before the vendor is asked anything; the commit that follows is over what is found then.
        let known = self.own(scope, name).await?;
        condition.holds(known.map(|known| known.version), &named(name))?;
        let connection = self.checked(scope, Connection::OWN, app, given, self.context.ids.next()).await?;
        self.take_in_own(scope, name, connection, condition).await
    }

    /// Keeps a connection of the environment's own that its vendor knows. One commit makes the connection and its name.
    pub(super) async fn take_in_own(
        &self,
        scope: &Scope,
        name: &str,
        new: Connection,
        condition: &Condition,
    ) -> Result<Versioned<Connection>> {
        let _settled = self.context.registry.settled().await;
        self.still_complete(&new)?;
        if let Some(known) = self.context.store.get::<OwnConnections>(scope, &name.to_owned()).await? {
            let old = self.connection(scope, Connection::OWN, known.record.connection).await?.record;
            if old.app != new.app || old.account != new.account {
                let message = format!(
                    "the connection `{name}` is of account `{}` at `{}`; remove it first, or choose another name",
                    old.account, old.app
                );
                return Err(Error::invalid("credential-other-account", message));
            }
            return self.mend_where(scope, (Connection::OWN, old.id), Some(&new), condition).await;
        }
        condition.holds(None, &named(name))?;
        let own = OwnConnection {
            name: name.to_owned(),
            app: new.app.clone(),
            connection: new.id,
            created_at: new.created_at,
        };
        let mut batch = Batch::new();
        batch.insert::<Connections>(scope, &(Connection::OWN, new.id), &new);
        batch.insert::<OwnConnections>(scope, &own.name, &own);
        match self.context.store.commit(batch).await {
            Ok(version) => Ok(Versioned { record: new, version }),
            Err(CommitError::Conflict { .. }) => {
                let message = format!("somebody else connects `{name}` just now; try again");
                Err(Error::conflict("credential-busy", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// The environment's own connections, by name.
    pub async fn own_connections(&self, scope: &Scope) -> Result<Vec<(String, Connection)>> {
        let mut found = Vec::new();
        for entry in self.context.store.list::<OwnConnections>(scope, Select::all()).await? {
            let key = (Connection::OWN, entry.record.connection);
            if let Some(connection) = self.context.store.get::<Connections>(scope, &key).await? {
                found.push((entry.record.name, connection.record));
            }
        }
        Ok(found)
    }

    /// One of the environment's own connections.
    pub async fn own_connection(&self, scope: &Scope, name: &str) -> Result<Stored> {
        self.own(scope, name).await?.ok_or_else(|| unknown(name))
    }

    /// The connection that a step names; none where it was removed.
    pub async fn own(&self, scope: &Scope, name: &str) -> Result<Option<Stored>> {
        let store = &self.context.store;
        let Some(own) = store.recall::<OwnConnections>(scope, &name.to_owned()).await? else {
            return Ok(None);
        };
        let key = (Connection::OWN, own.record.connection);
        Ok(store.recall::<Connections>(scope, &key).await?)
    }

    /// The id of a connection of the environment's own.
    pub async fn own_id(&self, scope: &Scope, name: &str) -> Result<ConnectionId> {
        match self.context.store.recall::<OwnConnections>(scope, &name.to_owned()).await? {
            Some(own) => Ok(Arc::clone(&own.record).connection),
            None => Err(unknown(name)),
        }
    }

    /// Forgets a connection of the environment's own. Steps that name it fail until there is one of that name again.
    pub async fn disconnect_own(&self, scope: &Scope, name: &str) -> Result<()> {
        let Some(own) = self.context.store.get::<OwnConnections>(scope, &name.to_owned()).await? else {
            return Err(unknown(name));
        };
        let mut batch = Batch::new();
        batch.remove::<OwnConnections>(scope, &own.record.name, own.version);
        batch.delete::<Connections>(scope, &(Connection::OWN, own.record.connection));
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(unknown(name)),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

/// A name that definitions can carry.
pub(super) fn check_name(name: &str) -> Result<()> {
    let fits = (1..=LONGEST).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if fits {
        return Ok(());
    }
    let message = format!(
        "`{}` is not a connection's name; use lower-case letters, digits, `-` and `_`, at most {LONGEST}",
        name.chars().take(LONGEST).collect::<String>()
    );
    Err(Error::invalid("connection-name-invalid", message))
}

fn named(name: &str) -> String {
    format!("connection `{name}`")
}

fn unknown(name: &str) -> Error {
    let message = format!(
        "this environment has no connection `{name}` of its own; make it with PUT /v1/connections/{name}"
    );
    Error::not_found("connection-unknown", message)
}
