//! Disconnecting: a user's connection is forgotten, and nothing that stands on it pretends to work.

use trunnion_core::{
    id::{ConnectionId, UserId},
    records::Installation,
    scope::Scope,
};
use trunnion_store::tables::Subscriptions as Table;

use super::{Activity, Installer};
use crate::error::{Error, Result};

impl Installer {
    /// Forgets a user's connection. Workflows that are installed with it are paused, and its webhooks are removed at
    /// the vendor; the user's values stay, so that installing again with another connection takes them up.
    pub async fn disconnect(&self, scope: &Scope, user: UserId, id: ConnectionId) -> Result<()> {
        let connection = self.vault.connection(scope, user, id).await?;
        for copy in self.of_user(scope, user).await? {
            if !copy.connections.values().any(|used| *used == id) {
                continue;
            }
            self.set_active(scope, user, copy.workflow, Activity::Paused).await?;
            let Some(subscription) = copy.subscription else { continue };
            if let Some(stored) = self.context.store.get::<Table>(scope, &subscription).await?
                && stored.record.connection == id
            {
                self.subscriptions.remove(scope, &connection.record, &stored.record).await?;
            }
        }
        self.vault.forget(scope, user, id).await
    }

    /// Refuses to activate a copy whose connection was forgotten: it would start runs that cannot do anything.
    pub(super) async fn still_connected(&self, scope: &Scope, copy: &Installation) -> Result<()> {
        if copy.connections.is_empty() {
            return Ok(());
        }
        let owned = self.vault.connections(scope, copy.user).await?;
        let gone = copy.connections.iter().find(|(_, id)| !owned.iter().any(|known| known.id == **id));
        match gone {
            None => Ok(()),
            Some((app, _)) => {
                let message = format!(
                    "the connection to `{app}` that workflow `{}` was installed with was removed; connect `{app}` and \
                     install the workflow again",
                    copy.workflow
                );
                Err(Error::invalid("credential-missing", message))
            }
        }
    }
}
