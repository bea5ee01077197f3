//! The vault: users' credentials, and what a call needs of them.
//!
//! Owns connections from their making to their use. A credential is checked at the vendor before it is kept.
//! Secrets leave the vault only inside `trunnion_sandbox::Secrets`, which no guest can read. `consent` connects people
//! by OAuth, with the ISV's clients in `apps`; `tokens` speaks to token endpoints, and `renew` sees that every call has a
//! token that works. `attention` knows who waits for a connection to be mended.
//!
//! Invariant: a connection has `tokens` exactly where the vendor issues its secret. What only proves the right to a
//! token (a refresh token, a client's secret, a service account's key) is never part of a call.

mod apps;
mod assertion;
mod attention;
mod consent;
pub(crate) mod grants;
mod mend;
mod own;
mod renew;
pub(crate) mod tokens;

use std::{borrow::Borrow, collections::BTreeMap, sync::Arc};

use quick_cache::sync::Cache;
use trunnion_core::{
    id::{ConnectionId, UserId},
    manifest::{AuthKind, AuthScheme, Manifest, auth::ACCESS_TOKEN},
    records::{Connection, EventType},
    scope::Scope,
    succession,
};
use trunnion_sandbox::{Account, Call, Connector, Freshness, Secrets};
use trunnion_store::{Batch, CommitError, Select, Version, Versioned, tables::Connections};

use self::renew::Flights;
pub use self::{
    apps::{Registering, registration},
    attention::Attention,
    consent::{Query, Returned, Wish},
    renew::{How, Renew, Stored},
};
use crate::{
    context::Context,
    error::{Error, Result},
    finish::finish,
    outbox::{Happening, Outbox},
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
    attention: Arc<Attention>,
    flights: Arc<Flights>,
    outbox: Outbox,
}

/// What a user gives to connect an app: parameters and secrets, by their names in the manifest.
pub type Given = BTreeMap<String, String>;

impl Vault {
    /// Over `context`; what waits for a connection is `attention`'s; `outbox` tells how connections fare.
    #[must_use]
    pub fn new(context: Context, attention: Arc<Attention>, outbox: Outbox) -> Self {
        Self { context, ready: Arc::new(Cache::new(KEPT)), attention, flights: Arc::default(), outbox }
    }

