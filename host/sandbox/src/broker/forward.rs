//! A request that the ISV sends through a connection: every rule of a connector's own requests, without the connector.
//!
//! The credential is placed as the manifest says, and known secrets are removed from what comes back.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use trunnion_core::{call::CallError, clock::Timestamp, hosts::HostPattern, manifest::Manifest};

use super::{Auth, Broker, ByteBudget, Outgoing, Redirects, SendError, Subject};
use crate::{
    answer::{Answer, Failed},
    call::Call,
};

/// What is sent; secrets are references.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The method.
    pub method: String,
    /// Where to: https, a host of the manifest.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// When it leaves: signatures carry the time.
    pub at: Timestamp,
}

/// What came back, known secrets removed.
#[derive(Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The vendor's status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Forwarded {
    /// Leaves out what the vendor says, which is a user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Forward {
    /// The base of a path, where the request names no host: that of the first host that the manifest names whole with
    /// this connection's parameters.
    #[must_use]
    pub fn base(manifest: &Manifest, call: &Call) -> Option<String> {
        let host = manifest
            .hosts
            .iter()
            .filter_map(|host| HostPattern::parse(host).ok())
            .find_map(|host| host.only_host(&call.parameters))?;
        Some(format!("https://{host}"))
    }
}

impl Broker {
    /// Sends one request on behalf of `call`'s connection: to a host of the manifest and of the operator's grant, with
    /// the connection's credential.
    pub async fn forward(
        &self,
        manifest: Arc<Manifest>,
        call: &Call,
        request: Forward,
    ) -> Result<Answer<Forwarded>, Failed> {
        let subject = Subject::new(manifest).map_err(|problem| denied(problem.to_string()))?;
        let Forward { method, url, headers, body, at } = request;
        let redirects = Redirects::Follow;
        let outgoing =
            Outgoing { method, url, headers, body, auth: Auth::Connection, timeout: None, at, redirects };
        let changes = outgoing.changes_something();
        let room = ByteBudget::new(self.options.max_response_bytes);
        let sent = self.send(&subject, call, outgoing, &room).await;
        let exchanges = vec![sent.exchange];
        match sent.result {
            Ok(incoming) => {
                let value =
                    Forwarded { status: incoming.status, headers: incoming.headers, body: incoming.body };
                Ok(Answer {
                    value,
                    log: Vec::new(),
                    exchanges,
                    observations: Vec::new(),
                    cpu: Duration::ZERO,
                })
            }
            Err(error) => Err(Failed { exchanges, ..failed(meaning(error, changes)) }),
        }
    }
}

/// What a failed request means for whoever asked for it: where the vendor may have done something, nobody knows.
fn meaning(error: SendError, changes: bool) -> CallError {
    let message = error.to_string();
    match error {
        SendError::Denied(_) => CallError::Denied { message },
        SendError::Unauthorized(_) => CallError::AuthExpired { message },
        SendError::Unreachable(_) => CallError::Unavailable { message },
        SendError::TimedOut(_) | SendError::Interrupted(_) | SendError::TooLarge(_) if changes => {
            CallError::Uncertain { message }
        }
        SendError::TimedOut(_) | SendError::Interrupted(_) => CallError::Unavailable { message },
        SendError::TooLarge(_) => CallError::Rejected { status: 0, message },
    }
}

pub(super) fn denied(message: String) -> Failed {
    failed(CallError::Denied { message })
}

const fn failed(error: CallError) -> Failed {
    Failed { error, log: Vec::new(), exchanges: Vec::new(), observations: Vec::new(), cpu: Duration::ZERO }
}
