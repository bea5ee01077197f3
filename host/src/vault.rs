//! The vault: users' credentials, and what a call needs of them.
//!
//! Owns connections from their making to their use. A credential is checked at the vendor before it is kept.
//! Secrets leave the vault only inside `trunnion_sandbox::Secrets`, which no guest can read.

use std::{borrow::Borrow, collections::BTreeMap, sync::Arc};

use quick_cache::sync::Cache;
use trunnion_core::{
    id::{ConnectionId, UserId},
    manifest::{AuthKind, AuthScheme, Manifest},
    records::Connection,
    scope::Scope,
    succession,
};
use trunnion_sandbox::{Call, Connector, Freshness, Secrets};
use trunnion_store::{Batch, Select, Version, Versioned, tables::Connections};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Connections whose secrets are kept ready for calls.
const KEPT: usize = 4_096;

/// Keeps and uses credentials.
#[derive(Clone, Debug)]
pub struct Vault {
    context: Context,
    /// What calls of a connection are handed, by the connection's stored version: what redaction needs is
    /// computed once, and a changed credential is never answered from here.
    ready: Arc<Cache<(ConnectionId, Version), Arc<Secrets>>>,
}

/// What a user gives to connect an app: parameters and secrets, by their names in the manifest.
pub type Given = BTreeMap<String, String>;

