//! Integrations and workflows, with their ids, and whose accounts have to be connected again.
//!
//! No API of Alloy's gives a workflow's definition. So a row without one becomes a draft with the name and, as far as the
//! blocks tell it, the trigger: its steps are to be written, and until they are it cannot be released.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use trunnion_core::{
    definition::{Concurrency, Definition, Trigger},
    id::{IntegrationId, UserId, WorkflowId},
    records::{Integration, User, Workflow},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError,
    tables::{Integrations, Workflows},
};

use super::{Fate, Importer, MAX_CONFLICTS, at_most, busy};
use crate::error::{Error, Result};

/// What Alloy calls the trigger that a custom event is.
const CUSTOM_EVENT: &str = "customEvent";

/// An integration as it was elsewhere.
#[derive(Clone, Debug)]
pub struct IntegrationRow {
    /// The id, which is kept.
    pub id: String,
    /// The app.
    pub app: String,
    /// Its workflows.
    pub workflows: Vec<WorkflowRow>,
}

/// A workflow as it was elsewhere.
#[derive(Clone, Debug)]
pub struct WorkflowRow {
    /// The id, which is kept.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// Its blocks, the trigger first.
    pub blocks: Vec<BlockRow>,
    /// Its definition in this host's words, where there is one already.
    pub definition: Option<Value>,
    /// Who had installed it, by id.
    pub users: Vec<String>,
}

/// A block of a workflow.
#[derive(Clone, Debug)]
pub struct BlockRow {
    /// What it does.
    pub name: String,
    /// Its app, or what it is.
    pub kind: String,
}

/// What became of everything.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Each integration, followed by its workflows.
    pub rows: Vec<(Subject, String, Fate)>,
    /// Whose accounts have to be connected again.
    pub reconnect: Vec<Reconnect>,
    /// Users who had installed something and are not here: import them first.
    pub unknown_users: Vec<String>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An integration.
    Integration,
    /// A workflow.
    Workflow,
}

/// A user who had workflows of an app installed and has no account of it connected here.
#[derive(Clone, Debug)]
pub struct Reconnect {
    /// Who.
    pub user: User,
    /// The app.
    pub app: String,
    /// What is to be installed then.
    pub workflows: Vec<WorkflowId>,
}

/// What one commit makes.
#[derive(Debug, Default)]
struct New {
    integrations: HashMap<IntegrationId, Integration>,
    workflows: HashMap<WorkflowId, Workflow>,
    /// Workflows that are here, by app and by who had installed them.
    had: BTreeMap<(String, String), Vec<WorkflowId>>,
}

