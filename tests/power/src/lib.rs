//! Power cuts: what a process does to its files is recorded (`record.c`, a preloaded library), and the files are
//! rebuilt as a power cut at any moment could have left them.
//!
//! Owns the recorder, the reading of its trace and the model of a disk. Knows nothing of what the files mean:
//! whoever uses it reopens them and says what must be there.
//!
//! The model is strict. Durable is what a completed `fsync` or `fdatasync` covers: of a file its content, of a
//! directory its entries. `sync_file_range` makes nothing durable. What is not durable may be lost, wholly or in
//! sectors, in any combination.

#![forbid(unsafe_code)]

mod cut;
mod history;
mod trace;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

pub use crate::{
    cut::{Cutter, Image},
    history::{Event, History, Node, NodeId},
};

/// The recorder, compiled.
#[derive(Clone, Debug)]
pub struct Recorder {
    library: PathBuf,
}

impl Recorder {
    /// Compiles the recorder into `directory`, with the C compiler that the workspace needs anyway.
    ///
    /// # Errors
    /// Where `cc` is missing or refuses.
    pub fn build(directory: &Path) -> Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/record.c");
        let library = directory.join("record.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .context("cannot run `cc`; install a C compiler")?;
        if !compiled.status.success() {
            bail!("`cc` refused {}: {}", source.display(), String::from_utf8_lossy(&compiled.stderr));
        }
        Ok(Self { library })
    }

    /// Has `command` recorded: what it does below `root`, and what it prints, goes to the end of `trace`.
    pub fn watch(&self, command: &mut Command, root: &Path, trace: &Path) {
        command.env("LD_PRELOAD", &self.library).env("POWER_CUT_ROOT", root).env("POWER_CUT_TRACE", trace);
    }
}
