//! `cargo xtask test`: every check, in the order in which they are cheap to fail.
//!
//! All of it uses one profile and one set of features, so that wasmtime is compiled once for checking and once
//! for running, and not again.

use anyhow::Result;
use trunnion_tests::{component, host};

use crate::{
    report::{Elapsed, fact, stage},
    simulate,
    tools::{self, Runner, rust_component, test_runner},
};

/// Seeds that every change is simulated in; `cargo xtask simulate` does more.
const SEEDS: u64 = 1_500;

pub(crate) fn run() -> Result<()> {
    let mut times = Vec::new();
    let mut timed = |title: &'static str, check: &dyn Fn() -> Result<()>| -> Result<()> {
        stage(title);
        let clock = Elapsed::start();
        check()?;
        times.push((title, clock.to_string()));
        Ok(())
    };
    timed("tools", &set_up)?;
    timed("format", &|| tools::run("cargo", &["fmt", "--all", "--", "--check"], &[]))?;
    timed("lints", &|| {
        tools::run(
            "cargo",
            &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
            &[],
        )
    })?;
    timed("documentation", &|| {
        tools::run(
            "cargo",
            &["doc", "--workspace", "--no-deps", "--locked"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )
    })?;
    timed("build", &|| tools::run("cargo", &["build", "--workspace", "--all-targets", "--locked"], &[]))?;
    timed("connectors", &components)?;
    timed("tests", &tests)?;
    timed("simulation", &|| simulate::seeds_of(SEEDS, 0))?;
    timed("doc tests", &|| {
        tools::run("cargo", &["test", "--workspace", "--doc", "--locked", "--quiet"], &[])
    })?;

    stage("every check passed");
    for (title, time) in &times {
        fact(title, time);
    }
    Ok(())
}

fn set_up() -> Result<()> {
    rust_component("fmt", "rustfmt")?;
    rust_component("clippy", "clippy")?;
    fact("Node.js", tools::node()?);
    fact("Python", tools::python()?);
    fact("test runner", if test_runner() == Runner::Nextest { "cargo-nextest" } else { "cargo test" });
    Ok(())
}

/// Beforehand, so that a missing guest toolchain shows here and not inside a test.
fn components() -> Result<()> {
    let connectors = host::target_dir().join("components");
    let guests = host::target_dir().join("guests");
    let all = [
        ("connectors/bigcommerce", &connectors),
        ("connectors/hubspot", &connectors),
        ("connectors/bigquery", &connectors),
        ("connectors/http", &connectors),
        ("connectors/shopify", &connectors),
        ("connectors/examples/parcels-js", &connectors),
        ("tests/guests/foreign", &guests),
        ("tests/guests/hostile", &guests),
    ];
    for (crate_dir, out_dir) in all {
        let path =
            component::build(&host::workspace().join(crate_dir), out_dir, &mut |line| println!("   {line}"))?;
        let size = std::fs::metadata(&path)?.len();
        fact(crate_dir, format!("{} KB", size / 1024));
    }
    Ok(())
}

fn tests() -> Result<()> {
    // The binary is the one just built; the tests need not ask cargo again, each in its own process.
    let binary = host::target_dir().join("debug/trunnion");
    let binary = binary.to_string_lossy();
    let variables = [("TRUNNION_BIN", binary.as_ref())];
    match test_runner() {
        Runner::Nextest => tools::run(
            "cargo",
            &["nextest", "run", "--workspace", "--all-targets", "--locked", "--no-fail-fast"],
            &variables,
        ),
        Runner::CargoTest => tools::run(
            "cargo",
            &["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"],
            &variables,
        ),
    }
}

/// One test with more points than `cargo xtask test` gives it.
pub(crate) fn power_cut(points: usize, seed: u64) -> Result<()> {
    tools::run(
        "cargo",
        &["test", "--workspace", "--locked", "--test", "power_cut", "--", "--nocapture", "what_was"],
        &[
            ("TRUNNION_POWER_CUT_POINTS", points.to_string().as_str()),
            ("TRUNNION_POWER_CUT_SEED", seed.to_string().as_str()),
        ],
    )
}
