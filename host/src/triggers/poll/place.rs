//! A poller's part of its installation's own commits: made, kept, paused and removed with it.

use serde_json::Value;
use trunnion_core::{
    definition::{Definition, Trigger},
    id::InstallationId,
    manifest::{PollSpec, options},
    polling,
    records::{Connection, Installation, Poller},
    scope::Scope,
};
use trunnion_store::{
    Batch,
    tables::{ActivePollers, PollTimer, Pollers as Table},
};

use super::Pollers;
use crate::error::Result;

impl Pollers {
    /// The declaration of a definition's trigger, where it polls.
    #[must_use]
    pub fn spec(&self, definition: &Definition) -> Option<PollSpec> {
        let Trigger::App { app, trigger, .. } = &definition.trigger else { return None };
        self.context.registry.manifest(app)?.poll(trigger).cloned()
    }

    /// Adds to the commit that installs or upgrades `installation` what its poller becomes. One that still polls the
    /// same trigger of the same account with the same options keeps its position, whatever else changes; any other starts
    /// from now.
    pub async fn place(
        &self,
        scope: &Scope,
        definition: &Definition,
        installation: &Installation,
        connection: Option<&Connection>,
        batch: &mut Batch,
    ) -> Result<()> {
        let known = self.context.store.get::<Table>(scope, &installation.id).await?;
        let (Trigger::App { app, trigger, every, options, .. }, Some(spec), Some(connection)) =
            (&definition.trigger, self.spec(definition), connection)
        else {
            if let Some(known) = known {
                batch.remove::<Table>(scope, &installation.id, known.version);
                batch.delete::<ActivePollers>(scope, &installation.id);
            }
            return Ok(());
        };
        let fresh = Poller {
            installation: installation.id,
            user: installation.user,
            app: app.clone(),
            trigger: trigger.clone(),
            connection: connection.id,
            account: connection.account.clone(),
            every: every.clone(),
            options: told(options, installation),
            cursor: None,
            watermark: None,
            highest: None,
            accepted: 0,
            late: 0,
            last_accepted_at: None,
            last_late_at: None,
            created_at: self.context.now(),
        };
        let same = |known: &Poller| {
            (&known.app, &known.trigger, &known.account, &known.options)
                == (&fresh.app, &fresh.trigger, &fresh.account, &fresh.options)
        };
        match known {
            Some(known) => {
                let poller = if same(&known.record) {
                    Poller { connection: fresh.connection, every: fresh.every, ..known.record }
                } else {
                    fresh
                };
                batch.replace::<Table>(scope, &installation.id, &poller, known.version);
            }
            None => batch.insert::<Table>(scope, &installation.id, &fresh),
        }
        if installation.active {
            batch.put::<ActivePollers>(
                scope,
                &installation.id,
                &timer(installation, Some(&spec), every.as_deref()),
            );
        }
        Ok(())
    }

    /// Adds to the commit that pauses `installation`, or lets it go on, what its poller becomes. Its record is written
    /// again, so that a visit under way commits nothing.
    pub async fn activity(
        &self,
        scope: &Scope,
        definition: &Definition,
        installation: &Installation,
        batch: &mut Batch,
    ) -> Result<()> {
        let Some(known) = self.context.store.get::<Table>(scope, &installation.id).await? else {
            return Ok(());
        };
        batch.replace::<Table>(scope, &installation.id, &known.record, known.version);
        if installation.active {
            let spec = self.spec(definition);
            let timer = timer(installation, spec.as_ref(), known.record.every.as_deref());
            batch.put::<ActivePollers>(scope, &installation.id, &timer);
        } else {
            batch.delete::<ActivePollers>(scope, &installation.id);
        }
        Ok(())
    }

    /// Adds to the commit that removes an installation the end of its poller: a visit under way commits nothing.
    pub fn remove(&self, scope: &Scope, installation: InstallationId, batch: &mut Batch) {
        batch.delete::<Table>(scope, &installation);
        batch.delete::<ActivePollers>(scope, &installation);
    }
}

/// What the trigger is told; null where that is nothing.
fn told(options: &Value, installation: &Installation) -> Value {
    let filled = options::filled(options, &installation.config);
    if filled == options::none() { Value::Null } else { filled }
}

/// Where the connector is missing at the moment, the timer is a guess until the first poll.
fn timer(installation: &Installation, spec: Option<&PollSpec>, every: Option<&str>) -> PollTimer {
    let interval = spec.map_or(polling::SHORTEST_INTERVAL * 60, |spec| polling::interval(spec, every));
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    PollTimer { user: installation.user, interval_ms }
}
