//! Whether a stream's destination takes anything: one that fails for days, or says that it is gone, is switched off, and
//! what would go there becomes a dead letter at once instead of being tried for days as well.
//!
//! The destination's own record says since when it fails, so sending reads nothing more, and only the first failure and
//! the first success after it write. That it was switched off and the event that tells of it are one commit.

use serde_json::json;
use trunnion_core::{
    call::CallError,
    records::{DisabledStream, EventType, StreamDestination},
    scope::Scope,
};
use trunnion_store::{Batch, CommitError, tables::StreamDestinations};

use super::{Known, Streams};
use crate::{
    error::{Error, Result},
    outbox::{Happening, Leaving},
    patience::awaits_the_disk,
};

/// What a delivery to a destination that was switched off fails with.
pub(super) fn disabled(name: &str, DisabledStream { at, reason }: &DisabledStream) -> CallError {
    let message = format!(
        "stream `{name}` is disabled since {at}: {reason}; mend the receiver, enable the stream with POST \
         /v1/streams/{name}/enable, and redrive the dead letters"
    );
    CallError::Disabled { message }
}

impl Streams {
    /// Takes in what became of an attempt; what is made of it.
    pub(super) async fn note<T>(
        &self,
        scope: &Scope,
        known: &Known,
        result: Result<T, CallError>,
    ) -> Result<Result<T, CallError>> {
        let StreamDestination { name, failing_since, .. } = &*known.record;
        let now = self.context.now();
        match (&result, failing_since) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => {
                self.change(scope, known, |destination| destination.failing_since = None).await?;
            }
            (Err(CallError::Rejected { status: 410, .. }), _) => {
                let reason = "it answered HTTP 410, which says never to send again".to_owned();
                return Ok(Err(self.disable(scope, known, reason).await?));
            }
            (Err(CallError::Unavailable { .. } | CallError::Uncertain { .. }), None) => {
                self.change(scope, known, |destination| destination.failing_since = Some(now)).await?;
            }
            (Err(error @ (CallError::Unavailable { .. } | CallError::Uncertain { .. })), Some(since)) => {
                let longest = self.disable_after;
                if !longest.is_zero() && now.since(*since) >= longest {
                    let reason = format!("nothing but failures since {since}, the last of them: {error}");
                    return Ok(Err(self.disable(scope, known, reason).await?));
                }
            }
            // Being asked for patience is neither.
            (Err(error), _) => tracing::debug!(stream = name, %error, "says nothing of the destination"),
        }
        Ok(result)
    }

    /// ONE COMMIT: the destination is off, and its environment's outlet is told.
    async fn disable(&self, scope: &Scope, known: &Known, reason: String) -> Result<CallError> {
        let name = &known.record.name;
        let disabled = DisabledStream { at: self.context.now(), reason };
        let error = self::disabled(name, &disabled);
        let data = json!({
            "stream": name,
            "reason": disabled.reason,
            "failing_since": known.record.failing_since.map(|since| since.to_string()),
        });
        let happening = Happening { kind: EventType::StreamDisabled, user: None, data };
        let leaving = self.outbox.event(scope, happening).await?;
        tracing::warn!(stream = name, reason = disabled.reason, "a stream was disabled");
        let to = StreamDestination { disabled: Some(disabled), ..StreamDestination::clone(&known.record) };
        self.commit(scope, known, &to, leaving).await?;
        Ok(error)
    }

    async fn change(
        &self,
        scope: &Scope,
        known: &Known,
        change: impl FnOnce(&mut StreamDestination),
    ) -> Result<()> {
        let mut to = StreamDestination::clone(&known.record);
        change(&mut to);
        self.commit(scope, known, &to, Leaving::none()).await
    }

    async fn commit(
        &self,
        scope: &Scope,
        known: &Known,
        to: &StreamDestination,
        leaving: Leaving,
    ) -> Result<()> {
        let mut batch = Batch::new();
        batch.replace::<StreamDestinations>(scope, &to.name, to, known.version);
        leaving.add_to(&mut batch, scope);
        match self.context.store.commit(batch).await {
            Ok(_) => {
                self.outbox.go(scope, leaving);
                Ok(())
            }
            // Somebody else noted the same, or set the stream anew.
            Err(CommitError::Conflict { .. }) => Ok(()),
            // What was sent must not be lost over this: the next attempt notes it again.
            Err(error) if awaits_the_disk(&error) => {
                tracing::error!(
                    stream = to.name,
                    error = &error as &dyn std::error::Error,
                    "how a stream fares could not be written"
                );
                Ok(())
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::clock::Timestamp;

    use super::*;

    #[test]
    fn what_a_disabled_stream_fails_with_is_kept_and_says_what_to_do() {
        let since = Timestamp::from_millis(1_440_938_160_000);
        let error = disabled("orders", &DisabledStream { at: since, reason: "it is gone".to_owned() });
        assert!(!trunnion_core::retry::retryable(&error));
        for says in ["`orders`", "since 2015-08-30", "it is gone", "POST /v1/streams/orders/enable"] {
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
