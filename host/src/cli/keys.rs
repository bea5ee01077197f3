//! `trunnion keys`: the master key of a data directory whose host is stopped.
//!
//! The new key is on disk before the first data key is wrapped under it, and the old one opens the data until the last
//! one is: so a crash at any moment leaves data that one of the two files opens, and the same command goes on.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use trunnion_store::{KeyRing, MasterKey, keys::KeyError};

use super::{say, serve::master_key};
use crate::{config::Config, keyfiles, real::SystemRandom};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Wraps every data key under another master key. The host must be stopped.
    RotateMaster(RotateMaster),
}

/// Wraps every data key under another master key.
#[derive(Debug, Args)]
pub(super) struct RotateMaster {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The configuration file that names the present master key; else TRUNNION_MASTER_KEY, else DIR/master.key.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The file of the new master key; made, with a new key, where it does not exist.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub(super) fn run(keys: Keys) -> anyhow::Result<()> {
    let Keys::RotateMaster(rotation) = keys;
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().context("the runtime did not start")?;
    runtime.block_on(rotate(&rotation))
}

async fn rotate(RotateMaster { data_dir, config, to }: &RotateMaster) -> anyhow::Result<()> {
    let path = data_dir.join("keys");
    if !path.is_file() {
        bail!("`{}` holds no data keys; name the data directory of a host", data_dir.display());
    }
    let present = present(data_dir, config.as_deref())?;
    let new = keyfiles::ensure_master(to, &SystemRandom)?;
    if present == new {
        bail!("`{}` holds the present master key; name another file", to.display());
    }
    match KeyRing::open(&path, &MasterKey::new(present)) {
        Ok(ring) => {
            ring.rotate_master(MasterKey::new(new)).await.context("the old master key is still in force")?;
        }
        Err(KeyError::WrongMaster { .. }) if KeyRing::open(&path, &MasterKey::new(new)).is_ok() => {
            say("it was rotated before");
        }
        Err(error @ KeyError::InUse { .. }) => {
            return Err(error).context("stop the host first");
        }
        Err(error) => return Err(error.into()),
    }
    say(&format!(
        "every data key is under the key in `{0}` now: name it as `master_key_file` in the configuration (or set \
         TRUNNION_MASTER_KEY to what it holds), start the host, and then destroy the old key",
        to.display()
    ));
    Ok(())
}

/// The master key that `serve` would take.
pub(super) fn present(
    data_dir: &std::path::Path,
    config: Option<&std::path::Path>,
) -> anyhow::Result<[u8; 32]> {
    if let Some(path) = config.map(Config::read).transpose()?.and_then(|config| config.master_key_file) {
        return Ok(keyfiles::read_master(&path)?);
    }
    match master_key()? {
        Some(key) => Ok(key),
        None => Ok(keyfiles::read_master(&data_dir.join("master.key"))?),
    }
}
