//! JSON between the contract's texts and Rust types, and the types' schemas.

mod reader;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Error, Result},
    export::DESCRIBED,
};

pub use reader::{Misfit, read};

/// Reads an input; a mismatch names the field as a JSON pointer.
pub(crate) fn input<I: DeserializeOwned>(text: &str) -> Result<I> {
    read(text.as_bytes()).map_err(refused)
}

#[cold]
#[inline(never)]
fn refused(misfit: Misfit) -> Error {
    Error::invalid_input(misfit.pointer(), misfit.into_message())
}

/// Writes an output.
pub(crate) fn output<O: Serialize>(output: &O) -> Result<String> {
    serde_json::to_string(output).map_err(|error| not_json(&error))
}

#[cold]
#[inline(never)]
fn not_json(error: &serde_json::Error) -> Error {
    Error::other("output-not-json", format!("the connector's output cannot be written as JSON: {error}"))
}

/// A text that only the manifest says: nothing, where that is made already. What takes such texts is inlined, or else
/// they would be handed to it, and so be in the component, to be thrown away there.
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
