//! `trunnion bench`: measures this very program on this machine, against a reference from the same run.
//!
//! Every scenario starts a host of its own ([`host`]: a child process of this executable, in a data directory
//! that is removed afterwards), its reference, a process as well ([`reference`]), and a vendor that answers at once
//! and notes what arrived when ([`vendor`], [`arrivals`]). [`load`] makes the events, [`turns`] measures host and
//! reference in turns, [`report`] says the result to people and, with `--json`, as the last line of
//! standard output to programs. A bound on time is reported and never enforced, since machines differ and are
//! noisy; work that was lost or failed ends the command with an error.

mod arrivals;
mod call;
mod candidates;
mod component;
mod flat;
mod host;
mod idle;
mod ingest;
mod load;
mod neighbour;
mod options;
mod orders;
mod poll;
mod population;
mod process;
mod reference;
mod report;
mod rows;
mod run;
mod settle;
mod shop;
mod start;
mod swap;
mod turns;
mod vendor;
mod webhook;

use anyhow::{Context, bail};
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use self::report::Report;

/// Measures this host on this machine, beside a reference from the same run.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Whole runs: custom event, mapping, sandboxed action, HTTP out, durable log; beside a bare proxy.
    Run(run::Run),
    /// The main job: verified webhook, parsed in the sandbox, streamed out; beside a bare proxy.
    Webhook(webhook::Webhook),
    /// Durable ingest: events on disk before they are answered; beside a bare handler that stores nothing.
    Ingest(ingest::Ingest),
    /// The sandbox: the same connector code in a fresh instance, in a warm one, and natively.
    Call(call::Call),
    /// Polling installations: how late polls begin, and what each holds of the memory.
    Poll(poll::Poll),
    /// Rows into a warehouse, as events of 1,000 rows and by pages, with a kill in the middle; beside a bare client.
    Rows(rows::Rows),
    /// Time until a host is ready, after a stop in good order and after SIGKILL; beside a bare server.
    Start(start::Start),
    /// Memory and processor time of an idle host with many installations; beside a bare server.
    Idle(idle::Idle),
    /// Processor time and memory per run with many installations and many stored runs; beside a host with few.
    Flat(flat::Flat),
    /// Swaps connectors under load: what the swaps cost those who are not swapped, and that nothing is lost.
    Swap(swap::Swap),
    /// One user sends a thousand times the others' load: what the others notice of it.
    Neighbour(neighbour::Neighbour),
    /// The reference's own process; the scenarios start it.
    #[command(name = "__reference", hide = true)]
    Reference(reference::Serve),
}

/// Runs a scenario, prints its report, and fails where the scenario found a fault.
pub(crate) fn run(bench: Bench) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime did not start")?;
    let (form, report) = match bench {
        Bench::Run(run) => (run.form(), runtime.block_on(until_stopped(run.run()))?),
        Bench::Webhook(webhook) => (webhook.form(), runtime.block_on(until_stopped(webhook.run()))?),
        Bench::Ingest(ingest) => (ingest.form(), runtime.block_on(until_stopped(ingest.run()))?),
        Bench::Call(call) => (call.form(), runtime.block_on(until_stopped(call.run()))?),
        Bench::Poll(poll) => (poll.form(), runtime.block_on(until_stopped(poll.run()))?),
        Bench::Rows(rows) => (rows.form(), runtime.block_on(until_stopped(rows.run()))?),
        Bench::Start(start) => (start.form(), runtime.block_on(until_stopped(start.run()))?),
        Bench::Idle(idle) => (idle.form(), runtime.block_on(until_stopped(idle.run()))?),
        Bench::Flat(flat) => (flat.form(), runtime.block_on(until_stopped(flat.run()))?),
        Bench::Neighbour(neighbour) => (neighbour.form(), runtime.block_on(until_stopped(neighbour.run()))?),
        Bench::Reference(reference) => return runtime.block_on(reference::serve(reference)),
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
