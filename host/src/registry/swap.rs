//! Swaps: pushing a version, activating a kept one, going back to the one before.
//!
//! Invariants: one swap of an app at a time, and a second one is refused at once; a swap goes on when its caller
//! hangs up, so that the durable record and the memory never part; the record is durable before the replacement
//! in memory; whatever is refused leaves the running version, the kept components and the memory as they were.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use trunnion_core::{
    id::IdSource,
    records::{ConnectorChange, ConnectorChangeKind, ConnectorVersion, Digest, KeyHolder},
};
use trunnion_sandbox::{Connector, LoadError};
use trunnion_store::Store;

use super::{
    Gone, Registry,
    candidate::{Candidate, Probed, Stages, Stopwatch},
    records::{Cause, Records, Succession},
    survey::{Survey, Use},
};
use crate::error::{Error, Result};

/// Fewest hex digits that name a component.
const SHORTEST_PREFIX: usize = 8;

/// Things in use that a refusal spells out; the others are in its list.
const SPELT_OUT: usize = 3;

/// Changes what is active.
#[derive(Clone, Debug)]
pub struct Swaps {
    pub(super) registry: Arc<Registry>,
    pub(super) records: Records,
    under_way: Arc<Mutex<BTreeSet<String>>>,
    /// Components that lie in the connectors directory: pruning them would make them new again at a start.
    pub(super) seeds: Arc<Mutex<BTreeSet<Digest>>>,
}

/// What becomes of a pushed version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It takes over.
    Activate,
    /// It is kept, to be activated later.
    Keep,
}

/// A kept version, as somebody names it.
#[derive(Clone, Debug)]
pub enum Which {
    /// By its digest, or the first digits of it.
    Digest(String),
    /// The newest component of this semver.
    Version(semver::Version),
}

/// What a swap came to.
#[derive(Clone, Debug)]
pub struct Swapped {
    /// The version it was about.
    pub version: ConnectorVersion,
    /// Whether that version is the active one now.
    pub active: bool,
    /// Whether anything changed.
    pub changed: bool,
    /// The component that was active before.
    pub previous: Option<Digest>,
    /// How long each stage took.
    pub stages: Stages,
    /// From the whole component, or the wish, to the switch.
    pub total: Duration,
}

/// A version and whether it is the active one, or the one to go back to.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The version.
    pub version: ConnectorVersion,
    /// Whether it is active.
    pub active: bool,
    /// Whether a rollback goes to it.
    pub previous: bool,
}

/// An app's turn: nobody else changes its connector while this lives.
pub(super) struct Turn {
    app: String,
    under_way: Arc<Mutex<BTreeSet<String>>>,
}

/// A connector that wants to take over.
pub(super) struct Successor {
    pub(super) connector: Connector,
    pub(super) version: ConnectorVersion,
    pub(super) known: bool,
    pub(super) change: ConnectorChangeKind,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}

impl Swaps {
    /// Over the connectors and their records.
    #[must_use]
    pub fn new(registry: Arc<Registry>, store: Store, ids: IdSource) -> Self {
        let records = Records { store, ids };
        Self { registry, records, under_way: Arc::default(), seeds: Arc::default() }
    }

    /// Bytes of a component that is accepted.
    #[must_use]
    pub fn max_component_bytes(&self) -> usize {
        self.registry.loader.max_component_bytes()
    }

    /// Takes a component through the stages, keeps it, and lets it take over where that is wished.
    pub async fn push(&self, by: KeyHolder, app: String, component: Bytes, wish: Wish) -> Result<Swapped> {
        let swaps = self.clone();
        alone(async move {
            let turn = swaps.turn(&app)?;
            let cause = Cause { by: Some(by), reason: None };
            let swapped = swaps.pushed(&turn, component, wish, cause).await?;
            swaps.prune(&turn.app).await;
            Ok(swapped)
        })
        .await
    }

