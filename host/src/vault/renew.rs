//! Tokens that end: how a connection comes to one that works, for whoever calls.
//!
//! Invariants: of one connection at most one token request is under way in this process (a *flight*); what a vendor
//! issued is durable before anybody uses it, and a disk that is full is waited for, since the vendor has already
//! forgotten the old refresh token; a flight comes to its end though its caller goes away. Whoever finds a newer token
//! than the one that was refused uses that. Between processes the record's version decides: who loses reads again.
//!
//! A process that dies between a vendor's answer and the commit leaves the old refresh token. The next call shows it:
//! where the vendor still takes it (Shopify does until the new one is used), nothing was lost; where not, the
//! connection needs attention.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{ConnectionId, UserId},
    manifest::AuthKind,
    records::{Connection, Tokens},
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Failed};
use trunnion_store::{Batch, CommitError, Versioned, tables::Connections};

use super::{
    Vault,
    grants::{Applicant, Registered},
    secrets_of,
    tokens::{Issued, Refusal},
};
use crate::{
    error::{Error, Result, present},
    finish::finish,
    patience::{Patience, awaits_the_disk},
};

/// A token is renewed when a tenth of its life is left, but not earlier than this before its end.
const EARLIEST: Duration = Duration::from_secs(300);
/// Where renewing failed although the token still works, how long it is not tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// A connection as it was read.
pub type Stored = Versioned<Arc<Connection>>;

/// Token requests under way, by connection.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<ConnectionId, Weak<Flight>>>);

/// One connection's: whoever holds it asks the vendor; what it last failed with, and when.
type Flight = tokio::sync::Mutex<Option<(Timestamp, CallError)>>;

impl Flights {
    fn of(&self, connection: ConnectionId) -> Arc<Flight> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&connection).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight::default());
        flights.insert(connection, Arc::downgrade(&flight));
        flight
    }
}

/// How a call on a connection is made.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// When a token is renewed.
    pub renew: Renew,
    /// Further secrets of the host's own.
    pub more: &'a [(String, String)],
}

/// When a token is renewed for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// Before it ends, and when it is refused.
    InTime,
    /// When it is refused: for calls that mostly ask the vendor nothing.
    WhenRefused,
}

impl How<'static> {
    /// With a token that works, and nothing else.
    pub const READY: Self = Self { renew: Renew::InTime, more: &[] };
}

impl Vault {
    /// Makes a call on a connection with a token that works: one that ends soon is renewed first, and where the vendor
    /// refuses it all the same, it is renewed and the call made once more. Beside the answer, the connection as it was
    /// used last. The call's own secrets are replaced.
    ///
    /// `Err` means that the host itself could not work.
    pub async fn call<T, F>(
        &self,
        connection: Stored,
        call: Call,
        how: How<'_>,
        perform: impl Fn(Call) -> F + Send,
    ) -> Result<(Result<Answer<T>, Failed>, Stored)>
    where
        F: Future<Output = Result<Answer<T>, Failed>> + Send,
        T: Send,
    {
        let secrets = |used: &Stored| {
            if how.more.is_empty() {
                self.secrets(used)
            } else {
                secrets_of(&used.record, how.more.iter().cloned())
            }
        };
        if connection.record.tokens.is_none() {
            let answered = perform(Call { secrets: secrets(&connection), ..call }).await;
            return Ok((answered, connection));
        }
        let scope = call.scope;
        let used = match self.usable(&scope, &connection, how.renew).await? {
            Ok(used) => used,
            Err(error) => return Ok((Err(unsent(error)), connection)),
        };
        let with = |used: &Stored| Call { secrets: secrets(used), ..call.clone() };
        let first = match perform(with(&used)).await {
            Err(failed) if matches!(failed.error, CallError::AuthExpired { .. }) => failed,
            other => return Ok((other, used)),
        };
        match self.replaced(&scope, &used).await? {
            // Nothing else to try.
            None => Ok((Err(first), used)),
            Some(Err(error)) => Ok((Err(Failed { error, ..first }), used)),
            Some(Ok(renewed)) => {
                let mut second = perform(with(&renewed)).await;
                put_first(first, &mut second);
                Ok((second, renewed))
            }
        }
    }

