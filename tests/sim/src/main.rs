//! `simulate`: many seeds, on every core; the first that breaks a promise is told with its trace.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to a person at a terminal is this program's job"
)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use anyhow::{Result, bail};
use clap::Parser;
use trunnion_sim::{Counts, Simulated, simulate, world::Tracing};

/// Simulates the host in seeds: production code, faults, and what must hold all the same.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Shows the trace of each seed.
    #[arg(long)]
    trace: bool,
    /// Every so many seeds, one is simulated twice and both traces must be the same.
    #[arg(long, default_value_t = 50)]
    twice: u64,
    /// Goes on after a seed that breaks a promise, and tells of each in a line.
    #[arg(long)]
    keep_going: bool,
    /// Threads; 0 for one per core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let threads = match arguments.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        given => given,
    };
    let (next, stop) = (AtomicU64::new(arguments.seed), AtomicBool::new(false));
    let broken_seeds = AtomicU64::new(0);
    let end = arguments.seed.saturating_add(arguments.seeds);
    let work = || -> Result<(u64, Counts, Option<Simulated>)> {
        let (mut seeds, mut counts) = (0, Counts::default());
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let simulated =
                simulate(seed, tracing(arguments)).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            seeds += 1;
            counts.lives += simulated.counts.lives;
            counts.runs += simulated.counts.runs;
            counts.calls += simulated.counts.calls;
            counts.dead += simulated.counts.dead;
            if arguments.trace {
                show(&simulated);
            }
            if arguments.keep_going {
                for broken in &simulated.broken {
                    println!("seed {seed}: {broken}");
                }
                broken_seeds.fetch_add(u64::from(!simulated.broken.is_empty()), Ordering::Relaxed);
            } else if !simulated.broken.is_empty() {
                stop.store(true, Ordering::Relaxed);
                return Ok((seeds, counts, Some(simulated)));
            }
            if arguments.twice > 0 && seed % arguments.twice == 0 {
                same(&simulated)?;
            }
        }
        Ok((seeds, counts, None))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let (mut seeds, mut total, mut failed) = (0, Counts::default(), None::<Simulated>);
    for result in results {
        let Ok(result) = result else { bail!("a simulating thread ended badly; see above") };
        let (more, counts, broken) = result?;
        seeds += more;
        total.lives += counts.lives;
        total.runs += counts.runs;
        total.calls += counts.calls;
        total.dead += counts.dead;
        if broken.as_ref().is_some_and(|new| failed.as_ref().is_none_or(|old| new.seed < old.seed)) {
            failed = broken;
        }
    }
    println!(
        "{seeds} seeds: {} lives, {} runs, {} calls, {} dead letters",
        total.lives, total.runs, total.calls, total.dead
    );
    match failed {
        None => match broken_seeds.into_inner() {
            0 => Ok(()),
            number => bail!("{number} seeds broke a promise"),
        },
        Some(failed) => tell(&failed, seeds),
    }
}

const fn tracing(arguments: &Arguments) -> Tracing {
    if arguments.trace { Tracing::On } else { Tracing::Off }
}

/// The same seed gives the same trace.
fn same(first: &Simulated) -> Result<()> {
    let again = simulate(first.seed, Tracing::Off)?;
    if (first.hash, first.lines) != (again.hash, again.lines) {
        bail!(
            "seed {} is not reproducible: {} lines, then {}; something in it is not drawn from the seed",
            first.seed,
            first.lines,
            again.lines
        );
    }
    Ok(())
}

fn show(simulated: &Simulated) {
    for line in &simulated.trace {
        println!("{line}");
    }
}

fn tell(failed: &Simulated, seeds: u64) -> Result<()> {
    let seed = failed.seed;
    if failed.trace.is_empty() {
        show(&simulate(seed, Tracing::On)?);
    }
    same(failed)?;
    for broken in &failed.broken {
        println!("seed {seed}: {broken}");
    }
    bail!(
        "seed {seed} broke a promise, after {seeds} seeds; cargo xtask simulate --seed {seed} --seeds 1 shows it again"
    )
}