    /// Lets a kept version take over.
    pub async fn activate(&self, by: KeyHolder, app: String, which: Which) -> Result<Swapped> {
        let swaps = self.clone();
        alone(async move {
            let turn = swaps.turn(&app)?;
            let version = swaps.named(&turn.app, &which).await?;
            swaps.reactivated(&turn, version, ConnectorChangeKind::Activated, by).await
        })
        .await
    }

    /// Lets the version before the active one take over again.
    pub async fn roll_back(&self, by: KeyHolder, app: String) -> Result<Swapped> {
        let swaps = self.clone();
        alone(async move {
            let turn = swaps.turn(&app)?;
            let Some(active) = swaps.records.active(&turn.app).await? else {
                return Err(swaps.unknown(&turn.app));
            };
            let Some(previous) = active.record.previous else {
                let message = format!(
                    "there is no version of the connector of `{app}` to go back to: the active one is the first; \
                     push another, or activate a kept one"
                );
                return Err(Error::conflict("connector-no-previous", message));
            };
            let version = swaps.named(&turn.app, &Which::Digest(previous.0)).await?;
            swaps.reactivated(&turn, version, ConnectorChangeKind::RolledBack, by).await
        })
        .await
    }

    /// The versions kept of an app, newest first.
    pub async fn versions(&self, app: &str) -> Result<Vec<Kept>> {
        let versions = self.records.versions(app).await?;
        if versions.is_empty() {
            return Err(self.unknown(app));
        }
        let active = self.records.active(app).await?.map(|active| active.record);
        let kept = |version: ConnectorVersion| Kept {
            active: active.as_ref().is_some_and(|active| active.digest == version.digest),
            previous: active.as_ref().is_some_and(|active| active.previous.as_ref() == Some(&version.digest)),
            version,
        };
        Ok(versions.into_iter().map(kept).collect())
    }

    /// What was done about an app's connector, newest first.
    pub async fn history(&self, app: &str, limit: usize) -> Result<Vec<ConnectorChange>> {
        let history = self.records.history(app, limit).await?;
        if history.is_empty() { Err(self.unknown(app)) } else { Ok(history) }
    }