    /// As [`Vault::call`], on a connection that was read some time ago.
    pub async fn call_anew<T, F>(
        &self,
        connection: &Connection,
        call: Call,
        how: How<'_>,
        perform: impl Fn(Call) -> F + Send,
    ) -> Result<Result<Answer<T>, Failed>>
    where
        F: Future<Output = Result<Answer<T>, Failed>> + Send,
        T: Send,
    {
        let key = (connection.user, connection.id);
        match present(self.context.store.recall::<Connections>(&call.scope, &key).await)? {
            Some(stored) => Ok(self.call(stored, call, how, perform).await?.0),
            None => Ok(Err(unsent(removed(connection.id)))),
        }
    }

    /// The connection with a token that has not ended.
    async fn usable(
        &self,
        scope: &Scope,
        stored: &Stored,
        renew: Renew,
    ) -> Result<Result<Stored, CallError>> {
        if renew == Renew::InTime && self.is_ending(&stored.record) {
            self.renew(scope, (stored.record.user, stored.record.id), Need::Fresh).await
        } else {
            Ok(Ok(stored.clone()))
        }
    }

    /// Whether the token is to be renewed.
    pub(super) fn is_ending(&self, connection: &Connection) -> bool {
        connection.tokens.as_ref().is_some_and(|tokens| is_due(tokens, self.context.now()))
    }

    /// The connection with another token than the one that was refused; none where no other can be had.
    async fn replaced(&self, scope: &Scope, refused: &Stored) -> Result<Option<Result<Stored, CallError>>> {
        let Some(tokens) = refused.record.tokens.as_ref().filter(|_| self.is_renewable(&refused.record))
        else {
            return Ok(None);
        };
        let key = (refused.record.user, refused.record.id);
        Ok(Some(self.renew(scope, key, Need::Other(tokens.access.clone())).await?))
    }

