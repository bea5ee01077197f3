//! Configuration: one TOML file, every field with a default; command-line options override it.
//!
//! `host/docs/CONFIG.md` shows every field; a test holds the two together.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trunnion_sandbox::{EgressOptions, Options as SandboxOptions};

use crate::{
    retention::RetentionConfig, throttle::RateLimitConfig, triggers::poll::Options as PollingOptions,
};

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The URL that vendors, users and browsers reach this host by. Default: `http://` and the listening
    /// address.
    pub public_url: Option<String>,
    /// The file that holds the master key, 64 hex digits. Default: the environment variable
    /// `TRUNNION_MASTER_KEY`, or with `--dev` the file `master.key` in the data directory.
    pub master_key_file: Option<PathBuf>,
    /// What is logged to standard error: a level, or directives such as `warn,trunnion=debug`. Default: `info`.
    pub log: String,
    /// Bytes of one request's body. Default: 6 MiB.
    pub max_body_bytes: usize,
    /// Runs and deliveries that are worked on at once; a quarter more for users who have few under way while others
    /// have many. Default: 256.
    pub workers: usize,
    /// Runs and deliveries that are worked on at once for one connection, or one destination of a user. Default: 32.
    pub workers_per_connection: usize,
    /// Runs and deliveries that may wait for a worker before new ones are refused with 429. Default: 1,000,000.
    pub max_waiting: usize,
    /// Of these, one user's; nobody's are more than half of `max_waiting`. Default: 100,000.
    pub max_waiting_per_user: usize,
    /// Bytes of the payloads that wait, in memory or in the store. Default: 4 GiB.
    pub max_waiting_bytes: usize,
    /// Of these, one user's. Default: 1 GiB.
    pub max_waiting_bytes_per_user: usize,
    /// Bytes of payloads that wait in memory; further ones wait in the store alone; of
    /// those above 64 KiB, a quarter of it waits in memory. Default: 4 MiB.
    pub max_kept_bytes: usize,
    /// Bytes of payloads above 64 KiB that are worked on at once, as they are in memory: large ones as their JSON. One user
    /// has no more of them than is left for others. Default: 2 MiB.
    pub max_working_bytes: usize,
    /// Seconds that a request's caller waits for the answer before it is told where to find it. Default: 30.
    pub request_wait_secs: u64,
    /// Milliseconds that runs and deliveries wait for a credential to be mended before they become dead letters.
    /// Default: 7 days.
    pub attention_wait_ms: u64,
    /// Seconds between two looks at a registered webhook, which vendors delete or switch off when its deliveries fail for
    /// a while. Default: 4 hours.
    pub webhook_check_secs: u64,
    /// Seconds after which a stream's destination is disabled of which nothing but failures came; 0 disables none.
    /// Default: 5 days.
    pub stream_disable_secs: u64,
    /// Bounds on guests.
    pub sandbox: SandboxOptions,
    /// What may leave the host.
    pub egress: EgressOptions,
    /// The embedded store.
    pub store: StoreConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// Polling triggers.
    pub polling: PollingOptions,
    /// How many calls of one API key are taken.
    pub rate_limit: RateLimitConfig,
}

/// The embedded store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Bytes of the database's page cache. Default: 16 MiB.
    pub cache_bytes: u64,
    /// Free bytes on the disk below which commits are refused. Default: 64 MiB.
    pub min_free_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: None,
            master_key_file: None,
            log: "info".to_owned(),
            max_body_bytes: 6 << 20,
            workers: 256,
            workers_per_connection: 32,
            max_waiting: 1_000_000,
            max_waiting_per_user: 100_000,
            max_waiting_bytes: 4 << 30,
            max_waiting_bytes_per_user: 1 << 30,
            max_kept_bytes: 4 << 20,
            max_working_bytes: 2 << 20,
            request_wait_secs: 30,
            attention_wait_ms: 7 * 24 * 3_600_000,
            webhook_check_secs: 4 * 3600,
            stream_disable_secs: 5 * 24 * 3600,
            sandbox: SandboxOptions::default(),
            egress: EgressOptions::default(),
            store: StoreConfig::default(),
            retention: RetentionConfig::default(),
            polling: PollingOptions::default(),
            rate_limit: RateLimitConfig::default(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        let options = trunnion_store::journal::Options::default();
        Self { cache_bytes: options.cache_bytes, min_free_bytes: options.min_free_bytes }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("the configuration file `{path}` could not be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("the configuration file `{path}` has an error: {source}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|source| Error::Malformed { path: path.to_owned(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_named() {
        let error = toml::from_str::<Config>("workrs = 5").unwrap_err().to_string();
        assert!(error.contains("workrs"), "{error}");
    }

    #[test]
    fn the_reference_page_shows_every_field_and_no_other() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md")).unwrap();
        let example = page.split("```toml").nth(1).unwrap().split("```").next().unwrap();
        toml::from_str::<Config>(example).unwrap();
        let shown: toml::Table = toml::from_str(example).unwrap();
        let all = toml::Table::try_from(Config {
            public_url: Some(String::new()),
            master_key_file: Some(PathBuf::new()),
            ..Config::default()
        })
        .unwrap();
        let missing = |shown: &toml::Table, all: &toml::Table| -> Vec<String> {
            all.keys().filter(|field| !shown.contains_key(*field)).cloned().collect()
        };
        assert_eq!(missing(&shown, &all), Vec::<String>::new());
        for part in ["store", "retention", "polling", "rate_limit"] {
            let inside = |table: &toml::Table| table[part].as_table().unwrap().clone();
            assert_eq!(missing(&inside(&shown), &inside(&all)), Vec::<String>::new(), "{part}");
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(toml::to_string(&config).unwrap(), toml::to_string(&Config::default()).unwrap());
    }
}
