//! When a user's copy of a workflow last had something to do: what people see beside their connections.

use trunnion_core::{
    clock::Timestamp,
    id::{UserId, WorkflowId},
    scope::Scope,
};
use trunnion_store::{Select, tables::RunsByWorkflow};

use super::log::RunLog;
use crate::error::Result;

/// How many of a workflow's newest runs are looked through for the user's: a listing waits for no more. Whoever's last run
/// lies further back is not told of it.
const LOOKED_THROUGH: usize = 512;

impl RunLog {
    /// When the newest ended run of a user and workflow was accepted, if it is among the workflow's newest.
    pub async fn last_of(
        &self,
        scope: &Scope,
        workflow: WorkflowId,
        user: UserId,
    ) -> Result<Option<Timestamp>> {
        let newest = Select::all().prefix(&workflow).backward();
        let rows = self.context.store.page::<RunsByWorkflow>(scope, newest, LOOKED_THROUGH).await?;
        let of_user = rows.entries.iter().find(|row| row.record.user == user);
        Ok(of_user.map(|row| row.key.1.0.created_at()))
    }
}
