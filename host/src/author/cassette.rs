//! Cassettes: one call of a connector with everything it exchanged with its vendor, as a file that can be replayed.
//!
//! A cassette holds no secret: where one stood in a request or answer, its reference stands. Replaying gives the
//! connector other secrets of the same names, so a request matches only if the host placed the right one in the right
//! place. The idempotency key is a reference too, so that a request which must carry it cannot match without it. Clock
//! and random source are those of the recording, so that the connector asks the same again.

mod masking;
mod personal;
mod record;
mod replay;
mod verdicts;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::manifest::{Manifest, TriggerSource};

pub use self::{
    record::{Recording, record},
    replay::{Live, against, replay},
    verdicts::verdicts,
};
pub use super::loading::Loading;
use super::{vendor, workshop};

/// One recorded call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cassette {
    /// What is called.
    pub call: Called,
    /// An action's input.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// The connection's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The account's id at the vendor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The connector's clock, milliseconds since 1970.
    pub now_ms: u64,
    /// Where the connector's random source begins.
    #[serde(default)]
    pub seed: u64,
    /// What was exchanged.
    pub exchanges: Vec<Exchanged>,
    /// What came of it.
    pub ends: Ending,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Called {
    /// The connection check.
    Check,
    /// An action.
    Action(String),
    /// A listing, from its first page to its end.
    Listing(String),
    /// A first round of a polling trigger, to its end.
    Poll(String),
}

/// A request, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    /// What the connector sends.
    pub request: Asked,
    /// What the vendor answers.
    pub answer: Answered,
}

/// A request. One that arrives may have further headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The URL as the connector named it, with references in the place of secrets.
    pub url: String,
    /// Names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A body, so that a person can read and change it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A JSON document.
    Json(Value),
    /// Anything else.
    Text(String),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// What it answered.
    Output(Value),
    /// The error's case: `not_found`.
    Error(String),
}

/// What is wrong with a cassette, or with recording one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("the cassette `{}` cannot be read or written", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Its content.
    #[error("the cassette `{}` is not one: {reason}; record it again, or see host/docs/CONNECTORS.md", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It calls what the connector does not have.
    #[error("connector `{app}` has no {what}; the cassette is another connector's, or of another version")]
    Unknown {
        /// The connector.
        app: String,
        /// What the cassette calls.
        what: String,
    },
    /// No vendor on this machine.
    #[error("the vendor that replays and records found no free port on this machine")]
    Vendor(#[source] std::io::Error),
    /// The component.
    #[error(transparent)]
    Workshop(#[from] workshop::Error),
    /// A request that could not be passed on, which no cassette can show.
    #[error("a request of the recording did not reach the vendor: {0}")]
    NotPassed(String),
    /// The recording says something else when it is replayed.
    #[error(
        "the recording does not replay: {}; the connector does something that depends on more than input, time and chance",
        .0.join("; ")
    )]
    NotReplayed(Vec<String>),
    /// No JSON.
    #[error("the connector answered something that is not JSON: {0}")]
    NotJson(String),
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check => f.write_str("connection check"),
            Self::Action(id) => write!(f, "action {id}"),
            Self::Listing(id) => write!(f, "listing {id}"),
            Self::Poll(id) => write!(f, "trigger {id}"),
        }
    }
}

impl Called {
    /// What a name on the command line means: an action, a polling trigger, or `check`.
    #[must_use]
    pub fn named(manifest: &Manifest, name: &str) -> Option<Self> {
        if name == "check" {
            return Some(Self::Check);
        }
        if let Some(action) = manifest.action(name) {
            return Some(if action.pages {
                Self::Listing(name.to_owned())
            } else {
                Self::Action(name.to_owned())
            });
        }
        manifest.poll(name).map(|_| Self::Poll(name.to_owned()))
    }

    /// Everything of a connector that a cassette can call.
    #[must_use]
    pub fn all(manifest: &Manifest) -> Vec<Self> {
        let polls =
            manifest.triggers.iter().filter(|trigger| matches!(trigger.source, TriggerSource::Poll(_)));
        let names = manifest.actions.iter().map(|action| &action.id).chain(polls.map(|trigger| &trigger.id));
        std::iter::once(Self::Check).chain(names.filter_map(|name| Self::named(manifest, name))).collect()
    }

    /// Whether the connector has it.
    fn is_of(&self, manifest: &Manifest) -> bool {
        Self::all(manifest).contains(self)
    }
}

impl Cassette {
    /// Reads one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })
    }

    /// Writes it, readably.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Io { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(path, text + "\n").map_err(failed)
    }

    /// The cassettes of a folder, by name; none where there is no such folder.
    pub fn of_folder(folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::Io { path: folder.to_owned(), source };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

impl Body {
    /// What these bytes are; nothing where there are none.
    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        Some(match serde_json::from_slice(bytes) {
            Ok(document) => Self::Json(document),
            Err(_) => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Json(document) => document.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Asked {
    /// A request as it arrived, with headers that are the connector's or the credential's.
    fn of(arrived: &vendor::Asked) -> Self {
        let headers = arrived.headers.iter().filter(|(name, _)| !is_the_hosts(name));
        Self {
            method: arrived.method.clone(),
            url: format!("https://{}{}", arrived.host, arrived.path),
            headers: headers.cloned().collect(),
            body: Body::of(&arrived.body),
        }
    }
}

/// Headers that the host sets on every request, and those of the connection itself.
fn is_the_hosts(name: &str) -> bool {
    const OWN: [&str; 9] = [
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "te",
        "transfer-encoding",
        "user-agent",
        "x-forwarded-host",
    ];
    OWN.contains(&name)
}
