//! The ISV's own requests at a vendor, through a connection: brokered as a connector's are.
//!
//! The connection's token is renewed in time, and when the vendor refuses it; the request draws from the connection's
//! limits, and is not sent where these are closed. What the vendor answers is the answer, whatever its status: only the
//! connector knows what a refusal means, so none marks the connection.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::ConnectionId,
    limit::{self, Asking, Turn},
    records::{Connection, KeyHolder},
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Exchange, Failed, Forward, Forwarded, Freshness};

use crate::{
    context::Context,
    error::{Error, Result},
    limits::Limited,
    vault::{How, Stored, Vault},
};

/// What the vendor says where it refuses a credential, and where it is asked too much.
const UNAUTHORIZED: u16 = 401;
const TOO_MANY: u16 = 429;

/// Sends requests through connections.
#[derive(Clone, Debug)]
pub struct Forwards {
    context: Context,
    vault: Vault,
}

/// A request; secrets are references.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The method.
    pub method: String,
    /// Where to.
    pub place: Place,
    /// The query without `?`, already encoded; empty where there is none.
    pub query: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Place {
    /// This path at the first host that the connector's manifest names whole.
    Path(String),
    /// This https URL.
    Url(String),
}

impl Forwards {
    /// Over `context`; credentials are `vault`'s.
    #[must_use]
    pub const fn new(context: Context, vault: Vault) -> Self {
        Self { context, vault }
    }

    /// Sends a request through `connection`, for the holder of a key.
    pub async fn send(
        &self,
        scope: &Scope,
        by: &KeyHolder,
        connection: Stored,
        wanted: Wanted,
    ) -> Result<Forwarded> {
        let Connection { id, app, needs_attention, .. } = connection.record.as_ref();
        let (id, app) = (*id, app.clone());
        if let Some(reason) = needs_attention {
            return Err(vendor(&app, CallError::AuthExpired { message: reason.clone() }));
        }
        let manifest = self.context.registry.manifest(&app).ok_or_else(|| {
            Error::not_found("app-unknown", format!("the connector of `{app}` is not loaded; put it back"))
        })?;
        let drawn = limit::drawn_from(&manifest, None);
        let of = Limited::Connection(*scope, id);
        let now = self.context.now();
        if let Turn::At(until) = self.context.limits.turn(&of, &drawn, Asking::First, now) {
            return Err(vendor(&app, CallError::RateLimited { retry_after_ms: Some(millis(until, now)) }));
        }
        let call = call(scope, &connection.record);
        let base = match &wanted.place {
            Place::Url(_) => String::new(),
            Place::Path(_) => Forward::base(&manifest, &call).ok_or_else(|| {
                let message =
                    format!("`{app}` has no host of its own that a path could be of; give the whole `url`");
                Error::invalid("request-place-invalid", message)
            })?,
        };
        let request = request(base, wanted, now);
        // The vendor's refusal is the answer where no other token helps.
        let refused: Mutex<Option<Forwarded>> = Mutex::new(None);
        let perform = |call: Call| {
            let sent = self.context.broker.forward(manifest.clone(), call, request.clone());
            let refused = &refused;
            async move {
                let Answer { value, log, exchanges, observations, cpu } = sent.await?;
                if value.status != UNAUTHORIZED {
                    return Ok(Answer { value, log, exchanges, observations, cpu });
                }
                let message = format!("the vendor answered {UNAUTHORIZED}");
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Err(Failed { error: CallError::AuthExpired { message }, log, exchanges, observations, cpu })
            }
        };
        let (answered, _) = self.vault.call(connection, call, How::READY, perform).await?;
        let (result, exchanges) = match answered {
            Ok(Answer { value, exchanges, .. }) => (Ok(value), exchanges),
            Err(Failed { error, exchanges, .. }) => (Err(error), exchanges),
        };
        note(&app, id, by, &exchanges);
        let refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        let result = match (result, refused) {
            (Err(CallError::AuthExpired { .. }), Some(refused)) => Ok(refused),
            (result, _) => result,
        };
        let limited = result.as_ref().ok().filter(|answer| answer.status == TOO_MANY);
        let limited = limited.map(|answer| CallError::RateLimited { retry_after_ms: retry_after(answer) });
        let error = limited.as_ref().or(result.as_ref().err());
        // Whoever asked is told by the answer; what comes after it waits.
        let _until = self.context.limits.told(&of, &drawn, &[], error, self.context.now());
        result.map_err(|error| match error {
            CallError::Denied { message } => Error::invalid("request-denied", message),
            error => vendor(&app, error),
        })
    }
}

fn call(scope: &Scope, connection: &Connection) -> Call {
    Call {
        scope: *scope,
        user: (!connection.is_own()).then_some(connection.user),
        connection: Some(connection.id),
        name: "request".to_owned(),
        parameters: connection.parameters.clone(),
        account: connection.account.clone(),
        // Nobody is handed it: the ISV's request carries its own.
        idempotency_key: String::new(),
        attempt: 1,
        // The vault puts them in.
        secrets: std::sync::Arc::default(),
        deadline: None,
        instance: Freshness::Fresh,
    }
}

fn request(base: String, Wanted { method, place, query, headers, body }: Wanted, at: Timestamp) -> Forward {
    let mut url = match place {
        Place::Url(url) => url,
        Place::Path(path) => format!("{base}/{}", path.trim_start_matches('/')),
    };
    if !query.is_empty() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&query);
    }
    Forward { method, url, headers, body, at }
}

/// What the operator's log says of it: neither host, path nor query, which may name a person.
fn note(app: &str, connection: ConnectionId, by: &KeyHolder, exchanges: &[Exchange]) {
    for Exchange { method, status, duration_ms, .. } in exchanges {
        tracing::info!(app, %connection, key = %by.id, method, status, duration_ms, "a request was sent through a connection");
    }
}

/// What the vendor asks to wait, where it says so in seconds, as nearly all do.
fn retry_after(answer: &Forwarded) -> Option<u64> {
    let (_, value) = answer.headers.iter().find(|(name, _)| name == "retry-after")?;
    value.trim().parse::<u64>().ok().map(|secs| secs.saturating_mul(1_000))
}

fn millis(until: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX)
}

fn vendor(app: &str, error: CallError) -> Error {
    Error::Vendor { message: format!("the request to `{app}` could not be sent: {error}"), error }
}
