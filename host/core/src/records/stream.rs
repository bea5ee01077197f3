//! Where streams go, and what proves that they are ours. None shows its secrets.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FormerSecret;
use crate::{
    call::CallError,
    clock::Timestamp,
    id::{Id, UserId},
    machine::Lease,
};

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
    /// When what several runs send there goes in one request; each by itself, where absent.
    #[serde(default)]
    pub batch: Option<BatchRule>,
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

/// When items make a batch: whichever comes first.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRule {
    /// So many items.
    pub max_items: u32,
    /// So many bytes of their JSON.
    pub max_bytes: u64,
    /// The first has waited so long.
    pub max_wait_ms: u64,
}

impl BatchRule {
    /// No batch is larger or later than this.
    pub const LARGEST: Self = Self { max_items: 1_000, max_bytes: 4 << 20, max_wait_ms: 24 * 3_600_000 };
}

/// An item that waits for its batch, or for the batch it is in to be taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchItem {
    /// Whose it is.
    pub user: UserId,
    /// What it says.
    pub body: Value,
    /// What it takes in the batch.
    pub bytes: u64,
    /// When its step gave it.
    pub at: Timestamp,
}

/// Items that go to a destination together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamBatch {
    /// Its id, which is its `webhook-id` over every attempt.
    pub id: Id,
    /// The destination.
    pub stream: String,
    /// Under what its items are kept.
    pub line: [u8; 16],
    /// Its items, in their order.
    pub items: Vec<Id>,
    /// Attempts begun.
    pub attempts: u32,
    /// Who makes an attempt.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Not before this time.
    pub not_before: Timestamp,
    /// What the last attempt failed with.
    #[serde(default)]
    pub last_error: Option<CallError>,
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
