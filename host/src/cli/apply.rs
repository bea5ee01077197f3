//! `trunnion apply`: what an ISV defines, as files.
//!
//! `files` reads them, `present` asks the host, `plan` says what is to change (pure), `carry` changes it. Files are read
//! and judged whole before the host is asked, and the plan is shown before anything changes; what the host has and the
//! files do not is named and left as it is.

mod carry;
mod files;
mod plan;
mod present;

use std::{
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;

use self::{
    carry::Carried,
    files::{Fault, Files},
    plan::Plan,
    present::Present,
};
use super::{remote::InEnvironment, say};

/// There is something to change, and `--plan` asked.
const CHANGES: u8 = 2;
/// What the files say is wrong.
const FAULTS: u8 = 3;

/// Makes integrations, events, streams and workflows as the files of a folder say, after showing what will change.
///
/// Exits with 0 when everything is as the files say, 1 where something failed, 2 where --plan found something to
/// change, 3 where files or drafts are wrong.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The folder: every *.yaml, *.yml and *.json in it, and in folders in it.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Shows what would change, and changes nothing.
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Changes it without asking.
    #[arg(long)]
    yes: bool,
    /// Releases every workflow whose newest release is not what its file says, once no draft has a problem.
    #[arg(long)]
    release: bool,
    /// Where the secrets of new streams are written, for their owner only; the host shows them once.
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    to: InEnvironment,
}

pub(super) fn run(apply: &Apply) -> anyhow::Result<ExitCode> {
    let files = match files::read(&apply.folder)? {
        Files { faults, .. } if !faults.is_empty() => return Ok(wrong(&faults)),
        files => files,
    };
    if files.items.is_empty() {
        bail!(
            "`{}` has no file that says what to make; host/docs/APPLY.md shows some",
            apply.folder.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime did not start")?;
    let client = apply.to.client()?;
    let present = runtime.block_on(Present::of(&client))?;
    let plan = match plan::make(files.items, &present, apply.release) {
        Ok(plan) => plan,
        Err(faults) => return Ok(wrong(&faults)),
    };
    show(&plan)?;
    if !plan.changes() {
        return Ok(ExitCode::SUCCESS);
    }
    if apply.plan {
        return Ok(ExitCode::from(CHANGES));
    }
    if !apply.yes && !agreed()? {
        bail!("nothing was changed");
    }
    let Carried { faults, secrets } = runtime.block_on(carry::out(&client, &plan))?;
    keep(apply, &secrets)?;
    if !faults.is_empty() {
        if apply.release {
            say("nothing was released:");
        }
        return Ok(wrong(&faults));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(plan: &Plan) -> io::Result<()> {
    write!(io::stdout().lock(), "{plan}")
}

fn wrong(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        say(&fault.to_string());
    }
    ExitCode::from(FAULTS)
}

fn agreed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody can be asked here; say --yes to change it, or --plan to only see it");
    }
    let mut out = io::stdout().lock();
    write!(out, "Change it? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Secrets go into a file that was asked for, and nowhere else: a build's log is read by many.
fn keep(apply: &Apply, secrets: &serde_json::Map<String, serde_json::Value>) -> anyhow::Result<()> {
    if secrets.is_empty() {
        return Ok(());
    }
    let Some(path) = &apply.secrets else {
        for name in secrets.keys() {
            say(&format!(
                "the secret of stream `{name}` was not kept; POST /v1/streams/{name}/rotate-secret makes another, or \
                 name a file with --secrets before a stream is made"
            ));
        }
        return Ok(());
    };
    crate::keyfiles::write_secrets(path, secrets)?;
    say(&format!("{}: the secrets of {} new streams", path.display(), secrets.len()));
    Ok(())
}