    /// Whether the vendor issues another token without the user.
    fn is_renewable(&self, connection: &Connection) -> bool {
        let refresh = connection.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some());
        refresh || {
            let manifest = self.context.registry.manifest(&connection.app);
            let scheme = manifest.as_ref().and_then(|manifest| manifest.scheme(&connection.scheme));
            scheme.is_some_and(|scheme| {
                matches!(scheme.kind, AuthKind::ClientCredentials(_) | AuthKind::JwtBearer(_))
            })
        }
    }

    /// The connection with a token as it is needed, which the vendor is asked for where there is none yet.
    pub(super) async fn renew(
        &self,
        scope: &Scope,
        key: (UserId, ConnectionId),
        need: Need,
    ) -> Result<Result<Stored, CallError>> {
        let (vault, scope) = (self.clone(), *scope);
        finish(async move { vault.renew_here(&scope, key, &need).await }).await
    }

    async fn renew_here(
        &self,
        scope: &Scope,
        key: (UserId, ConnectionId),
        need: &Need,
    ) -> Result<Result<Stored, CallError>> {
        let flight = self.flights.of(key.1);
        let asked_at = self.context.now();
        let mut last = flight.lock().await;
        // Whoever held the flight before may have done it already.
        let Some(stored) = present(self.context.store.recall::<Connections>(scope, &key).await)? else {
            return Ok(Err(removed(key.1)));
        };
        if let (Some(reason), false) = (&stored.record.needs_attention, matches!(need, Need::Checked)) {
            return Ok(Err(CallError::AuthExpired { message: reason.clone() }));
        }
        let now = self.context.now();
        let Some(tokens) = stored.record.tokens.as_ref().filter(|tokens| !need.is_met(tokens, now)) else {
            return Ok(Ok(stored));
        };
        let lasts = need.lasts(tokens, now);
        if let Some((at, error)) = &*last {
            if lasts && now.since(*at) < PAUSE {
                return Ok(Ok(stored));
            }
            if !lasts && *at >= asked_at {
                return Ok(Err(error.clone()));
            }
        }
        match self.obtain(scope, &stored.record).await? {
            Ok(Issued { tokens, .. }) => {
                *last = None;
                self.keep(scope, stored, tokens).await
            }
            Err(Refusal::Final(reason)) => {
                self.needs_attention(scope, &stored, &reason).await?;
                Ok(Err(CallError::AuthExpired { message: reason }))
            }
            Err(Refusal::Now(error)) => {
                *last = Some((self.context.now(), error.clone()));
                if lasts { Ok(Ok(stored)) } else { Ok(Err(error)) }
            }
        }
    }

    /// Makes durable what the vendor issued.
    async fn keep(
        &self,
        scope: &Scope,
        mut stored: Stored,
        issued: Tokens,
    ) -> Result<Result<Stored, CallError>> {
        let key = (stored.record.user, stored.record.id);
        let shown = stored.record.tokens.as_ref().and_then(|tokens| tokens.refresh.clone());
        // A vendor that says nothing of it goes on taking the old one.
        let tokens = Tokens { refresh: issued.refresh.clone().or_else(|| shown.clone()), ..issued };
        let mut patience = Patience::new();
        loop {
            let renewed = Connection { tokens: Some(tokens.clone()), ..Connection::clone(&stored.record) };
            let mut batch = Batch::new();
            batch.replace::<Connections>(scope, &key, &renewed, stored.version);
            match self.context.store.commit(batch).await {
                Ok(version) => return Ok(Ok(Versioned { version, record: Arc::new(renewed) })),
                Err(error) if awaits_the_disk(&error) => {
                    tracing::error!(connection = %key.1, error = &error as &dyn std::error::Error, "a renewed token could not be written; trying again");
                    patience.pause().await;
                }
                // Marked meanwhile, or mended: what was issued belongs to the refresh token that was shown.
                Err(CommitError::Conflict { .. }) => {
                    match present(self.context.store.recall::<Connections>(scope, &key).await)? {
                        None => return Ok(Err(removed(key.1))),
                        Some(newer) if refresh_of(&newer.record) != shown.as_deref() => return Ok(Ok(newer)),
                        Some(newer) => stored = newer,
                    }
                }
                Err(CommitError::OwnerErased { .. }) => return Ok(Err(removed(key.1))),
                Err(error) => return Err(Error::Commit(error)),
            }
        }
    }

    /// Has the vendor issue tokens for a connection, as its scheme declares.
    pub(super) async fn obtain(
        &self,
        scope: &Scope,
        connection: &Connection,
    ) -> Result<Result<Issued, Refusal>> {
        let Connection { app, parameters, secrets, tokens, .. } = connection;
        let Some(manifest) = self.context.registry.manifest(app) else {
            let message = format!("the connector of `{app}` is not loaded; put it back");
            return Ok(Err(Refusal::Now(CallError::Unavailable { message })));
        };
        let Some(scheme) = manifest.scheme(&connection.scheme) else {
            let scheme = &connection.scheme;
            let message = format!("`{app}` no longer issues tokens by auth scheme `{scheme}`; connect again");
            return Ok(Err(Refusal::Final(message)));
        };
        let refresh = tokens.as_ref().and_then(|tokens| tokens.refresh.as_deref());
        // Where there is nothing to renew with, that is what is wrong, and no client could help it.
        let hopeless = matches!(scheme.kind, AuthKind::Oauth2(_)) && refresh.is_none();
        let registered = if scheme.needs_registration() && !hopeless {
            match self.registered(scope, app).await? {
                Ok(registered) => Some(registered),
                Err(refusal) => return Ok(Err(refusal)),
            }
        } else {
            None
        };
        let applicant = Applicant { manifest: &manifest, scheme, parameters, secrets, refresh, registered };
        Ok(applicant.obtain(self.context.broker.as_ref(), self.context.now()).await)
    }

    /// The ISV's client and its own scopes; without one nothing can be renewed, and no user can help that.
    async fn registered(&self, scope: &Scope, app: &str) -> Result<Result<Registered, Refusal>> {
        match self.client(scope, app).await {
            Ok((client, registration)) => Ok(Ok(Registered { client, scopes: registration.scopes.clone() })),
            Err(Error::NotFound { message, .. }) => Ok(Err(Refusal::Now(CallError::Unavailable { message }))),
            Err(error) => Err(error),
        }
    }
}

