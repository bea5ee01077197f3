//! The postman: brings a notice to its outlet, as often as it takes.
//!
//! Invariants: an attempt is leased before it is made, so that a death in it is known; a notice goes in the commit that
//! follows its being taken, or becomes a dead letter in the commit that gives it up. A kill between an attempt and its
//! commit sends it again under the same `webhook-id`.

use std::sync::Arc;

use trunnion_core::{
    call::CallError,
    id::Id,
    limit::{Asking, Turn},
    payload::Part,
    records::{DeadLetter, DeadWork, Notice, NoticeOrigin, Outlet},
    retry::RetryPolicy,
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Version,
    tables::{DeadLetters, Notices, Outlets},
};

use super::{due, event_bridge, outlets::EVENT_BRIDGE};
use crate::{
    context::Context,
    error::{Error, Result, present},
    limits::Limited,
    runs::{Queue, act::UNDECLARED, persist::persist, queue::NOTICES},
    streams::{Companions, Origin, Streams},
};

/// Delivers notices.
#[derive(Clone, Debug)]
pub struct Postman {
    context: Context,
    streams: Streams,
    queue: Arc<Queue>,
}

impl Postman {
    /// Sends by `streams`.
    #[must_use]
    pub const fn new(context: Context, streams: Streams, queue: Arc<Queue>) -> Self {
        Self { context, streams, queue }
    }

    /// Makes an attempt at a notice, if it is time and nobody else does.
    pub async fn deliver(&self, scope: Scope, id: Id) -> Result<()> {
        let Some(stored) = present(self.context.store.get::<Notices>(&scope, &id).await)? else {
            return Ok(());
        };
        let (mut notice, now) = (stored.record, self.context.now());
        if let Some(lease) = notice
            .lease
            .as_ref()
            .filter(|lease| lease.until > now && (self.queue.holds(lease) || !self.context.store.exclusive()))
        {
            // Somebody makes an attempt, or let it fall: when the lease ends, it counts as lost.
            self.queue.push_at_to(lease.until, NOTICES, due(scope, id, &notice));
            return Ok(());
        }
        let until = self.not_before(&scope, &notice);
        if until > now {
            self.queue.push_at_to(until, NOTICES, due(scope, id, &notice));
            return Ok(());
        }
        notice.attempts += 1;
        notice.lease = Some(self.queue.lease(now));
        let mut batch = Batch::new();
        batch.replace::<Notices>(&scope, &id, &notice, stored.version);
        let version = match self.context.store.commit(batch).await {
            Ok(version) => version,
            Err(CommitError::Conflict { .. } | CommitError::OwnerErased { .. }) => return Ok(()),
            Err(error) => return Err(Error::Commit(error)),
        };
        match self.attempt(&scope, id, &notice).await? {
            Ok(()) => self.forget(&scope, id, version).await,
            Err(error) => self.failed(scope, (id, version), notice, error).await,
        }
    }

    /// When the next attempt may be made: its own time has come, and its stream does not ask for patience.
    fn not_before(&self, scope: &Scope, notice: &Notice) -> trunnion_core::clock::Timestamp {
        let Some(stream) = &notice.stream else { return notice.not_before };
        let of = Limited::Destination(*scope, stream.clone());
        let asking = if notice.attempts == 0 { Asking::First } else { Asking::Again };
        match self.context.limits.turn(&of, &UNDECLARED, asking, self.context.now()) {
            Turn::Now => notice.not_before,
            Turn::At(until) => notice.not_before.max(until),
        }
    }

    async fn attempt(&self, scope: &Scope, id: Id, notice: &Notice) -> Result<Result<(), CallError>> {
        let Some(stream) = &notice.stream else {
            let stored = self.context.store.recall::<Outlets>(scope, &EVENT_BRIDGE.to_owned()).await?;
            return Ok(match stored.as_ref().map(|stored| &*stored.record) {
                Some(Outlet::EventBridge(bridge)) => {
                    event_bridge::put(&self.context, bridge, id, notice).await
                }
                // It was closed meanwhile: nobody wants it any more.
                _ => Ok(()),
            });
        };
        let origin = notice.origin.as_ref().zip(notice.user).map(|(origin, user)| {
            let NoticeOrigin { workflow, run, event } = origin;
            Origin { workflow: *workflow, user, run: *run, event, companions: Companions::Always }
        });
        let sent =
            self.streams.send(scope, stream, &id.to_string(), Part::Parsed(&notice.body), origin).await?;
        let of = Limited::Destination(*scope, stream.clone());
        let error = sent.result.as_ref().err();
        self.context.limits.told(&of, &UNDECLARED, &[], error, self.context.now());
        Ok(sent.result.map(drop))
    }

    async fn failed(
        &self,
        scope: Scope,
        (id, version): (Id, Version),
        mut notice: Notice,
        error: CallError,
    ) -> Result<()> {
        let [jitter] = self.context.ids.bytes::<1>();
        let Some(delay) = RetryPolicy::stream().next(&error, notice.attempts, jitter) else {
            return self.bury(&scope, (id, version), notice, error).await;
        };
        let not_before = self.context.now() + delay;
        tracing::info!(notice = %id, attempt = notice.attempts, %error, "a notice was not taken; it will be tried again");
        (notice.lease, notice.not_before, notice.last_error) = (None, not_before, Some(error));
        let again = || {
            let mut batch = Batch::new();
            batch.replace::<Notices>(&scope, &id, &notice, version);
            batch
        };
        match persist(&self.context.store, id, again).await {
            Ok(_) => self.queue.push_at_to(not_before, NOTICES, due(scope, id, &notice)),
            Err(CommitError::Conflict { .. } | CommitError::OwnerErased { .. }) => {}
            Err(error) => return Err(Error::Commit(error)),
        }
        Ok(())
    }

    async fn bury(
        &self,
        scope: &Scope,
        (id, version): (Id, Version),
        notice: Notice,
        error: CallError,
    ) -> Result<()> {
        tracing::warn!(notice = %id, %error, "a notice was given up; it is among the dead letters");
        let letter = DeadLetter {
            at: self.context.now(),
            reason: format!("nobody took it in {} attempts: {error}", notice.attempts),
            work: DeadWork::Notice {
                notice: Box::new(Notice { lease: None, last_error: Some(error), ..notice }),
            },
        };
        let buried = || {
            let mut batch = Batch::new();
            batch.remove::<Notices>(scope, &id, version);
            batch.insert::<DeadLetters>(scope, &id, &letter);
            batch
        };
        settled(persist(&self.context.store, id, buried).await)
    }

    async fn forget(&self, scope: &Scope, id: Id, version: Version) -> Result<()> {
        let forgotten = || {
            let mut batch = Batch::new();
            batch.remove::<Notices>(scope, &id, version);
            batch
        };
        settled(persist(&self.context.store, id, forgotten).await)
    }
}

fn settled(committed: Result<Version, CommitError>) -> Result<()> {
    match committed {
        Ok(_) | Err(CommitError::Conflict { .. } | CommitError::OwnerErased { .. }) => Ok(()),
        Err(error) => Err(Error::Commit(error)),
    }
}
