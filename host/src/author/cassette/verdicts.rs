//! Verdicts on a connector by its cassettes.

use std::path::PathBuf;

use trunnion_core::manifest::Manifest;

use super::{Called, Cassette, Error, Live, Loading, against, replay};
use crate::{
    author::suite::{Outcome, Verdict},
    real::{SystemClock, SystemRandom},
};

const REPLAY: &str = "its cassettes replay";
const LIVE: &str = "its cassettes' calls end at the vendor as they were recorded";

/// Tries every cassette: replayed, or as a call to `live`. What a cassette could show and none does is untried.
pub async fn verdicts(
    loading: &Loading,
    manifest: &Manifest,
    paths: &[PathBuf],
    live: Option<&Live>,
) -> Result<Vec<Verdict>, Error> {
    let rule = if live.is_some() { LIVE } else { REPLAY };
    let mut tried: Vec<(Called, Vec<String>)> = Vec::new();
    for path in paths {
        let cassette = Cassette::read(path)?;
        let differences = match live {
            Some(live) => {
                against(
                    loading,
                    live,
                    std::sync::Arc::new(SystemClock),
                    std::sync::Arc::new(SystemRandom),
                    &cassette,
                )
                .await?
            }
            None => replay(loading, manifest, &cassette).await?,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let differences = differences.into_iter().map(|difference| format!("{name}: {difference}"));
        match tried.iter_mut().find(|(called, _)| *called == cassette.call) {
            Some((_, all)) => all.extend(differences),
            None => tried.push((cassette.call, differences.collect())),
        }
    }
    let verdict = |called: Called| {
        let found = tried.iter().find(|(known, _)| *known == called);
        let outcome = match found {
            None => Outcome::Untried(
                "there is no cassette of it; `trunnion connector record` makes one".to_owned(),
            ),
            Some((_, differences)) if differences.is_empty() => Outcome::Passed,
            Some((_, differences)) => Outcome::Broken(differences.clone()),
        };
        Verdict { subject: called.to_string(), rule, outcome }
    };
    Ok(Called::all(manifest).into_iter().map(verdict).collect())
}
