//! A first connector from an OpenAPI 3 description: hosts, one auth scheme, one action for each operation with schemas
//! and samples.
//!
//! `read` turns a description into [`Api`], `write` an [`Api`] into a crate's files. What a description says and a
//! connector cannot do yet is left out and listed in [`Api::left_out`]; nothing is made up. The crate is a beginning:
//! which operations are worth offering, what may be repeated, rate limits and triggers are for its author to say.

mod names;
mod read;
mod sample;
mod write;

use serde_json::Value;

pub use self::{read::read, write::connector};

/// Why no connector comes of a description.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON.
    #[error("the description is not JSON ({reason}); convert YAML first, for example with `yq -o json FILE`")]
    NotJson {
        /// What is wrong.
        reason: String,
    },
    /// Another version, or something else.
    #[error("this is no OpenAPI 3 description: its `openapi` is {found}; convert older ones first")]
    NotOpenApi {
        /// What it says.
        found: String,
    },
    /// No server to send to.
    #[error(
        "the description names no server with an https URL; add one to `servers`, as in {{\"url\": \"https://api.acme.com/v1\"}}"
    )]
    NoServer,
    /// Nothing to do.
    #[error("no operation of the description {filter}fits; {left_out}")]
    NoOperation {
        /// What was asked for.
        filter: String,
        /// What was left out, and why.
        left_out: String,
    },
    /// The crate.
    #[error(transparent)]
    Template(#[from] super::template::Error),
}

/// What of a description becomes a connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// What people call the app.
    pub title: String,
    /// Where its API begins; no slash at the end.
    pub base: String,
    /// Its host.
    pub host: String,
    /// How it authenticates.
    pub auth: Auth,
    /// Its operations.
    pub operations: Vec<Operation>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// How an API authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// A token in the `Authorization` header.
    Bearer,
    /// A key in this header.
    Header(String),
    /// A key in this query parameter.
    Query(String),
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The action's id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// What it does; may be empty.
    pub help: String,
    /// In lower case.
    pub method: String,
    /// With `{parameter}`.
    pub path: String,
    /// Parameters of path, query and headers.
    pub parameters: Vec<Parameter>,
    /// The body, where it takes one.
    pub body: Option<Payload>,
    /// Schema and sample of the answer, where it has one that is JSON.
    pub answer: Option<(Value, Value)>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Where it goes.
    pub place: Place,
    /// What it is.
    pub field: Field,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the path.
    Path,
    /// Into the query.
    Query,
    /// Into a header.
    Header,
}

/// A field of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// As the vendor names it.
    pub name: String,
    /// What it is for; may be empty.
    pub help: String,
    /// Whether it may be left out.
    pub optional: bool,
    /// Its type in Rust.
    pub kind: &'static str,
    /// An example.
    pub sample: Value,
}

/// A body.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// An object with these members, as JSON.
    Object(Vec<Field>),
    /// Any JSON; an example.
    Any(Value),
}
