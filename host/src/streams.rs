//! Streams: signed POSTs to the ISV's destinations, as Standard Webhooks describes them
//! (<https://www.standardwebhooks.com>).
//!
//! One attempt per call: when to try again is the run machine's decision. The `webhook-id` is the step's
//! idempotency key, the same over every attempt, so that a receiver can drop repetitions. `destinations` says where
//! streams go, `signing` what proves that they are ours, `keys` holds the environment's private keys,
//! `health` knows which destinations take nothing, `batches` sends what several runs gave in one request, `listeners` who
//! takes streams of a development environment instead.

pub mod batches;
pub mod destinations;
mod health;
pub mod keys;
pub mod listeners;
mod signing;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    javascript::Written,
    payload::Part,
    records::{Signature, StreamDestination},
    scope::Scope,
};
use trunnion_sandbox::{
    Exchange,
    broker::{Post, SendError},
};
use trunnion_store::{Versioned, tables::StreamDestinations};
use url::Url;

pub use self::{
    batches::Batches,
    destinations::Destinations,
    keys::SigningKeys,
    signing::{Companions, Origin},
};
use self::{
    batches::Item,
    listeners::{Line, Listeners},
    signing::{Unsigned, add_companions, add_signatures, text_of},
};
use crate::{context::Context, error::Result, outbox::Outbox};

/// Time one attempt may take, as Standard Webhooks recommends at most.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Longest Retry-After that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A destination as it was read.
type Known = Versioned<Arc<StreamDestination>>;

/// Sends streams.
#[derive(Clone, Debug)]
pub struct Streams {
    context: Context,
    keys: SigningKeys,
    outbox: Outbox,
    disable_after: Duration,
    listeners: Option<Listeners>,
}

/// Where something is sent, and what proves that it is ours.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// In which environment.
    pub scope: &'a Scope,
    /// The URL.
    pub url: &'a str,
    /// The secrets it is signed with, by `v1` of Standard Webhooks.
    pub secrets: &'a [&'a str],
    /// How it is signed.
    pub signatures: &'a BTreeSet<Signature>,
    /// What it comes from, for receivers that ask for it.
    pub origin: Option<Origin<'a>>,
}

/// What an attempt gave.
#[derive(Debug)]
pub struct Sent {
    /// What the step's output is, or why it failed.
    pub result: Result<Value, CallError>,
    /// What was exchanged; absent where nothing was sent.
    pub exchange: Option<Exchange>,
}

/// What became of a step's body.
#[derive(Debug)]
pub enum Taken {
    /// It was sent, or tried to.
    Sent(Sent),
    /// It waits for its batch, once what the step did is durable.
    Gathered(Item),
}

impl Streams {
    /// Over `context`; environments' keys are `keys`. A destination of which nothing but failures came for
    /// `disable_after` is switched off, none where that is zero; `outbox` tells of it.
    #[must_use]
    pub const fn new(context: Context, keys: SigningKeys, outbox: Outbox, disable_after: Duration) -> Self {
        Self { context, keys, outbox, disable_after, listeners: None }
    }

    /// With listeners, who take streams in the place of their destinations.
    #[must_use]
    pub fn heard_by(self, listeners: Listeners) -> Self {
        Self { listeners: Some(listeners), ..self }
    }

    /// Takes a step's body for the destination of this name: into a batch, where it gathers, or sends it, once.
    pub async fn take(
        &self,
        scope: &Scope,
        name: &str,
        key: &str,
        body: Part<'_>,
        origin: Origin<'_>,
    ) -> Result<Taken> {
        let Some(known) = self.known(scope, name).await? else {
            return Ok(Taken::Sent(nowhere(scope, name)));
        };
        if let Some(rule) = known.record.batch {
            return Ok(Taken::Gathered(self.outbox.item(scope, origin.user, (&known.record, rule), body)));
        }
        self.send_to(scope, &known, key, body, Some(origin)).await.map(Taken::Sent)
    }

    /// Sends `body` to the destination of this name, once.
    pub async fn send(
        &self,
        scope: &Scope,
        name: &str,
        key: &str,
        body: Part<'_>,
        origin: Option<Origin<'_>>,
    ) -> Result<Sent> {
        match self.known(scope, name).await? {
            Some(known) => self.send_to(scope, &known, key, body, origin).await,
            None => Ok(nowhere(scope, name)),
        }
    }

    async fn known(&self, scope: &Scope, name: &str) -> Result<Option<Known>> {
        Ok(self.context.store.recall::<StreamDestinations>(scope, &name.to_owned()).await?)
    }

    async fn send_to(
        &self,
        scope: &Scope,
        known: &Known,
        key: &str,
        body: Part<'_>,
        origin: Option<Origin<'_>>,
    ) -> Result<Sent> {
        let destination = &known.record;
        let name = &destination.name;
        let line = self.listeners.as_ref().and_then(|listeners| listeners.line(scope, name));
        if let (Some(off), None) = (&destination.disabled, &line) {
            return Ok(Sent { result: Err(health::disabled(name, off)), exchange: None });
        }
        let secrets: Vec<&str> = destination.secrets(self.context.now()).collect();
        let (url, signatures) = (destination.url.as_str(), &destination.signatures);
        let to = Destination { scope, url, secrets: &secrets, signatures, origin };
        let what = format!("stream `{name}`");
        if line.is_some() {
            // What a developer's machine answers says nothing of the destination.
            return self.post_by(line, &what, to, key, body).await;
        }
        let Sent { result, exchange } = self.post(&what, to, key, body).await?;
        Ok(Sent { result: self.note(scope, known, result).await?, exchange })
    }