    fn turn(&self, app: &str) -> Result<Turn> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.insert(app.to_owned()) {
            return Ok(Turn { app: app.to_owned(), under_way: Arc::clone(&self.under_way) });
        }
        let message = format!(
            "the connector of `{app}` is being changed right now; look at its versions when that is done, and \
             try again"
        );
        Err(Error::conflict("connector-swap-under-way", message))
    }

    async fn pushed(&self, turn: &Turn, component: Bytes, wish: Wish, cause: Cause) -> Result<Swapped> {
        let (mut watch, mut stages) = (Stopwatch::start(), Stages::default());
        let app = turn.app.as_str();
        let candidate = Candidate::new(component);
        let digest = candidate.digest.clone();
        let known = self.records.version(app, &digest).await?;
        let active = self.registry.active(app).filter(|active| *active.digest() == digest);
        if let (Some(version), Some(_)) = (&known, &active) {
            // Whoever pushes the active component again may be mending its file.
            self.keep(&digest, candidate.component).await?;
            return Ok(unchanged(version.clone(), &watch));
        }
        let probed = candidate.probe(self.registry.loader.as_ref(), &mut watch, &mut stages).await;
        let Probed { component, connector } = match probed {
            Ok(probed) => probed,
            Err(error) => {
                let refusal = refused(&error);
                self.turn_down(app, (&digest, None), known.is_some(), &error.to_string(), cause).await?;
                return Err(refusal);
            }
        };
        let manifest = Arc::clone(connector.manifest());
        if manifest.id != app {
            let message = format!(
                "this is a connector of the app `{}`, not of `{app}`; push it to /v1/connectors/{}/versions, or \
                 correct `id` in its manifest",
                manifest.id, manifest.id
            );
            let own = self.records.version(&manifest.id, &digest).await?.is_some();
            self.turn_down(app, (&digest, Some(&manifest.version)), own, &message, cause).await?;
            return Err(Error::invalid("connector-app-mismatch", message));
        }
        let size = u64::try_from(component.len()).unwrap_or(u64::MAX);
        self.keep(&digest, component).await?;
        let is_known = known.is_some();
        let version = known.unwrap_or_else(|| ConnectorVersion {
            app: app.to_owned(),
            version: manifest.version.clone(),
            digest,
            added_at: self.records.ids.clock().now(),
            size,
        });
        if wish == Wish::Keep {
            if !is_known {
                self.records.add(&version, cause).await?;
            }
            let total = watch.total();
            let active = active.is_some();
            return Ok(Swapped { version, active, changed: !is_known, previous: None, stages, total });
        }
        let change = ConnectorChangeKind::Activated;
        let successor = Successor { connector, version, known: is_known, change };
        watch.lap();
        self.take_over(successor, cause, &mut watch, stages).await
    }

    async fn reactivated(
        &self,
        turn: &Turn,
        version: ConnectorVersion,
        change: ConnectorChangeKind,
        by: KeyHolder,
    ) -> Result<Swapped> {
        let mut watch = Stopwatch::start();
        let active = self.registry.active(&turn.app);
        if active.is_some_and(|active| *active.digest() == version.digest) {
            return Ok(unchanged(version, &watch));
        }
        let connector = match self.registry.by_digest(&turn.app, &version.digest).await {
            Ok(connector) => connector,
            Err(Gone::Refused { source, .. }) => return Err(refused(&source)),
            Err(Gone::Shelf(error)) => {
                let message = format!(
                    "version {} of the connector of `{}` is not kept any more: {error}; or push it again",
                    version.version, version.app
                );
                return Err(Error::not_found("connector-version-unknown", message));
            }
        };
        let stages = Stages { probe: watch.lap(), ..Stages::default() };
        let successor = Successor { connector, version, known: true, change };
        self.take_over(successor, Cause { by: Some(by), reason: None }, &mut watch, stages).await
    }

    /// The last stages: what is in use must go on, the record becomes durable, and everybody sees the new
    /// version at once. Calls in flight end on the old one.
    pub(super) async fn take_over(
        &self,
        successor: Successor,
        cause: Cause,
        watch: &mut Stopwatch,
        mut stages: Stages,
    ) -> Result<Swapped> {
        let Successor { connector, version, known, change } = successor;
        let app = version.app.as_str();
        let gate = self.registry.gate.write().await;
        let uses = self.uses(&connector).await?;
        stages.survey = watch.lap();
        if !uses.is_empty() {
            drop(gate);
            let (message, summary) = told(&version, &uses);
            let subject = (&version.digest, Some(&version.version));
            self.turn_down(app, subject, known, &summary, cause).await?;
            return Err(Error::ConnectorInUse { message, uses: uses.iter().map(Use::problem).collect() });
        }
        let before = self.records.active(app).await?;
        let next = Succession { version: &version, known, change, before: before.as_ref() };
        let active = self.records.succeed(next, cause).await?;
        let superseded = self.registry.switch(connector, active.since);
        stages.switch = watch.lap();
        let total = watch.total();
        drop(gate);
        if let Some(superseded) = superseded {
            self.registry.loader.retire(superseded.digest());
        }
        tracing::info!(app, version = %version.version, digest = %version.digest, "connector active");
        Ok(Swapped { active: true, changed: true, previous: active.previous, stages, total, version })
    }

    async fn uses(&self, candidate: &Connector) -> Result<Vec<Use>> {
        let standing = self.registry.standing();
        let Some(present) = standing.connector(&candidate.manifest().id) else { return Ok(Vec::new()) };
        let survey = Survey {
            store: &self.records.store,
            standing: &standing,
            present: present.manifest(),
            candidate: candidate.manifest(),
            now: self.records.ids.clock().now(),
        };
        survey.uses().await
    }

    /// Writes a refusal down, and leaves nothing of a component that is not kept.
    pub(super) async fn turn_down(
        &self,
        app: &str,
        (digest, version): (&Digest, Option<&semver::Version>),
        kept: bool,
        reason: &str,
        cause: Cause,
    ) -> Result<()> {
        let reason = match cause.reason {
            Some(origin) => format!("{origin}: {reason}"),
            None => reason.to_owned(),
        };
        tracing::warn!(app, %digest, reason, "a connector was refused");
        if !kept {
            self.registry.discard(digest).await;
        }
        let change = ConnectorChange {
            at: self.records.ids.clock().now(),
            by: cause.by,
            change: ConnectorChangeKind::Refused,
            version: version.cloned(),
            digest: digest.clone(),
            previous: None,
            reason: Some(reason),
        };
        self.records.refuse(app, change).await
    }

    pub(super) async fn keep(&self, digest: &Digest, component: Bytes) -> Result<()> {
        let kept = self.registry.shelf.put(digest, component).await;
        kept.map_err(|error| Error::Internal(format!("{error}: {}", chain(&error))))
    }

    async fn named(&self, app: &str, which: &Which) -> Result<ConnectorVersion> {
        let versions = self.records.versions(app).await?;
        if versions.is_empty() {
            return Err(self.unknown(app));
        }
        let none = |what: String| {
            let message = format!("{what}; GET /v1/connectors/{app}/versions lists what is kept, or push it");
            Err(Error::not_found("connector-version-unknown", message))
        };
        match which {
            Which::Version(wanted) => match versions.into_iter().find(|known| known.version == *wanted) {
                Some(version) => Ok(version),
                None => none(format!("no version {wanted} of the connector of `{app}` is kept")),
            },
            Which::Digest(prefix) if prefix.len() < SHORTEST_PREFIX => none(format!(
                "`{prefix}` does not name a component of `{app}`: give at least {SHORTEST_PREFIX} digits of its digest"
            )),
            Which::Digest(prefix) => {
                let mut fitting = versions.into_iter().filter(|known| known.digest.0.starts_with(prefix));
                match (fitting.next(), fitting.next()) {
                    (Some(version), None) => Ok(version),
                    (Some(_), Some(_)) => none(format!(
                        "several components of `{app}` begin with `{prefix}`; give more of the digest"
                    )),
                    (None, _) => none(format!("no component of `{app}` with the digest `{prefix}` is kept")),
                }
            }
        }
    }

    fn unknown(&self, app: &str) -> Error {
        let message = format!(
            "there is no connector for the app `{app}`; this host has {}",
            self.registry.known_apps()
        );
        Error::not_found("connector-unknown", message)
    }
}

