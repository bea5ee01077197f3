//! What the operator allows to leave the host.

use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use trunnion_core::hosts::HostPattern;
use url::Url;

use super::BrokerError;

/// What may leave, where to, and how much.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressOptions {
    /// Whether 127.0.0.0/8 and ::1 may be connected to: for development. Default: false.
    pub allow_loopback: bool,
    /// Networks that may be connected to although they are not public. Default: none.
    pub allowed_networks: Vec<IpNet>,
    /// Networks that may not be connected to, whatever else is said. Default: none.
    pub denied_networks: Vec<IpNet>,
    /// Host patterns that connectors may send to, beside their own manifest's; absent: every host that a
    /// manifest names. Default: absent.
    pub granted_hosts: Option<Vec<String>>,
    /// Destinations to replace. Authorisation judges the original. Default: none.
    pub rewrites: Vec<Rewrite>,
    /// Time for one request with its redirects, milliseconds. Default: 30,000.
    pub timeout_ms: u64,
    /// Time for one connection to be made, milliseconds. Default: 10,000.
    pub connect_timeout_ms: u64,
    /// Time an unused connection is kept, milliseconds. Default: 60,000.
    pub idle_connection_ms: u64,
    /// Unused connections kept per host. Default: 64.
    pub max_idle_per_host: usize,
    /// Redirects followed for one request. Default: 5.
    pub max_redirects: u32,
    /// Bytes of one request. Default: 16 MiB.
    pub max_request_bytes: usize,
    /// Bytes of one answer. Default: 16 MiB.
    pub max_response_bytes: usize,
}

impl Default for EgressOptions {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            allowed_networks: Vec::new(),
            denied_networks: Vec::new(),
            granted_hosts: None,
            rewrites: Vec::new(),
            timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
            idle_connection_ms: 60_000,
            max_idle_per_host: 64,
            max_redirects: 5,
            max_request_bytes: 16 << 20,
            max_response_bytes: 16 << 20,
        }
    }
}

/// Sends a host's traffic elsewhere: `*.bigcommerce.com=http://127.0.0.1:4110`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// A host pattern.
    pub host: String,
    /// Scheme, host and port that take the original's place.
    pub url: String,
}

impl FromStr for Rewrite {
    type Err = String;

    /// From `PATTERN=URL`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, url) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is not PATTERN=URL; write it as `*.example.com=http://127.0.0.1:4110`")
        })?;
        let rewrite = Self { host: host.to_owned(), url: url.to_owned() };
        rewrite.rule()?;
        Ok(rewrite)
    }
}

impl Rewrite {
    fn rule(&self) -> Result<(HostPattern, Url), String> {
        let pattern = HostPattern::parse(&self.host)?;
        let url = Url::parse(&self.url).map_err(|error| format!("`{}` is not a URL: {error}", self.url))?;
        let bare = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty();
        if !bare {
            return Err(format!(
                "`{}` must be scheme, host and port alone, as in `http://127.0.0.1:4110`",
                self.url
            ));
        }
        Ok((pattern, url))
    }
}

impl EgressOptions {
    pub(super) fn granted_patterns(&self) -> Result<Option<Vec<HostPattern>>, BrokerError> {
        self.granted_hosts
            .as_ref()
            .map(|hosts| hosts.iter().map(|host| HostPattern::parse(host)).collect::<Result<Vec<_>, _>>())
            .transpose()
            .map_err(|message| BrokerError::Setting { setting: "granted_hosts", message })
    }

    pub(super) fn rewrite_rules(&self) -> Result<Vec<(HostPattern, Url)>, BrokerError> {
        self.rewrites
            .iter()
            .map(Rewrite::rule)
            .collect::<Result<_, _>>()
            .map_err(|message| BrokerError::Setting { setting: "rewrites", message })
    }
}
