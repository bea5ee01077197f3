//! Callbacks: answers that come too late for the caller's connection are POSTed to the URL it gave.
//!
//! Invariants: a callback is durable in the commit that accepts its request, and goes only once its answer was taken
//! by the caller, by the receiver, or became a dead letter. Its `webhook-id` follows from the run, so that a receiver
//! can drop what a crash repeats. One attempt is leased before it is made.

use std::sync::Arc;

use serde_json::json;
use trunnion_core::{
    answer::Answer,
    call::CallError,
    id::{Id, RunId},
    machine::idempotency_key,
    payload::Part,
    records::{Callback, DeadLetter, DeadWork, Signature},
    retry::RetryPolicy,
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Version,
    tables::{Callbacks as Table, DeadLetters},
};
use url::Url;

use crate::{
    context::Context,
    error::{Error, Result, present},
    outbox::{Happening, Outbox},
    runs::{Queue, RunLog, Work, persist::persist, queue::CALLBACKS},
    streams::{Destination, Streams},
};

/// Longest URL of a callback.
const LONGEST_URL: usize = 2_048;

/// Sends callbacks.
#[derive(Clone, Debug)]
pub struct Callbacks {
    context: Context,
    streams: Streams,
    runs: RunLog,
    queue: Arc<Queue>,
    outbox: Outbox,
}