impl Importer {
    /// Takes over integrations and their workflows, those that are good in one commit.
    pub async fn workflows(&self, scope: &Scope, rows: &[IntegrationRow]) -> Result<Imported> {
        at_most(rows.iter().map(|row| 1 + row.workflows.len()).sum())?;
        for _ in 0..MAX_CONFLICTS {
            let (mut new, mut imported) = (New::default(), Imported::default());
            for row in rows {
                self.integration(scope, row, &mut new, &mut imported).await?;
            }
            let mut batch = Batch::new();
            for (id, integration) in &new.integrations {
                batch.insert::<Integrations>(scope, id, integration);
            }
            for (id, workflow) in &new.workflows {
                batch.insert::<Workflows>(scope, id, workflow);
            }
            match self.context.store.commit(batch).await {
                Ok(_) => {
                    self.reconnect(scope, new.had, &mut imported).await?;
                    return Ok(imported);
                }
                // Somebody made one of them meanwhile.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        Err(busy())
    }

    async fn integration(
        &self,
        scope: &Scope,
        row: &IntegrationRow,
        new: &mut New,
        imported: &mut Imported,
    ) -> Result<()> {
        let judged = self.judge_integration(scope, row, new).await?;
        let (fate, id) = match judged {
            Ok((fate, id)) => (fate, Some(id)),
            Err(why) => (Fate::Refused(why), None),
        };
        imported.rows.push((Subject::Integration, row.id.clone(), fate));
        for workflow in &row.workflows {
            let fate = match id {
                Some(id) => self.workflow(scope, (id, &row.app), workflow, new).await?,
                None => Fate::Refused(format!("its integration `{}` was refused", row.id)),
            };
            imported.rows.push((Subject::Workflow, workflow.id.clone(), fate));
        }
        Ok(())
    }

    async fn judge_integration(
        &self,
        scope: &Scope,
        row: &IntegrationRow,
        new: &mut New,
    ) -> Result<Result<(Fate, IntegrationId), String>> {
        let id: IntegrationId = match row.id.parse() {
            Ok(id) => id,
            Err(error) => return Ok(Err(format!("`integrationId`: {error}"))),
        };
        let app = &row.app;
        if self.context.registry.active(app).is_none() {
            let known = self.context.registry.known_apps();
            return Ok(Err(format!("there is no connector for the app `{app}`; this host has {known}")));
        }
        let stored = self.context.store.get::<Integrations>(scope, &id).await?.map(|stored| stored.record);
        match stored.as_ref().or(new.integrations.get(&id)) {
            Some(known) if known.app == *app => Ok(Ok((Fate::Unchanged, id))),
            Some(known) => {
                Ok(Err(format!("integration `{id}` is one of `{}` here, not of `{app}`", known.app)))
            }
            None => {
                let created_at = self.context.now();
                new.integrations.insert(id, Integration { id, app: app.clone(), created_at });
                Ok(Ok((Fate::Created, id)))
            }
        }
    }

    async fn workflow(
        &self,
        scope: &Scope,
        (integration, app): (IntegrationId, &str),
        row: &WorkflowRow,
        new: &mut New,
    ) -> Result<Fate> {
        let id: WorkflowId = match row.id.parse() {
            Ok(id) => id,
            Err(error) => return Ok(Fate::Refused(format!("`workflowId`: {error}"))),
        };
        let stored = self.context.store.get::<Workflows>(scope, &id).await?.map(|stored| stored.record);
        let fate = match stored.as_ref().or(new.workflows.get(&id)) {
            Some(known) if known.integration == integration => Fate::Unchanged,
            Some(known) => {
                let message = format!("workflow `{id}` is one of integration `{}` here", known.integration);
                return Ok(Fate::Refused(message));
            }
            None => {
                let draft = match self.draft(row) {
                    Ok(draft) => draft,
                    Err(why) => return Ok(Fate::Refused(why)),
                };
                let now = self.context.now();
                let (created_at, updated_at) = (now, now);
                let workflow = Workflow { id, integration, draft, latest_release: 0, created_at, updated_at };
                new.workflows.insert(id, workflow);
                Fate::Created
            }
        };
        for user in &row.users {
            new.had.entry((app.to_owned(), user.clone())).or_default().push(id);
        }
        Ok(fate)
    }

    fn draft(&self, row: &WorkflowRow) -> Result<Definition, String> {
        if let Some(definition) = &row.definition {
            return Definition::parse(definition).map_err(|problems| format!("`definition`: {problems}"));
        }
        let trigger = match row.blocks.first() {
            Some(block)
                if block.kind != CUSTOM_EVENT && self.context.registry.active(&block.kind).is_some() =>
            {
                Trigger::App {
                    app: block.kind.clone(),
                    trigger: block.name.clone(),
                    every: None,
                    options: Value::Object(serde_json::Map::new()),
                    only: BTreeMap::new(),
                }
            }
            Some(block) => Trigger::Event { event: block.name.clone() },
            None => Trigger::Event { event: row.name.clone() },
        };
        let (fields, maps, steps) = (Vec::new(), BTreeMap::new(), Vec::new());
        Ok(Definition {
            name: row.name.clone(),
            trigger,
            fields,
            maps,
            concurrency: Concurrency::Parallel,
            steps,
        })
    }

    /// Whose accounts are not connected here, of those who had installed something.
    async fn reconnect(
        &self,
        scope: &Scope,
        had: BTreeMap<(String, String), Vec<WorkflowId>>,
        imported: &mut Imported,
    ) -> Result<()> {
        let mut unknown = HashSet::new();
        for ((app, named), workflows) in had {
            let known = match named.parse::<UserId>() {
                Ok(_) => self.users.find(scope, &named).await,
                Err(error) => Err(Error::not_found("id-malformed", error.to_string())),
            };
            let user = match known {
                Ok(user) => user,
                Err(Error::NotFound { .. }) => {
                    unknown.insert(named);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let connections = self.vault.connections(scope, user.id).await?;
            if !connections.iter().any(|connection| connection.app == app) {
                imported.reconnect.push(Reconnect { user, app, workflows });
            }
        }
        imported.unknown_users = unknown.into_iter().collect();
        imported.unknown_users.sort_unstable();
        Ok(())
    }
}
