//! `cargo xtask torture`: crash torture of a real host; the work is `trunnion_tests::torture`'s.

use anyhow::{Result, bail};
use trunnion_tests::torture::{self, Options};

use crate::report::stage;

pub(crate) fn run(cycles: u32, seed: u64) -> Result<()> {
    stage(&format!("torture of {cycles} kills, seed {seed}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(torture::run(Options { cycles, seed }, &|said| println!("   {said}")))?;
    println!("{report}");
    if !report.violations.is_empty() {
        bail!("{} violations with seed {seed}; each is named above", report.violations.len());
    }
    Ok(())
}