/// A URL that answers can be sent to.
pub(super) fn checked(url: &str) -> Result<String> {
    let refused = |why: &str| {
        let message = format!("the callback `{url}` {why}; give an absolute https URL");
        Error::invalid("callback-url-invalid", message)
    };
    if url.len() > LONGEST_URL {
        let message =
            format!("the callback's URL is longer than {LONGEST_URL} characters; give a shorter one");
        return Err(Error::invalid("callback-url-invalid", message));
    }
    let parsed = Url::parse(url).map_err(|error| refused(&format!("cannot be read: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(refused("is not one of the web"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(refused("carries a password, which would be kept in logs"));
    }
    Ok(url.to_owned())
}

impl Callbacks {
    /// Sends by `streams`; of what nobody took, `outbox` tells.
    #[must_use]
    pub const fn new(
        context: Context,
        streams: Streams,
        runs: RunLog,
        queue: Arc<Queue>,
        outbox: Outbox,
    ) -> Self {
        Self { context, streams, runs, queue, outbox }
    }

    /// Sends the answer of `run`, if there is one by now, to whoever is to be called back.
    pub async fn deliver(&self, scope: Scope, run: RunId) -> Result<()> {
        let Some(stored) = present(self.context.store.get::<Table>(&scope, &run).await)? else {
            return Ok(());
        };
        let now = self.context.now();
        let held = |lease: &trunnion_core::machine::Lease| {
            lease.until > now && (self.queue.holds(lease) || !self.context.store.exclusive())
        };
        if let Some(lease) = stored.record.lease.as_ref().filter(|lease| held(lease)) {
            // Somebody makes an attempt, or let it fall: when the lease ends, it counts as lost.
            let work = Work::CallbackDue { scope, run, user: stored.record.user };
            self.queue.push_at_to(lease.until, CALLBACKS, work);
            return Ok(());
        }
        if stored.record.not_before > now {
            return Ok(());
        }
        let answer = match self.runs.answer(&scope, run).await {
            Ok(Some(answer)) => answer,
            // Its end says so here again.
            Ok(None) => return Ok(()),
            // The run is no longer kept, and nobody knows what it answered.
            Err(Error::NotFound { .. }) => return self.forget(&scope, run, stored.version).await,
            Err(error) => return Err(error),
        };
        let mut callback = stored.record;
        callback.attempts += 1;
        callback.lease = Some(self.queue.lease(now));
        let mut batch = Batch::new();
        batch.replace::<Table>(&scope, &run, &callback, stored.version);
        match self.context.store.commit(batch).await {
            Ok(version) => self.send(scope, run, callback, version, answer).await,
            Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    async fn send(
        &self,
        scope: Scope,
        run: RunId,
        callback: Callback,
        version: Version,
        answer: Answer,
    ) -> Result<()> {
        let Answer { status, headers, body } = answer;
        let body = json!({ "run_id": run, "status": status, "headers": headers, "body": body });
        let to = Destination {
            scope: &scope,
            url: &callback.url,
            secrets: &[&callback.secret],
            signatures: &Signature::usual(),
            origin: None,
        };
        let sent = self
            .streams
            .post("the callback", to, &idempotency_key(run, "callback"), Part::Parsed(&body))
            .await?;
        match sent.result {
            Ok(_) => self.forget(&scope, run, version).await,
            Err(error) => self.failed(scope, run, callback, version, error).await,
        }
    }

    async fn failed(
        &self,
        scope: Scope,
        run: RunId,
        mut callback: Callback,
        version: Version,
        error: CallError,
    ) -> Result<()> {
        let [jitter] = self.context.ids.bytes::<1>();
        let user = callback.user;
        let Some(delay) = RetryPolicy::stream().next(&error, callback.attempts, jitter) else {
            return self.bury(&scope, run, callback, version, error).await;
        };
        let due = self.context.now() + delay;
        tracing::info!(%run, attempt = callback.attempts, %error, "a callback failed; it will be tried again");
        (callback.lease, callback.not_before, callback.last_error) = (None, due, Some(error));
        let again = || {
            let mut batch = Batch::new();
            batch.replace::<Table>(&scope, &run, &callback, version);
            batch
        };
        match persist(&self.context.store, run, again).await {
            Ok(_) => self.queue.push_at_to(due, CALLBACKS, Work::CallbackDue { scope, run, user }),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(Error::Commit(error)),
        }
        Ok(())
    }

    /// The answer itself stays at the run's address.
    async fn bury(
        &self,
        scope: &Scope,
        run: RunId,
        callback: Callback,
        version: Version,
        error: CallError,
    ) -> Result<()> {
        tracing::warn!(%run, %error, "a callback was given up; it is among the dead letters");
        let id = self.context.ids.next::<Id>();
        let about = json!({ "kind": "callback", "run_id": run, "user_id": callback.user });
        let happening = Happening::dead_letter(id, Some(callback.user), &error, about);
        let leaving = self.outbox.event(scope, happening).await?;
        let letter = DeadLetter {
            at: self.context.now(),
            reason: format!("the callback failed after {} attempts: {error}", callback.attempts),
            work: DeadWork::Callback {
                run,
                user: callback.user,
                url: callback.url.clone(),
                callback: Some(Box::new(Callback { last_error: Some(error), ..callback })),
            },
        };
        let buried = || {
            let mut batch = Batch::new();
            batch.remove::<Table>(scope, &run, version);
            batch.insert::<DeadLetters>(scope, &id, &letter);
            leaving.add_to(&mut batch, scope);
            batch
        };
        let committed = persist(&self.context.store, run, buried).await;
        if committed.is_ok() {
            self.outbox.go(scope, leaving);
        }
        settled(committed)
    }

    async fn forget(&self, scope: &Scope, run: RunId, version: Version) -> Result<()> {
        let forgotten = || {
            let mut batch = Batch::new();
            batch.remove::<Table>(scope, &run, version);
            batch
        };
        settled(persist(&self.context.store, run, forgotten).await)
    }
}

fn settled(committed: Result<Version, CommitError>) -> Result<()> {
    match committed {
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
        Err(error) => Err(Error::Commit(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_url_of_the_web() {
        for url in ["https://acme.example/answers?x=1", "http://127.0.0.1:9/"] {
            assert_eq!(checked(url).unwrap(), url);
        }
        for (url, words) in [
            ("answers", "cannot be read"),
            ("file:///etc/passwd", "not one of the web"),
            ("https://me:pass@acme.example/", "a password"),
        ] {
            let refused = checked(url).unwrap_err();
            assert_eq!(refused.code(), "callback-url-invalid");
            assert!(refused.to_string().contains(words), "{refused}");
        }
        assert!(checked(&format!("https://acme.example/{}", "x".repeat(3_000))).is_err());
    }
}
