//! JSON between the contract's texts and Rust types, and the types' schemas. Internal.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Error, Result},
    export::DESCRIBED,
};

/// Reads an input; a mismatch names the field as a JSON pointer.
pub(crate) fn input<I: DeserializeOwned>(text: &str) -> Result<I> {
    let mut reader = serde_json::Deserializer::from_slice(text.as_bytes());
    let input = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Error::invalid_input(pointer(error.path()), error.inner().to_string()))?;
    reader.end().map_err(|error| Error::invalid_input("", error.to_string()))?;
    Ok(input)
}

/// Reads any JSON. Everything is read from bytes: texts of their own kind of reader would double the code.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_bytes())
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Writes an output.
pub(crate) fn output<O: Serialize>(output: &O) -> Result<String> {
    serde_json::to_string(output).map_err(|error| {
        Error::other("output-not-json", format!("the connector's output cannot be written as JSON: {error}"))
    })
}

/// A text that only the manifest says: nothing, where that is made already.
pub(crate) const fn said(text: &'static str) -> &'static str {
    if DESCRIBED { "" } else { text }
}

/// What makes the schema of an input; nothing does, where the manifest is made already: neither its code nor that of
/// the types is then in the component.
pub(crate) fn input_schema<T: JsonSchema>() -> fn() -> Value {
    if DESCRIBED { || Value::Null } else { || schema::<T>(SchemaSettings::draft2020_12()) }
}

/// What makes the schema of an output.
pub(crate) fn output_schema<T: JsonSchema>() -> fn() -> Value {
    if DESCRIBED { || Value::Null } else { || schema::<T>(SchemaSettings::draft2020_12().for_serialize()) }
}

fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    Schema::into(settings.into_generator().into_root_schema_for::<T>())
}
