//! Where streams go: an environment's destinations, their secrets and how they are signed.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use trunnion_core::{
    records::{BatchRule, FormerSecret, Signature, StreamDestination},
    scope::Scope,
};
use trunnion_store::{Batch, Select, Version, Versioned, tables::StreamDestinations};
use url::Url;

use super::keys::{Kind, SigningKeys};
use crate::{
    condition::Condition,
    context::Context,
    error::{Error, Result},
    outbox::Outbox,
};

/// How long a replaced secret still signs, at most.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Sets and finds destinations.
#[derive(Clone, Debug)]
pub struct Destinations {
    context: Context,
    keys: SigningKeys,
    outbox: Outbox,
}

/// What a destination is set to.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The URL that is POSTed to.
    pub url: String,
    /// How requests are signed; as before, or in the usual way, where absent.
    pub signatures: Option<BTreeSet<Signature>>,
    /// What several runs send goes in one request; each by itself where that is none; as before where absent.
    pub batch: Option<Option<BatchRule>>,
}

impl Destinations {
    /// Over `context`; environments' keys are `keys`, and batches leave by `outbox`.
    #[must_use]
    pub const fn new(context: Context, keys: SigningKeys, outbox: Outbox) -> Self {
        Self { context, keys, outbox }
    }

    /// Sets where streams of a name go in this environment, where `condition` holds of it. A new destination gets a fresh
    /// secret; a known one keeps its own.
    pub async fn put(
        &self,
        scope: &Scope,
        name: &str,
        wanted: Wanted,
        condition: &Condition,
    ) -> Result<Versioned<StreamDestination>> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let message = format!("`{name}` is not a stream's name; use 1 to 64 of `a-z`, `0-9`, `-`, `_`");
            return Err(Error::invalid("stream-name-invalid", message));
        }
        let Wanted { url, signatures, batch } = wanted;
        let unfit = |problem: String| {
            let message =
                format!("the URL of stream `{name}` cannot be used: {problem}; give an absolute https URL");
            Error::invalid("stream-url-invalid", message)
        };
        let parsed = Url::parse(&url).map_err(|problem| unfit(problem.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(unfit(format!("its scheme is `{}`", parsed.scheme())));
        }
        if signatures.as_ref().is_some_and(BTreeSet::is_empty) {
            let message = format!(
                "stream `{name}` would not be signed at all; name one of `standard`, `standard_asymmetric`, `alloy`"
            );
            return Err(Error::invalid("stream-unsigned", message));
        }
        if let Some(Some(rule)) = batch {
            fits_a_batch(name, rule)?;
        }
        let now = self.context.now();
        let known = self.context.store.get::<StreamDestinations>(scope, &name.to_owned()).await?;
        let version = known.as_ref().map(|known| known.version);
        condition.holds(version, &format!("stream `{name}`"))?;
        let mut destination = known.map_or_else(
            || StreamDestination {
                name: name.to_owned(),
                url: String::new(),
                secret: self.fresh_secret(),
                former: None,
                signatures: Signature::usual(),
                failing_since: None,
                disabled: None,
                batch: None,
                created_at: now,
                updated_at: now,
            },
            |known| known.record,
        );
        if destination.url != url {
            // How the one before it fared says nothing of this one.
            (destination.failing_since, destination.disabled) = (None, None);
        }
        destination.url = url;
        destination.updated_at = now;
        if let Some(signatures) = signatures {
            destination.signatures = signatures;
        }
        if let Some(batch) = batch {
            destination.batch = batch;
        }
        // Made now, so that a receiver can be given the public half before the first request comes.
        for kind in destination.signatures.iter().filter_map(|signature| Kind::of(*signature)) {
            self.keys.public(scope, kind).await?;
        }
        let kept = self.keep(scope, destination, version).await?;
        // What waits there may be due by another rule now.
        self.outbox.look_after(scope, name);
        Ok(kept)
    }

    /// Gives a destination a fresh secret. The one before it signs as well for `overlap`, so that receivers can change
    /// theirs meanwhile.
    pub async fn rotate(
        &self,
        scope: &Scope,
        name: &str,
        overlap: Duration,
    ) -> Result<Versioned<StreamDestination>> {
        if overlap > LONGEST_OVERLAP {
            let hours = LONGEST_OVERLAP.as_secs() / 3600;
            let message = format!("a replaced secret signs for at most {hours} more hours");
            return Err(Error::invalid("overlap-too-long", message));
        }
        let Versioned { record: mut destination, version } = self.stored(scope, name).await?;
        let now = self.context.now();
        let secret = std::mem::replace(&mut destination.secret, self.fresh_secret());
        destination.former = (!overlap.is_zero()).then(|| FormerSecret { secret, until: now + overlap });
        destination.updated_at = now;
        self.keep(scope, destination, Some(version)).await
    }

    /// Has a destination that was switched off take what comes again.
    pub async fn enable(&self, scope: &Scope, name: &str) -> Result<Versioned<StreamDestination>> {
        let Versioned { record: mut destination, version } = self.stored(scope, name).await?;
        if destination.disabled.is_none() {
            return Ok(Versioned { record: destination, version });
        }
        (destination.failing_since, destination.disabled) = (None, None);
        destination.updated_at = self.context.now();
        self.keep(scope, destination, Some(version)).await
    }

    /// One destination.
    pub async fn one(&self, scope: &Scope, name: &str) -> Result<Versioned<StreamDestination>> {
        self.stored(scope, name).await
    }

    /// Every destination of the environment, by name.
    pub async fn all(&self, scope: &Scope) -> Result<Vec<StreamDestination>> {
        let entries = self.context.store.list::<StreamDestinations>(scope, Select::all()).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// The environment's public key of a kind, where it has one.
    pub async fn public_key(&self, scope: &Scope, kind: Kind) -> Result<Option<String>> {
        self.keys.known(scope, kind).await
    }

    async fn stored(&self, scope: &Scope, name: &str) -> Result<Versioned<StreamDestination>> {
        let stored = self.context.store.get::<StreamDestinations>(scope, &name.to_owned()).await?;
        stored.ok_or_else(|| {
            let message = format!("there is no stream `{name}` here; make it with PUT /v1/streams/{name}");
            Error::not_found("stream-unknown", message)
        })
    }

    /// Commits it over the `version` that was read.
    async fn keep(
        &self,
        scope: &Scope,
        destination: StreamDestination,
        version: Option<Version>,
    ) -> Result<Versioned<StreamDestination>> {
        let mut batch = Batch::new();
        let name = &destination.name;
        match version {
            Some(version) => batch.replace::<StreamDestinations>(scope, name, &destination, version),
            None => batch.insert::<StreamDestinations>(scope, name, &destination),
        }
        match self.context.store.commit(batch).await {
            Ok(version) => Ok(Versioned { record: destination, version }),
            Err(error) if error.is_conflict() => {
                let message = format!(
                    "stream `{name}` was changed by somebody else at the same time; read it and try again"
                );
                Err(Error::conflict("stream-changed", message))
            }
            Err(error) => Err(Error::Commit(error)),
        }
    }

    fn fresh_secret(&self) -> String {
        format!("whsec_{}", BASE64_STANDARD.encode(self.context.ids.bytes::<32>()))
    }
}

fn fits_a_batch(name: &str, rule: BatchRule) -> Result<()> {
    let largest = BatchRule::LARGEST;
    let members = [
        ("max_items", u64::from(rule.max_items), u64::from(largest.max_items)),
        ("max_bytes", rule.max_bytes, largest.max_bytes),
        ("max_wait_ms", rule.max_wait_ms, largest.max_wait_ms),
    ];
    match members.iter().find(|(_, given, most)| !(1..=*most).contains(given)) {
        None => Ok(()),
        Some((member, given, most)) => {
            let message = format!("`batch.{member}` of stream `{name}` is from 1 to {most}, not {given}");
            Err(Error::invalid("stream-batch-invalid", message))
        }
    }
}
