//! The `trunnion` command.

use std::process::ExitCode;

use clap::Parser;
use trunnion::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
