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

/// Oldest Node.js that the vendors' official clients run on.
const NODE_MAJOR: u32 = 20;

/// Makes sure that Node.js and npm are there: the tests hold the fakes against the vendors' official clients.
pub(crate) fn node() -> Result<String> {
    let there = || works("npm", &["--version"]).then(|| version_of("node")).flatten();
    let found = match there() {
        Some(version) => Some(version),
        None if is_root() && works("apt-get", &["--version"]) => {
            println!("Node.js or npm is missing; installing both");
            run("apt-get", &["update"], &[])?;
            run("apt-get", &["install", "--yes", "--no-install-recommends", "nodejs", "npm"], &[])?;
            there()
        }
        None => None,
    };
    let remedy =
        format!("install Node.js {NODE_MAJOR} or newer with npm (Debian: nodejs npm) and run this again");
    let Some(version) = found else { bail!("Node.js or npm is missing: {remedy}") };
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        bail!("Node.js {version} is too old for the vendors' official clients: {remedy}");
    }
    Ok(version)
}

/// Makes sure that there is a Python that can make environments: the tests run official clients and emulators in it.
pub(crate) fn python() -> Result<String> {
    let there = || {
        let venv = works("python3", &["-c", "import venv, ensurepip"]);
        venv.then(|| version_of("python3")).flatten()
    };
    let found = match there() {
        Some(version) => Some(version),
        None if is_root() && works("apt-get", &["--version"]) => {
            println!("Python or its venv is missing; installing both");
            run("apt-get", &["update"], &[])?;
            run("apt-get", &["install", "--yes", "--no-install-recommends", "python3", "python3-venv"], &[])?;
            there()
        }
        None => None,
    };
    let remedy = "install Python 3.9 or newer with venv (Debian: python3 python3-venv) and run this again";
    found.ok_or_else(|| anyhow::anyhow!("Python or its venv is missing: {remedy}"))
}

fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
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
