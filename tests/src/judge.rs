//! Judges: servers that know a vendor's published description and refuse a request the vendor would refuse.
//! They share nothing with us. They lie outside the repository (`../shared`); without it there is nothing to
//! judge with.
//!
//! BigCommerce's, HubSpot's and BigQuery's are prism with an OpenAPI description; Shopify's serves the vendor's GraphQL
//! schema.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{
    host::{target_dir, workspace},
    node,
    record::Recorded,
    wait,
};

/// Whose requests are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// BigCommerce's REST API.
    BigCommerce,
    /// HubSpot's REST API.
    HubSpot,
    /// Shopify's Admin GraphQL API.
    Shopify,
    /// BigQuery's REST API.
    BigQuery,
}

/// A running judge; stops when dropped.
#[derive(Debug)]
pub struct Judge {
    vendor: Vendor,
    base: String,
    http: reqwest::Client,
    _process: Child,
}

/// What the judge said of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The status of its answer.
    pub status: u16,
    /// Its answer, which holds the reasons where it refused.
    pub reasons: String,
    /// Whether it refuses in its answer, as GraphQL does.
    speaks_graphql: bool,
}

impl Verdict {
    /// Whether the vendor's description allows the request. GraphQL refuses with status 200 and `errors`.
    #[must_use]
    pub fn allows(&self) -> bool {
        let successful = (200..300).contains(&self.status);
        if !self.speaks_graphql {
            return successful || self.is_about_its_own_answer();
        }
        let errors = serde_json::from_str::<Value>(&self.reasons).ok().and_then(|mut body| {
            body.get_mut("errors")
                .map(Value::take)
                .filter(|errors| !errors.is_null() && *errors != Value::Array(vec![]))
        });
        successful && errors.is_none()
    }

    /// Whether prism took the request, and then found fault with nothing but the answer that it made up for it.
    fn is_about_its_own_answer(&self) -> bool {
        let body: Value = serde_json::from_str(&self.reasons).unwrap_or_default();
        let found = body.get("validation").and_then(Value::as_array).filter(|found| !found.is_empty());
        let of_answer = |fault: &Value| fault.pointer("/location/0").is_some_and(|place| place == "response");
        self.status == 500 && found.is_some_and(|found| found.iter().all(of_answer))
    }
}

impl Vendor {
    /// The vendor's description, below `../shared`.
    const fn description(self) -> &'static str {
        match self {
            Self::BigCommerce => "specs/bigcommerce/merged.prefixed.derived.openapi.json",
            Self::HubSpot => "specs/hubspot/merged.derived.openapi.json",
            Self::Shopify => "specs/shopify/admin_2026-10.nodesc.schema.graphql",
            Self::BigQuery => "specs/bigquery/bigquery.v2.swagger2.derived.json",
        }
    }
}

/// A copy of BigQuery's description, below `dir`, by which a job is JSON. The published one calls it some bytes, since it may
/// be uploaded with its data.
fn with_jobs(description: &Path, dir: &Path) -> Result<PathBuf> {
    let text =
        fs::read_to_string(description).with_context(|| format!("reading {}", description.display()))?;
    let mut document: Value = serde_json::from_str(&text).context("the description is JSON")?;
    let jobs = document.pointer_mut("/paths/~1bigquery~1v2~1projects~1{projectId}~1jobs/post");
    let jobs = jobs.and_then(Value::as_object_mut).context("the description has no jobs.insert")?;
    jobs.remove("consumes").context("a job has become JSON in the description; judge by it as it is")?;
    // Whole, or not at all: other tests read it meanwhile.
    let (path, fresh) = (dir.join("bigquery.json"), tempfile::NamedTempFile::new_in(dir)?);
    fs::write(fresh.path(), document.to_string())?;
    fresh.persist(&path).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

impl Judge {
    /// Installs and starts a vendor's judge; `None` where `../shared` has none.
    pub async fn start(vendor: Vendor) -> Result<Option<Self>> {
        let Some(shared) = workspace().parent().map(|parent| parent.join("shared")) else { return Ok(None) };
        let description = shared.join(vendor.description());
        if !description.is_file() || !shared.join("judges/package.json").is_file() {
            return Ok(None);
        }
        let dir = node::installed("judges", &shared.join("judges")).await?;
        let description = match vendor {
            Vendor::BigQuery => with_jobs(&description, &dir)?,
            Vendor::BigCommerce | Vendor::HubSpot | Vendor::Shopify => description,
        };
        // A judge wants a port by number; between letting go of it and the judge's taking it nobody else should
        // ask.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let mut command = match vendor {
            Vendor::BigCommerce | Vendor::HubSpot | Vendor::BigQuery => {
                let mut prism = Command::new(dir.join("node_modules/.bin/prism"));
                prism.args(["mock", "-h", "127.0.0.1", "-p", &port, "--errors"]).arg(description);
                prism.stdin(Stdio::null()).kill_on_drop(true);
                prism
            }
            Vendor::Shopify => {
                let script = beside(&dir, &shared, vendor.description())?;
                let mut command = node::command(&dir, &script);
                command.arg(&port);
                command
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().with_context(|| format!("starting the judge of {vendor:?}"))?;
        let judge = Self {
            vendor,
            base: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::new(),
            _process: process,
        };
        wait::until("the judge to listen", || async { judge.http.get(&judge.base).send().await.ok() })
            .await?;
        Ok(Some(judge))
    }

    /// Passes a recorded request through the judge.
    pub async fn verdict(&self, request: &Recorded) -> Result<Verdict> {
        let mut headers = request.headers.clone();
        headers.remove("host");
        headers.remove("content-length");
        let answer = self
            .http
            .request(request.method.clone(), format!("{}{}", self.base, request.uri))
            .headers(headers)
            .body(request.body.clone())
            .send()
            .await?;
        let status = answer.status().as_u16();
        let speaks_graphql = self.vendor == Vendor::Shopify;
        Ok(Verdict { status, reasons: answer.text().await?, speaks_graphql })
    }
}

/// Copies Shopify's judge into the folder that has its packages, and the schema to where the judge looks for
/// it from there: scripts find packages beside themselves.
fn beside(dir: &Path, shared: &Path, schema: &str) -> Result<PathBuf> {
    let script = dir.join("shopify.mjs");
    let from_script = shared.join("judges/shopify.mjs");
    for (from, to) in [(shared.join(schema), target_dir().join(schema)), (from_script, script.clone())] {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::copy(&from, &to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    }
    Ok(script)
}
