//! The command line: what operators and connector authors type.

mod apply;
mod backup;
mod connector;
mod import;
mod keys;
mod listen;
mod openapi;
mod remote;
mod serve;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::bench::{self, Bench};

/// Trunnion: integrations of your product with your customers' apps, in one process.
#[derive(Debug, Parser)]
#[command(name = "trunnion", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the host.
    Serve(serve::Serve),
    /// Makes, judges and builds connectors, and shows and swaps those of a running host.
    #[command(subcommand)]
    Connector(connector::Connector),
    Apply(apply::Apply),
    Listen(listen::Listen),
    /// Takes a backup of a running host.
    Backup(backup::Backup),
    /// Makes a data directory of a backup, without whoever was erased since.
    Restore(backup::Restore),
    /// Takes over users and workflows from Alloy Embedded, under the ids they have there.
    Import(import::Import),
    /// Rotates the master key.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Measures this host on this machine, beside a reference from the same run.
    #[command(subcommand)]
    Bench(Bench),
    /// Writes the OpenAPI document of the API, as `/openapi.json` serves it.
    Openapi,
    /// Compiles a component from standard input to standard output; the host runs this itself.
    #[command(name = "__compile", hide = true)]
    Compile {
        /// The sandbox's settings.
        settings: String,
    },
}

/// The hidden command that compiles components in a child process.
pub(crate) const COMPILE: &str = "__compile";

/// Runs a command; its errors go to standard error with what caused them.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        // What it says of files is told by its exit code as well.
        Command::Apply(command) => match apply::run(&command) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Serve(serve) => serve::run(serve),
        Command::Connector(command) => connector::run(command),
        Command::Listen(command) => listen::run(command),
        Command::Backup(command) => backup::back_up(&command),
        Command::Restore(command) => backup::restore(&command),
        Command::Import(command) => import::run(&command),
        Command::Keys(command) => keys::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Openapi => openapi::run(),
        Command::Compile { settings } => {
            trunnion_sandbox::compile::child_main(&settings, io::stdin().lock(), io::stdout().lock())
                .map_err(Into::into)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error. A closed standard error leaves nobody to tell.
pub(crate) fn say(line: &str) {
    let _gone = writeln!(io::stderr().lock(), "{line}");
}
