//! Lookups: choices and shapes that only a user's own account knows, asked of its vendor for a person who fills in a
//! field.
//!
//! Nothing is kept: each answer is the vendor's of this moment. A lookup draws from the limits of its connection as runs
//! do, and never asks where these are closed.

use std::sync::Arc;

use serde_json::{Map, Value};
use trunnion_core::{
    call::CallError,
    id::{ConnectionId, UserId},
    limit::{self, Asking, Turn},
    machine::idempotency_key,
    records::Connection,
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Choices, Connector, Failed, Freshness, LookupQuery};
use trunnion_store::Versioned;

use crate::{
    context::Context,
    error::{Error, Result},
    limits::Limited,
    vault::{How, Stored, Vault},
};

/// Asks vendors for what there is to choose.
#[derive(Clone, Debug)]
pub struct Lookups {
    context: Context,
    vault: Vault,
}

/// Whose connection is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The environment.
    pub scope: &'a Scope,
    /// The user.
    pub user: UserId,
    /// The connection.
    pub connection: ConnectionId,
}

/// What a person is looking for in a field.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the person typed.
    pub search: String,
    /// Where the page starts, as the page before said.
    pub cursor: Option<Value>,
    /// Values already chosen in other fields.
    pub values: Map<String, Value>,
}

/// A page of things to choose.
#[derive(Clone, Debug)]
pub struct Found {
    /// Values, each with what a person reads.
    pub items: Vec<(Value, String)>,
    /// Where the next page starts.
    pub next: Option<Value>,
}

/// What a call of a connection stands on.
struct Ready {
    connector: Connector,
    connection: Stored,
    call: Call,
}

impl Lookups {
    /// Over `context`; credentials are `vault`'s.
    #[must_use]
    pub const fn new(context: Context, vault: Vault) -> Self {
        Self { context, vault }
    }

    /// A page of what the lookup `name` offers in a user's account.
    pub async fn options(&self, asked: Asked<'_>, name: &str, wanted: Wanted) -> Result<Found> {
        let Ready { connector, connection, call } = self.ready(asked, name).await?;
        if connector.manifest().lookup(name).is_none() {
            let known = connector.manifest().lookups.iter().map(|lookup| lookup.id.as_str());
            return Err(unknown("lookup", name, &connection.record.app, known));
        }
        let query = LookupQuery {
            search: wanted.search,
            cursor: wanted.cursor.map(|cursor| cursor.to_string()),
            values: Value::Object(wanted.values).to_string(),
        };
        self.turn(asked, &connector, &connection, None)?;
        let perform = |call| connector.options(call, &query);
        let (answered, connection) = self.vault.call(connection, call, How::READY, perform).await?;
        let Choices { items, next } =
            self.told(asked, (&connector, &connection, None), name, answered).await?;
        let app = &connection.record.app;
        let items = items.into_iter().map(|item| Ok((read(app, name, &item.value)?, item.title)));
        let next = next.map(|next| read(app, name, &next)).transpose()?;
        Ok(Found { items: items.collect::<Result<_>>()?, next })
    }

    /// The JSON Schema of an action's input in a user's account, given values already chosen. Where the action has the
    /// same for everybody, its declared one, and the vendor is not asked.
    pub async fn schema(&self, asked: Asked<'_>, action: &str, values: Map<String, Value>) -> Result<Value> {
        let Ready { connector, connection, call } = self.ready(asked, action).await?;
        let manifest = connector.manifest();
        let Some(spec) = manifest.action(action) else {
            let known = manifest.actions.iter().map(|action| action.id.as_str());
            return Err(unknown("action", action, &connection.record.app, known));
        };
        if !spec.account_schema {
            return Ok(spec.input.clone());
        }
        self.turn(asked, &connector, &connection, Some(action))?;
        let values = Value::Object(values).to_string();
        let perform = |call| connector.schema(call, action, &values);
        let (answered, connection) = self.vault.call(connection, call, How::READY, perform).await?;
        let schema = self.told(asked, (&connector, &connection, Some(action)), action, answered).await?;
        read(&connection.record.app, action, &schema)
    }

    async fn ready(&self, asked: Asked<'_>, name: &str) -> Result<Ready> {
        let Asked { scope, user, connection: id } = asked;
        let Versioned { version, record } = self.vault.connection(scope, user, id).await?;
        let connection = Versioned { version, record: Arc::new(record) };
        let Connection { app, needs_attention, parameters, account, .. } = connection.record.as_ref();
        if let Some(reason) = needs_attention {
            return Err(vendor(app, name, CallError::AuthExpired { message: reason.clone() }));
        }
        let connector = self.context.registry.active(app).ok_or_else(|| {
            Error::not_found("app-unknown", format!("the connector of `{app}` is not loaded; put it back"))
        })?;
        let call = Call {
            scope: *scope,
            user: Some(user),
            connection: Some(id),
            name: name.to_owned(),
            parameters: parameters.clone(),
            account: account.clone(),
            idempotency_key: idempotency_key(id.0.into(), name),
            attempt: 1,
            // The vault puts them in.
            secrets: Arc::default(),
            deadline: None,
            instance: Freshness::MayBeWarm,
        };
        Ok(Ready { connector, connection, call })
    }

    /// Refuses where the vendor's limits are closed: a person can ask again, and runs come first.
    fn turn(
        &self,
        asked: Asked<'_>,
        connector: &Connector,
        connection: &Stored,
        action: Option<&str>,
    ) -> Result<()> {
        let drawn = limit::drawn_from(connector.manifest(), action);
        let of = Limited::Connection(*asked.scope, asked.connection);
        let now = self.context.now();
        match self.context.limits.turn(&of, &drawn, Asking::First, now) {
            Turn::Now => Ok(()),
            Turn::At(until) => {
                let wait = u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
                let error = CallError::RateLimited { retry_after_ms: Some(wait) };
                Err(vendor(&connection.record.app, "the lookup", error))
            }
        }
    }

    /// Takes in what a call says about the vendor's limits and a credential that expired.
    async fn told<T>(
        &self,
        asked: Asked<'_>,
        (connector, connection, action): (&Connector, &Stored, Option<&str>),
        name: &str,
        answered: Result<Answer<T>, Failed>,
    ) -> Result<T> {
        let (result, observations) = match answered {
            Ok(Answer { value, observations, .. }) => (Ok(value), observations),
            Err(Failed { error, observations, .. }) => (Err(error), observations),
        };
        let drawn = limit::drawn_from(connector.manifest(), action);
        let of = Limited::Connection(*asked.scope, asked.connection);
        // Whoever asks is told to come again; nobody waits here.
        let _until =
            self.context.limits.told(&of, &drawn, &observations, result.as_ref().err(), self.context.now());
        if let Err(CallError::AuthExpired { message }) = &result {
            self.vault.needs_attention(asked.scope, connection, message).await?;
        }
        result.map_err(|error| vendor(&connection.record.app, name, error))
    }
}

fn vendor(app: &str, name: &str, error: CallError) -> Error {
    Error::Vendor { message: format!("`{app}` could not be asked for `{name}`: {error}"), error }
}

fn unknown<'a>(what: &str, name: &str, app: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<_> = known.map(|known| format!("`{known}`")).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message = format!("the connector of `{app}` has no {what} `{name}`; it has {known}");
    Error::not_found("lookup-unknown", message)
}

fn read(app: &str, name: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("the answer is not JSON: {error}; report it to the connector's author");
        vendor(app, name, CallError::Trapped { message })
    })
}
