//! `cargo xtask …`: the README's two commands. Automation only: nothing that runs in production depends on it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to a person at a terminal is this program's job"
)]

mod openapi;
mod planted;
mod quickstart;
mod report;
mod simulate;
mod tests;
mod tools;
mod torture;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, quickstart and checks of Trunnion")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds connectors and host, starts them with fakes of BigCommerce and Shopify and AcmeCo, shows every
    /// workflow, and swaps a connector while a call is held.
    Quickstart {
        /// Verifies everything, then stops; ends 0 only if all of it held.
        #[arg(long)]
        once: bool,
    },
    /// Kills a host under mixed load again and again, start-up included, and holds every acknowledged event against
    /// what arrived; ends 0 only if nothing was lost, stuck or doubled.
    Torture {
        /// How often the host is killed.
        #[arg(long, default_value_t = 20)]
        cycles: u32,
        /// Decides what is sent and how long each life lasts.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Tortures hosts with planted bugs instead, and fails where it does not find one: some that only a kill
        /// shows, or those whose names contain this.
        #[arg(long, num_args = 0..=1, value_name = "NAME")]
        planted: Option<Option<String>>,
    },
    /// Runs every check: format, lints, documentation, tests, doc tests, drift.
    Test,
    /// Simulates the host under faults, one seed after the other; a seed that breaks a promise is told.
    Simulate {
        /// How many seeds.
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Has the simulation find planted bugs instead: every one, or those whose names contain this.
        #[arg(long, num_args = 0..=1, value_name = "NAME")]
        planted: Option<Option<String>>,
    },
    /// Writes `sdk/openapi.json` anew: the API's description, made from its routes.
    Openapi,
    /// Rebuilds a store's files as power cuts at many random points could have left them, and reopens each.
    PowerCut {
        /// How many points.
        #[arg(long, default_value_t = 500)]
        points: usize,
        /// Which points, and what is lost there.
        #[arg(long, default_value_t = 4)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let clock = report::Elapsed::start();
    let outcome = match Arguments::parse().command {
        Command::Quickstart { once } => {
            quickstart::run(if once { quickstart::Afterwards::Stop } else { quickstart::Afterwards::StayUp })
        }
        Command::Torture { cycles, seed, planted: Some(name) } => {
            torture::planted(name.as_deref(), cycles, seed)
        }
        Command::Torture { cycles, seed, planted: None } => torture::run(cycles, seed),
        Command::Test => tests::run(),
        Command::Simulate { planted: Some(name), .. } => simulate::planted(name.as_deref()),
        Command::Simulate { seeds, seed, planted: None } => simulate::run(seeds, seed),
        Command::Openapi => openapi::run(),
        Command::PowerCut { points, seed } => tests::power_cut(points, seed),
    };
    match outcome {
        Ok(()) => {
            println!("\ndone in {clock}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nfailed after {clock}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
