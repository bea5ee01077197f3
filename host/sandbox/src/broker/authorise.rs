//! Whether a connector may send to a URL, and where the connection then goes.

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{Client, header::HeaderValue};
use trunnion_core::{hosts::HostPattern, manifest::Manifest, problem::Problem};
use url::{Host, Url};

use super::{Broker, SendError, resolve::Judge};

/// Who sends: a connector and the hosts its manifest names.
#[derive(Debug)]
pub(crate) struct Subject {
    manifest: Arc<Manifest>,
    hosts: Vec<HostPattern>,
}

impl Subject {
    /// A manifest that was checked has no pattern that does not parse; one that does is named all the same.
    pub(crate) fn new(manifest: Arc<Manifest>) -> Result<Self, Problem> {
        let hosts = manifest
            .hosts
            .iter()
            .enumerate()
            .map(|(index, host)| {
                HostPattern::parse(host).map_err(|why| Problem::new(format!("/hosts/{index}"), why))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { manifest, hosts })
    }

    pub(crate) fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// `acme@1.2.0`.
    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.manifest.id, self.manifest.version)
    }
}

/// Where the connection goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// Where the URL says.
    Named,
    /// Elsewhere, as the operator says.
    Rewritten {
        /// The URL to connect to.
        url: Url,
        /// The original host, with its port where it is not 443.
        forwarded_host: String,
    },
}

impl Broker {
    /// Judges `url` by scheme, form, the manifest's hosts and the operator's grant.
    pub(super) fn authorise(
        &self,
        subject: &Subject,
        parameters: &BTreeMap<String, String>,
        url: &Url,
    ) -> Result<Destination, SendError> {
        let connector = subject.name();
        let denied = |message: String| Err(SendError::Denied(message));
        if url.scheme() != "https" {
            let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
            return denied(format!(
                "connector `{connector}` may send over https only, not `{scheme}` to `{host}`; use an https URL"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return denied(format!(
                "connector `{connector}` put user information into a URL; send credentials with `auth` or as `{{{{secret:NAME}}}}` in a header"
            ));
        }
        let Some(host) = url.host_str() else {
            return denied(format!(
                "connector `{connector}` sent to a URL without a host; write `https://host/path`"
            ));
        };
        let shown = shown(host, url.port());
        if !matches!(url.host(), Some(Host::Domain(_))) {
            return denied(format!(
                "address `{shown}` is not allowed for connector `{connector}`; name the vendor's host instead of an IP address"
            ));
        }
        let port = url.port();
        if !names(&subject.hosts, host, port, parameters) {
            return denied(format!(
                "host `{shown}` is not allowed for connector `{connector}`; add it to `hosts` in its manifest"
            ));
        }
        if let Some(granted) = &self.granted
            && !names(granted, host, port, parameters)
        {
            return denied(format!(
                "host `{shown}` of connector `{connector}` is not granted by the operator; add it to `egress.granted_hosts`"
            ));
        }
        Ok(match self.rewritten(url) {
            Some(to) => Destination::Rewritten { url: to, forwarded_host: shown },
            None => Destination::Named,
        })
    }

    fn rewritten(&self, url: &Url) -> Option<Url> {
        let host = url.host_str()?;
        let none = BTreeMap::new();
        let (_, base) = self.rewrites.iter().find(|(pattern, _)| pattern.matches(host, url.port(), &none))?;
        let mut to = base.clone();
        to.set_path(url.path());
        to.set_query(url.query());
        Some(to)
    }

    /// The host's own destination: which client, which URL, and the original host where it was rewritten.
    pub(super) fn own_destination(&self, url: Url) -> Result<(&Client, Url, Option<HeaderValue>), SendError> {
        let denied = |message: String| Err(SendError::Denied(message));
        if !url.username().is_empty() || url.password().is_some() {
            return denied(
                "the destination carries user information; put credentials into a header".to_owned(),
            );
        }
        if url.scheme() == "https"
            && let Some(to) = self.rewritten(&url)
        {
            let host = shown(url.host_str().unwrap_or_default(), url.port());
            let host = HeaderValue::from_str(&host).map_err(|_| {
                SendError::Denied("the destination's host does not fit into a header".to_owned())
            })?;
            return Ok((&self.trusted, to, Some(host)));
        }
        let (client, judge) = match url.scheme() {
            "https" => (&self.guarded, Judge::Public),
            "http" => (&self.allowed_only, Judge::AllowedOnly),
            other => return denied(format!("the destination's scheme is `{other}`; use https")),
        };
        // A name is judged when it is resolved; an address never is, so it is judged here.
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(v4.into()),
            Some(Host::Ipv6(v6)) => Some(v6.into()),
            Some(Host::Domain(_)) => None,
            None => return denied("the destination has no host; write it as `https://host/path`".to_owned()),
        };
        match address.and_then(|address| judge.refuses(&self.guard, address)) {
            Some(why) => denied(format!("the destination is not allowed: {why}")),
            None => Ok((client, url, None)),
        }
    }
}

fn names(
    patterns: &[HostPattern],
    host: &str,
    port: Option<u16>,
    parameters: &BTreeMap<String, String>,
) -> bool {
    patterns.iter().any(|pattern| pattern.matches(host, port, parameters))
}

fn shown(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