    /// Who waits for a connection to be mended.
    #[must_use]
    pub fn attention(&self) -> &Attention {
        &self.attention
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

    /// Checks a credential at the vendor and keeps it. Where the user has connections of the same account that need
    /// attention, it mends them: the answer is then the first of these, not a new one.
    pub async fn connect(&self, scope: &Scope, user: UserId, app: &str, given: Given) -> Result<Connection> {
        let connection = self.checked(scope, user, app, given, self.context.ids.next()).await?;
        self.take_in(scope, connection).await
    }

    /// Keeps a connection that its vendor knows, or mends those of the same account with it.
    async fn take_in(&self, scope: &Scope, connection: Connection) -> Result<Connection> {
        // The vendor was asked meanwhile, so another version may have taken over.
        let _settled = self.context.registry.settled().await;
        self.still_complete(&connection)?;
        if let Some(mended) = self.mend_all(scope, &connection).await? {
            return Ok(mended);
        }
        let mut batch = Batch::new();
        batch.insert::<Connections>(scope, &(connection.user, connection.id), &connection);
        self.told(scope, batch, EventType::ConnectionConnected, &connection).await?.map_err(Error::Commit)?;
        Ok(connection)
    }

    /// Commits, with the event that tells of it. To its end: a caller that goes away takes neither back.
    async fn told(
        &self,
        scope: &Scope,
        mut batch: Batch,
        kind: EventType,
        connection: &Connection,
    ) -> Result<Result<Version, CommitError>> {
        let leaving = self.outbox.event(scope, Happening::to_connection(kind, connection)).await?;
        leaving.add_to(&mut batch, scope);
        let (store, outbox, scope) = (self.context.store.clone(), self.outbox.clone(), *scope);
        let committed = finish(async move {
            let committed = store.commit(batch).await;
            if committed.is_ok() {
                outbox.go(&scope, leaving);
            }
            committed
        });
        Ok(committed.await)
    }

    /// A connection of what was given, as the vendor knows it; not kept yet.
    async fn checked(
        &self,
        scope: &Scope,
        user: UserId,
        app: &str,
        given: Given,
        id: ConnectionId,
    ) -> Result<Connection> {
        let connector = self.connector(app)?;
        let (scheme, parameters, secrets) = sort_out(connector.manifest(), given)?;
        let blank = self.blank(user, app, &scheme.id, parameters);
        let mut connection = Connection { id, secrets, ..blank };
        if scheme.is_issued() {
            let issued = self.obtain(scope, &connection).await?;
            connection.tokens = Some(issued.map_err(|refusal| consent::refused(app, refusal))?.tokens);
        }
        self.known_at_vendor(scope, connection).await
    }

    /// A connection without a credential yet.
    fn blank(&self, user: UserId, app: &str, scheme: &str, parameters: Given) -> Connection {
        let now = self.context.now();
        Connection {
            id: self.context.ids.next(),
            user,
            app: app.to_owned(),
            scheme: scheme.to_owned(),
            account: String::new(),
            title: String::new(),
            parameters,
            secrets: Given::new(),
            tokens: None,
            created_at: now,
            updated_at: now,
            needs_attention: None,
        }
    }

    /// The connection with what the vendor says of its account.
    async fn known_at_vendor(&self, scope: &Scope, mut connection: Connection) -> Result<Connection> {
        let account = self.ask(scope, &connection).await?;
        connection.account = account.id;
        connection.title = account.title;
        connection.parameters.extend(account.parameters);
        Ok(connection)
    }

    /// Asks the vendor whether a connection works, and whose it is.
    async fn ask(&self, scope: &Scope, connection: &Connection) -> Result<Account> {
        let Connection { id, user, app, .. } = connection;
        let call = Call {
            scope: *scope,
            user: (!connection.is_own()).then_some(*user),
            connection: Some(*id),
            name: "connection".to_owned(),
            parameters: connection.parameters.clone(),
            account: connection.account.clone(),
            idempotency_key: trunnion_core::machine::idempotency_key(id.0.into(), "connect"),
            attempt: 1,
            secrets: secrets_of(connection, []),
            deadline: None,
            instance: Freshness::Fresh,
        };
        let account = self.connector(app)?.check_connection(call).await;
        account.map(|answer| answer.value).map_err(|failed| Error::Vendor {
            message: format!("the credential for `{app}` could not be checked: {}", failed.error),
            error: failed.error,
        })
    }

    /// Refuses a connection that the connector of now cannot work with.
    fn still_complete(&self, connection: &Connection) -> Result<()> {
        let app = &connection.app;
        let lacking = succession::lacking(connection, self.connector(app)?.manifest());
        if lacking.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the connector of `{app}` was replaced while the credential was checked, and {}; give it anew",
            lacking.join(", ")
        );
        Err(Error::invalid("credential-incomplete", message))
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

    /// Forgets a connection of a user. Work that waits for it goes on, and says that it is gone.
    pub async fn forget(&self, scope: &Scope, user: UserId, id: ConnectionId) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete::<Connections>(scope, &(user, id));
        match self.context.store.get::<Connections>(scope, &(user, id)).await? {
            Some(known) => self.told(scope, batch, EventType::ConnectionRemoved, &known.record).await?,
            None => self.context.store.commit(batch).await,
        }
        .map_err(Error::Commit)?;
        self.attention.wake(id);
        Ok(())
    }

    /// Where vendors send people back to, unless a registration says something else.
    #[must_use]
    pub fn callback_url(&self) -> String {
        format!("{}/oauth/callback", self.context.public_url)
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
    let own = match &connection.tokens {
        Some(tokens) => BTreeMap::from([(ACCESS_TOKEN.to_owned(), tokens.access.clone())]),
        None => connection.secrets.clone(),
    };
    Arc::new(Secrets::new(own.into_iter().chain(more)).with_connection_scheme(&connection.scheme))
}

/// Finds the auth scheme whose fields were given, and says everything that is missing or too much. Of several, the one
/// that asks for most is meant: one that asks for nothing (the app registration is the credential) always fits.
fn sort_out(manifest: &Manifest, mut given: Given) -> Result<(&AuthScheme, Given, Given)> {
    let app = &manifest.id;
    let schemes = &manifest.connection.schemes;
    let by_fields = || schemes.iter().rev().filter(|scheme| !matches!(scheme.kind, AuthKind::Oauth2(_)));
    let scheme = by_fields()
        .filter(|scheme| fields(scheme).all(|field| given.contains_key(field)))
        .max_by_key(|scheme| scheme.asks().len())
        .ok_or_else(|| {
            let named = |scheme: &AuthScheme| {
                fields(scheme).map(|field| format!("`{field}`")).collect::<Vec<_>>().join(" and ")
            };
            let mut ways: Vec<_> =
                by_fields().rev().map(|scheme| format!("{} in `credential.data`", named(scheme))).collect();
            if by_fields().count() < schemes.len() {
                ways.push("the user's consent by /headless/oauthUrl".to_owned());
            }
            let message = format!("a credential for `{app}` needs {}", ways.join(", or "));
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
    scheme.asks().iter().map(|field| field.name.as_str())
}
