//! The host's side of the contract's imports.
//!
//! Every function counts as a host call. Only `http` waits, and only there the meter stops: the rest is
//! charged to the guest that asked for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use wasmtime::component::Resource;

use crate::{
    answer::{Exchange, LogLevel, Observation},
    bindings::trunnion::connector::{clock, http, limits, log, random, signing, types},
    blobs::Blob,
    broker::{Auth, ByteBudget, Outgoing, Redirects, SendError, Sent},
    signing::Algorithm,
    state::{OnBehalf, State},
};

/// Random bytes of one call, as the contract says.
const MAX_RANDOM_BYTES: u32 = 1_024;

impl types::Host for State {}

impl http::Host for State {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::SendError>> {
        let mut answers = self.send_together(vec![request]).await?;
        answers.pop().ok_or_else(|| wasmtime::Error::msg("the broker gave no answer to a request"))
    }

    async fn send_all(
        &mut self,
        requests: Vec<http::Request>,
    ) -> wasmtime::Result<Vec<Result<http::Response, http::SendError>>> {
        self.send_together(requests).await
    }
}

impl State {
    /// Counts requests that are about to be sent, and says on whose behalf; an error where they may not be.
    pub(crate) fn may_send(&mut self, count: usize) -> wasmtime::Result<OnBehalf> {
        self.count_host_call()?;
        let Some(on_behalf) = self.current.on_behalf.clone() else {
            return Err(self.stop(
                "it tried to send a request while being described; `describe` sends nothing".to_owned(),
            ));
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.current.requests = self.current.requests.saturating_add(count);
        let limit = self.shared.options.max_requests;
        if self.current.requests > limit {
            return Err(self.stop(format!("it sent more than {limit} requests in one call (`max_requests`)")));
        }
        Ok(on_behalf)
    }

    async fn send_together(
        &mut self,
        requests: Vec<http::Request>,
    ) -> wasmtime::Result<Vec<Result<http::Response, http::SendError>>> {
        let on_behalf = self.may_send(requests.len())?;
        let requests = requests
            .into_iter()
            .map(|request| self.outgoing(request))
            .collect::<wasmtime::Result<Vec<_>>>()?;
        // Written down before they leave: a call that is cut off here still shows what it had under way.
        let first = self.current.exchanges.len();
        let before = self.current.changed_something;
        let changes: Vec<bool> = requests.iter().map(Outgoing::changes_something).collect();
        self.current.changed_something |= changes.contains(&true);
        self.current.exchanges.extend(requests.iter().map(|request| Exchange {
            problem: Some("the call ended before the vendor had answered".to_owned()),
            ..request.exchange()
        }));
        let broker = Arc::clone(&self.shared.broker);
        let parallel = self.shared.options.max_parallel_requests.max(1);
        // All answers of one host call lie in the host's memory at once; more than fits into the guest is waste.
        let room = ByteBudget::new(self.shared.options.max_memory_bytes);
        self.meter.leave();
        let send = |request| broker.send(&on_behalf.subject, &on_behalf.call, request, &room);
        let sent: Vec<Sent> = match <[Outgoing; 1]>::try_from(requests) {
            // Nearly every host call: what runs several at once costs more than the rest of the call.
            Ok([request]) => vec![send(request).await],
            Err(requests) => stream::iter(requests).map(send).buffered(parallel).collect().await,
        };
        self.meter.enter();
        // What was refused here, or reached no vendor, has changed nothing there.
        let changed = sent.iter().zip(changes).any(|(one, changes)| changes && one.may_have_arrived());
        self.current.changed_something = before || changed;
        let mut answers = Vec::with_capacity(sent.len());
        for (place, one) in self.current.exchanges.iter_mut().skip(first).zip(sent) {
            *place = one.exchange;
            answers.push(one.result.map(response).map_err(refusal));
        }
        Ok(answers)
    }

    fn outgoing(&self, request: http::Request) -> wasmtime::Result<Outgoing> {
        let body = match request.body {
            http::Body::Empty => Bytes::new(),
            http::Body::Bytes(bytes) => Bytes::from(bytes),
            http::Body::Blob(blob) => Bytes::copy_from_slice(self.table.get(&blob)?.bytes()),
        };
        Ok(Outgoing {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body,
            auth: match request.auth {
                http::Auth::Connection => Auth::Connection,
                http::Auth::App => Auth::App,
                http::Auth::None => Auth::None,
            },
            at: self.shared.clock.now(),
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
            redirects: match request.redirects {
                http::Redirects::Follow => Redirects::Follow,
                http::Redirects::Manual => Redirects::Manual,
            },
        })
    }
}

fn response(incoming: crate::broker::Incoming) -> http::Response {
    http::Response {
        status: incoming.status,
        headers: incoming.headers,
        body: incoming.body,
        ext: Vec::new(),
    }
}

fn refusal(error: SendError) -> http::SendError {
    let message = error.to_string();
    match error {
        SendError::Denied(_) => http::SendError::Denied(message),
        SendError::Unreachable(_) => http::SendError::Unreachable(message),
        SendError::TimedOut(_) => http::SendError::TimedOut(message),
        SendError::Interrupted(_) => http::SendError::Interrupted(message),
        SendError::TooLarge(_) => http::SendError::TooLarge(message),
        SendError::Unauthorized(_) => http::SendError::Unauthorized(message),
    }
}

impl http::HostBlob for State {
    fn new(&mut self) -> wasmtime::Result<Resource<Blob>> {
        self.count_host_call()?;
        Ok(self.table.push(Blob::default())?)
    }

    fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(u64::try_from(self.table.get(&blob)?.bytes().len())?)
    }

    fn read(&mut self, blob: Resource<Blob>, offset: u64, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.count_host_call()?;
        Ok(self.table.get(&blob)?.read(offset, length).to_vec())
    }

    fn append(&mut self, blob: Resource<Blob>, bytes: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        self.count_host_call()?;
        let limit = self.shared.options.max_blob_bytes;
        let total = self.blob_bytes.saturating_add(u64::try_from(bytes.len())?);
        if total > limit {
            return Ok(Err(format!(
                "a call's blobs may hold {limit} bytes in all (`max_blob_bytes`); send the file in parts"
            )));
        }
        self.table.get_mut(&blob)?.append(&bytes);
        self.blob_bytes = total;
        Ok(Ok(()))
    }

    fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        let blob = self.table.delete(blob)?;
        self.blob_bytes = self.blob_bytes.saturating_sub(u64::try_from(blob.bytes().len())?);
        Ok(())
    }
}

impl limits::Host for State {
    fn observe(&mut self, bucket: String, remaining: u64, reset_ms: u64) -> wasmtime::Result<()> {
        self.count_host_call()?;
        // One value per bucket matters: the last. A name the manifest does not have would be kept for nothing.
        let known = self.current.on_behalf.as_ref().is_some_and(|on_behalf| {
            on_behalf.subject.manifest().buckets.iter().any(|known| known.id == bucket)
        });
        match self.current.observations.iter_mut().find(|seen| seen.bucket == bucket) {
            Some(seen) => (seen.remaining, seen.reset_ms) = (remaining, reset_ms),
            None if known => self.current.observations.push(Observation { bucket, remaining, reset_ms }),
            None => {
                let name: String = bucket.chars().take(80).collect();
                self.log(
                    LogLevel::Warn,
                    &format!("`limits.observe` names bucket `{name}`, which the manifest does not have"),
                );
            }
        }
        Ok(())
    }
}

impl signing::Host for State {
    fn verify(
        &mut self,
        key: String,
        algorithm: signing::Algorithm,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        self.count_host_call()?;
        Ok(self.key(&key).and_then(|key| crate::signing::verify(key, algorithm.into(), &message, &signature)))
    }

    fn sign(
        &mut self,
        key: String,
        algorithm: signing::Algorithm,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.count_host_call()?;
        Ok(self.key(&key).and_then(|key| crate::signing::sign(key, algorithm.into(), &message)))
    }
}

impl State {
    fn key(&self, name: &str) -> Result<&str, String> {
        self.current.on_behalf.as_ref().and_then(|on_behalf| on_behalf.call.secrets.get(name)).ok_or_else(
            || {
                format!(
                    "there is no key `{name}` for this call; name a secret of the connection's auth scheme"
                )
            },
        )
    }
}

impl From<signing::Algorithm> for Algorithm {
    fn from(algorithm: signing::Algorithm) -> Self {
        match algorithm {
            signing::Algorithm::HmacSha1 => Self::HmacSha1,
            signing::Algorithm::HmacSha256 => Self::HmacSha256,
            signing::Algorithm::HmacSha512 => Self::HmacSha512,
            signing::Algorithm::RsaPkcs1Sha256 => Self::RsaPkcs1Sha256,
            signing::Algorithm::EcdsaP256Sha256 => Self::EcdsaP256Sha256,
        }
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log(level, &message);
        Ok(())
    }
}

impl clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(self.shared.clock.now().as_millis())
    }
}

impl random::Host for State {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.count_host_call()?;
        if length > MAX_RANDOM_BYTES {
            return Err(self.stop(format!(
                "it asked for {length} random bytes at once, {MAX_RANDOM_BYTES} are allowed"
            )));
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        self.shared.random.fill(&mut bytes);
        Ok(bytes)
    }
}
