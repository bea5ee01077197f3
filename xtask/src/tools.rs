//! Runs programs, and obtains the ones a fresh machine lacks.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use trunnion_tests::host::workspace;

/// Runs a program in the workspace with its output shown; an error names the whole command.
pub(crate) fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let shown = format!("{program} {}", arguments.join(" "));
    println!("$ {shown}");
    let mut command = Command::new(program);
    command.current_dir(workspace()).args(arguments).envs(variables.iter().copied());
    let status = command
        .status()
        .with_context(|| format!("`{shown}` could not be started; is `{program}` installed?"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Whether a program can be started at all.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Makes sure that a component of the Rust toolchain is there.
pub(crate) fn rust_component(cargo_command: &str, component: &str) -> Result<()> {
    if works("cargo", &[cargo_command, "--version"]) {
        return Ok(());
    }
    println!("`cargo {cargo_command}` is missing; adding `{component}` to the toolchain");
    run("rustup", &["component", "add", component], &[]).with_context(|| {
        format!("`cargo {cargo_command}` is needed: install the Rust component `{component}`")
    })
}

/// How the tests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// cargo-nextest: a process per test.
    Nextest,
    /// Plain `cargo test`.
    CargoTest,
}

/// nextest, installed if need be; plain `cargo test` where it cannot be.
pub(crate) fn test_runner() -> Runner {
    if works("cargo", &["nextest", "--version"]) {
        return Runner::Nextest;
    }
    println!("cargo-nextest is missing; installing it (once, some minutes)");
    match run("cargo", &["install", "cargo-nextest", "--locked", "--quiet"], &[]) {
        Ok(()) => Runner::Nextest,
        Err(error) => {
            println!("{error:#}\nrunning the tests with plain `cargo test` instead: slower, same tests");
            Runner::CargoTest
        }
    }
}
