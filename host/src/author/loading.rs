//! A component that is loaded several times, with different surroundings, and compiled once.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use bytes::Bytes;
use trunnion_core::{
    clock::{Clock, Random},
    manifest::Manifest,
};
use trunnion_sandbox::EgressOptions;

use super::workshop::{Error, Setting, Workshop};
use crate::real::{SystemClock, SystemRandom};

/// What is loaded, and with what.
#[derive(Clone, Debug)]
pub struct Loading {
    /// The component.
    pub component: Bytes,
    /// The command of the compiling child; empty compiles in this process.
    pub compiler: Vec<OsString>,
    /// Where compiled code is kept meanwhile: a folder that only this program uses, and removes.
    pub cache: PathBuf,
}

impl Loading {
    /// The connector in a sandbox of its own.
    pub async fn open(
        &self,
        egress: EgressOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Workshop, Error> {
        let cache = Some((self.cache.clone(), b"of this run of this program".to_vec()));
        let setting = Setting { egress, compiler: self.compiler.clone(), cache, clock, random };
        Workshop::open(self.component.clone(), setting).await
    }

    /// What it says about itself.
    pub async fn manifest(&self) -> Result<Manifest, Error> {
        let known =
            self.open(EgressOptions::default(), Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
        Ok(known.manifest().clone())
    }
}