/// What a call needs of a token.
#[derive(Debug)]
pub(super) enum Need {
    /// It does not end soon.
    Fresh,
    /// The same, also of a connection that needs attention: somebody says that it works again.
    Checked,
    /// It is not this one, which was refused.
    Other(String),
}

impl Need {
    fn is_met(&self, tokens: &Tokens, now: Timestamp) -> bool {
        match self {
            Self::Fresh | Self::Checked => !is_due(tokens, now),
            Self::Other(refused) => tokens.access != *refused,
        }
    }

    /// Whether the call can do with the present token, should no other come.
    fn lasts(&self, tokens: &Tokens, now: Timestamp) -> bool {
        matches!(self, Self::Fresh) && tokens.expires_at.is_none_or(|end| now < end)
    }
}

/// Whether a token is to be renewed.
fn is_due(tokens: &Tokens, now: Timestamp) -> bool {
    tokens.expires_at.is_some_and(|end| {
        let early = (end.since(tokens.issued_at) / 10).min(EARLIEST);
        now + early >= end
    })
}

fn refresh_of(connection: &Connection) -> Option<&str> {
    connection.tokens.as_ref()?.refresh.as_deref()
}

fn removed(id: ConnectionId) -> CallError {
    CallError::AuthExpired { message: format!("the credential `{id}` was removed; connect again") }
}

/// A call that was never made.
fn unsent(error: CallError) -> Failed {
    Failed { error, log: Vec::new(), exchanges: Vec::new(), observations: Vec::new(), cpu: Duration::ZERO }
}

/// Puts what the first call left before what the second did, so that both can be read about.
fn put_first<T>(first: Failed, second: &mut Result<Answer<T>, Failed>) {
    let (log, exchanges, observations, cpu) = match second {
        Ok(Answer { log, exchanges, observations, cpu, .. })
        | Err(Failed { log, exchanges, observations, cpu, .. }) => (log, exchanges, observations, cpu),
    };
    log.splice(0..0, first.log);
    exchanges.splice(0..0, first.exchanges);
    observations.splice(0..0, first.observations);
    *cpu += first.cpu;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_when_a_tenth_of_its_life_is_left() {
        let tokens = |lifetime: u64| Tokens {
            access: "a".to_owned(),
            refresh: None,
            issued_at: Timestamp::from_millis(1_000),
            expires_at: Some(Timestamp::from_millis(1_000 + lifetime)),
        };
        let at = |millis| Timestamp::from_millis(1_000 + millis);
        let hour = 3_600_000;
        assert!(!is_due(&tokens(hour), at(hour - 300_001)) && is_due(&tokens(hour), at(hour - 300_000)));
        assert!(!is_due(&tokens(10_000), at(8_999)) && is_due(&tokens(10_000), at(9_000)));
        assert!(!is_due(&Tokens { expires_at: None, ..tokens(0) }, at(hour)));
        let refused = Need::Other("a".to_owned());
        assert!(!refused.is_met(&tokens(hour), at(0)) && !refused.lasts(&tokens(hour), at(0)));
        assert!(
            Need::Fresh.lasts(&tokens(10_000), at(9_999)) && !Need::Fresh.lasts(&tokens(10_000), at(10_000))
        );
    }
}
