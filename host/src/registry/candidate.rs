//! A candidate's way through the stages, and how long each took.
//!
//! `Candidate` → `Probed`, by the loader's own stages in between; nothing of a candidate that a stage refuses
//! is left in memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use trunnion_core::records::Digest;
use trunnion_sandbox::{Connector, LoadError, Loader, Stage, digest_of};

/// How long each stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Judging the bytes.
    pub check: Duration,
    /// Native code, and whether it fits the contract.
    pub compile: Duration,
    /// Describing itself.
    pub probe: Duration,
    /// Finding what is in use.
    pub survey: Duration,
    /// The durable record and the replacement in memory.
    pub switch: Duration,
}

/// Measures one stage after the other.
#[derive(Debug)]
pub(super) struct Stopwatch {
    start: Instant,
    lap: Instant,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let start = now();
        Self { start, lap: start }
    }

    /// The time since the last lap.
    pub(super) fn lap(&mut self) -> Duration {
        let now = now();
        now.duration_since(std::mem::replace(&mut self.lap, now))
    }

    /// The time since the start.
    pub(super) fn total(&self) -> Duration {
        now().duration_since(self.start)
    }
}

#[expect(clippy::disallowed_methods, reason = "durations are reported, nothing is decided by them")]
fn now() -> Instant {
    Instant::now()
}

/// Bytes that want to be a connector.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) component: Bytes,
    pub(super) digest: Digest,
}

/// A candidate that described itself: everything but whether it may take over.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) component: Bytes,
    pub(super) connector: Connector,
}

impl Candidate {
    pub(super) fn new(component: Bytes) -> Self {
        let digest = digest_of(&component);
        Self { component, digest }
    }

    /// Through the loader's stages; `stages` tells how far it came and how long it took.
    pub(super) async fn probe(
        self,
        loader: &dyn Loader,
        watch: &mut Stopwatch,
        stages: &mut Stages,
    ) -> Result<Probed, LoadError> {
        let mut ended = |stage| match stage {
            Stage::Check => stages.check = watch.lap(),
            Stage::Compile => stages.compile = watch.lap(),
            Stage::Probe => stages.probe = watch.lap(),
        };
        let connector = loader.load(self.component.clone(), &mut ended).await?;
        Ok(Probed { component: self.component, connector })
    }
}
