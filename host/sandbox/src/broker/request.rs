//! A guest's request and what came of it.

use std::time::Duration;

use bytes::Bytes;
use trunnion_core::clock::Timestamp;

use super::{Held, SendError};
use crate::answer::Exchange;

/// What a guest wants sent; secrets are references.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) auth: Auth,
    pub(crate) timeout: Option<Duration>,
    /// When it leaves: signatures carry the time.
    pub(crate) at: Timestamp,
    pub(crate) redirects: Redirects,
}

/// Which credential is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Connection,
    App,
    None,
}

/// What becomes of a 3xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    Follow,
    Manual,
}

/// A whole answer, redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) result: Result<Incoming, SendError>,
    pub(crate) exchange: Exchange,
    /// What the answer has of the budget; whoever keeps the answer keeps this.
    pub(crate) held: Held,
}

impl Sent {
    /// Whether the vendor may have seen the request.
    pub(crate) const fn may_have_arrived(&self) -> bool {
        !matches!(
            &self.result,
            Err(SendError::Denied(_) | SendError::Unreachable(_) | SendError::Unauthorized(_))
        )
    }
}

/// Longest path that the run log shows.
const MAX_SHOWN: usize = 512;

impl Outgoing {
    /// Whether the vendor's state may differ afterwards.
    pub(crate) fn changes_something(&self) -> bool {
        !["GET", "HEAD", "OPTIONS"].iter().any(|method| self.method.eq_ignore_ascii_case(method))
    }

    /// As the run log shows it before anything happened: no query, which may hold personal data.
    pub(crate) fn exchange(&self) -> Exchange {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, "/"));
        // Whatever stands before an `@` may be a credential; such a request is refused.
        let host = host.rsplit('@').next().unwrap_or_default();
        let short = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
        Exchange {
            method: self.method.chars().take(16).collect(),
            host: short(host),
            path: short(path),
            status: None,
            problem: None,
            duration_ms: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_host_and_path_and_no_more() {
        for (url, host, path) in [
            ("https://api.acme.com/v2/orders/1?token=x", "api.acme.com", "/v2/orders/1"),
            ("https://api.acme.com", "api.acme.com", "/"),
            ("https://user:pass@api.acme.com/x#y", "api.acme.com", "/x"),
            ("https://api.acme.com/{{secret:key}}/x", "api.acme.com", "/{{secret:key}}/x"),
            ("nonsense", "nonsense", "/"),
        ] {
            let outgoing = Outgoing {
                method: "GET".to_owned(),
                url: url.to_owned(),
                headers: Vec::new(),
                body: Bytes::new(),
                auth: Auth::None,
                timeout: None,
                at: Timestamp::ZERO,
                redirects: Redirects::Follow,
            };
            let exchange = outgoing.exchange();
            assert_eq!((exchange.host.as_str(), exchange.path.as_str()), (host, path), "{url}");
        }
    }
}
