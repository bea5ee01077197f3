//! Where streams go, and what proves that they are ours. None shows its secrets.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::FormerSecret;
use crate::clock::Timestamp;

/// Where streams of one name go in an environment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDestination {
    /// Its name, which workflows use in both environments.
    pub name: String,
    /// The URL that is POSTed to.
    pub url: String,
    /// The signing key, as Standard Webhooks writes it: `whsec_` and base64.
    pub secret: String,
    /// The one before it, with which requests are signed as well for a while.
    #[serde(default)]
    pub former: Option<FormerSecret>,
    /// How requests are signed.
    #[serde(default = "Signature::usual")]
    pub signatures: BTreeSet<Signature>,
    /// Since when nothing but failures came of it; none where it took what came last.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// Why nothing is sent there any more, where that is so.
    #[serde(default)]
    pub disabled: Option<DisabledStream>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl StreamDestination {
    /// The secrets with which requests at `now` are signed, the present one first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let former = self.former.iter().filter(move |former| former.until > now);
        [self.secret.as_str()].into_iter().chain(former.map(|former| former.secret.as_str()))
    }
}

impl fmt::Debug for StreamDestination {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDestination")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("signatures", &self.signatures)
            .finish_non_exhaustive()
    }
}

/// That a destination was switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledStream {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A way to sign a request to the ISV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// `v1` of Standard Webhooks: HMAC-SHA256 with the stream's secret.
    Standard,
    /// `v1a` of Standard Webhooks: Ed25519 with the environment's key.
    StandardAsymmetric,
    /// `X-Alloy-Signature`: RSA-SHA256 with the environment's key, over method, URL and body as JavaScript writes it.
    Alloy,
}

impl Signature {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Standard, Self::StandardAsymmetric, Self::Alloy];

    /// How a stream is signed that says nothing of it.
    #[must_use]
    pub fn usual() -> BTreeSet<Self> {
        BTreeSet::from([Self::Standard])
    }
}

/// A private key of an environment, with which it signs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// The key as PKCS #8, in base64.
    pub pkcs8: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for SigningKey {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}
