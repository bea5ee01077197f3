//! What the ISV is told of installations, in the commit that makes, changes or removes them.

use serde_json::json;
use trunnion_core::{
    id::IntegrationId,
    records::{EventType, Installation},
    scope::Scope,
};

use super::{Installer, Planned};
use crate::{
    error::Result,
    outbox::{Happening, Leaving},
};

impl Installer {
    /// One event for each copy that is installed, upgraded or has other values.
    pub(super) async fn tell_isv_of_installing(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        planned: &[Planned],
        existing: &[Installation],
    ) -> Result<Leaving> {
        let mut leaving = Leaving::none();
        for Planned { installation, .. } in planned {
            let before = existing.iter().find(|known| known.id == installation.id).map(|known| known.release);
            let kind = match before {
                None => EventType::InstallationInstalled,
                Some(release) if release == installation.release => EventType::InstallationUpdated,
                Some(_) => EventType::InstallationUpgraded,
            };
            leaving.extend(self.tell_isv(scope, kind, integration, (installation, before)).await?);
        }
        Ok(leaving)
    }

    /// The event of a copy's removal.
    pub(super) async fn tell_isv_of_removing(&self, scope: &Scope, left: &Installation) -> Result<Leaving> {
        let compiled = self.releases.get(scope, left.workflow, left.release).await?;
        let integration = compiled.release.integration;
        self.tell_isv(scope, EventType::InstallationRemoved, integration, (left, None)).await
    }

    async fn tell_isv(
        &self,
        scope: &Scope,
        kind: EventType,
        integration: IntegrationId,
        (installation, previous): (&Installation, Option<u32>),
    ) -> Result<Leaving> {
        let Installation { id, user, workflow, release, active, .. } = installation;
        let data = json!({
            "installation_id": id,
            "workflow_id": workflow,
            "integration_id": integration,
            "user_id": user,
            "release": release,
            "previous_release": previous,
            "active": active,
        });
        self.outbox.event(scope, Happening { kind, user: Some(*user), data }).await
    }
}
