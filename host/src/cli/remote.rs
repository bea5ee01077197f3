//! Which host the commands speak to, and with whose key.
//!
//! A key never stands on a command line, where every process of the machine can read it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::{client::Client, keyfiles};

const DEFAULT_HOST: &str = "http://127.0.0.1:8080";

/// The host, and the operator's key.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The host's address; the environment variable TRUNNION_URL where absent, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// A file that holds an operator's key; the environment variable TRUNNION_KEY where absent.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The data directory of a host on this machine, whose keys.json holds the first operator's key.
    #[arg(long, value_name = "DIR", conflicts_with = "key_file")]
    data_dir: Option<PathBuf>,
}

impl Remote {
    /// The data directory, where the host is on this machine.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// A client of that host.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let base = match &self.host {
            Some(host) => host.clone(),
            None => variable("TRUNNION_URL")?.unwrap_or_else(|| DEFAULT_HOST.to_owned()),
        };
        Ok(Client::new(&base, self.key()?)?)
    }

    fn key(&self) -> anyhow::Result<String> {
        if let Some(path) = &self.key_file {
            return Ok(keyfiles::read_key(path)?);
        }
        if let Some(dir) = &self.data_dir {
            let path = dir.join("keys.json");
            let keys = keyfiles::read_keys(&path)?;
            return Ok(keys
                .with_context(|| format!("there is no `{}`; name the key with --key-file", path.display()))?
                .operator);
        }
        match variable("TRUNNION_KEY")? {
            Some(key) => Ok(key.trim().to_owned()),
            None => bail!(
                "this needs an operator's key: --key-file FILE, --data-dir DIR for a host on this machine, or the environment variable TRUNNION_KEY"
            ),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
fn variable(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => bail!("the environment variable {name} cannot be read: {error}"),
    }
}