impl Vault {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, ready: Arc::new(Cache::new(KEPT)) }
    }

    /// What a call on a connection is handed.
    #[must_use]
    pub fn secrets<C: Borrow<Connection>>(&self, connection: &Versioned<C>) -> Arc<Secrets> {
        let Versioned { version, record } = connection;
        let record: &Connection = record.borrow();
        let key = (record.id, *version);
        if let Some(secrets) = self.ready.get(&key) {
            return secrets;
        }
        let secrets = secrets_of(record, []);
        self.ready.insert(key, Arc::clone(&secrets));
        secrets
    }

    /// Checks a credential at the vendor and keeps it.
    pub async fn connect(&self, scope: &Scope, user: UserId, app: &str, given: Given) -> Result<Connection> {
        let connector = self.connector(app)?;
        let manifest = connector.manifest();
        let (scheme, mut parameters, secrets) = sort_out(manifest, given)?;
        let id: ConnectionId = self.context.ids.next();
        let call = Call {
            scope: *scope,
            user: Some(user),
            connection: Some(id),
            name: "connection".to_owned(),
            parameters: parameters.clone(),
            account: String::new(),
            idempotency_key: trunnion_core::machine::idempotency_key(id.0.into(), "connect"),
            attempt: 1,
            secrets: Arc::new(Secrets::new(secrets.clone()).with_connection_scheme(&scheme.id)),
            deadline: None,
            instance: Freshness::Fresh,
        };
        let account = connector.check_connection(call).await.map_err(|failed| Error::Vendor {
            message: format!("the credential for `{app}` could not be checked: {}", failed.error),
            error: failed.error,
        })?;
        parameters.extend(account.value.parameters);
        let now = self.context.now();
        let connection = Connection {
            id,
            user,
            app: app.to_owned(),
            scheme: scheme.id.clone(),
            account: account.value.id,
            title: account.value.title,
            parameters,
            secrets,
            created_at: now,
            updated_at: now,
            needs_attention: None,
        };
        // The vendor was asked meanwhile, so another version may have taken over.
        let _settled = self.context.registry.settled().await;
        let lacking = succession::lacking(&connection, self.connector(app)?.manifest());
        if !lacking.is_empty() {
            let message = format!(
                "the connector of `{app}` was replaced while the credential was checked, and {}; give it anew",
                lacking.join(", ")
            );
            return Err(Error::invalid("credential-incomplete", message));
        }
        let mut batch = Batch::new();
        batch.insert::<Connections>(scope, &(user, id), &connection);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(connection)
    }

    /// A user's connections, oldest first.
    pub async fn connections(&self, scope: &Scope, user: UserId) -> Result<Vec<Connection>> {
        let entries = self.context.store.list::<Connections>(scope, Select::all().prefix(&user)).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// One connection of a user.
    pub async fn connection(
        &self,
        scope: &Scope,
        user: UserId,
        id: ConnectionId,
    ) -> Result<Versioned<Connection>> {
        match self.context.store.get::<Connections>(scope, &(user, id)).await? {
            Some(connection) => Ok(connection),
            None => {
                let message = format!(
                    "user `{user}` has no credential `{id}`; it may have been removed: connect again"
                );
                Err(Error::not_found("credential-unknown", message))
            }
        }
    }

    /// Marks a connection that its vendor no longer accepts.
    pub async fn needs_attention(
        &self,
        scope: &Scope,
        user: UserId,
        id: ConnectionId,
        reason: &str,
    ) -> Result<()> {
        let stored = self.connection(scope, user, id).await?;
        if stored.record.needs_attention.is_some() {
            return Ok(());
        }
        let record = Connection {
            needs_attention: Some(reason.to_owned()),
            updated_at: self.context.now(),
            ..stored.record
        };
        let mut batch = Batch::new();
        batch.replace::<Connections>(scope, &(user, id), &record, stored.version);
        match self.context.store.commit(batch).await {
            Ok(_) => Ok(()),
            // Somebody mended or removed it meanwhile: their word is newer.
            Err(trunnion_store::CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    fn connector(&self, app: &str) -> Result<Connector> {
        self.context.registry.active(app).ok_or_else(|| {
            let known = self.context.registry.known_apps();
            let message = format!("there is no connector for the app `{app}`; this host has {known}");
            Error::not_found("app-unknown", message)
        })
    }
}

/// The secrets of a connection, with more of the host's own (a subscription's).
#[must_use]
pub fn secrets_of(connection: &Connection, more: impl IntoIterator<Item = (String, String)>) -> Arc<Secrets> {
    let values = connection.secrets.clone().into_iter().chain(more);
    Arc::new(Secrets::new(values).with_connection_scheme(&connection.scheme))
}

/// Finds the auth scheme whose fields were given, and says everything that is missing or too much.
fn sort_out(manifest: &Manifest, mut given: Given) -> Result<(&AuthScheme, Given, Given)> {
    let app = &manifest.id;
    let scheme = manifest
        .connection
        .schemes
        .iter()
        .find(|scheme| fields(scheme).all(|field| given.contains_key(field)))
        .ok_or_else(|| {
            let ways: Vec<_> = manifest
                .connection
                .schemes
                .iter()
                .map(|scheme| {
                    fields(scheme).map(|field| format!("`{field}`")).collect::<Vec<_>>().join(" and ")
                })
                .collect();
            let message = format!(
                "a credential for `{app}` needs {}; give it in `credential.data`",
                ways.join(", or ")
            );
            Error::invalid("credential-incomplete", message)
        })?;
    let mut secrets = Given::new();
    for field in fields(scheme) {
        if let Some(value) = given.remove(field) {
            if value.is_empty() {
                return Err(Error::invalid(
                    "credential-incomplete",
                    format!("`{field}` of the credential for `{app}` is empty"),
                ));
            }
            secrets.insert(field.to_owned(), value);
        }
    }
    let mut parameters = Given::new();
    for parameter in &manifest.connection.parameters {
        let Some(value) = given.remove(&parameter.name) else {
            let message = format!("a credential for `{app}` needs `{}`: {}", parameter.name, parameter.title);
            return Err(Error::invalid("credential-incomplete", message));
        };
        if !parameter.pattern.fits(&value) {
            let expected = parameter.pattern.describe();
            let message = format!("`{}` of the credential for `{app}` must be {expected}", parameter.name);
            return Err(Error::invalid("credential-invalid", message));
        }
        parameters.insert(parameter.name.clone(), value);
    }
    if let Some(unknown) = given.keys().next() {
        let message = format!("a credential for `{app}` has no field `{unknown}`; leave it out");
        return Err(Error::invalid("credential-invalid", message));
    }
    Ok((scheme, parameters, secrets))
}

fn fields(scheme: &AuthScheme) -> impl Iterator<Item = &str> {
    let AuthKind::Fields { fields } = &scheme.kind;
    fields.iter().map(|field| field.name.as_str())
}
