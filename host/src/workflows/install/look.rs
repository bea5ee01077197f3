//! Installations as people look for them: by workflow, by user, by name.

use trunnion_core::{
    id::{UserId, WorkflowId},
    records::Installation,
    scope::Scope,
};
use trunnion_store::{
    Select,
    tables::{Installations, InstallationsByWorkflow},
};

use super::Installer;
use crate::error::{Error, Result, present};

impl Installer {
    /// Every copy of a workflow in the environment, oldest user first.
    pub async fn of_workflow(&self, scope: &Scope, workflow: WorkflowId) -> Result<Vec<Installation>> {
        let store = &self.context.store;
        let entries = store.list::<InstallationsByWorkflow>(scope, Select::all().prefix(&workflow)).await?;
        let mut found = Vec::new();
        for entry in entries {
            let (_, user, id) = entry.key;
            // One that is being removed, or whose user is being erased, is no longer there.
            let copy = present(store.get::<Installations>(scope, &(user, id)).await)?;
            found.extend(copy.map(|copy| copy.record));
        }
        Ok(found)
    }

    /// A user's copy of a workflow, if there is one.
    pub async fn find(
        &self,
        scope: &Scope,
        user: UserId,
        workflow: WorkflowId,
    ) -> Result<Option<Installation>> {
        Ok(self.of_user(scope, user).await?.into_iter().find(|copy| copy.workflow == workflow))
    }

    /// A user's copy of a workflow; that there is none is an error.
    pub async fn copy_of(&self, scope: &Scope, user: UserId, workflow: WorkflowId) -> Result<Installation> {
        Ok(self.copy(scope, user, workflow).await?.record)
    }

    /// The copy of the workflow of this name among those that the user has installed.
    pub async fn named(&self, scope: &Scope, user: UserId, name: &str) -> Result<Installation> {
        for copy in self.of_user(scope, user).await? {
            let compiled = self.releases.get(scope, copy.workflow, copy.release).await?;
            if compiled.release.definition.name == name {
                return Ok(copy);
            }
        }
        let message = format!("user `{user}` has not installed a workflow of the name `{name}`");
        Err(Error::not_found("installation-unknown", message))
    }
}
