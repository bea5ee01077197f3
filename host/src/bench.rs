//! `trunnion bench`: measures this very program on this machine, against a reference from the same run.
//!
//! Every scenario starts a host of its own ([`host`]: a child process of this executable, in a data directory
//! that is removed afterwards) and a vendor that answers at once and notes what arrived when ([`vendor`]).
//! [`load`] makes the events, [`report`] says the result to people and, with `--json`, as the last line of
//! standard output to programs. A bound on time is reported and never enforced, since machines differ and are
//! noisy; work that was lost or failed ends the command with an error.

mod candidates;
mod component;
mod host;
mod load;
mod report;
mod settle;
mod shop;
mod swap;
mod vendor;

use anyhow::{Context, bail};
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use self::report::Report;

/// Measures this host on this machine, beside a reference from the same run.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Swaps connectors under load: what the swaps cost those who are not swapped, and that nothing is lost.
    Swap(swap::Swap),
}

/// Runs a scenario, prints its report, and fails where the scenario found a fault.
pub(crate) fn run(bench: Bench) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime did not start")?;
    let (form, report) = match bench {
        Bench::Swap(swap) => (swap.form(), runtime.block_on(until_stopped(swap.run()))?),
    };
    report.print(form)?;
    report.verdict()
}

/// A scenario that is interrupted is dropped, and its host and data directory with it.
async fn until_stopped(scenario: impl Future<Output = anyhow::Result<Report>>) -> anyhow::Result<Report> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    tokio::select! {
        report = scenario => report,
        _ = terminate.recv() => bail!("stopped before the end; there is no result"),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("an interrupt cannot be waited for")?;
            bail!("interrupted before the end; there is no result")
        }
    }
}

/// What a scenario is doing, for whoever waits.
fn progress(line: &str) {
    crate::cli::say(line);
}