/// What a candidate that a stage refused is answered with.
pub(super) fn refused(error: &LoadError) -> Error {
    Error::ConnectorRefused { stage: error.stage().as_str(), message: error.to_string() }
}

fn unchanged(version: ConnectorVersion, watch: &Stopwatch) -> Swapped {
    let previous = None;
    let stages = Stages::default();
    Swapped { version, active: true, changed: false, previous, stages, total: watch.total() }
}

/// The refusal for whoever asked, and the one that is kept.
fn told(version: &ConnectorVersion, uses: &[Use]) -> (String, String) {
    let ConnectorVersion { app, version, .. } = version;
    let spelt = |one: fn(&Use) -> String| {
        let mut listed: Vec<_> = uses.iter().take(SPELT_OUT).map(one).collect();
        if uses.len() > SPELT_OUT {
            listed.push(format!("and {} more", uses.len() - SPELT_OUT));
        }
        listed.join(" · ")
    };
    let message = format!(
        "version {version} of the connector of `{app}` lacks or changed what is in use; change or remove what \
         uses it, or push a version that still has it: {}",
        spelt(|one| one.problem().message)
    );
    let summary = format!("lacks or changed what is in use: {}", spelt(Use::summary));
    (message, summary)
}

/// What caused an error, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Runs to its end whoever stops waiting for it, on a thread of its own: the runtime's may all be busy with runs,
/// and the switch should not queue behind them.
async fn alone<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    match tokio::task::spawn_blocking(move || runtime.block_on(work)).await {
        Ok(done) => done,
        Err(error) => Err(Error::Internal(format!("a change of a connector ended badly: {error}"))),
    }
}
