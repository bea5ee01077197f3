//! Calls that carry an Idempotency-Key: carried out once, and answered the same when they come again.
//!
//! A call is *claimed* by a commit before it is carried out, and its answer kept by another one after. Between the two
//! nobody can know what became of it but whoever carries it out: so a repetition that finds a claim without an answer,
//! and nobody in this process who has it in hand, is told exactly that (`idempotency-outcome-unknown`) and is not
//! carried out. A call that changed nothing gives its claim back.
//!
//! What an answer shows of a user is sealed under the user's key; an environment's under its own. Events have a rule of
//! their own, where they are accepted (`triggers::accept`), and do not come here.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use trunnion_core::{
    id::{Id, UserId, WorkspaceId},
    records::{Authority, KeptAnswer, KeptCall},
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, CommitError, Deployment, Level, ReadError, Table, Versioned,
    tables::{KeptCalls, OperatorCalls},
};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// How long an answer is repeated.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Whose hash keys serve where the caller is an operator: no workspace has this id.
const NOBODY: Scope = Scope::new(WorkspaceId(Id::from_bytes([0; 12])), Environment::Production);

/// Knows calls that come again.
#[derive(Debug)]
pub struct Repetitions {
    context: Context,
    under_way: Mutex<HashSet<Name>>,
}

/// Names a call: the keyed hash of its caller, path and key.
type Name = [u8; 16];

/// A call that may come again.
#[derive(Clone, Copy, Debug)]
pub struct Repeatable<'a> {
    /// What its caller may do, which says where it is kept.
    pub authority: Authority,
    /// Who the caller is: other callers' calls are other calls.
    pub caller: Id,
    /// The path that was called.
    pub path: &'a str,
    /// The caller's key.
    pub key: &'a str,
    /// What was sent.
    pub body: &'a [u8],
}

/// What is to be done with a call.
#[derive(Debug)]
pub enum Begun<'a> {
    /// It is carried out.
    First(Claim<'a>),
    /// It was, and this was its answer.
    Again(KeptAnswer),
}

/// A call that is being carried out, and that nobody else carries out meanwhile.
#[derive(Debug)]
pub struct Claim<'a> {
    repetitions: &'a Repetitions,
    name: Name,
    authority: Authority,
    call: KeptCall,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.repetitions.under_way().remove(&self.name);
    }
}

impl Repetitions {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, under_way: Mutex::default() }
    }

    /// Begins a call, unless it was begun before.
    pub async fn begin(&self, call: Repeatable<'_>) -> Result<Begun<'_>> {
        let Repeatable { authority, caller, path, key, body } = call;
        let scope = match authority {
            Authority::Environment { scope } => scope,
            Authority::Operator => NOBODY,
        };
        let hash = |domain, parts: [&[u8]; 3]| {
            // Lengths first, so that no two calls are written the same way.
            let lengths = parts.iter().flat_map(|part| part.len().to_be_bytes());
            let whole: Vec<u8> = lengths.chain(parts.concat()).collect();
            self.context.store.keyed_hash(&scope, domain, &whole)
        };
        let name = hash("idempotent call", [caller.as_bytes(), path.as_bytes(), key.as_bytes()]);
        let fingerprint = hex::encode(hash("idempotent body", [body, &[], &[]]));
        if !self.under_way().insert(name) {
            return Err(under_way(key));
        }
        let begun_at = self.context.now();
        let call = KeptCall { user: None, fingerprint, begun_at, answer: None };
        // From here on, dropping the claim lets others come.
        let claim = Claim { repetitions: self, name, authority, call };
        let answered = match authority {
            Authority::Environment { scope } => claim.take::<KeptCalls>(&scope, key).await?,
            Authority::Operator => claim.take::<OperatorCalls>(&Deployment, key).await?,
        };
        Ok(answered.map_or(Begun::First(claim), Begun::Again))
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim<'_> {
    /// Keeps what the call was answered, and whose data that shows. Where it cannot be kept, the call was carried out all
    /// the same; its repetitions are told that nobody knows.
    pub async fn answered(mut self, user: Option<UserId>, answer: KeptAnswer) {
        self.call = KeptCall { user, answer: Some(answer), ..self.call.clone() };
        let mut batch = Batch::new();
        match self.authority {
            Authority::Environment { scope } => batch.put::<KeptCalls>(&scope, &self.name, &self.call),
            Authority::Operator => batch.put::<OperatorCalls>(&Deployment, &self.name, &self.call),
        }
        self.settle(batch).await;
    }

    /// Gives the claim back: the call changed nothing, and may come again.
    pub async fn refused(self) {
        let mut batch = Batch::new();
        match self.authority {
            Authority::Environment { scope } => batch.delete::<KeptCalls>(&scope, &self.name),
            Authority::Operator => batch.delete::<OperatorCalls>(&Deployment, &self.name),
        }
        self.settle(batch).await;
    }

    async fn settle(&self, batch: Batch) {
        if let Err(error) = self.repetitions.context.store.commit(batch).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the answer of a call with an Idempotency-Key could not be kept; its repetitions are refused"
            );
        }
    }

    /// Writes the claim, or answers what is known of the call.
    async fn take<T>(&self, place: &<T::Level as Level>::Place, key: &str) -> Result<Option<KeptAnswer>>
    where
        T: Table<Key = Name, Record = KeptCall>,
    {
        let store = &self.repetitions.context.store;
        let mut batch = Batch::new();
        match store.get::<T>(place, &self.name).await {
            Ok(Some(Versioned { record, .. })) if record.begun_at + KEPT > self.call.begun_at => {
                return known(record, &self.call, key).map(Some);
            }
            Ok(Some(Versioned { version, .. })) => {
                batch.replace::<T>(place, &self.name, &self.call, version);
            }
            Ok(None) => batch.insert::<T>(place, &self.name, &self.call),
            // The answer went with the user whom it was about.
            Err(ReadError::Erased { .. }) => batch.put::<T>(place, &self.name, &self.call),
            Err(error) => return Err(error.into()),
        }
        match store.commit(batch).await {
            Ok(_) => Ok(None),
            Err(CommitError::Conflict { .. }) => Err(under_way(key)),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

fn known(before: KeptCall, now: &KeptCall, key: &str) -> Result<KeptAnswer> {
    if before.fingerprint != now.fingerprint {
        let message = format!(
            "the Idempotency-Key `{key}` was sent with another body or query; use a new key for every new call"
        );
        return Err(Error::KeyReused { message });
    }
    before.answer.ok_or_else(|| {
        let message = format!(
            "a call with the Idempotency-Key `{key}` was begun at {}, and whether it was carried out is not known; look \
             whether its effect is there, and send it with a new key where it is not",
            before.begun_at
        );
        Error::conflict("idempotency-outcome-unknown", message)
    })
}

fn under_way(key: &str) -> Error {
    let message =
        format!("a call with the Idempotency-Key `{key}` is under way; send it again when that has ended");
    Error::conflict("idempotency-key-busy", message)
}
