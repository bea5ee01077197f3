//! The commands for whoever writes connectors: what they are given, what they print, and when they fail.

mod call;
mod check;
mod describe;
mod dev;
mod record;
mod test;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use trunnion_connector_build::Symbols;
use trunnion_sandbox::EgressOptions;

use crate::{
    author::{
        openapi,
        source::{self, Source},
        template::{Crate, Sdk},
        workshop::{Setting, Workshop},
    },
    cli::{COMPILE, say},
    real::{SystemClock, SystemRandom},
};

/// Making a connector, and judging one.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Author {
    /// Makes a connector crate that builds, and whose tests pass.
    New(New),
    /// Shows what a connector says about itself.
    Describe(Subject),
    /// Judges a connector: contract, manifest, whether samples fit their schemas, size and imports.
    Check(Subject),
    /// Calls one action, one poll, or the connection check, in the sandbox a host has.
    Run(call::Run),
    /// Tries a connector: the rules that hold for every one, and its cassettes, replayed or at a vendor.
    Test(test::Test),
    /// Makes a call on behalf of a real connection and keeps it as a cassette, without secrets.
    Record(record::Record),
    /// Builds a crate at every change and swaps it into a running host.
    Dev(dev::Dev),
    /// Makes a first connector crate from an OpenAPI 3 description: one action for each operation.
    FromOpenapi(FromOpenapi),
}

/// Makes a connector crate.
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// The app's id: lower-case letters, digits and hyphens.
    name: String,
    /// Where the crate goes; NAME where absent.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The SDK: its folder, or a version. Where absent, that of the source tree this program was built from.
    #[arg(long, value_name = "DIR|VERSION")]
    sdk: Option<String>,
}

/// Makes a connector crate from a description.
#[derive(Debug, Args)]
pub(in crate::cli) struct FromOpenapi {
    /// The description, as JSON.
    #[arg(value_name = "FILE")]
    description: PathBuf,
    /// Only operations whose path or id contains this: a large API makes a large connector.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    new: New,
}

/// Which connector.
#[derive(Debug, Args)]
pub(in crate::cli) struct Subject {
    /// A component (FILE.wasm), or a connector crate's folder, which is built first.
    #[arg(value_name = "FILE|PATH")]
    connector: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Author) -> Result<()> {
    match command {
        Author::New(new) => make(&new),
        Author::Describe(subject) => describe::run(&subject),
        Author::Check(subject) => check::run(&subject),
        Author::Run(run) => call::run(&run),
        Author::Test(test) => test::run(&test),
        Author::Record(record) => record::run(&record),
        Author::Dev(dev) => dev::run(&dev),
        Author::FromOpenapi(from) => from_openapi(&from),
    }
}

impl New {
    fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name))
    }
}

fn make(new: &New) -> Result<()> {
    let folder = new.folder();
    Crate::new(&new.name)?.write(&folder, &Sdk::find(new.sdk.as_deref())?)?;
    let path = folder.display();
    print(&format!(
        "made {path}; next: `cargo test` in it, then `trunnion connector check {path}`, and `src/lib.rs` is yours"
    ))
}

fn from_openapi(from: &FromOpenapi) -> Result<()> {
    let path = &from.description;
    let text =
        std::fs::read_to_string(path).with_context(|| format!("`{}` could not be read", path.display()))?;
    let api = openapi::read(&text, from.only.as_deref()).with_context(|| format!("`{}`", path.display()))?;
    let folder = from.new.folder();
    openapi::connector(&from.new.name, &api)?.write(&folder, &Sdk::find(from.new.sdk.as_deref())?)?;
    for left_out in &api.left_out {
        say(&format!("left out: {left_out}"));
    }
    let path = folder.display();
    print(&format!(
        "made {path} with {} actions ({} left out); next: `trunnion connector check {path}`",
        api.operations.len(),
        api.left_out.len()
    ))
}

/// The component that a path names, as it is shipped; progress goes to standard error.
fn component(path: &Path) -> Result<Source> {
    Ok(source::read(path, Symbols::Stripped, &mut |line| say(line))?)
}

/// The same, able to say where it traps.
fn component_with_lines(path: &Path) -> Result<Source> {
    Ok(source::read(path, Symbols::SourceLines, &mut |line| say(line))?)
}

/// The connector in a sandbox; what it may reach is `egress`.
async fn open(source: &Source, egress: EgressOptions) -> Result<Workshop> {
    let setting = Setting {
        egress,
        compiler: compiler()?,
        cache: None,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    Ok(Workshop::open(source.component.clone(), setting).await?)
}

/// What compiles connectors: this program, in a process of its own.
fn compiler() -> Result<Vec<OsString>> {
    let own =
        std::env::current_exe().context("the path of this program is unknown, which compiles connectors")?;
    Ok(vec![own.into_os_string(), OsString::from(COMPILE)])
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the runtime did not start")?.block_on(work)
}

fn print(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

fn print_json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}
