//! Rows on their way in: as the workflow gave them, never taken apart.

use std::borrow::Cow;

use serde_json::value::RawValue;
use trunnion_sdk::{
    json,
    prelude::*,
    schemars::{Schema, SchemaGenerator},
};

/// One row: an object whose members are columns, kept as the text it came as, to the last digit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Row(Box<RawValue>);

impl Row {
    /// The row as JSON.
    pub(crate) fn json(&self) -> &RawValue {
        &self.0
    }

    /// Its length as JSON, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.get().len()
    }

    /// Its members.
    pub(crate) fn members(&self) -> Result<serde_json::Map<String, Value>> {
        json::read(self.0.get().as_bytes()).map_err(|_| not_an_object())
    }

    /// What serializes as an object.
    pub(crate) fn of(row: &impl Serialize) -> Result<Self> {
        serde_json::value::to_raw_value(row)
            .map(Self)
            .map_err(|error| Error::other("row-not-understood", error.to_string()))
    }

    /// Whether it can be a row at all.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.get().starts_with('{') { Ok(()) } else { Err(not_an_object()) }
    }
}

fn not_an_object() -> Error {
    Error::invalid_input("/rows", "a row is an object whose members are columns, as in `{\"id\": 7}`")
}

impl JsonSchema for Row {
    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        trunnion_sdk::schemars::json_schema!({ "type": "object" })
    }

    fn inline_schema() -> bool {
        true
    }
}
