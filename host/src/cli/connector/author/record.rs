//! `trunnion connector record`: a call on behalf of a real connection, as a cassette.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::{
    block_on,
    call::{Reach, document},
    compiler, component, print,
};
use crate::{
    author::cassette::{self, Called, Live, Loading, Recording},
    real::{SystemClock, SystemRandom},
};

/// Where a crate keeps its cassettes.
pub(super) const FOLDER: &str = "cassettes";

/// Records one call.
#[derive(Debug, Args)]
pub(in crate::cli) struct Record {
    /// A component (FILE.wasm), or a connector crate's folder, which is built first.
    #[arg(value_name = "FILE|PATH")]
    connector: PathBuf,
    /// The action or polling trigger; `check` for the connection check.
    #[arg(value_name = "ACTION|TRIGGER|check")]
    what: String,
    /// An action's input as JSON, `@FILE` or `-` for standard input; its sample where absent.
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// The cassette; where absent, `cassettes/WHAT.json` of the crate.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(record: &Record) -> Result<()> {
    let source = component(&record.connector)?;
    let out = match (&record.out, &source.crate_dir) {
        (Some(out), _) => out.clone(),
        (None, Some(folder)) => folder.join(FOLDER).join(format!("{}.json", record.what)),
        (None, None) => bail!("a component has no folder for cassettes; name the file with --out FILE"),
    };
    let folder = tempfile::tempdir().context("no temporary directory could be made")?;
    let loading =
        Loading { component: source.component, compiler: compiler()?, cache: folder.path().join("compiled") };
    let cassette = block_on(async {
        let manifest = &loading.manifest().await?;
        let Some(call) = Called::named(manifest, &record.what) else {
            bail!(
                "connector `{}` has no action or polling trigger `{}` to record; `trunnion connector describe` lists them",
                manifest.id,
                record.what
            );
        };
        let input = match (&record.input, &call) {
            (Some(given), _) => serde_json::from_str(&document(given)?)?,
            (None, Called::Action(id) | Called::Listing(id)) => {
                manifest.action(id).map(|action| action.sample_input.clone()).unwrap_or_default()
            }
            (None, Called::Check | Called::Poll(_)) => Value::Null,
        };
        let credential = record.reach.credential(manifest).await?;
        let live = Live { egress: record.reach.egress(), credential };
        let recording = Recording { call, input, live };
        Ok(cassette::record(&loading, recording, &SystemClock, &SystemRandom).await?)
    })?;
    cassette.write(&out)?;
    print(&format!(
        "recorded {} with {} requests into {}; look through it for what names a person before you share it",
        cassette.call,
        cassette.exchanges.len(),
        out.display()
    ))
}
