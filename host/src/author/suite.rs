//! The compliance suite: what holds for every connector, whatever its vendor, tried in the real sandbox against a vendor
//! on this machine that answers everything the same way.
//!
//! It knows nothing of the vendor's paths. It asks what a connector makes of refusals, silence and nonsense, since the
//! host decides by a connector's error alone whether work is tried again, waits, or is given up. What needs the vendor's
//! own answers (later requests of an action, pages) is for cassettes. Invariants: every verdict names the rule, what was
//! tried and the remedy; what could not be tried is said to be so, and never counts as passed.

mod rules;
mod scene;
mod script;
mod subject;
mod verdict;

use std::{io, sync::Arc, time::Duration};

use trunnion_core::clock::{ManualClock, SeededRandom, Timestamp};
use trunnion_sandbox::EgressOptions;

pub use self::verdict::{Outcome, Report, Verdict};
use self::{rules::Trial, script::Script};
use super::{
    credential::Credential,
    loading::Loading,
    vendor::{Play, Vendor},
    workshop,
};

/// How long the vendor's silence is borne where it is what is tried.
const SILENCE_MS: u64 = 250;
/// The connector's clock: 2026-01-01T00:00:00Z, so that every run of the suite is the same.
const NOW_MS: u64 = 1_767_225_600_000;

/// A suite that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The component is no connector.
    #[error(transparent)]
    Workshop(#[from] workshop::Error),
    /// No vendor.
    #[error("the vendor that the suite plays found no free port on this machine")]
    Vendor(#[source] io::Error),
}

/// Tries every rule on everything that the component declares, and with each further auth scheme those that it could
/// break; says on `progress` what it is at.
pub async fn run(loading: &Loading, progress: &mut (dyn FnMut(&str) + Send)) -> Result<Report, Error> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW_MS)));
    let open =
        |egress| loading.open(egress, Arc::<ManualClock>::clone(&clock), Arc::new(SeededRandom::new(1)));
    progress("loading the connector");
    let manifest = loading.manifest().await?;
    let mut schemes = manifest.connection.schemes.clone().into_iter();
    let scheme = schemes.next();
    let credential = Credential::stand_in(&manifest, scheme.as_ref());
    let script = Arc::new(Script::default());
    let vendor =
        Vendor::start(Arc::<Script>::clone(&script) as Arc<dyn Play>).await.map_err(Error::Vendor)?;
    let rewrites = vendor.rewrites(&manifest, &credential);
    let egress = EgressOptions { rewrites, ..EgressOptions::default() };
    let hasty = EgressOptions { timeout_ms: SILENCE_MS, ..egress.clone() };
    let (patient, hasty) = (open(egress).await?, open(hasty).await?);
    let mut trial = Trial { patient, hasty, manifest, scheme, credential, script, clock: Arc::clone(&clock) };
    let mut verdicts = trial.every_rule(progress).await;
    for another in schemes {
        trial.credential = Credential::stand_in(&trial.manifest, Some(&another));
        trial.scheme = Some(another);
        verdicts.extend(trial.of_another_scheme(progress).await);
    }
    Ok(Report { app: trial.manifest.id.clone(), version: trial.manifest.version.to_string(), verdicts })
}

/// Time that passes between two rounds of polls.
const BETWEEN_POLLS: Duration = Duration::from_secs(300);
