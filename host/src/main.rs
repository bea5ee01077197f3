//! The `trunnion` command.

use std::process::ExitCode;

use clap::Parser;
use trunnion::cli::{Cli, run};

/// A run makes and drops many small values on several threads, which is where the system's allocator spends
/// its time; `host/docs/PERFORMANCE.md` has the measurement.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(Cli::parse())
}
