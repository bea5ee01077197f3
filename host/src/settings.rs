//! What an environment sets for itself: how long its logs are kept.

use std::collections::HashMap;

use trunnion_core::{
    records::EnvironmentSettings,
    scope::{Environment, Scope},
};
use trunnion_store::{Batch, CommitError, Store, Version, tables::Settings as Table};

use crate::{
    condition::Condition,
    context::Context,
    error::{Error, Result},
    retention::RetentionConfig,
};

/// What the one record of an environment is kept under.
const ENVIRONMENT: &str = "environment";

/// The longest that logs are kept, in days.
pub const MOST_LOG_DAYS: u32 = 400;

/// Reads and sets what environments set for themselves.
#[derive(Clone, Debug)]
pub struct Settings {
    context: Context,
    host: RetentionConfig,
}

/// What is in force in an environment.
#[derive(Clone, Copy, Debug)]
pub struct InForce {
    /// What the environment says, as far as it says anything.
    pub own: EnvironmentSettings,
    /// Days that logs are kept where the environment says nothing.
    pub host_log_days: u32,
    /// Which commit wrote it; zero before the first.
    pub version: Version,
}

impl Settings {
    /// Over `context`; what environments do not say is as in `host`.
    #[must_use]
    pub const fn new(context: Context, host: RetentionConfig) -> Self {
        Self { context, host }
    }

    /// What is in force.
    pub async fn get(&self, scope: &Scope) -> Result<InForce> {
        let stored = self.context.store.get::<Table>(scope, &ENVIRONMENT.to_owned()).await?;
        let (own, version) = stored.map(|stored| (stored.record, stored.version)).unwrap_or_default();
        Ok(InForce { own, host_log_days: self.host.days(scope.environment), version })
    }

    /// Sets how many days logs are kept; as the host says where absent. The next sweep goes by it.
    pub async fn put(&self, scope: &Scope, log_days: Option<u32>, condition: &Condition) -> Result<InForce> {
        if let Some(days) = log_days.filter(|days| !(1..=MOST_LOG_DAYS).contains(days)) {
            let message = format!("`log_days` is {days}; logs are kept for 1 to {MOST_LOG_DAYS} days");
            return Err(Error::invalid("settings-invalid", message));
        }
        let known = self.get(scope).await?;
        let found = Some(known.version).filter(|version| *version != Version::ZERO);
        condition.holds(found, "the settings of this environment")?;
        let own = EnvironmentSettings { log_days, updated_at: self.context.now() };
        let (mut batch, key) = (Batch::new(), ENVIRONMENT.to_owned());
        match found {
            Some(version) => batch.replace::<Table>(scope, &key, &own, version),
            None => batch.insert::<Table>(scope, &key, &own),
        }
        match self.context.store.commit(batch).await {
            Ok(version) => Ok(InForce { own, version, ..known }),
            Err(CommitError::Conflict { .. }) => {
                let message = "somebody else changes the settings just now; read them and try again";
                Err(Error::conflict("settings-changed", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

/// The days of every environment that says how long its logs are kept.
pub(crate) async fn log_days(store: &Store) -> Result<HashMap<Scope, u32>> {
    let all = store.all::<Table>().await?;
    let said = all.into_iter().filter_map(|(scope, entry)| Some((scope?, entry.record.log_days?)));
    Ok(said.collect())
}

impl RetentionConfig {
    /// Days that logs of such an environment are kept where it says nothing itself.
    #[must_use]
    pub const fn days(&self, environment: Environment) -> u32 {
        match environment {
            Environment::Development => self.development_days,
            Environment::Production => self.production_days,
        }
    }
}
