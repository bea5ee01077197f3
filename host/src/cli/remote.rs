//! Which host the commands speak to, and with whose key.
//!
//! A key never stands on a command line, where every process of the machine can read it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

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

/// The host, and the key of an environment.
#[derive(Debug, Args)]
pub(super) struct InEnvironment {
    /// The host's address; the environment variable TRUNNION_URL where absent, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// A file that holds the environment's key; the environment variable TRUNNION_KEY where absent.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The data directory of a host on this machine that runs with --dev, whose keys.json has its workspace's keys.
    #[arg(long, value_name = "DIR", conflicts_with = "key_file")]
    data_dir: Option<PathBuf>,
    /// Which of the keys in --data-dir.
    #[arg(long, value_enum, default_value_t = Which::Development)]
    environment: Which,
}

/// Which environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// For building and trying.
    Development,
    /// For customers.
    Production,
}

impl InEnvironment {
    /// A client of that host.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&base(self.host.as_deref())?, self.key()?)?)
    }

    fn key(&self) -> anyhow::Result<String> {
        if let Some(path) = &self.key_file {
            return Ok(keyfiles::read_key(path)?);
        }
        if let Some(dir) = &self.data_dir {
            let path = dir.join("keys.json");
            let keys = keyfiles::read_keys(&path)?;
            let key = keys.and_then(|keys| match self.environment {
                Which::Development => keys.development,
                Which::Production => keys.production,
            });
            return key.with_context(|| {
                format!("`{}` has no environment's key; name one with --key-file", path.display())
            });
        }
        match variable("TRUNNION_KEY")? {
            Some(key) => Ok(key.trim().to_owned()),
            None => bail!(
                "this needs an environment's key: --key-file FILE, --data-dir DIR for a host with --dev on this machine, or the environment variable TRUNNION_KEY"
            ),
        }
    }
}

fn base(host: Option<&str>) -> anyhow::Result<String> {
    match host {
        Some(host) => Ok(host.to_owned()),
        None => Ok(variable("TRUNNION_URL")?.unwrap_or_else(|| DEFAULT_HOST.to_owned())),
    }
}

impl Remote {
    /// The data directory, where the host is on this machine.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// A client of that host.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&base(self.host.as_deref())?, self.key()?)?)
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
pub(super) fn variable(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => bail!("the environment variable {name} cannot be read: {error}"),
    }
}
