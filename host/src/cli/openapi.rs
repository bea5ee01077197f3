//! `trunnion openapi`: the document that `/openapi.json` serves, without a host.

use std::io::{self, Write};

use anyhow::{Context as _, Result};

use crate::api;

/// Writes the document to standard output.
pub(crate) fn run() -> Result<()> {
    let text = api::document().to_pretty_json().context("writing the document as JSON")?;
    writeln!(io::stdout().lock(), "{text}").context("writing to standard output")
}
