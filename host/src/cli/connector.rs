//! `trunnion connector`: for connector authors.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Subcommand;
use trunnion_connector_build::{BuildOptions, build};

use super::say;

/// For connector authors.
#[derive(Debug, Subcommand)]
pub(super) enum Connector {
    /// Builds connector crates into components, finding or installing what that needs.
    Build {
        /// Connector crates.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Where the components go.
        #[arg(long, value_name = "DIR", default_value = "target/connectors")]
        out_dir: PathBuf,
    },
}

pub(super) fn run(command: Connector) -> anyhow::Result<()> {
    match command {
        Connector::Build { paths, out_dir } => {
            let built = build(&BuildOptions::new(paths, out_dir), &mut |line| say(line))?;
            let mut out = io::stdout().lock();
            for component in built {
                writeln!(out, "{} ({} KB)", component.path.display(), component.size.div_ceil(1024))?;
            }
            Ok(())
        }
    }
}