    /// Sends `body` there, once; `what` names it in messages.
    pub async fn post(&self, what: &str, to: Destination<'_>, key: &str, body: Part<'_>) -> Result<Sent> {
        self.post_by(None, what, to, key, body).await
    }

    /// As [`Streams::post`], to a listener where there is one.
    async fn post_by(
        &self,
        line: Option<Line>,
        what: &str,
        to: Destination<'_>,
        key: &str,
        body: Part<'_>,
    ) -> Result<Sent> {
        let payload = text_of(body, to.signatures);
        let headers = self.signed(to, key, &payload).await?;
        let url = to.url.to_owned();
        let post = Post {
            url: url.clone(),
            method: Method::POST,
            headers,
            body: Bytes::from(payload.exact),
            timeout: TIMEOUT,
        };
        let answered = match line {
            Some(line) => line.post(post).await,
            None => self.context.broker.post(post).await,
        };
        let place = Url::parse(&url).ok();
        let exchange = Exchange {
            method: "POST".to_owned(),
            host: place.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned(),
            path: place.as_ref().map(|url| url.path().to_owned()).unwrap_or_default(),
            status: answered.as_ref().ok().map(|posted| posted.status),
            problem: answered.as_ref().err().map(ToString::to_string),
            duration_ms: answered
                .as_ref()
                .map_or(0, |posted| u64::try_from(posted.duration.as_millis()).unwrap_or(u64::MAX)),
        };
        let result = match answered {
            Ok(posted) => judge(what, posted.status, &posted.headers),
            Err(error) => Err(unsent(what, error)),
        };
        Ok(Sent { result, exchange: Some(exchange) })
    }

    /// The headers of a request, every signature that its destination asks for among them.
    async fn signed(&self, to: Destination<'_>, id: &str, text: &Written) -> Result<HeaderMap> {
        let Destination { scope, url, secrets, signatures, origin } = to;
        let unsigned = Unsigned { scope, url, id, timestamp: self.context.now().as_secs(), text };
        let mut headers = unsigned.headers()?;
        let mut made = Vec::new();
        for signature in signatures {
            match signature {
                Signature::Standard => made.extend(unsigned.symmetric(secrets.iter().copied())?),
                Signature::StandardAsymmetric => made.push(unsigned.asymmetric(&self.keys).await?),
                Signature::Alloy => unsigned.add_alloy(&mut headers, &self.keys).await?,
            }
        }
        if let Some(origin) = origin
            && (origin.companions == Companions::Always || signatures.contains(&Signature::Alloy))
        {
            add_companions(&mut headers, origin)?;
        }
        add_signatures(&mut headers, &made)?;
        Ok(headers)
    }
}

/// What is sent to a stream that has no destination: it may get one any time.
fn nowhere(scope: &Scope, name: &str) -> Sent {
    let environment = scope.environment;
    let message =
        format!("stream `{name}` has no destination in {environment}; set one with PUT /v1/streams/{name}");
    Sent { result: Err(CallError::Unavailable { message }), exchange: None }
}

/// A 2xx is taken; 410 asks never to send again; anything else is tried again, since a receiver's 4xx is more
/// often a deployment gone wrong than a decision, and the event must not be lost to it.
fn judge(what: &str, status: u16, headers: &HeaderMap) -> Result<Value, CallError> {
    match status {
        200..=299 => Ok(json!({ "status": status })),
        410 => Err(CallError::Rejected {
            status,
            message: format!("the destination of {what} is gone; set another"),
        }),
        429 => Err(CallError::RateLimited { retry_after_ms: retry_after(headers) }),
        _ => Err(CallError::Unavailable {
            message: format!("the destination of {what} answered HTTP {status}"),
        }),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    let asked = Duration::from_secs(seconds).min(MAX_RETRY_AFTER);
    u64::try_from(asked.as_millis()).ok()
}

fn unsent(what: &str, error: SendError) -> CallError {
    let message = format!("{what}: {error}");
    match error {
        SendError::Denied(_) | SendError::Unauthorized(_) => CallError::Denied { message },
        SendError::Unreachable(_) => CallError::Unavailable { message },
        SendError::TimedOut(_) | SendError::Interrupted(_) | SendError::TooLarge(_) => {
            CallError::Uncertain { message }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_receiver_answers_decides_whether_it_is_tried_again() {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        assert!(judge("s", 204, &headers).is_ok());
        assert!(matches!(
            judge("s", 429, &headers),
            Err(CallError::RateLimited { retry_after_ms: Some(7_000) })
        ));
        assert!(matches!(judge("s", 410, &headers), Err(CallError::Rejected { .. })));
        for status in [301, 400, 404, 500] {
            assert!(matches!(judge("s", status, &headers), Err(CallError::Unavailable { .. })), "{status}");
        }
    }
}
