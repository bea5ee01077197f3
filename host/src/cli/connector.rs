//! `trunnion connector`: writing and building connectors, and operating those of a running host.

mod author;
mod operate;
mod show;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use trunnion_connector_build::{BuildOptions, build};

use super::{remote::Remote, say};

/// Makes, judges and builds connectors, and shows and swaps those of a running host.
#[derive(Debug, Subcommand)]
pub(super) enum Connector {
    #[command(flatten)]
    Author(author::Author),
    /// Builds connectors into components, finding or installing what that needs: crates, and packages of npm.
    Build {
        /// Connectors: directories with a Cargo.toml or a package.json.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Where the components go.
        #[arg(long, value_name = "DIR", default_value = "target/connectors")]
        out_dir: PathBuf,
        /// The version the components bear, as a release pipeline stamps it; where absent, that of Cargo.toml or package.json.
        #[arg(long, value_name = "VERSION")]
        as_version: Option<String>,
    },
    /// Lists the active connectors of a host.
    List {
        #[command(flatten)]
        to: To,
    },
    /// Checks components and swaps them in while the host runs; each app's previous version stays for `rollback`.
    Push {
        /// Components, as `trunnion connector build` writes them.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The app that the component is for; where absent, the file's name without `.wasm`.
        #[arg(long)]
        app: Option<String>,
        /// Checks, compiles and keeps the component, but leaves the active version as it is.
        #[arg(long)]
        no_activate: bool,
        #[command(flatten)]
        to: To,
    },
    /// Makes a version that the host keeps the active one.
    Activate {
        /// The app.
        app: String,
        /// At least 8 digits of the component's digest, or a version such as 1.2.3 (its newest component).
        #[arg(value_name = "DIGEST|VERSION")]
        which: String,
        #[command(flatten)]
        to: To,
    },
    /// Makes the previous version the active one again.
    Rollback {
        /// The app.
        app: String,
        #[command(flatten)]
        to: To,
    },
    /// Shows what was added, activated, rolled back and refused, newest first: when, by whom, which component.
    History {
        /// The app.
        app: String,
        /// At most so many lines.
        #[arg(long, value_name = "LINES", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        to: To,
    },
}

/// Which host, and in which form its answer is printed.
#[derive(Debug, Args)]
pub(super) struct To {
    #[command(flatten)]
    remote: Remote,
    /// Prints the host's answer as JSON, one answer a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Connector) -> anyhow::Result<()> {
    match command {
        Connector::Author(command) => author::run(command),
        Connector::Build { paths, out_dir, as_version } => {
            let mut options = BuildOptions::new(paths, out_dir);
            if let Some(version) = as_version {
                let parsed = version.parse();
                options.version =
                    Some(parsed.with_context(|| format!("`{version}` is not a version such as 1.2.3"))?);
            }
            let built = build(&options, &mut |line| say(line))?;
            let mut out = io::stdout().lock();
            for component in built {
                writeln!(out, "{} ({} KB)", component.path.display(), component.size.div_ceil(1024))?;
            }
            Ok(())
        }
        Connector::List { to } => operate::list(&to),
        Connector::Push { files, app, no_activate, to } => {
            let then = if no_activate { operate::Then::Keep } else { operate::Then::Activate };
            operate::push(&files, app.as_deref(), then, &to)
        }
        Connector::Activate { app, which, to } => operate::activate(&app, &which, &to),
        Connector::Rollback { app, to } => operate::rollback(&app, &to),
        Connector::History { app, limit, to } => operate::history(&app, limit, &to),
    }
}
